/** dom0 of a real host as the model has it: now, and with another `dom0_mem=`. */
import {
  dom0Size,
  overheadKinds,
  parseDom0Mem,
  parseLinuxRelease,
  typicalE820,
  usablePages,
  type Dom0Mem,
  type Dom0Size,
  type E820Entry,
  type LinuxRelease,
  type OverheadKind,
} from '@xenolith/hypervisor';
import { dom0Available, predictDom0Boot, type Dom0Prediction } from '../dom0-memory/prediction.ts';
import type { Dom0Evidence } from './evidence.ts';

/** What Xen's command line says of dom0's memory. */
export interface SaidDom0Mem {
  /** As it stands there; the last one where there are several. */
  readonly text: string;
  /** What Xen has read of all. */
  readonly taken: Dom0Mem;
  /** Why Xen did not read some of it. */
  readonly fault?: string;
}

/** @returns `undefined` where nothing is said, or the command line is not known */
export function saidDom0Mem({ xenCommandLine = '', xenVersion = '' }: Dom0Evidence): SaidDom0Mem | undefined {
  const words = xenCommandLine.split(/\s+/).filter((word) => word.startsWith('dom0_mem='));
  let said: SaidDom0Mem | undefined;
  for (const word of words) {
    const text = word.slice('dom0_mem='.length);
    const read = parseDom0Mem(text, /^4\.2(?:\.|$)/.test(xenVersion) ? '4.2' : '4.23');
    const taken = { ...said?.taken, ...(read.ok ? read.value : read.error.taken) };
    const fault = read.ok ? said?.fault : read.error.message;
    said = { text, taken, ...(fault === undefined ? {} : { fault }) };
  }
  return said;
}

/** Whether the line of {@link saidDom0Mem} says how much dom0 is to have: by itself `min:` does not. */
export function saysSize(evidence: Dom0Evidence): boolean {
  const taken = saidDom0Mem(evidence)?.taken;
  return taken?.initial !== undefined || taken?.max !== undefined;
}

/**
 * What dom0 was given at boot, in KiB, whatever its balloon was told since: as Xen's log has it, else by `dom0_mem=`.
 * @returns `undefined` where neither is known
 */
export function givenKib(evidence: Dom0Evidence, model: Dom0Model | undefined): number | undefined {
  const { initialPages, machineMib } = evidence;
  if (initialPages !== undefined) return initialPages * 4;
  if (!saysSize(evidence)) return undefined;
  if (model !== undefined) return model.now.size.initialPages * 4;
  const taken = saidDom0Mem(evidence)?.taken ?? {};
  return machineMib === undefined ? undefined : dom0Size(taken, machineMib * 256).initialPages * 4;
}

/** A model of this host's dom0. */
export interface Dom0Model {
  readonly now: Dom0Prediction;
  /** With as much from the beginning as at most. */
  readonly withMaximum: (memoryKib: number) => Dom0Prediction;
  /** Whether the machine's own map was known, or that of a typical PC was taken. */
  readonly isMapKnown: boolean;
}

/** @returns the model, or why there is none; and what had to be assumed is for the caller to tell */
export function dom0Model(evidence: Dom0Evidence): Dom0Model | { readonly reason: string } {
  if (evidence.dom0Type === 'pvh') return { reason: 'dom0 is PVH, and the model has PV ones only' };
  if (evidence.kernel === undefined) return { reason: "dom0's kernel is not known" };
  const bound = /(?:^|\s)(mem=\S+)/.exec(evidence.kernelCommandLine ?? '')?.[1];
  if (bound !== undefined) return { reason: `its kernel was told ${bound}, which the model does not know` };
  const release = parseLinuxRelease(evidence.kernel);
  if (!release.ok) return { reason: release.error };
  const map = mapOf(evidence);
  if (map === undefined) return { reason: "the machine's memory is not known: xl info and xl dmesg say nothing" };
  const vcpus = evidence.vcpus ?? 1;
  const size = sizeOf(evidence, dom0Available(map, vcpus));
  if (typeof size === 'string') return { reason: size };
  const boot = (of: Dom0Size): Dom0Prediction => predictDom0Boot(bootOf(evidence, map, of, release.value, vcpus));
  const now = boot(size);
  const isMapKnown = evidence.machineMap !== undefined;
  const measuredKib = coveredKib(evidence);
  if (measuredKib !== undefined && Math.abs(measuredKib - now.layout.coveredPages * 4) > measuredKib * coverageSlack) {
    const [model, real] = [now.layout.coveredPages * 4, measuredKib].map((kib) => Math.round(kib / 1024));
    return { reason: `it would have tables for ${model} MiB, and this kernel has them for ${real} MiB` };
  }
  return { now, isMapKnown, withMaximum: (kib) => boot({ initialPages: kib / 4, maximumPages: kib / 4 }) };
}

/** By how much the model's coverage may be off before it is no model of this host. */
const coverageSlack = 0.02;

const bootOf = (
  { imageKib }: Dom0Evidence,
  map: readonly E820Entry[],
  size: Dom0Size,
  release: LinuxRelease,
  vcpus: number,
): Parameters<typeof predictDom0Boot>[0] => ({
  map,
  size,
  release,
  vcpus,
  ...(imageKib === undefined ? {} : { imageBytes: imageKib * 1024 }),
});

/** The smallest machine that a typical map is made for. */
const machineMibMin = 64;

function mapOf({ machineMap, machineMib }: Dom0Evidence): readonly E820Entry[] | undefined {
  if (machineMap !== undefined && usablePages(machineMap) > 0) return machineMap;
  return machineMib === undefined || machineMib < machineMibMin ? undefined : typicalE820(machineMib * 2 ** 20);
}

/** What dom0 was given at boot, and its maximum then. A maximum that was set later does not count for its tables. */
function sizeOf(evidence: Dom0Evidence, availablePages: number): Dom0Size | string {
  const { balloon, initialPages, maximumKib } = evidence;
  const said = saidDom0Mem(evidence);
  const ofLine = evidence.xenCommandLine === undefined ? undefined : dom0Size(said?.taken ?? {}, availablePages);
  const ownKib = balloon.currentKib;
  const pages = initialPages ?? ofLine?.initialPages ?? (ownKib === undefined ? undefined : Math.floor(ownKib / 4));
  if (pages === undefined || pages < 1) return 'it is not known how much memory dom0 was given';
  if (ofLine !== undefined) return { initialPages: pages, maximumPages: ofLine.maximumPages };
  if (maximumKib === undefined) return "dom0's maximum is not known";
  return {
    initialPages: pages,
    maximumPages: maximumKib === 'unlimited' ? undefined : Math.floor(maximumKib / 4),
  };
}

/** Memory that dom0's kernel has tables for, as it was measured. */
export function coveredKib({ balloon, knownKib }: Dom0Evidence): number | undefined {
  const { currentKib, roomKib } = balloon;
  if (currentKib !== undefined && roomKib !== undefined) return currentKib + roomKib;
  // Page 0 is not counted in the log.
  return knownKib === undefined ? undefined : knownKib + 4;
}

/** What a prediction has less in MemTotal than dom0 owns. */
export const lostKibOf = ({ layout, memTotalKib }: Dom0Prediction): number => layout.ownedPages * 4 - memTotalKib;

/** Memory that is lost to one purpose. */
export interface LostPart {
  readonly kind: OverheadKind | 'unexplained';
  readonly kib: number;
  readonly source: 'model' | 'measured';
}

/** What is missing in MemTotal by kind, the model's; and what the model does not explain of what was measured. */
export function lostParts({ overhead }: Dom0Prediction, measuredKib: number | undefined): readonly LostPart[] {
  const parts = overheadKinds.flatMap((kind): readonly LostPart[] => {
    const kib = overhead.reduce((sum, item) => sum + (item.kind === kind && item.isInMemTotal ? item.pages * 4 : 0), 0);
    return kib === 0 ? [] : [{ kind, kib, source: 'model' }];
  });
  if (measuredKib === undefined) return parts;
  const explained = parts.reduce((sum, { kib }) => sum + kib, 0);
  return [...parts, { kind: 'unexplained', kib: measuredKib - explained, source: 'measured' }];
}
