/** Xen's boot options `dom0_mem=` and `dom0_max_vcpus=`: their grammar, and what Xen makes of them. */
import { err, gibBytes, mibBytes, ok, type Result } from '@xenolith/base';
import type { XenVersion } from '../schedule/scheduler.ts';
import { pageBytes } from './page.ts';

/** An amount of `dom0_mem=`: a size, a part of the available memory, or their sum; or what is to be left of it. */
export interface MemoryAmount {
  readonly sizeBytes: number;
  /** Of the available memory, 0 … 99. */
  readonly percent: number;
  /** `-` before it: all but so much. */
  readonly isRest: boolean;
}

/** What `dom0_mem=` says; what is absent was not said. */
export interface Dom0Mem {
  readonly initial?: MemoryAmount;
  readonly min?: MemoryAmount;
  readonly max?: MemoryAmount;
}

/** A text that Xen cannot read. */
export interface BootOptionError {
  readonly message: string;
  /** The item that is wrong. */
  readonly item: string;
}

export interface Dom0MemError extends BootOptionError {
  /** What Xen has taken by then: it ignores the wrong item and all after it. */
  readonly taken: Dom0Mem;
}

const textLengthMax = 1024;
const unitBytes: Readonly<Record<string, number>> = { b: 1, k: 1024, m: mibBytes, g: gibBytes, t: 1024 * gibBytes };
const amountPattern = /^(-?)(?:(\d+)%|(0x[\da-f]+|\d+)([bkmgt]?)(?:\+(\d+)%)?)$/i;

/**
 * Reads `dom0_mem=`: items between commas, each `min:AMOUNT`, `max:AMOUNT` or `AMOUNT`; an amount is `[-]SIZE`,
 * `[-]PERCENT%` or `[-]SIZE+PERCENT%`, a size without unit is in KiB. A later item of one kind takes the place of an
 * earlier one. (`parse_dom0_mem` in xen/arch/x86/dom0_build.c; Xen 4.2 knows no percentages.)
 */
export function parseDom0Mem(text: string, xenVersion: XenVersion = '4.23'): Result<Dom0Mem, Dom0MemError> {
  if (text.length > textLengthMax) return err({ message: 'longer than Xen reads', item: text, taken: {} });
  let taken: Dom0Mem = {};
  for (const item of text.split(',')) {
    const [kind, amountText] = item.startsWith('min:')
      ? (['min', item.slice(4)] as const)
      : item.startsWith('max:')
        ? (['max', item.slice(4)] as const)
        : (['initial', item] as const);
    const amount = parseAmount(amountText, xenVersion);
    if (!amount.ok) return err({ message: `dom0_mem: "${item}" ${amount.error}`, item, taken });
    taken = { ...taken, [kind]: amount.value };
  }
  return ok(taken);
}

function parseAmount(text: string, xenVersion: XenVersion): Result<MemoryAmount, string> {
  const match = amountPattern.exec(text);
  if (match === null) {
    return err('is no amount: expected a number with B, K, M, G or T, or per cent of the available memory');
  }
  const [, sign, percentOnly, size, unit = '', percentMore] = match;
  const percentText = percentOnly ?? percentMore;
  if (percentText !== undefined && xenVersion === '4.2') return err('is in per cent, which Xen 4.2 does not know');
  const percent = Number(percentText ?? 0);
  if (percent >= 100) return err('is not less than 100 per cent');
  const sizeBytes = wholeNumber(size ?? '0') * (unitBytes[unit.toLowerCase()] ?? unitBytes['k']!);
  if (Number.isNaN(sizeBytes)) return err('begins with 0 and is not octal');
  if (!Number.isSafeInteger(sizeBytes)) return err('is beyond all memory');
  return ok({ sizeBytes, percent, isRest: sign === '-' });
}

/** As C reads a number of any base: 0x16, 010, 8. */
function wholeNumber(text: string): number {
  if (/^0x/i.test(text)) return Number.parseInt(text.slice(2), 16);
  if (!/^0\d/.test(text)) return Number(text);
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
}

/** What Xen gives dom0 at boot. */
export interface Dom0Size {
  readonly initialPages: number;
  /** The maximum reservation; `undefined`: no limit. */
  readonly maximumPages: number | undefined;
}

/** What Xen keeps from dom0 when nothing is said: a sixteenth, and not more than this. */
const keptBytesMax = 128 * mibBytes;

/**
 * Initial pages and maximum reservation of dom0 (`dom0_compute_nr_pages` in xen/arch/x86/dom0_build.c).
 * @param availablePages what is free when dom0 is built, see {@link availableToDom0}
 */
export function dom0Size({ initial, min, max }: Dom0Mem, availablePages: number): Dom0Size {
  const pagesOf = (amount: MemoryAmount): number => amountPages(amount, availablePages);
  const kept = Math.min(Math.floor(availablePages / 16), keptBytesMax / pageBytes);
  const wanted = initial === undefined ? availablePages - kept : pagesOf(initial);
  const atLeast = Math.max(wanted, min === undefined ? 0 : pagesOf(min));
  const maximumPages = max === undefined ? undefined : pagesOf(max);
  const initialPages = Math.min(atLeast, maximumPages ?? availablePages, availablePages);
  return { initialPages, maximumPages };
}

function amountPages({ sizeBytes, percent, isRest }: MemoryAmount, availablePages: number): number {
  const pages = Math.floor(sizeBytes / pageBytes) + Math.floor((availablePages * percent) / 100);
  return isRest ? Math.max(0, availablePages - pages) : pages;
}

/**
 * What cannot be meant by a `dom0_mem=` on a machine with so much to give. Xen itself takes the nearest that can be.
 * @returns a sentence for each, none when all is well
 */
export function dom0MemFaults({ initial, min, max }: Dom0Mem, availablePages: number): readonly string[] {
  const faults: string[] = [];
  const mib = (pages: number): string => `${Math.floor((pages * pageBytes) / mibBytes)} MiB`;
  for (const [kind, amount] of Object.entries({ initial, min, max })) {
    if (amount === undefined) continue;
    const { isRest } = amount;
    const pages = amountPages({ ...amount, isRest: false }, availablePages);
    const what = kind === 'initial' ? 'the initial amount' : kind;
    if (pages > availablePages && kind !== 'max') {
      faults.push(`${what} is ${mib(pages)}${isRest ? ' less' : ''}, and there are ${mib(availablePages)}`);
    } else if (amountPages(amount, availablePages) === 0) faults.push(`${what} is nothing`);
  }
  if (min !== undefined && max !== undefined) {
    const [low, high] = [amountPages(min, availablePages), amountPages(max, availablePages)];
    if (low > high) faults.push(`min (${mib(low)}) is more than max (${mib(high)})`);
  }
  return faults;
}

/** Memory that Xen takes before it builds dom0. */
export interface Dom0Reserves {
  /** dom0's: each but the first, which is there by then, has a page for its structure. */
  readonly vcpus: number;
  /** Pages that the machine's IOMMUs may want for tables of all memory. */
  readonly iommuPages: number;
  /** dom0's paging pool, of a PVH one only. */
  readonly pagingPages: number;
}

/** Pages that IOMMU tables may take for a machine whose highest page is `maxPdx`: a 512th, for each IOMMU. */
export const iommuTablePages = (maxPdx: number, iommus: number): number => Math.floor(maxPdx / 512) * iommus;

/** What is left for dom0 of the free pages (the first part of `dom0_compute_nr_pages`). */
export const availableToDom0 = (freePages: number, { vcpus, iommuPages, pagingPages }: Dom0Reserves): number =>
  Math.max(0, freePages - (vcpus - 1) - iommuPages - pagingPages);

/** What `dom0_max_vcpus=` says. */
export interface Dom0MaxVcpus {
  readonly min: number;
  readonly max: number;
}

const vcpusMax = 0xffff_ffff;

/** Reads `dom0_max_vcpus=`: `N`, `N-`, `-M` or `N-M` (`parse_dom0_max_vcpus` in xen/arch/x86/dom0_build.c). */
export function parseDom0MaxVcpus(text: string): Result<Dom0MaxVcpus, BootOptionError> {
  const match = /^(\d{1,10})?(-)?(\d{1,10})?$/.exec(text);
  const [, low, dash, high] = match ?? [];
  if (match === null || (low === undefined && high === undefined)) {
    return err({ message: `dom0_max_vcpus: "${text}" is none of N, N-, -M and N-M`, item: text });
  }
  const min = Number(low ?? 0);
  const max = dash === undefined ? min : Number(high ?? vcpusMax);
  if (min > max) {
    return err({ message: `dom0_max_vcpus: "${text}" wants at least ${min} and at most ${max}`, item: text });
  }
  return ok({ min, max });
}

/** vCPUs that the kind of dom0 may have on x86: 8192 for PV, 128 else (`XEN_LEGACY_MAX_VCPUS`, `HVM_MAX_VCPUS`). */
export const dom0VcpusMax = { pv: 8192, pvh: 128 } as const;

/** Number of dom0's vCPUs, from the pCPUs of its nodes that are in pool 0 (`dom0_max_vcpus`). */
export function dom0Vcpus(pcpus: number, { min, max }: Dom0MaxVcpus, type: 'pv' | 'pvh' = 'pv'): number {
  const vcpus = Math.min(Math.max(pcpus, min), max);
  return Math.min(Math.max(vcpus, 1), dom0VcpusMax[type]);
}
