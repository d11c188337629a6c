import { lockKinds, type LockKind } from '@xenolith/hypervisor';
import type { Expectation, ExperimentCase, Variant } from '../experiment.ts';
import { lockRun, type LockSetting } from './lock-run.ts';
import { storm } from './storm.ts';
import { lockNames, oneLock } from './lock-work.ts';

export const eight = { vcpus: 8, pcpus: 8, workload: oneLock } as const;

/** One kind of lock in a setting, with all that is measured. */
export const lockVariant = (name: string, setting: LockSetting): Variant => ({
  name,
  run: (context) => {
    const values = lockRun(setting, context);
    return {
      throughput: values.throughput / 1000,
      useful: values.usefulPercent,
      spinning: values.spinPercent,
      CPU: values.pcpus,
      overtaking: values.overtaking,
      sleeps: values.sleepsPerSecond,
    };
  },
});

export const lockMeasures = [
  { name: 'throughput', unit: 'k/s', what: 'units of work of all VMs: a gap and a critical section' },
  {
    name: 'useful',
    unit: '%',
    what: "of the VMs' CPU time, what is neither spinning nor overhead of locks and switches",
  },
  { name: 'spinning', unit: '%', what: "of the VMs' CPU time" },
  { name: 'CPU', unit: 'pCPUs', what: "the VMs' CPU time" },
  { name: 'overtaking', unit: '‰', what: 'acquisitions before one who had come earlier' },
  { name: 'sleeps', unit: '/s', what: 'waits that ended in a poll' },
] as const;

const variants = (vms: number): readonly Variant[] =>
  lockKinds.map((lock) => lockVariant(lockNames[lock], { ...eight, vms, kernel: { lock } }));

/** A share of CPU time that is useful, and how much it has to be. */
export const useful = (
  subject: string,
  lock: LockKind,
  text: string,
  holds: (percent: number) => boolean,
): Expectation => ({
  statement: `${subject}: ${text} of the CPU time is useful; it is`,
  unit: '%',
  value: (mean) => mean(lockNames[lock], 'useful'),
  holds,
});

const share = (lock: LockKind, text: string, holds: (percent: number) => boolean): Expectation =>
  useful(`L2: ${lockNames[lock]}`, lock, text, holds);

const overtaking = (lock: LockKind, isExpected: boolean): Expectation => ({
  statement: `L8: ${lockNames[lock]}: ${isExpected ? 'some are served before others who came earlier' : 'nobody is served before who came earlier'}; of a thousand`,
  unit: '',
  value: (mean) => mean(lockNames[lock], 'overtaking'),
  holds: (each) => each > 0 === isExpected,
});

/** L1: with a pCPU for each vCPU it does not matter what lock it is. */
export const oneVm: ExperimentCase = {
  name: 'one-vm',
  what: 'L1: one VM of 8 vCPUs on 8 pCPUs, one lock, held for 1 µs every 11 µs: what does each kind of lock get done?',
  measures: lockMeasures,
  variants: variants(1),
  expectations: [
    {
      statement: 'L1: all five get the same done, within 2 %; the largest difference is',
      unit: '%',
      value: (mean) => {
        const all = lockKinds.map((lock) => mean(lockNames[lock], 'throughput'));
        return (1 - Math.min(...all) / Math.max(...all)) * 100;
      },
      holds: (percent) => percent <= 2,
    },
  ],
  charts: [{ kind: 'bars', title: 'work of one VM (model)', measures: ['throughput'] }],
};

/** L2 and L8: the ticketlock storm. */
export const twoVms: ExperimentCase = {
  name: 'two-vms',
  what: 'L2, L8: two such VMs on the same 8 pCPUs under credit: what of their CPU time is useful?',
  measures: lockMeasures,
  variants: variants(2),
  expectations: [
    share('test-and-set', 'at least 85 %', (percent) => percent >= 85),
    share('ticket', 'less than 20 %', (percent) => percent < 20),
    share('pv-byte', 'at least 80 %', (percent) => percent >= 80),
    share('pv-ticket', 'at least 80 %', (percent) => percent >= 80),
    share('pv-qspin', 'at least 80 %', (percent) => percent >= 80),
    overtaking('ticket', false),
    overtaking('pv-ticket', false),
    overtaking('test-and-set', true),
    overtaking('pv-byte', true),
  ],
  charts: [
    { kind: 'bars', title: 'CPU time that is useful (model)', measures: ['useful'] },
    ...lockKinds.map((lock) => ({
      kind: 'picture' as const,
      title: `16 vCPUs on 8 pCPUs, ${lockNames[lock]} (model)`,
      draw: (title: string, seed: number) => storm(title, { ...eight, vms: 2, kernel: { lock } }, seed),
    })),
    // Who waits for a PV ticket lock sleeps and wakes within a millisecond.
    {
      kind: 'picture',
      title: `a tenth of that time, ${lockNames['pv-ticket']} (model)`,
      draw: (title, seed) => storm(title, { ...eight, vms: 2, kernel: { lock: 'pv-ticket' } }, seed, 10),
    },
  ],
};
