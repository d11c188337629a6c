import { defaultInterrupts, lockKinds } from '@xenolith/hypervisor';
import { untraced, type ExperimentCase } from '../experiment.ts';
import { lockRun } from './lock-run.ts';
import { lockNames, lockWantedLess, standIns } from './lock-work.ts';
import { measuresOfAll, runOfAll } from './overcommit.ts';

const ticks = [
  { name: 'none', kernel: {} },
  { name: '250 Hz', kernel: { interrupts: defaultInterrupts } },
  { name: '1000 Hz', kernel: { interrupts: { ...defaultInterrupts, periodNs: 1_000_000 } } },
] as const;

/** Ticks of the guests' clocks, whose handlers take a lock. */
export const interrupts: ExperimentCase = {
  name: 'interrupts',
  what: 'two VMs of 8 vCPUs on 8 pCPUs under credit, one lock each, held for 1 µs every 101 µs, whose kernels take the tick of their clocks: 2 µs of work and another lock for 0.5 µs. What of their CPU time is useful?',
  measures: measuresOfAll('%', "of the VMs' CPU time, what is useful"),
  variants: ticks.map(({ name, kernel }) => ({
    name,
    run: runOfAll(
      (lock) => ({ vms: 2, vcpus: 8, pcpus: 8, workload: lockWantedLess, kernel: { lock, ...kernel } }),
      'usefulPercent',
    ),
  })),
  expectations: [],
  charts: [
    { kind: 'bars', title: 'CPU time that is useful (model)', measures: lockKinds.map((kind) => lockNames[kind]) },
  ],
};

const refillsUs = [0, 50, 200] as const;
const refillName = (refillUs: number): string => `${refillUs} µs`;
const slicesMs = [1, 2, 5, 10, 20, 30] as const;

/** What a short time slice costs, if caches count. */
export const refill: ExperimentCase = {
  name: 'refill',
  what: 'two VMs of 8 vCPUs on 8 pCPUs under credit, PV qspinlock, pbzip2-like work: what does a shorter slice cost, if a vCPU that was away has to fill its caches again for so long? (From a few to more than 1000 µs: Li, Ding and Shen 2007.)',
  measures: refillsUs.map((refillUs) => ({
    name: refillName(refillUs),
    unit: '/s',
    what: 'units of work of both VMs',
  })),
  variants: slicesMs.map((tsliceMs) => ({
    name: `${tsliceMs} ms`,
    x: tsliceMs,
    run: (context) =>
      Object.fromEntries(
        refillsUs.map((refillUs, index) => {
          const setting = {
            vms: 2,
            vcpus: 8,
            pcpus: 8,
            workload: standIns.pbzip2.work,
            options: { tsliceMs },
            kernel: { lock: 'pv-qspin' as const, costs: { refillNs: refillUs * 1000 } },
          };
          return [refillName(refillUs), lockRun(setting, index === 0 ? context : untraced(context)).throughput];
        }),
      ),
  })),
  expectations: [],
  charts: [
    {
      kind: 'lines',
      title: 'pbzip2-like work of two VMs (model)',
      measures: refillsUs.map(refillName),
      xLabel: 'time slice in ms',
    },
  ],
};
