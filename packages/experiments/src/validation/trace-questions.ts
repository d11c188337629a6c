/** Q5, Q6 and Q8: what only a trace of the scheduler shows. */
import type { RunFigures, TracedGuest, ValidatedScheduler } from './arrangement.ts';
import type { Claim, Metric, Part, Question } from './question.ts';
import { hog, schedulers } from './share-questions.ts';

const ratelimitsUs = [0, 1000, 5000] as const;
/** Shorter than the longest rate limit by far, and so short that the hog's slice does not end by itself. */
const sleepMs = 1;

const guestOf = ({ traced }: RunFigures, name: string): TracedGuest => {
  const guest = traced?.guests[name];
  return guest ?? { dispatches: 0, migrations: 0, wakes: 0, wakeP50Ns: Number.NaN, wakeP95Ns: Number.NaN };
};

/** By how much a median may go down from one limit to the next and still count as not less. */
const monotoneSlack = 0.2;

function ratelimitPart(scheduler: ValidatedScheduler): Part {
  const median = (limitUs: number): string => `${scheduler}: median with a rate limit of ${limitUs} µs`;
  const metrics = ratelimitsUs.flatMap((limitUs): Metric[] => [
    {
      name: median(limitUs),
      unit: 'µs',
      read: (figures) => guestOf(figures, `waker-${limitUs}`).wakeP50Ns / 1000,
      tolerance: { kind: 'shown' },
    },
    {
      name: `${scheduler}: 95th percentile with ${limitUs} µs`,
      unit: 'µs',
      read: (figures) => guestOf(figures, `waker-${limitUs}`).wakeP95Ns / 1000,
      tolerance: { kind: 'shown' },
    },
  ]);
  const claims: readonly Claim[] = [
    {
      statement: `${scheduler}: the median does not go down with the limit (by more than ${monotoneSlack * 100} %)`,
      holds: (mean) => {
        const [none, short, long] = ratelimitsUs.map((limitUs) => mean(median(limitUs))) as [number, number, number];
        return short >= none * (1 - monotoneSlack) && long >= short * (1 - monotoneSlack);
      },
    },
    {
      statement: `${scheduler}: with 5000 µs the median is more than twice that with none`,
      holds: (mean) => mean(median(5000)) > 2 * mean(median(0)),
    },
  ];
  return {
    name: scheduler,
    arrangement: {
      cpupools: ratelimitsUs.map((ratelimitUs, index) => ({
        name: `limit-${ratelimitUs}`,
        scheduler,
        pcpus: [4 + index],
        parameters: { ratelimitUs },
      })),
      guests: ratelimitsUs.flatMap((limitUs) => [
        hog(`hog-${limitUs}`, `limit-${limitUs}`),
        { name: `waker-${limitUs}`, cpupool: `limit-${limitUs}`, work: { kind: 'waker', sleepMs } },
      ]),
    },
    isTraced: true,
    metrics,
    claims,
  };
}

export const ratelimit: Question = {
  id: 'Q5',
  title: 'a VM that wakes, beside one that computes',
  what: 'On one pCPU one VM computes, and another sleeps for a millisecond again and again: how long does it wait after each wake, with rate limits of 0, 1000 and 5000 µs?',
  parts: schedulers.map(ratelimitPart),
  notes: [
    'A cpupool of one pCPU for each limit. Waits are those between `runstate_change` records of Xen’s trace.',
    'The model’s VM computes for 50 to 150 µs when it wakes. How long the real one does, and how late its timer is, is the emulator’s matter: only whether waits grow with the limit is judged.',
  ],
};

const slicesMs = [1, 5, 30] as const;

const switchesOf = (figures: RunFigures, pcpu: number): number => {
  const { traced } = figures;
  return (traced?.pcpus[pcpu]?.switches ?? Number.NaN) / ((traced?.durationNs ?? Number.NaN) / 1e9);
};

export const timeslices: Question = {
  id: 'Q6',
  title: 'time slices of 1, 5 and 30 ms',
  what: 'Two VMs compute on one pCPU under credit: how often is it switched from one to the other?',
  parts: [
    {
      name: 'credit',
      arrangement: {
        cpupools: slicesMs.map((tsliceMs, index) => ({
          name: `slice-${tsliceMs}`,
          scheduler: 'credit',
          pcpus: [4 + index],
          parameters: { tsliceMs },
        })),
        guests: slicesMs.flatMap((slice) => ['a', 'b'].map((name) => hog(`${name}-${slice}`, `slice-${slice}`))),
      },
      isTraced: true,
      metrics: slicesMs.map((slice, index) => ({
        name: `credit: context switches with ${slice} ms`,
        unit: '/s',
        read: (figures) => switchesOf(figures, 4 + index),
        tolerance: { kind: 'percent', percent: 25 },
      })),
      claims: [
        {
          statement: 'credit: the shorter the slice, the more switches',
          holds: (mean) => {
            const [one, five, thirty] = slicesMs.map((slice) => mean(`credit: context switches with ${slice} ms`)) as [
              number,
              number,
              number,
            ];
            return one > five && five > thirty;
          },
        },
      ],
    },
  ],
  notes: [
    'A cpupool of one pCPU for each slice; all at the same time. credit2 has no time slice to set.',
    'Real Xen switches about half as often: a VM has two slices in a row there. The model knows that too: whether it happens hangs on where in a slice the master ticker puts VMs into and out of `OVER`. Slices of the model are exact, so a run stays in what it began with, and of six seeds one had 16.7 switches a second with 30 ms instead of 33.3. Slices of real Xen end a little late each time, so that the two drift against each other until they stay where slices are doubled. That is the likely cause; it was not proved.',
    'Where the machine is emulated with a thread for each pCPU and the machine below it has too much to do, a pCPU stands still for many slices while its clock goes on: it switches less often by wall time than it would. That speaks of the emulator, but it is no confirmation of the model either; `--icount` or a machine with nothing else to do is needed for it.',
  ],
};

const isolationPart = (scheduler: ValidatedScheduler): Part => ({
  name: scheduler,
  arrangement: {
    cpupools: [
      { name: 'busy', scheduler, pcpus: [2, 3] },
      { name: 'quiet', scheduler, pcpus: [6, 7] },
    ],
    guests: Array.from({ length: 4 }, (_, index) => hog(`hog-${index + 1}`, 'busy')),
  },
  isTraced: true,
  metrics: [
    {
      name: `${scheduler}: idle time of the other pool`,
      unit: '%',
      read: ({ traced }) => {
        const busyNs = (traced?.pcpus[6]?.busyNs ?? Number.NaN) + (traced?.pcpus[7]?.busyNs ?? Number.NaN);
        return (1 - busyNs / (2 * (traced?.durationNs ?? Number.NaN))) * 100;
      },
      tolerance: { kind: 'at least', value: 98 },
    },
    {
      name: `${scheduler}: use of the pool of the four`,
      unit: '%',
      read: ({ traced }) => {
        const busyNs = (traced?.pcpus[2]?.busyNs ?? Number.NaN) + (traced?.pcpus[3]?.busyNs ?? Number.NaN);
        return (busyNs / (2 * (traced?.durationNs ?? Number.NaN))) * 100;
      },
      tolerance: { kind: 'at least', value: 98 },
    },
  ],
  claims: [],
});

export const isolation: Question = {
  id: 'Q8',
  title: 'a busy pool beside a quiet one',
  what: 'Four VMs compute in a pool of two pCPUs: is the other pool left alone?',
  parts: schedulers.map(isolationPart),
  notes: ['Two pools of two pCPUs. Idle time is what Xen’s trace shows no domain on the pCPU.'],
};
