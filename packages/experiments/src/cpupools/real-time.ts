import { untraced, type Expectation, type ExperimentCase, type MeanOf, type Variant } from '../experiment.ts';
import type { DomainRunSpec, MachineFigures, XenVersion } from '@xenolith/hypervisor';
import { cpupool, labShape, named, schedulingRun, total, vms, type MachinePlan } from '../scheduling-run.ts';

const msNs = 1_000_000;
const periodNs = 20 * msNs;
const workNs = 5 * msNs;

const realTimePcpus = [0, 1] as const;
const otherPcpus = [2, 3, 4, 5, 6, 7] as const;
const allPcpus = [...realTimePcpus, ...otherPcpus];

const control = { kind: 'periodic', periodNs, workNs } as const;
const hog = { kind: 'hog' } as const;

/** VMs that compute. With 29 and more, the fair share of a VM is less than a controller needs. */
const batchCounts = [8, 16, 24, 32, 40] as const;
const keptCount = 24;
const lostCount = 40;

type Plan = Omit<MachinePlan, 'shape'>;

const batch = (count: number): readonly DomainRunSpec[] => vms(count, 'batch', 'Pool-0', { workload: hog });

/** Everything in one pool, with default weights. */
const together = (scheduler: 'credit' | 'credit2', batchCount: number): Plan => ({
  cpupools: [cpupool('Pool-0', scheduler, allPcpus)],
  domains: [...vms(4, 'control', 'Pool-0', { workload: control }), ...batch(batchCount)],
});

/** The controllers in a pool of 2 pCPUs, each with a budget of 4 ms in 10 ms: more than the 5 ms in 20 that it needs. */
const besideRtds = (batchCount: number): Plan => ({
  cpupools: [cpupool('Pool-0', 'credit2', otherPcpus), cpupool('real-time', 'rtds', realTimePcpus)],
  domains: [
    ...vms(4, 'control', 'real-time', { workload: control }, { periodUs: 10_000, budgetUs: 4000, extratime: false }),
    ...batch(batchCount),
  ],
});

/** The same as Xen 4.2 had it. SEDF never moves a vCPU, so they are spread over the pCPUs by hand. */
const besideSedf = (batchCount: number): Plan => ({
  cpupools: [cpupool('Pool-0', 'credit', otherPcpus), cpupool('real-time', 'sedf', realTimePcpus)],
  domains: [
    ...[0, 1, 2, 3].map((index) => ({
      name: `control${index + 1}`,
      cpupool: 'real-time',
      parameters: { periodNs: 10 * msNs, sliceNs: 4 * msNs, extratime: false },
      vcpus: [{ workload: control, hardAffinity: [realTimePcpus[index % 2]!] }],
    })),
    ...batch(batchCount),
  ],
});

const arrangements: readonly {
  readonly name: string;
  readonly xenVersion: XenVersion;
  readonly plan: (batchCount: number) => Plan;
}[] = [
  { name: 'credit2', xenVersion: '4.23', plan: (count) => together('credit2', count) },
  { name: 'RTDS pool', xenVersion: '4.23', plan: besideRtds },
  { name: 'credit 4.2', xenVersion: '4.2', plan: (count) => together('credit', count) },
  { name: 'SEDF pool 4.2', xenVersion: '4.2', plan: besideSedf },
];

function read(name: string): (figures: MachineFigures) => Readonly<Record<string, number>> {
  return (figures) => {
    const controls = named(figures, 'control');
    const jobs = (controls.length * figures.durationNs) / periodNs;
    return {
      [name]: (total(controls, ({ missed }) => missed) / jobs) * 100,
      [`batch, ${name}`]: total(named(figures, 'batch'), ({ pcpuShare }) => pcpuShare),
    };
  };
}

/** A trace is of the first machine of a run. */
const variant = (batchCount: number): Variant => ({
  name: `${batchCount} batch VMs`,
  x: batchCount,
  run: (context) => {
    const values = arrangements.map(({ name, xenVersion, plan }, index) =>
      schedulingRun(
        { shape: labShape, xenVersion, ...plan(batchCount) },
        read(name),
      )(index === 0 ? context : untraced(context)),
    );
    return Object.fromEntries(values.flatMap((each) => Object.entries(each)));
  },
});

const missed =
  (name: string, batchCount: number): ((mean: MeanOf) => number) =>
  (mean) =>
    mean(`${batchCount} batch VMs`, name);

/** In a pool of their own. */
const neverMisses = (name: string): Expectation => ({
  statement: `${name}: no deadline is missed, however many batch VMs there are; most of all jobs late are`,
  unit: '%',
  value: (mean) => Math.max(...batchCounts.map((count) => missed(name, count)(mean))),
  holds: (percent) => percent === 0,
});

/** In one pool with the others. */
const missesUnderLoad = (name: string): readonly Expectation[] => [
  {
    statement: `${name}, one pool: with ${keptCount} batch VMs the fair share is enough, and hardly a deadline is missed: of all jobs`,
    unit: '%',
    value: missed(name, keptCount),
    holds: (percent) => percent < 1,
  },
  {
    statement: `${name}, one pool: with ${lostCount} batch VMs it is not, and deadlines are missed: of all jobs`,
    unit: '%',
    value: missed(name, lostCount),
    holds: (percent) => percent > 10,
  },
];

const where = (name: string): string =>
  name.includes('pool') ? 'controllers in a pool of their own' : 'all in one pool';

/** Controllers with deadlines on a host full of batch VMs: in one pool with them, and in a real-time pool. */
export const realTime: ExperimentCase = {
  name: 'real-time',
  what: 'four VMs that need 5 ms every 20 ms, and more and more that compute, on 8 pCPUs: are deadlines kept?',
  measures: [
    ...arrangements.map(({ name }) => ({
      name,
      unit: '% of jobs',
      what: `jobs not done in their period; ${where(name)}`,
    })),
    ...arrangements.map(({ name }) => ({
      name: `batch, ${name}`,
      unit: 'pCPUs',
      what: `CPU time of the VMs that compute; ${where(name)}`,
    })),
  ],
  variants: batchCounts.map(variant),
  expectations: [
    ...missesUnderLoad('credit2'),
    neverMisses('RTDS pool'),
    ...missesUnderLoad('credit 4.2'),
    neverMisses('SEDF pool 4.2'),
    {
      statement: `with ${lostCount} of them the batch VMs keep the 6 pCPUs of their pool beside RTDS; they have`,
      unit: 'pCPUs',
      value: (mean) => mean(`${lostCount} batch VMs`, 'batch, RTDS pool'),
      holds: (pcpus) => Math.abs(pcpus - 6) < 0.01,
    },
  ],
  charts: [
    {
      kind: 'lines',
      title: 'missed deadlines',
      measures: arrangements.map(({ name }) => name),
      xLabel: 'computing VMs beside the four with deadlines',
    },
    {
      kind: 'lines',
      title: 'throughput of the batch VMs',
      measures: arrangements.map(({ name }) => `batch, ${name}`),
      xLabel: 'computing VMs beside the four with deadlines',
    },
  ],
};
