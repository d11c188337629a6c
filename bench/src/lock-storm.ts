import { present } from '@xenolith/base';
import { experiments, runTask } from '@xenolith/experiments';
import { cpuSeconds, type Bench } from './bench.ts';

/** The experiment with two VMs of 8 vCPUs and five kinds of lock. */
export const lockStorm: Bench = {
  name: 'lock-storm',
  what: '2 VMs of 8 vCPUs on 8 pCPUs, 10 s of model time after a second of warm-up, each of five kinds of lock: seconds of one core',
  bar: { text: 'under 10 s', holds: (seconds) => seconds < 10 },
  run: (size) => {
    const durationNs = size === 'full' ? 10_000_000_000 : 1_000_000;
    const ticketlocks = present(
      experiments.find(({ name }) => name === 'ticketlocks'),
      'ticketlocks',
    );
    const { variants } = present(
      ticketlocks.cases.find(({ name }) => name === 'two-vms'),
      'two VMs',
    );
    const seconds = variants.map(({ name }) =>
      cpuSeconds(() => {
        runTask(ticketlocks, { caseName: 'two-vms', variantName: name, seed: 1 }, { durationNs });
      }),
    );
    const lines = variants.map(({ name }, index) => `${name}: ${seconds[index]!.toFixed(2)} s`);
    const figure = seconds.reduce((sum, each) => sum + each, 0);
    return Promise.resolve({ lines, figure, unit: 's' });
  },
};
