import { lockKinds, type LockKind, type SchedulerName, type Workload } from '@xenolith/hypervisor';
import type { ExperimentCase, MeanOf, Variant } from '../experiment.ts';
import { untraced } from '../experiment.ts';
import { lockRun, type LockSetting } from './lock-run.ts';
import { lockNames, lockWantedLess, oneLock, standIns } from './lock-work.ts';
import { eight, lockMeasures, lockVariant } from './two-vms.ts';

/** A run of each kind of lock; a trace is of the first. */
export const runOfAll =
  (setting: (lock: LockKind) => LockSetting, value: 'throughput' | 'usefulPercent'): Variant['run'] =>
  (context) =>
    Object.fromEntries(
      lockKinds.map((lock, index) => {
        const values = lockRun(setting(lock), index === 0 ? context : untraced(context));
        return [lockNames[lock], value === 'throughput' ? values.throughput / 1000 : values.usefulPercent];
      }),
    );

export const measuresOfAll = (unit: string, what: string): ExperimentCase['measures'] =>
  lockKinds.map((lock) => ({ name: lockNames[lock], unit, what }));
const namesOfAll = lockKinds.map((lock) => lockNames[lock]);

const counts = [1, 2, 3, 4] as const;
const countName = (vms: number): string => (vms === 1 ? '1 VM' : `${vms} VMs`);

/** All that N VMs get done, of what one alone does: 100 % is the ideal, 1/N for each. */
const ofIdeal = (mean: MeanOf, lock: LockKind, vms: number): number =>
  (mean(countName(vms), lockNames[lock]) / mean(countName(1), lockNames[lock])) * 100;
const crowds = counts.slice(1);

/** L3: throughput against overcommitment. */
const overcommitOf = (name: string, subject: string, how: string, workload: Workload): ExperimentCase => ({
  name,
  what: `${subject}: one to four VMs of 4 vCPUs on 4 pCPUs under credit, one lock each${how}: what do all of them together get done?`,
  measures: measuresOfAll('k/s', 'units of work of all VMs'),
  variants: counts.map((vms) => ({
    name: countName(vms),
    x: vms,
    run: runOfAll((lock) => ({ vms, vcpus: 4, pcpus: 4, workload, kernel: { lock } }), 'throughput'),
  })),
  expectations: [
    {
      statement: `${subject}: with ticket locks a VM gets less than half of its ideal part done from 2 VMs on; the most is`,
      unit: '% of ideal',
      value: (mean) => Math.max(...crowds.map((vms) => ofIdeal(mean, 'ticket', vms))),
      holds: (percent) => percent < 50,
    },
    ...(['pv-byte', 'pv-ticket', 'pv-qspin'] as const).map((lock) => ({
      statement: `${subject}: with ${lockNames[lock]} it stays within 25 % of it; the least is`,
      unit: '% of ideal',
      value: (mean: MeanOf) => Math.min(...crowds.map((vms) => ofIdeal(mean, lock, vms))),
      holds: (percent: number) => percent >= 75,
    })),
  ],
  charts: [
    { kind: 'lines', title: 'work of all VMs (model)', measures: namesOfAll, xLabel: 'VMs of 4 vCPUs on 4 pCPUs' },
  ],
});

export const overcommit = overcommitOf('overcommit', 'L3', '', oneLock);
export const overcommitWantedLess = overcommitOf(
  'overcommit-wanted-less',
  'L3, wanted less',
  ', held for 1 µs every 101 µs',
  lockWantedLess,
);

const schedulerNames: readonly SchedulerName[] = ['credit', 'credit2', 'rtds'];

/** Two VMs under each scheduler. */
export const schedulers: ExperimentCase = {
  name: 'schedulers',
  what: 'two VMs of 8 vCPUs on 8 pCPUs, one lock each, under other schedulers: what of their CPU time is useful?',
  measures: measuresOfAll('%', "of the VMs' CPU time, what is useful"),
  variants: schedulerNames.map((scheduler) => ({
    name: scheduler,
    run: runOfAll((lock) => ({ ...eight, vms: 2, scheduler, kernel: { lock } }), 'usefulPercent'),
  })),
  expectations: [],
  charts: [{ kind: 'bars', title: 'CPU time that is useful (model)', measures: namesOfAll }],
};

const workNames = Object.keys(standIns) as readonly (keyof typeof standIns)[];

/** Two VMs with work that is like something. */
export const workloads: ExperimentCase = {
  name: 'workloads',
  what: 'two VMs of 8 vCPUs on 8 pCPUs under credit, with stand-ins for a kernel build, a database and a compression: what do they get done?',
  measures: measuresOfAll('k/s', 'units of work of all VMs'),
  variants: workNames.map((name) => ({
    name: `${name}-like`,
    run: runOfAll((lock) => {
      const { kernelLocks, work } = standIns[name];
      return { ...eight, vms: 2, workload: work, kernel: { lock, locks: kernelLocks } };
    }, 'throughput'),
  })),
  expectations: [
    {
      statement: 'section 5: pbzip2-like work does not care for the kind of lock (5 %); the largest difference is',
      unit: '%',
      value: (mean) => {
        const all = namesOfAll.map((name) => mean('pbzip2-like', name));
        return (1 - Math.min(...all) / Math.max(...all)) * 100;
      },
      holds: (percent) => percent <= 5,
    },
    ...(['kernbench-like', 'pgbench-like'] as const).map((work) => ({
      statement: `section 5: ${work} work gets less than half as much done with ticket as with PV ticket locks; of that`,
      unit: '%',
      value: (mean: MeanOf) => (mean(work, lockNames.ticket) / mean(work, lockNames['pv-ticket'])) * 100,
      holds: (percent: number) => percent < 50,
    })),
  ],
  charts: [
    { kind: 'bars', title: 'work (model)', measures: namesOfAll, variants: ['kernbench-like', 'pgbench-like'] },
    { kind: 'bars', title: 'work (model)', measures: namesOfAll, variants: ['pbzip2-like'] },
  ],
};

const exponents = [8, 10, 11, 12, 14, 15, 16, 18] as const;
const thresholdName = (exponent: number): string => `2^${exponent}`;
const throughputAt = (mean: MeanOf, exponent: number): number => mean(thresholdName(exponent), 'throughput');

/** L4: how long a waiter spins before it sleeps. */
export const threshold: ExperimentCase = {
  name: 'threshold',
  what: 'L4: two VMs of 8 vCPUs on 8 pCPUs under credit, PV ticket locks: how long should a waiter spin before it sleeps? (A test takes 15 ns.)',
  measures: lockMeasures,
  variants: [
    ...exponents.map((exponent) => ({
      ...lockVariant(thresholdName(exponent), {
        ...eight,
        vms: 2,
        kernel: { lock: 'pv-ticket', spinThreshold: 2 ** exponent },
      }),
      x: exponent,
    })),
    // Whether it is the rate limit that keeps whoever was woken from those who spin.
    lockVariant('2^15, no rate limit', {
      ...eight,
      vms: 2,
      options: { ratelimitUs: 0 },
      kernel: { lock: 'pv-ticket' },
    }),
  ],
  expectations: [
    {
      statement: 'L4: there is a plateau: from 2^8 to 2^12 the least is of the most',
      unit: '%',
      value: (mean) => {
        const plateau = [8, 10, 11, 12].map((exponent) => throughputAt(mean, exponent));
        return (Math.min(...plateau) / Math.max(...plateau)) * 100;
      },
      holds: (percent) => percent >= 75,
    },
    {
      statement: 'L4: it goes on until tests take about as long as a slice: 2^16 (1 ms) is, of 2^11,',
      unit: '%',
      value: (mean) => (throughputAt(mean, 16) / throughputAt(mean, 11)) * 100,
      holds: (percent) => percent >= 75,
    },
    {
      statement: 'L4: then it declines: 2^18 (4 ms) is, of 2^11,',
      unit: '%',
      value: (mean) => (throughputAt(mean, 18) / throughputAt(mean, 11)) * 100,
      holds: (percent) => percent < 75,
    },
  ],
  charts: [
    {
      kind: 'lines',
      title: 'work of two VMs (model)',
      measures: ['throughput'],
      xLabel: 'tests before sleeping, as a power of 2',
    },
  ],
};

const slicesMs = [1, 2, 5, 10, 20, 30] as const;
const sliceName = (sliceMs: number): string => `${sliceMs} ms`;

/** L5: credit's time slice. */
export const timeslice: ExperimentCase = {
  name: 'timeslice',
  what: 'L5: two VMs of 8 vCPUs on 8 pCPUs, ticket locks: does a shorter slice of credit help?',
  measures: lockMeasures,
  variants: slicesMs.map((tsliceMs) => ({
    ...lockVariant(sliceName(tsliceMs), { ...eight, vms: 2, options: { tsliceMs }, kernel: { lock: 'ticket' } }),
    x: tsliceMs,
  })),
  expectations: [
    {
      statement: 'L5: 1 ms gets about 30 times as much done as 30 ms (15 to 60 times); it is',
      unit: 'times',
      value: (mean) => mean(sliceName(1), 'throughput') / mean(sliceName(30), 'throughput'),
      holds: (factor) => factor >= 15 && factor <= 60,
    },
  ],
  charts: [
    {
      kind: 'lines',
      title: 'work of two VMs, ticket locks (model)',
      measures: ['throughput'],
      xLabel: 'time slice in ms',
    },
  ],
};
