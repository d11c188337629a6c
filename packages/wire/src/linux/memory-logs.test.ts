import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseXenLog } from '../xl/parse-xen-log.ts';
import { parseKernelMemoryLog } from './parse-kernel-log.ts';
import { parseMeminfo } from './parse-meminfo.ts';

const recorded = (name: string): string =>
  readFileSync(new URL(`../../../../tests/fixtures/xl/${name}.txt`, import.meta.url), 'utf8');

describe('parseMeminfo', () => {
  test('recorded: rows in kB by name', () => {
    const rows = parseMeminfo(recorded('dom0mem-dom0_mem_2G'));
    expect(rows.get('MemTotal')).toBe(1_482_276);
    expect(rows.get('DirectMap4k')).toBe(23_068_672);
  });

  test('rows that are no memory are left out', () => {
    const text = 'HugePages_Total:       0\nActive(anon):     12 kB\nMemTotal: many kB\nMemTotal:       2 kB extra\n';
    expect([...parseMeminfo(text)]).toEqual([['Active(anon)', 12]]);
  });
});

describe('parseKernelMemoryLog', () => {
  test.each([
    ['dom0mem-dom0_mem_2G', 23_068_280],
    ['dom0mem-dom0_mem_2G_max_2G', 2_097_148],
  ])('recorded: %s', (name, knownKib) => {
    const imageKib = 14_343 + 2338 + 9132 + 17_344;
    expect(parseKernelMemoryLog(recorded(name))).toEqual({ knownKib, imageKib, releasedPages: 0 });
  });

  test.each([
    [
      '[    0.000000] Memory: 3013524k/4194304k available (3440k kernel code, 1048964k absent, 131816k reserved, 3386k data, 576k init)',
      { knownKib: 4_194_304, imageKib: 3440 + 3386, releasedPages: undefined },
    ],
    [
      '[    0.000000] Released 262241 pages of unused memory',
      { knownKib: undefined, imageKib: undefined, releasedPages: 262_241 },
    ],
    ['Memory: lots', { knownKib: undefined, imageKib: undefined, releasedPages: undefined }],
    ['', { knownKib: undefined, imageKib: undefined, releasedPages: undefined }],
  ])('%s', (line, expected) => {
    expect(parseKernelMemoryLog(`${line}\n`)).toEqual(expected);
  });
});

describe('parseXenLog', () => {
  test('recorded: Xen 4.17 with dom0_mem=1024M,max:1024M gave dom0 that much', () => {
    expect(parseXenLog(recorded('xl-dmesg'))).toEqual({
      bootloader: 'qemu',
      commandLine: 'dom0_mem=1024M,max:1024M loglvl=info com1=115200,8n1 console=com1 bootscrub=0 dom0_max_vcpus=1',
      dom0Type: 'pv',
      dom0Pages: 262_144,
    });
  });

  test.each([
    ['(XEN) [2026-01-01 00:00:00] Bootloader: GRUB 2.06-13+deb12u1', { bootloader: 'GRUB 2.06-13+deb12u1' }],
    ['(XEN) Command line: ', { commandLine: '' }],
    ['(XEN) *** Building a PVH Dom0 ***', { dom0Type: 'pvh' }],
    ['(XEN)  Dom0 alloc.:   0000000130000000->0000000138000000', { dom0Pages: 32_768 }],
    ['(XEN)  Dom0 alloc.:   0000000138000000->0000000130000000', {}],
    ['(XEN)  Init. ramdisk: 000000013fe3b000->000000013ffff43e', {}],
    ['nothing of this', {}],
  ])('%s', (line, expected) => {
    const none = { bootloader: undefined, commandLine: undefined, dom0Type: undefined, dom0Pages: undefined };
    expect(parseXenLog(`${line}\n`)).toEqual({ ...none, ...expected });
  });
});
