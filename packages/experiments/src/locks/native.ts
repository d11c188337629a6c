import type { KernelSpec } from '@xenolith/hypervisor';
import { untraced, type ExperimentCase, type MeanOf } from '../experiment.ts';
import { lockRun } from './lock-run.ts';
import { standIns } from './lock-work.ts';

/**
 * The four kernels of a post of 2012 on bare metal: with and without the series of PV ticket locks, with and without
 * CONFIG_PARAVIRT_SPINLOCKS. Before the series the option made each lock and unlock a call through a table (2 ns a pair,
 * after the specification); with it what is paravirtual is patched out.
 */
const kernels: readonly { readonly name: string; readonly kernel: KernelSpec }[] = [
  { name: 'plain', kernel: { lock: 'ticket' } },
  { name: 'option', kernel: { lock: 'ticket', costs: { callNs: 2 } } },
  { name: 'series', kernel: { lock: 'ticket' } },
  { name: 'series and option', kernel: { lock: 'pv-ticket' } },
];

const works = Object.keys(standIns) as readonly (keyof typeof standIns)[];

/** The largest difference to the plain kernel, as a share of what it does. */
const largest = (of: (kernel: string, work: string) => number): number =>
  Math.max(...kernels.slice(1).flatMap(({ name }) => works.map((work) => of(name, work))));

const difference = (mean: MeanOf, kernel: string, work: string): number =>
  Math.abs(mean(kernel, work) / mean('plain', work) - 1) * 100;

/** L7: what they cost where there is no Xen. */
export const native: ExperimentCase = {
  name: 'native',
  what: 'L7: four kernels on 8 CPUs without Xen, with stand-ins for what was measured then: is there a penalty?',
  measures: works.map((name) => ({ name, unit: 'k/s', what: `units of ${name}-like work` })),
  variants: kernels.map(({ name, kernel }) => ({
    name,
    run: (context) =>
      Object.fromEntries(
        works.map((work, index) => {
          const { kernelLocks, work: workload } = standIns[work];
          const setting = {
            vms: 1,
            vcpus: 8,
            pcpus: 8,
            workload,
            kernel: { ...kernel, locks: kernelLocks },
            isNative: true,
          } as const;
          return [work, lockRun(setting, index === 0 ? context : untraced(context)).throughput / 1000];
        }),
      ),
  })),
  expectations: [
    {
      statement: 'L7: no kernel is off the plain one by 1 % or more; the largest difference is',
      unit: '%',
      value: (mean) => largest((kernel, work) => difference(mean, kernel, work)),
      holds: (percent) => percent < 1,
    },
    {
      statement: 'L7: nor by more than the noise (twice the standard deviation over seeds); the largest is, of that,',
      unit: 'times',
      value: (mean, deviation) =>
        largest((kernel, work) => {
          const noise = Math.max(deviation(kernel, work), deviation('plain', work)) * 2;
          const off = Math.abs(mean(kernel, work) - mean('plain', work));
          return off === 0 ? 0 : off / noise;
        }),
      holds: (times) => times <= 1,
    },
  ],
  charts: [{ kind: 'bars', title: 'work without Xen (model)', measures: ['kernbench', 'pgbench'] }],
};
