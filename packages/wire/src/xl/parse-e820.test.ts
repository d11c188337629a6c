import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseE820 } from './parse-e820.ts';
import { XlParseError } from './xl-parse-error.ts';

const recorded = (name: string): string =>
  readFileSync(new URL(`../../../../tests/fixtures/xl/${name}.txt`, import.meta.url), 'utf8');

describe('parseE820', () => {
  test('recorded: xl dmesg of Xen 4.17', () => {
    const { source, entries } = parseE820(recorded('xl-dmesg'));
    expect(source).toBe('Xen-e820');
    expect(entries.length).toBe(8);
    expect(entries[0]).toEqual({ startByte: 0, endByte: 0x9fc00, type: 'usable' });
    expect(entries[3]).toEqual({ startByte: 0x100000, endByte: 0xbffdd000, type: 'usable' });
    expect(entries[6]).toEqual({ startByte: 0x1_0000_0000, endByte: 0x1_4000_0000, type: 'usable' });
  });

  test('recorded: dmesg of dom0 with Linux 6.1, its map cut by Linux', () => {
    const { source, entries } = parseE820(recorded('dom0mem-dom0_mem_2G'));
    expect(source).toBe('Xen');
    expect(entries.length).toBe(9);
    expect(entries[7]).toEqual({ startByte: 0x1_0000_0000, endByte: 0x5_c002_3000, type: 'usable' });
  });

  test.each([
    [' BIOS-e820: 0000000000100000 - 000000001fef0000 (usable)', 'BIOS-e820', 0x100000, 0x1fef0000, 'usable'],
    [
      '[    0.000000]  BIOS-e820: 000000001fef0000 - 000000001feff000 (ACPI data)',
      'BIOS-e820',
      0x1fef0000,
      0x1feff000,
      'ACPI data',
    ],
    [
      '[    0.000000] BIOS-e820: [mem 0x00000000000a0000-0x00000000000fffff] ACPI NVS',
      'BIOS-e820',
      0xa0000,
      0x100000,
      'ACPI NVS',
    ],
    [
      '[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000001fffff] persistent (type 12)',
      'BIOS-e820',
      0x100000,
      0x200000,
      'reserved',
    ],
    ['(XEN)  0000000000100000 - 00000000bffdd000 (usable)', 'Xen-e820', 0x100000, 0xbffdd000, 'usable'],
    [
      '(XEN) [    0.000000]  [0000000000100000, 00000000bffdcfff] (unusable)',
      'Xen-e820',
      0x100000,
      0xbffdd000,
      'unusable',
    ],
  ])('%s', (line, source, startByte, endByte, type) => {
    expect(parseE820(`${line}\n`)).toEqual({ source, entries: [{ startByte, endByte, type }] });
  });

  test('the first map counts, others are left alone', () => {
    const first = '[0.0] BIOS-e820: [mem 0x0000000000000000-0x0000000000000fff] usable';
    const second = '[0.0] Xen: [mem 0x0000000000001000-0x0000000000001fff] usable';
    expect(parseE820(`${first}\n${second}\n`).entries.length).toBe(1);
  });

  test.each([
    [''],
    ['Linux version 6.1\n'],
    ['(XEN)  [0000000000100000, 00000000000fffff] (usable)\n'],
    ['(XEN)  [0000000000100000, ffffffffffffffff] (usable)\n'],
  ])('refuses %j', (text) => {
    expect(() => parseE820(text)).toThrow(XlParseError);
  });
});
