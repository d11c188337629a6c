import type { Expectation, ExperimentCase, MeanOf, Variant } from '../experiment.ts';
import { cpupool, labShape, named, pcpuRange, schedulingRun, total, vms } from '../scheduling-run.ts';
import type { DomainRunSpec } from '@xenolith/hypervisor';

const msNs = 1_000_000;
const scheduler = 'credit2';

/** Customer A: four VMs that compute and four servers, on four pCPUs if it has its own. */
const customerA = (pool: string): readonly DomainRunSpec[] => [
  ...vms(4, 'a-batch', pool, { workload: { kind: 'hog' } }),
  ...vms(4, 'a-server', pool, {
    workload: {
      kind: 'server',
      serviceNs: [msNs / 2, 1.5 * msNs],
      meanGapNs: 8 * msNs,
      burst: { onNs: 200 * msNs, offNs: 200 * msNs },
    },
  }),
];

/** Customer B: sixteen VMs that compute, or nothing. */
const customerB = (pool: string, isBusy: boolean): readonly DomainRunSpec[] =>
  isBusy ? vms(16, 'b-batch', pool, { workload: { kind: 'hog' } }) : [];

function variant(isPools: boolean, isBusy: boolean): Variant {
  const [a, b] = isPools ? ['customer-a', 'customer-b'] : ['Pool-0', 'Pool-0'];
  return {
    name: `${isPools ? 'pools' : 'one pool'}, B ${isBusy ? 'busy' : 'idle'}`,
    run: schedulingRun(
      {
        shape: labShape,
        cpupools: isPools
          ? [cpupool(a, scheduler, pcpuRange(0, 3)), cpupool(b, scheduler, pcpuRange(4, 7))]
          : [cpupool('Pool-0', scheduler, pcpuRange(0, 7))],
        domains: [...customerA(a), ...customerB(b, isBusy)],
      },
      (figures) => {
        const servers = named(figures, 'a-server');
        const seconds = figures.durationNs / 1e9;
        return {
          batch: total(named(figures, 'a-batch'), ({ pcpuShare }) => pcpuShare),
          requests: total(servers, ({ completed }) => completed) / seconds,
          response: total(servers, ({ responseNs }) => responseNs.meanNs) / servers.length / msNs,
          p99: Math.max(...servers.map(({ responseNs }) => responseNs.p99Ns)) / msNs,
        };
      },
    ),
  };
}

const changePercent = (mean: MeanOf, pools: string, measure: string): number => {
  const idle = mean(`${pools}, B idle`, measure);
  return ((mean(`${pools}, B busy`, measure) - idle) / idle) * 100;
};

const unchanged = (what: string, measure: string): Expectation => ({
  statement: `pools: B's load does not change A's ${what}; it changes by`,
  unit: '%',
  value: (mean) => changePercent(mean, 'pools', measure),
  holds: (change) => change === 0,
});

/** Two customers of four pCPUs each: what the load of one does to the other. */
export const isolation: ExperimentCase = {
  name: 'isolation',
  what: `two customers on 8 pCPUs (${scheduler}): what does the load of B do to the throughput and latency of A?`,
  measures: [
    { name: 'batch', unit: 'pCPUs', what: 'CPU time of four VMs of A that compute' },
    { name: 'requests', unit: '/s', what: 'requests that four servers of A have done' },
    { name: 'response', unit: 'ms', what: 'response time of requests, mean' },
    { name: 'p99', unit: 'ms', what: 'response time of requests, 99th percentile of the worst server' },
  ],
  variants: [variant(true, false), variant(true, true), variant(false, false), variant(false, true)],
  expectations: [
    unchanged('batch throughput', 'batch'),
    unchanged('requests per second', 'requests'),
    unchanged('mean response time', 'response'),
    {
      statement: `one pool: B's load takes batch throughput from A; it changes by`,
      unit: '%',
      value: (mean) => changePercent(mean, 'one pool', 'batch'),
      holds: (change) => change < -10,
    },
    {
      statement: `one pool: B's load makes A's responses slower; the mean changes by`,
      unit: '%',
      value: (mean) => changePercent(mean, 'one pool', 'response'),
      holds: (change) => change > 10,
    },
  ],
  charts: [
    { kind: 'bars', title: 'batch throughput of customer A', measures: ['batch'] },
    { kind: 'bars', title: 'response time of customer A’s servers', measures: ['response', 'p99'] },
  ],
};
