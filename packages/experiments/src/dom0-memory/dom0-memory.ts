import { present } from '@xenolith/base';
import { parseDom0Mem, parseLinuxRelease, typicalE820, type E820Map } from '@xenolith/hypervisor';
import type { Experiment, ExperimentCase, Variant } from '../experiment.ts';
import { predictDom0Memory, type Dom0Prediction } from './prediction.ts';

const gibBytes = 2 ** 30;

function predict(map: E820Map, kernel: string, dom0Mem: string): Dom0Prediction {
  const release = parseLinuxRelease(kernel);
  const spec = parseDom0Mem(dom0Mem);
  const question = release.ok && spec.ok ? { map, dom0Mem: spec.value, release: release.value, vcpus: 1 } : undefined;
  const prediction = predictDom0Memory(present(question, `${kernel}, ${dom0Mem}`));
  return present(prediction.ok ? prediction.value : undefined, `a dom0 of ${dom0Mem}`);
}

const leftMib = (map: E820Map, kernel: string, dom0Mem: string): number => predict(map, kernel, dom0Mem).leftKib / 1024;

const sizesGib = [4, 8, 16, 24, 32, 48, 64, 96, 128] as const;
const sizeName = (gib: number): string => `${gib} GiB`;

/** Kernels of the time when the loss was found, and of today. */
const hostSize: ExperimentCase = {
  name: 'host-size',
  what: 'what is left of a dom0 of 2 GiB on larger and larger machines, with dom0_mem=2G and with dom0_mem=2G,max:2G?',
  measures: [
    { name: '2.6.18', unit: 'MiB', what: 'left, classic Linux 2.6.18, without max' },
    { name: '3.2', unit: 'MiB', what: 'left, Linux 3.2, without max' },
    { name: '3.2 max', unit: 'MiB', what: 'left, Linux 3.2, with max' },
    { name: '6.1', unit: 'MiB', what: 'left, Linux 6.1, without max' },
    { name: '6.1 max', unit: 'MiB', what: 'left, Linux 6.1, with max' },
  ],
  variants: sizesGib.map((gib): Variant => {
    const map = typicalE820(gib * gibBytes);
    return {
      name: sizeName(gib),
      x: gib,
      run: () => ({
        '2.6.18': leftMib(map, '2.6.18', '2G'),
        '3.2': leftMib(map, '3.2', '2G'),
        '3.2 max': leftMib(map, '3.2', '2G,max:2G'),
        '6.1': leftMib(map, '6.1', '2G'),
        '6.1 max': leftMib(map, '6.1', '2G,max:2G'),
      }),
    };
  }),
  expectations: [
    {
      statement: 'on 32 GiB, Linux 6.1 has more left with max, by',
      unit: 'MiB',
      value: (mean) => mean('32 GiB', '6.1 max') - mean('32 GiB', '6.1'),
      holds: (mib) => mib > 400,
    },
    {
      statement: 'on 64 GiB, Linux 3.2 has more left with max, by',
      unit: 'MiB',
      value: (mean) => mean('64 GiB', '3.2 max') - mean('64 GiB', '3.2'),
      holds: (mib) => mib > 400,
    },
    {
      statement: 'with max it does not hang on the machine: from 4 to 128 GiB it changes by',
      unit: 'MiB',
      value: (mean) => mean('4 GiB', '6.1 max') - mean('128 GiB', '6.1 max'),
      holds: (mib) => Math.abs(mib) < 1,
    },
    {
      statement: 'nor without, where room is made for ten times of dom0: from 32 to 128 GiB it changes by',
      unit: 'MiB',
      value: (mean) => mean('32 GiB', '6.1') - mean('128 GiB', '6.1'),
      holds: (mib) => Math.abs(mib) < 1,
    },
    {
      statement: 'classic kernels keep nothing for memory that they do not own: from 4 to 128 GiB it changes by',
      unit: 'MiB',
      value: (mean) => mean('4 GiB', '2.6.18') - mean('128 GiB', '2.6.18'),
      holds: (mib) => Math.abs(mib) < 1,
    },
  ],
  charts: [
    {
      kind: 'lines',
      title: 'left of a dom0 of 2 GiB',
      measures: ['2.6.18', '3.2', '3.2 max', '6.1', '6.1 max'],
      xLabel: 'memory of the machine in GiB',
    },
  ],
};

const kernels = ['2.6.18', '3.0.5', '3.4', '3.5', '3.16', '6.1'] as const;

const holes: ExperimentCase = {
  name: 'holes',
  what: 'a dom0 of 4 GiB on a machine of 8 with a hole for devices between 3 and 4 GiB, dom0_mem=4G,max:4G: what does each kernel do with the pages there?',
  measures: [
    { name: 'released', unit: 'MiB', what: 'given back to Xen' },
    { name: 'owned', unit: 'MiB', what: 'what dom0 has after boot' },
    { name: 'room', unit: 'MiB', what: 'what a higher balloon target can bring' },
    { name: 'left', unit: 'MiB', what: 'left' },
  ],
  variants: kernels.map((kernel): Variant => {
    const map = typicalE820(8 * gibBytes);
    return {
      name: kernel,
      run: () => {
        const { layout, leftKib } = predict(map, kernel, '4G,max:4G');
        return {
          released: layout.releasedPages / 256,
          owned: layout.ownedPages / 256,
          room: layout.balloonedPages / 256,
          left: leftKib / 1024,
        };
      },
    };
  }),
  expectations: [
    {
      statement: 'Linux 3.0.5 gives back what lies in the hole, a GiB',
      unit: 'MiB',
      value: (mean) => mean('3.0.5', 'released'),
      holds: (mib) => mib > 1024 && mib < 1025,
    },
    {
      statement: 'and a balloon target of 4 GiB brings all of it back; what is missing then',
      unit: 'MiB',
      value: (mean) => mean('3.0.5', 'owned') + mean('3.0.5', 'room') - 4096,
      holds: (mib) => mib === 0,
    },
    {
      statement: 'from 3.5 on dom0 has what it was given',
      unit: 'MiB',
      value: (mean) => Math.min(mean('3.5', 'owned'), mean('3.16', 'owned'), mean('6.1', 'owned')),
      holds: (mib) => mib === 4096,
    },
  ],
  charts: [{ kind: 'bars', title: 'pages of holes', measures: ['owned', 'released'] }],
};

/** Where dom0's memory goes: page tables for memory that it will never have, and pages behind holes. */
export const dom0Memory: Experiment = {
  name: 'dom0-memory',
  title: "dom0's memory: where it goes",
  what: 'What the kernel of dom0 keeps for memory it could have, and what it gives back for holes, by release, with and without max: in dom0_mem.',
  source: 'model',
  release: 'Linux 2.6.18 to 6.1 on Xen, PV, 64-bit',
  durationNs: 0,
  repetitions: 1,
  cases: [hostSize, holes],
};
