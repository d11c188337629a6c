/** A diagnosis as text for a terminal of 80 columns, and as JSON. */
import type { OverheadKind } from '@xenolith/hypervisor';
import type { BootLoaderAdvice } from './boot-loader.ts';
import type { Diagnosis, Finding, FindingStatus, Recommendation } from './diagnosis.ts';
import type { LostPart } from './dom0-model.ts';
import type { Dom0Evidence } from './evidence.ts';
import { memoryText } from './memory-text.ts';

/** All that a report tells. */
export interface DoctorReport {
  readonly evidence: Dom0Evidence;
  readonly diagnosis: Diagnosis;
  /** Where the recommended line goes; absent where there is none. */
  readonly bootLoader?: BootLoaderAdvice;
  /** What was written, where that was asked for. */
  readonly applied?: AppliedChange;
}

/** A file that was changed, and the way back. */
export interface AppliedChange {
  readonly path: string;
  /** The file as it was; absent for a new one. */
  readonly backup?: string;
  /** A line for dom0's shell. */
  readonly undo: string;
}

/** Whether dom0's memory could be looked at at all. */
export const isSeen = ({ findings }: Diagnosis): boolean =>
  findings.every(({ code, status }) => code !== 'maximum' || status !== 'unknown');

/** Whether there is something to do. */
export const hasAdvice = ({ findings }: Diagnosis): boolean => findings.some(({ status }) => status === 'advice');

const width = 80;

export function doctorText({ evidence, diagnosis, bootLoader, applied }: DoctorReport): string {
  const parts = [
    title(evidence, diagnosis),
    memoryTable(diagnosis),
    diagnosis.findings.map((finding) => findingText(finding, diagnosis.recommendation)).join(''),
    toDo(diagnosis, bootLoader, applied),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function title({ hostname, xenVersion, kernel }: Dom0Evidence, { said }: Diagnosis): string {
  const about = [
    xenVersion === undefined ? undefined : `Xen ${xenVersion}`,
    kernel === undefined ? undefined : `Linux ${kernel}`,
    said === null ? undefined : said === undefined ? 'no dom0_mem' : `dom0_mem=${said}`,
  ].filter((each) => each !== undefined);
  return wrapped(`dom0 of ${hostname ?? 'this host'}${about.length === 0 ? '' : `: ${about.join(', ')}`}`, '', '  ');
}

/** Kinds that a reader can tell from each other. */
const groups: readonly (readonly [string, readonly OverheadKind[]])[] = [
  ['struct page', ['struct-page', 'vmemmap-page-tables']],
  ['page tables of the direct map', ['direct-map']],
  ['list of machine frames (p2m)', ['p2m']],
  ['hash tables', ['dentry-hash', 'inode-hash']],
  ['kernel, bounce buffer', ['swiotlb', 'kernel-image', 'per-cpu', 'first-mib']],
];

const barWidth = 24;

function memoryTable({ memory, lost }: Diagnosis): string {
  const { ownedKib, memTotalKib, lostKib } = memory;
  if (ownedKib === undefined || memTotalKib === undefined || lostKib === undefined) return '';
  const row = (name: string, kib: number, source: LostPart['source']): string => {
    const hashes = Math.min(barWidth, Math.max(0, Math.round((kib / ownedKib) * barWidth)));
    const bar = (kib > 0 && hashes === 0 ? '.' : '#'.repeat(hashes)).padEnd(barWidth);
    return `  ${name.padEnd(31)}${bar}${Math.round(kib / 1024)
      .toString()
      .padStart(9)}  ${source}\n`;
  };
  const sum = (kinds: readonly LostPart['kind'][]): number =>
    lost.reduce((kib, part) => (kinds.includes(part.kind) ? kib + part.kib : kib), 0);
  const rest = sum(['unexplained']);
  const rows =
    lost.length === 0
      ? [row('lost to the kernel', lostKib, 'measured')]
      : [
          ...groups.map(([name, kinds]) => row(name, sum(kinds), 'model')),
          ...(Math.abs(rest) < 1024 ? [] : [row('not explained', rest, 'measured')]),
        ];
  const head = `Where its ${memoryText(ownedKib)} are`.padEnd(2 + 31 + barWidth);
  return `${head}${'MiB'.padStart(9)}\n${row('left (MemTotal)', memTotalKib, 'measured')}${rows.join('')}`;
}

const signs: Readonly<Record<FindingStatus, string>> = {
  well: '[ok]',
  advice: '[!] ',
  note: '[i] ',
  unknown: '[?] ',
};

function findingText({ status, code, text }: Finding, recommendation: Recommendation | undefined): string {
  const recovery =
    code === 'maximum' && status === 'advice' && recommendation !== undefined ? ` ${recoveryText(recommendation)}` : '';
  return wrapped(`${text}${recovery}`, `${signs[status]} `, '     ');
}

function recoveryText({ dom0Mem, recoversKib, memTotalKib }: Recommendation): string {
  if (recoversKib === undefined || memTotalKib === undefined) {
    return `dom0_mem=${dom0Mem} bounds that; how much comes back is not known.`;
  }
  const back = recoversKib < 1024 ? '' : `${memoryText(recoversKib)} come back, and `;
  return `With dom0_mem=${dom0Mem} ${back}MemTotal is about ${memoryText(memTotalKib)} (model).`;
}

function toDo(
  { findings, recommendation }: Diagnosis,
  bootLoader: BootLoaderAdvice | undefined,
  applied: AppliedChange | undefined,
): string {
  const commands = findings.flatMap(({ command, status }) =>
    status === 'advice' && command !== undefined ? [command] : [],
  );
  const now = commands.map((command) => `Now, in dom0:\n\n    ${command}\n`);
  const boot: string[] = [];
  const isAssumed = bootLoader?.kind === 'grub' && bootLoader.isAssumed;
  if (recommendation !== undefined && isAssumed) boot.push(wrapped(assumption, '', ''));
  if (recommendation !== undefined && applied !== undefined) boot.push(appliedText(recommendation, applied));
  else if (recommendation !== undefined && bootLoader !== undefined) boot.push(bootText(recommendation, bootLoader));
  if (now.length + boot.length > 0) return [...now, ...boot].join('\n');
  if (findings.some(({ status }) => status === 'advice')) return '';
  const isAllKnown = findings.every(({ status }) => status !== 'unknown');
  return isAllKnown ? 'Nothing to do.\n' : 'Nothing to do, as far as could be seen.\n';
}

const assumption =
  "It is not known which boot loader started Xen: its line has left Xen's log. grub's files and update-grub are here, so grub is assumed.";

function appliedText({ dom0Mem }: Recommendation, { path, backup, undo }: AppliedChange): string {
  const kept = backup === undefined ? 'it is a new file' : `as it was: ${backup}`;
  const done = `dom0_mem=${dom0Mem} is written to ${path} (${kept}), and update-grub has run. It counts from the next boot of the host on. To undo, in dom0:`;
  return `${wrapped(done, '', '')}\n    ${undo}\n`;
}

function bootText({ dom0Mem, sizeFrom, reason }: Recommendation, bootLoader: BootLoaderAdvice): string {
  const why = wrapped(`Why: ${reason}.`, '', '');
  if (bootLoader.kind !== 'grub') {
    const what = bootLoader.kind === 'refused' ? bootLoader.refusal.message : bootLoader.reason;
    const head = wrapped(`For the next boot, on Xen's command line (by hand: ${what}):`, '', '');
    return `${head}\n    dom0_mem=${dom0Mem}\n\n${why}`;
  }
  const { plan } = bootLoader;
  if (plan.kind === 'there') {
    const { path, line } = plan.place;
    return wrapped(
      `dom0_mem=${dom0Mem} stands in ${path}, line ${line}: run update-grub if that was not done, and reboot the host.`,
      '',
      '',
    );
  }
  const how = sizeFrom === 'present' ? '--apply with --dom0-memory writes it' : '--apply writes it';
  return `For the next boot, in ${plan.path} (${how}, with a backup):\n\n    ${plan.newLine}\n\n${why}`;
}

/** Lines of at most 80 columns; a word that is longer has a line of its own. */
function wrapped(text: string, first: string, next: string): string {
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of text.split(' ')) {
    if (!isEmpty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = next;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return `${[...lines, line].join('\n')}\n`;
}

/** What scripts read. Amounts are in KiB; what is not known is null. */
export function doctorJson({ evidence, diagnosis, bootLoader, applied }: DoctorReport): string {
  const { memory, said, lost, findings, recommendation } = diagnosis;
  const { maximumKib } = evidence;
  const value = {
    doctor: 'dom0-memory',
    hasAdvice: hasAdvice(diagnosis),
    host: {
      name: evidence.hostname ?? null,
      xen: evidence.xenVersion ?? null,
      kernel: evidence.kernel ?? null,
      xenCommandLine: evidence.xenCommandLine ?? null,
      bootloader: evidence.bootloader ?? null,
      memoryMib: evidence.machineMib ?? null,
    },
    dom0: {
      dom0Mem: said ?? null,
      initialKib: evidence.initialPages === undefined ? null : evidence.initialPages * 4,
      maximumKib: maximumKib ?? null,
      ownedKib: memory.ownedKib ?? null,
      targetKib: memory.targetKib ?? null,
      xenstoreTargetKib: evidence.xenstoreTargetKib ?? null,
      coveredKib: memory.coveredKib ?? null,
      memTotalKib: memory.memTotalKib ?? null,
      lostKib: memory.lostKib ?? null,
      releasedPages: evidence.releasedPages ?? null,
    },
    lost,
    findings,
    recommendation: recommendation === undefined ? null : { ...recommendation, source: 'model' },
    bootLoader: bootLoader === undefined ? null : bootLoaderValue(bootLoader),
    applied: applied ?? null,
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function bootLoaderValue(bootLoader: BootLoaderAdvice): unknown {
  if (bootLoader.kind === 'other') return bootLoader;
  if (bootLoader.kind === 'refused') {
    return { kind: 'refused', reason: bootLoader.refusal.message, places: bootLoader.refusal.places };
  }
  const { plan, isAssumed } = bootLoader;
  if (plan.kind === 'there') return { kind: 'grub', isAssumed, state: 'there', ...plan.place };
  return { kind: 'grub', isAssumed, state: 'to-write', path: plan.path, line: plan.newLine };
}
