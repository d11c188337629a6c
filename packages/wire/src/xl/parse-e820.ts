import { outputLines } from './lines.ts';
import { XlParseError } from './xl-parse-error.ts';

/** A region of a machine's memory, as a kernel's log names it. */
export interface XlE820Entry {
  readonly startByte: number;
  /** The first byte behind it. */
  readonly endByte: number;
  readonly type: 'usable' | 'reserved' | 'ACPI data' | 'ACPI NVS' | 'unusable';
}

/** Whose map it is: the firmware's as Xen or a bare kernel saw it, or the one that Xen gave to a domain. */
export type XlE820Source = 'Xen-e820' | 'BIOS-e820' | 'Xen';

export interface XlE820Map {
  readonly source: XlE820Source;
  readonly entries: readonly XlE820Entry[];
}

const command = 'dmesg';
/** `(XEN)  [0000000000000000, 000000000009fbff] (usable)`, and until Xen 4.13 `0000… - 0000… (usable)` with the first byte behind. */
const xenRow =
  /^\(XEN\)(?: \[[^\]]*\])?\s+(?:\[([\da-f]{16}), ([\da-f]{16})\]|([\da-f]{16}) - ([\da-f]{16})) \((.*)\)\s*$/;
/** `BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable`, and until Linux 3.4 `0000… - 0000… (usable)`. */
const linuxRow =
  /(?:^|\s)(BIOS-e820|Xen): (?:\[mem 0x([\da-f]{16})-0x([\da-f]{16})\] (.*)|([\da-f]{16}) - ([\da-f]{16}) \((.*)\))\s*$/;

const types: Readonly<Record<string, XlE820Entry['type']>> = {
  usable: 'usable',
  reserved: 'reserved',
  'ACPI data': 'ACPI data',
  'ACPI NVS': 'ACPI NVS',
  unusable: 'unusable',
};

const entriesMax = 4096;

/**
 * Reads a memory map from the text of `xl dmesg` (`print_e820_memory_map` in xen/arch/x86/e820.c) or of a kernel's
 * `dmesg` (`e820__print_table` in arch/x86/kernel/e820.c), which may have any other lines. The first map counts;
 * types that are neither usable nor of ACPI are reserved. @throws XlParseError when there is none, or a region of it ends before it begins
 */
export function parseE820(text: string): XlE820Map {
  const entries: XlE820Entry[] = [];
  let source: XlE820Source | undefined;
  for (const line of outputLines(command, text)) {
    const row = rowOf(line);
    if (row === undefined) continue;
    source ??= row.source;
    if (row.source !== source) continue;
    if (row.endByte <= row.startByte || !Number.isSafeInteger(row.endByte)) {
      throw new XlParseError(command, 'no region of memory', line);
    }
    if (entries.length === entriesMax) throw new XlParseError(command, 'more regions than any machine has', line);
    entries.push({ startByte: row.startByte, endByte: row.endByte, type: row.type });
  }
  if (source === undefined) throw new XlParseError(command, 'has no memory map', text.split('\n', 1)[0] ?? '');
  return { source, entries };
}

function rowOf(line: string): (XlE820Entry & { readonly source: XlE820Source }) | undefined {
  const xen = xenRow.exec(line);
  if (xen !== null) {
    const [, first, last, start, end, type] = xen;
    return { source: 'Xen-e820', ...regionOf(first, last, start, end, type) };
  }
  const linux = linuxRow.exec(line);
  if (linux === null) return undefined;
  const [, source, first, last, type, start, end, oldType] = linux;
  return {
    source: source === 'Xen' ? 'Xen' : 'BIOS-e820',
    ...regionOf(first, last, start, end, type ?? oldType),
  };
}

/** New forms give the last byte of a region, old ones the first behind it. */
function regionOf(
  first: string | undefined,
  last: string | undefined,
  start: string | undefined,
  end: string | undefined,
  type = '',
): XlE820Entry {
  const isNew = first !== undefined;
  return {
    startByte: Number.parseInt((isNew ? first : start) ?? '', 16),
    endByte: isNew ? Number.parseInt(last ?? '', 16) + 1 : Number.parseInt(end ?? '', 16),
    type: types[type.trim()] ?? 'reserved',
  };
}
