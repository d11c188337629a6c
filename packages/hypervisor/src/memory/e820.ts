/** The map of a machine's physical memory, as its firmware gives it. */
import { assert } from '@xenolith/base';
import { pageBytes } from './page.ts';

/** The types of the ACPI specification, in the order of their numbers. */
export const e820Types = ['usable', 'reserved', 'ACPI data', 'ACPI NVS', 'unusable'] as const;

export type E820Type = (typeof e820Types)[number];

/** A region. */
export interface E820Entry {
  readonly startByte: number;
  /** The first byte behind it. */
  readonly endByte: number;
  readonly type: E820Type;
}

/** Regions that do not overlap, ascending. Where there is none is nothing. */
export type E820Map = readonly E820Entry[];

/** Firmware gives fewer, and Linux reads no more from Xen (`E820_MAX_ENTRIES_ZEROPAGE` and its extension). */
export const e820EntriesMax = 4096;

/**
 * Puts regions in order; where some overlap, the type of the highest number counts, so that nothing is used that
 * one of them forbids; neighbours of one type become one (`e820__update_table` in Linux, `sanitize_e820_map` in Xen).
 */
export function sanitiseE820(entries: readonly E820Entry[]): E820Map {
  assert(entries.length <= e820EntriesMax, `${entries.length} regions`);
  const regions = entries.filter(({ startByte, endByte }) => endByte > startByte);
  const borders = [...new Set(regions.flatMap(({ startByte, endByte }) => [startByte, endByte]))].sort((a, b) => a - b);
  const sorted = regions.toSorted((a, b) => a.startByte - b.startByte);
  const map: { startByte: number; endByte: number; type: E820Type }[] = [];
  let open: readonly E820Entry[] = [];
  let next = 0;
  for (const [index, startByte] of borders.entries()) {
    const endByte = borders[index + 1];
    if (endByte === undefined) break;
    const beginning: E820Entry[] = [];
    while (next < sorted.length && sorted[next]!.startByte === startByte) beginning.push(sorted[next++]!);
    open = [...open.filter((region) => region.endByte > startByte), ...beginning];
    const type = e820Types[Math.max(...open.map((region) => e820Types.indexOf(region.type)))];
    if (type === undefined) continue;
    const last = map.at(-1);
    if (last?.type === type && last.endByte === startByte) last.endByte = endByte;
    else map.push({ startByte, endByte, type });
  }
  return map;
}

/** Whole pages of usable memory. */
export const usablePages = (map: E820Map): number =>
  map.reduce((pages, { startByte, endByte, type }) => {
    const whole = Math.floor(endByte / pageBytes) - Math.ceil(startByte / pageBytes);
    return type === 'usable' ? pages + Math.max(0, whole) : pages;
  }, 0);

const lowEndByte = 0xa_0000;
const gibBytes = 2 ** 30;

/**
 * The map of a typical PC with so much memory: BIOS data below 1 MiB, and a hole for devices below 4 GiB, whose
 * memory appears above.
 * @param memoryBytes at least 16 MiB
 */
export function typicalE820(memoryBytes: number): E820Map {
  assert(memoryBytes >= 16 * 2 ** 20, `a machine of ${memoryBytes} bytes`);
  const belowBytes = Math.min(memoryBytes, 3 * gibBytes);
  const map: E820Entry[] = [
    { startByte: 0, endByte: lowEndByte - 0x400, type: 'usable' },
    { startByte: lowEndByte - 0x400, endByte: 2 ** 20, type: 'reserved' },
    { startByte: 2 ** 20, endByte: belowBytes, type: 'usable' },
    { startByte: 0xfec0_0000, endByte: 4 * gibBytes, type: 'reserved' },
  ];
  const aboveBytes = memoryBytes - belowBytes;
  if (aboveBytes > 0) map.push({ startByte: 4 * gibBytes, endByte: 4 * gibBytes + aboveBytes, type: 'usable' });
  return map;
}
