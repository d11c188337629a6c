/** A prediction as text, JSON, CSV and as an experiment that has charts. */
import { assert, present } from '@xenolith/base';
import { overheadKinds, type MemoryAmount, type OverheadKind } from '@xenolith/hypervisor';
import type { Experiment } from '../experiment.ts';
import { predictDom0Memory, type Dom0Prediction, type Dom0Question } from './prediction.ts';

/** The question in its own words. */
export interface Dom0QuestionText {
  readonly kernel: string;
  /** Absent where nothing was said. */
  readonly dom0Mem: string | undefined;
  /** `typical`, or where the map is from. */
  readonly map: string;
  readonly vcpus: number;
}

const kib = (pages: number): number => pages * 4;
const mibText = (pages: number): string => (pages / 256).toFixed(1);

/** What each kind of overhead is. */
export const overheadText: Readonly<Record<OverheadKind, string>> = {
  'struct-page': 'struct page, 64 bytes for each page covered',
  'vmemmap-page-tables': 'page tables that map them',
  'direct-map': 'page tables of the direct map, 8 bytes a page',
  p2m: 'list of machine frames, 8 bytes a page',
  'dentry-hash': 'hash table of directory entries',
  'inode-hash': 'hash table of inodes',
  'mount-hashes': 'hash tables of mounts',
  'network-hashes': 'hash tables of TCP and UDP',
  swiotlb: 'bounce buffer for devices',
  'kernel-image': 'code and data of the kernel',
  'per-cpu': 'areas of CPUs',
  'first-mib': 'first MiB, left to the firmware',
};

const pagesOf = ({ size, layout }: Dom0Prediction): Readonly<Record<string, number | null>> => ({
  initial: size.initialPages,
  maximum: size.maximumPages ?? null,
  owned: layout.ownedPages,
  covered: layout.coveredPages,
  released: layout.releasedPages,
  populated: layout.populatedPages,
  remapped: layout.remappedPages,
  ballooned: layout.balloonedPages,
});

export function predictionJson(text: Dom0QuestionText, prediction: Dom0Prediction): string {
  const { machinePages, availablePages, layout, overhead, leftKib, memTotalKib } = prediction;
  const value = {
    experiment: 'dom0-memory',
    source: 'model',
    kernel: text.kernel,
    policy: layout.policy,
    dom0Mem: text.dom0Mem ?? null,
    vcpus: text.vcpus,
    machine: { map: text.map, usablePages: machinePages, availablePages },
    pages: pagesOf(prediction),
    memTotalKib,
    leftKib,
    imageKnown: prediction.isImageKnown,
    overhead: overhead.map(({ kind, pages, isInMemTotal }) => ({
      kind,
      pages,
      kib: kib(pages),
      inMemTotal: isInMemTotal,
      what: overheadText[kind],
    })),
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** A line a figure: `figure,pages,kib`. */
export function predictionCsv(prediction: Dom0Prediction): string {
  const pages = Object.entries(pagesOf(prediction)).map(([name, count]) =>
    count === null ? `pages-${name},,` : `pages-${name},${count},${kib(count)}`,
  );
  const items = prediction.overhead.map((item) => `overhead-${item.kind},${item.pages},${kib(item.pages)}`);
  const { memTotalKib, leftKib } = prediction;
  const totals = [`MemTotal,${memTotalKib / 4},${memTotalKib}`, `left,${leftKib / 4},${leftKib}`];
  return `${['figure,pages,kib', ...pages, ...totals, ...items].join('\n')}\n`;
}

export function predictionTable(text: Dom0QuestionText, prediction: Dom0Prediction): string {
  const { layout, size, overhead, memTotalKib, leftKib } = prediction;
  const rows: (readonly [string, number | undefined, string])[] = [
    ['given at boot', size.initialPages, ''],
    ['maximum', size.maximumPages, 'no limit'],
    ['given back for holes', layout.releasedPages, ''],
    ['got again elsewhere', layout.populatedPages, ''],
    ['moved out of holes', layout.remappedPages, ''],
    ['owned', layout.ownedPages, ''],
    ['room for more', layout.balloonedPages, ''],
    ['covered', layout.coveredPages, ''],
    ...overhead.map((item) => [`- ${overheadText[item.kind]}`, item.pages, ''] as const),
    ['MemTotal', memTotalKib / 4, ''],
    ['left', leftKib / 4, ''],
  ];
  const lines = rows.map(([name, pages, none]) => {
    const figures =
      pages === undefined ? none.padStart(24) : `${String(pages).padStart(11)}  ${mibText(pages).padStart(11)}`;
    return `  ${name.padEnd(50)}${figures}\n`;
  });
  const image = prediction.isImageKnown
    ? ''
    : '  The size of the kernel is that of 6.1; an older one is smaller by some MiB, which are left too.\n';
  const said = text.dom0Mem === undefined ? 'no dom0_mem' : `dom0_mem=${text.dom0Mem}`;
  return `dom0 with ${said}, Linux ${text.kernel} (${layout.policy}), ${text.vcpus} vCPU${text.vcpus === 1 ? '' : 's'}
Source: model; a machine of ${mibText(prediction.machinePages)} MiB (${text.map} map)

  ${''.padEnd(50)}${'pages'.padStart(11)}  ${'MiB'.padStart(11)}
${lines.join('')}${image}`;
}

/** The same as an experiment, beside what `max:` would change: for charts. */
export function predictionExperiment(text: Dom0QuestionText, question: Dom0Question): Experiment {
  const run = (of: Dom0Question): Readonly<Record<string, number>> => {
    const prediction = predictDom0Memory(of);
    assert(prediction.ok, 'the question was asked before');
    const { overhead, leftKib } = prediction.value;
    const pages = new Map(overhead.map((item) => [item.kind, item.pages]));
    return {
      ...Object.fromEntries(overheadKinds.map((kind) => [kind, (pages.get(kind) ?? 0) / 256])),
      left: leftKib / 1024,
    };
  };
  const asked = predictDom0Memory(question);
  assert(asked.ok, 'the question was asked before');
  const initialBytes = present(asked.value.size.initialPages, 'pages') * 4096;
  const max: MemoryAmount = { sizeBytes: initialBytes, percent: 0, isRest: false };
  const asAsked = text.dom0Mem ?? 'no dom0_mem';
  return {
    name: 'dom0-memory',
    title: `dom0's memory: ${asAsked}, Linux ${text.kernel}`,
    what: 'What is kept of dom0 by kind, and what is left.',
    source: 'model',
    release: `Linux ${text.kernel}`,
    durationNs: 0,
    repetitions: 1,
    cases: [
      {
        name: 'prediction',
        what: 'as asked, and with a maximum of what is given at boot',
        measures: [
          ...overheadKinds.map((kind) => ({ name: kind, unit: 'MiB', what: overheadText[kind] })),
          { name: 'left', unit: 'MiB', what: 'left' },
        ],
        variants: [
          { name: asAsked, run: () => run(question) },
          { name: 'with max:', run: () => run({ ...question, dom0Mem: { initial: max, max } }) },
        ],
        expectations: [],
        charts: [
          {
            kind: 'bars',
            title: 'kept, by kind',
            measures: ['struct-page', 'direct-map', 'p2m', 'dentry-hash', 'inode-hash'],
          },
          { kind: 'bars', title: 'left', measures: ['left'] },
        ],
      },
    ],
  };
}
