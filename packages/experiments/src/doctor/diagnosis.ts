/** From what was found on a host to what is to be done about dom0's memory. */
import {
  coveredKib,
  dom0Model,
  givenKib,
  lostKibOf,
  lostParts,
  saidDom0Mem,
  saysSize,
  type Dom0Model,
  type LostPart,
} from './dom0-model.ts';
import type { Dom0Evidence } from './evidence.ts';
import { memoryText, roundUpToMib, xenAmount } from './memory-text.ts';

/** `advice` is something to do, a `note` is good to know, `unknown` could not be looked at. */
export type FindingStatus = 'well' | 'advice' | 'note' | 'unknown';

export interface Finding {
  readonly code: 'maximum' | 'unreadable' | 'size' | 'holes' | 'target' | 'evidence' | 'model';
  readonly status: FindingStatus;
  /** A sentence or two. */
  readonly text: string;
  /** What to do at once, as a line for dom0's shell. */
  readonly command?: string;
}

/** dom0's memory as it was measured; what could not be is absent. */
export interface MeasuredMemory {
  readonly ownedKib?: number;
  readonly targetKib?: number;
  /** Memory that the kernel has tables for. */
  readonly coveredKib?: number;
  readonly memTotalKib?: number;
  /** Owned, and not in MemTotal. */
  readonly lostKib?: number;
}

/** What is to stand on Xen's command line at the next boot. */
export interface Recommendation {
  /** `2G,max:2G`. */
  readonly dom0Mem: string;
  readonly memoryKib: number;
  /** Who says how much: who asked, Xen's command line, or nobody: then it is what dom0 has, and is not to be written. */
  readonly sizeFrom: 'asked' | 'dom0_mem' | 'present';
  readonly reason: string;
  /** What comes back of what is lost now, and MemTotal then: the model's. Absent where it has no answer. */
  readonly recoversKib?: number;
  readonly memTotalKib?: number;
}

export interface Diagnosis {
  readonly memory: MeasuredMemory;
  /** What `dom0_mem=` says now; `undefined`: nothing, `null`: not known. */
  readonly said: string | undefined | null;
  readonly lost: readonly LostPart[];
  readonly findings: readonly Finding[];
  readonly recommendation?: Recommendation;
}

export interface DiagnosisOptions {
  /** How much dom0 is to have, instead of what it was given. */
  readonly memoryKib?: number;
}

/** Less than this, in KiB, is nobody's business where there is no maximum; the model is not more exact. */
const lossMinKib = 8 * 1024;
/** A maximum that somebody chose may be meant: it is only worth a word where it costs this part of dom0. */
const chosenLossMin = 0.05;
/** A balloon driver is at its target to this. */
const balloonSlackKib = 1024;

/** Diagnoses dom0's memory. Never fails: what is not known is said. */
export function diagnoseDom0(evidence: Dom0Evidence, { memoryKib }: DiagnosisOptions = {}): Diagnosis {
  const memory = measured(evidence);
  const said = saidDom0Mem(evidence);
  const model = dom0Model(evidence);
  const own = 'reason' in model ? undefined : model;
  const wantedKib = memoryKib ?? keptKib(evidence, memory, own);
  const advice = [
    ...unreadable(said?.fault),
    ...(memoryKib === undefined ? maximumFindings(evidence, memory, own, wantedKib) : []),
    ...(memoryKib === undefined ? [] : sizeFindings(evidence, own, memoryKib)),
  ];
  // Nobody but the owner can say how much a dom0 that has everything is to have.
  const isAsked = advice.some(({ code, status }) => status === 'advice' && code !== 'size');
  const isSizeKnown = advice.every(({ code }) => code !== 'size');
  const sizeFrom = memoryKib !== undefined ? 'asked' : saysSize(evidence) ? 'dom0_mem' : 'present';
  const recommendation =
    isAsked && isSizeKnown && wantedKib !== undefined ? recommend(memory, own, { wantedKib, sizeFrom }) : undefined;
  return {
    memory,
    said: evidence.xenCommandLine === undefined ? null : said?.text,
    lost: own === undefined ? [] : lostParts(own.now, memory.lostKib),
    findings: [
      ...advice,
      ...holeFindings(evidence, memory, own),
      ...targetFindings(evidence, memory, own),
      ...gaps(evidence, model),
    ],
    ...(recommendation === undefined ? {} : { recommendation }),
  };
}

function measured(evidence: Dom0Evidence): MeasuredMemory {
  const { balloon, memTotalKib } = evidence;
  const { currentKib: ownedKib, targetKib } = balloon;
  const covered = coveredKib(evidence);
  return {
    ...(ownedKib === undefined ? {} : { ownedKib }),
    ...(targetKib === undefined ? {} : { targetKib }),
    ...(covered === undefined ? {} : { coveredKib: covered }),
    ...(memTotalKib === undefined ? {} : { memTotalKib }),
    ...(ownedKib === undefined || memTotalKib === undefined ? {} : { lostKib: Math.max(0, ownedKib - memTotalKib) }),
  };
}

/** Why nothing may be written for a host by this diagnosis: nobody has said how much dom0 is to have. */
export function applyRefusal({ said, findings, recommendation }: Diagnosis): string | undefined {
  const isOpen = findings.some(({ code, status }) => code === 'size' && status === 'advice');
  if (!isOpen && recommendation?.sizeFrom !== 'present') return undefined;
  const why = said === null ? "Xen's command line is not known" : 'nothing says how much memory dom0 is to have';
  return `${why}: say it with --dom0-memory`;
}

/**
 * What dom0 is to have at the next boot, in whole MiB: what it was given at this one, pages that it gave back for holes
 * and those that a balloon took too; or more, when it is on its way there.
 */
function keptKib(evidence: Dom0Evidence, memory: MeasuredMemory, model: Dom0Model | undefined): number | undefined {
  const { ownedKib, targetKib } = memory;
  const maximumKib = typeof evidence.maximumKib === 'number' ? evidence.maximumKib : undefined;
  // A target above the maximum is never reached.
  const aimedKib = targetKib === undefined || targetKib > (maximumKib ?? targetKib) ? ownedKib : targetKib;
  const kib = Math.max(aimedKib ?? 0, givenKib(evidence, model) ?? 0);
  return kib === 0 ? undefined : roundUpToMib(kib);
}

/** What dom0 gave back for holes and has not got again. */
function releasedKib(evidence: Dom0Evidence, { ownedKib }: MeasuredMemory, model: Dom0Model | undefined): number {
  const { initialPages, releasedPages } = evidence;
  const pages = releasedPages ?? model?.now.layout.releasedPages ?? 0;
  const policy = model?.now.layout.policy;
  if (policy !== undefined && policy !== 'release') return 0;
  if (initialPages === undefined || ownedKib === undefined) return 0;
  const missingKib = initialPages * 4 - ownedKib;
  // What is missing beside it was taken by a balloon target: that is somebody's will. Every dom0 lacks some pages of the
  // first MiB.
  const isForHoles = missingKib > balloonSlackKib && Math.abs(missingKib - pages * 4) <= balloonSlackKib;
  return isForHoles ? missingKib : 0;
}

const unreadable = (fault: string | undefined): readonly Finding[] =>
  fault === undefined
    ? []
    : [{ code: 'unreadable', status: 'advice', text: `Xen ignored a part of its command line: ${fault}.` }];

function maximumFindings(
  evidence: Dom0Evidence,
  memory: MeasuredMemory,
  model: Dom0Model | undefined,
  wantedKib: number | undefined,
): readonly Finding[] {
  const { maximumKib, dom0Type } = evidence;
  if (dom0Type === 'pvh') return [];
  if (wantedKib === undefined) return [{ code: 'maximum', status: 'unknown', text: "dom0's memory is not known." }];
  if (isSizeOpen(evidence)) return [openSize(evidence, memory)];
  const coverage = memory.coveredKib ?? (model === undefined ? undefined : model.now.layout.coveredPages * 4);
  const isBounded = isMaximumBounded(evidence);
  if (isBounded === undefined && coverage === undefined) {
    return [{ code: 'maximum', status: 'unknown', text: "dom0's maximum is not known." }];
  }
  const lossKib = model === undefined ? undefined : avoidableKib(model, wantedKib);
  const isLarge = coverage !== undefined && coverage > wantedKib * 1.01 + balloonSlackKib;
  // Than it has now: its balloon is elsewhere.
  const isMore = memory.ownedKib !== undefined && wantedKib > memory.ownedKib + balloonSlackKib;
  const tables =
    coverage === undefined
      ? ''
      : `: Linux keeps tables for ${memoryText(coverage)}, and dom0 ${isMore ? 'is to have' : 'has'} ${memoryText(wantedKib)}`;
  const text = `${maximumText(isBounded, maximumKib)}${tables}.`;
  if (isBounded === true) {
    if (!isLarge) {
      return [
        {
          code: 'maximum',
          status: 'well',
          text: `dom0's maximum is what it ${isMore ? 'is to have' : 'has'}: ${memoryText(wantedKib)}.`,
        },
      ];
    }
    const isMuch = (lossKib ?? 0) >= chosenLossMin * wantedKib;
    return [{ code: 'maximum', status: isMuch ? 'advice' : 'note', text }];
  }
  const isWorth = lossKib === undefined ? isLarge : lossKib >= lossMinKib;
  if (isWorth) return [{ code: 'maximum', status: 'advice', text }];
  if (isLarge) {
    return [{ code: 'maximum', status: 'note', text: `${text} A maximum would bring little back with this kernel.` }];
  }
  return [{ code: 'maximum', status: 'well', text: 'Nothing to speak of is lost to a maximum that is not used.' }];
}

function maximumText(isBounded: boolean | undefined, maximumKib: Dom0Evidence['maximumKib']): string {
  if (isBounded === undefined) return "dom0's maximum is not known";
  if (!isBounded) return 'dom0 has no maximum';
  return typeof maximumKib === 'number'
    ? `dom0 has a maximum of ${memoryText(maximumKib)}`
    : 'dom0 has a maximum above what it has';
}

/** dom0 has a maximum; `undefined` where that is not known. */
function isMaximumBounded(evidence: Dom0Evidence): boolean | undefined {
  const said = saidDom0Mem(evidence);
  if (evidence.xenCommandLine !== undefined) return said?.taken.max !== undefined;
  return evidence.maximumKib === undefined ? undefined : evidence.maximumKib !== 'unlimited';
}

/** Nobody said how much dom0 is to have; where the command line is not known: it was given most of what there is. */
function isSizeOpen(evidence: Dom0Evidence): boolean {
  const { xenCommandLine, machineMib, initialPages } = evidence;
  if (xenCommandLine !== undefined) return !saysSize(evidence);
  return machineMib !== undefined && initialPages !== undefined && initialPages * 4 > (machineMib * 1024) / 2;
}

function openSize({ xenCommandLine, initialPages }: Dom0Evidence, { ownedKib }: MeasuredMemory): Finding {
  const who = xenCommandLine === undefined ? 'Nothing that is known' : "Nothing on Xen's command line";
  const given = initialPages === undefined ? undefined : `was given ${memoryText(initialPages * 4)}`;
  const now = ownedKib === undefined ? undefined : `has ${memoryText(ownedKib)} now`;
  const parts = [given, now].filter((part) => part !== undefined);
  const figures = parts.length === 0 ? '' : `: it ${parts.join(', and ')}`;
  const text = `${who} says how much memory dom0 is to have${figures}. Say how much with --dom0-memory.`;
  return { code: 'size', status: 'advice', text };
}

/** What a dom0 of so much loses now, and would not with a maximum of it. */
function avoidableKib(model: Dom0Model, wantedKib: number): number {
  return lostKibOf(model.now) - lostKibOf(model.withMaximum(wantedKib));
}

function sizeFindings(evidence: Dom0Evidence, model: Dom0Model | undefined, wantedKib: number): readonly Finding[] {
  const size = model?.now.size;
  const isSo = size?.initialPages === wantedKib / 4 && size.maximumPages === wantedKib / 4;
  if (isSo || (size === undefined && saysSo(evidence, wantedKib))) {
    return [
      { code: 'maximum', status: 'well', text: `dom0 was given ${memoryText(wantedKib)}, and no more than that.` },
    ];
  }
  return [
    { code: 'maximum', status: 'advice', text: `dom0 is to have ${memoryText(wantedKib)}, and no more than that.` },
  ];
}

const saysSo = (evidence: Dom0Evidence, kib: number): boolean =>
  saidDom0Mem(evidence)?.text === `${xenAmount(kib)},max:${xenAmount(kib)}`;

function recommend(
  { lostKib }: MeasuredMemory,
  model: Dom0Model | undefined,
  { wantedKib: memoryKib, sizeFrom }: { readonly wantedKib: number; readonly sizeFrom: Recommendation['sizeFrom'] },
): Recommendation {
  const amount = xenAmount(memoryKib);
  const bound = { dom0Mem: `${amount},max:${amount}`, memoryKib, sizeFrom };
  const reason = 'Linux makes tables for all memory that dom0 could ever have, out of what it has; max: is the bound';
  if (model === undefined) return { ...bound, reason };
  const recoversKib = Math.max(0, avoidableKib(model, memoryKib));
  const thenKib = lostKibOf(model.withMaximum(memoryKib));
  // What the model does not explain was lost before, and will be. Less than the model's is not promised: what is measured
  // of a dom0 whose balloon has moved is not what it lost at boot.
  const unexplainedKib = Math.max(0, (lostKib ?? 0) - lostKibOf(model.now));
  const lostThenKib = thenKib + unexplainedKib;
  return { ...bound, reason, recoversKib, memTotalKib: Math.max(0, memoryKib - lostThenKib) };
}

function holeFindings(
  evidence: Dom0Evidence,
  memory: MeasuredMemory,
  model: Dom0Model | undefined,
): readonly Finding[] {
  if (evidence.dom0Type === 'pvh') return [];
  const backKib = releasedKib(evidence, memory, model);
  if (backKib > 0) {
    const targetMib = Math.ceil(((evidence.initialPages ?? 0) * 4) / 1024);
    const text = `dom0 gave ${memoryText(backKib)} back to Xen at boot, for holes in the machine's memory. A balloon target of ${targetMib} MiB gets them again.`;
    return [{ code: 'holes', status: 'advice', text, command: `xl mem-set 0 ${targetMib}` }];
  }
  if (evidence.releasedPages === undefined && model === undefined) {
    return [{ code: 'holes', status: 'unknown', text: 'Whether memory was given back for holes is not known.' }];
  }
  return [{ code: 'holes', status: 'well', text: "No memory is missing because of holes in the machine's map." }];
}

function targetFindings(
  evidence: Dom0Evidence,
  memory: MeasuredMemory,
  model: Dom0Model | undefined,
): readonly Finding[] {
  const { ownedKib, targetKib } = memory;
  const given = givenKib(evidence, model);
  const isBelow = given !== undefined && targetKib !== undefined && targetKib < given - balloonSlackKib;
  if (isBelow && saysSize(evidence) && releasedKib(evidence, memory, model) === 0) {
    const now = ownedKib === undefined ? '' : ` and has ${memoryText(ownedKib)} now`;
    const text = `dom0 was given ${memoryText(given)} at boot${now}: a balloon target of ${memoryText(targetKib)} takes the rest, and ends with the next boot.`;
    return [{ code: 'target', status: 'note', text }];
  }
  if (ownedKib === undefined || targetKib === undefined) return [];
  if (Math.abs(targetKib - ownedKib) <= balloonSlackKib) return [];
  const text = `dom0 has ${memoryText(ownedKib)}, and its balloon target is ${memoryText(targetKib)}: it is on its way, or cannot get there.`;
  return [{ code: 'target', status: 'note', text }];
}

function gaps(evidence: Dom0Evidence, model: Dom0Model | { readonly reason: string }): readonly Finding[] {
  const missing = [
    evidence.xenCommandLine === undefined ? "Xen's command line" : undefined,
    evidence.memTotalKib === undefined ? 'MemTotal' : undefined,
    evidence.balloon.currentKib === undefined ? 'what dom0 has (no balloon driver in /sys)' : undefined,
  ].filter((each) => each !== undefined);
  const findings: Finding[] = [];
  if (missing.length > 0) {
    const text = `Not known: ${missing.join(', ')}. As root, xl can tell more.`;
    findings.push({ code: 'evidence', status: 'unknown', text });
  }
  if ('reason' in model) {
    findings.push({ code: 'model', status: 'unknown', text: `No model of this dom0: ${model.reason}.` });
  } else if (!model.isMapKnown) {
    const text = "The machine's memory map has left Xen's log: that of a typical PC was taken.";
    findings.push({ code: 'model', status: 'note', text });
  }
  return findings;
}
