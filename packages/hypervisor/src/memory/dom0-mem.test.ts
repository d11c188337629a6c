import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  availableToDom0,
  dom0MemFaults,
  dom0Size,
  dom0Vcpus,
  iommuTablePages,
  parseDom0MaxVcpus,
  parseDom0Mem,
  type Dom0Mem,
} from './dom0-mem.ts';

const mib = 256;
const gib = 1024 * mib;

function read(text: string): Dom0Mem {
  const result = parseDom0Mem(text);
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

const amount = (sizeBytes: number, percent = 0, isRest = false): object => ({ sizeBytes, percent, isRest });

describe('dom0_mem', () => {
  test.each<[string, object]>([
    ['2G', { initial: amount(2 ** 31) }],
    ['2048', { initial: amount(2 ** 21) }],
    ['0x800', { initial: amount(2 ** 21) }],
    ['010', { initial: amount(8192) }],
    ['4096b', { initial: amount(4096) }],
    ['1t', { initial: amount(2 ** 40) }],
    ['-512M', { initial: amount(2 ** 29, 0, true) }],
    ['25%', { initial: amount(0, 25) }],
    ['1G+10%', { initial: amount(2 ** 30, 10) }],
    ['-1G+10%', { initial: amount(2 ** 30, 10, true) }],
    ['3G,max:3G', { initial: amount(3 * 2 ** 30), max: amount(3 * 2 ** 30) }],
    ['min:1G,max:-2G', { min: amount(2 ** 30), max: amount(2 ** 31, 0, true) }],
    ['1G,max:1G,2G', { initial: amount(2 ** 31), max: amount(2 ** 30) }],
  ])('%s', (text, expected) => {
    expect(parseDom0Mem(text)).toEqual({ ok: true, value: expected });
  });

  test.each([
    ['', /is no amount/],
    ['2X', /"2X" is no amount/],
    ['G', /is no amount/],
    ['--2G', /is no amount/],
    ['2G,', /"" is no amount/],
    ['2 G', /is no amount/],
    ['max=2G', /"max=2G" is no amount/],
    ['maximum:2G', /is no amount/],
    ['100%', /not less than 100/],
    ['5G%', /is no amount/],
    ['089', /not octal/],
    ['9999999999T', /beyond all memory/],
    ['1,'.repeat(600), /longer than/],
  ])('refuses %j', (text, message) => {
    expect(parseDom0Mem(text)).toMatchObject({ ok: false, error: { message: expect.stringMatching(message) } });
  });

  test('Xen ignores what is behind a wrong item, and keeps what was before it', () => {
    expect(parseDom0Mem('2G,mux:2G,max:2G')).toMatchObject({
      ok: false,
      error: { item: 'mux:2G', taken: { initial: amount(2 ** 31) } },
    });
  });

  test('Xen 4.2 has no per cent', () => {
    expect(parseDom0Mem('10%', '4.2')).toMatchObject({ ok: false, error: { message: expect.stringMatching(/4\.2/) } });
    expect(parseDom0Mem('-1G,max:2G', '4.2').ok).toBe(true);
  });

  test.each<[string, number, number, number | undefined]>([
    ['2G', 32 * gib, 2 * gib, undefined],
    ['2G,max:2G', 32 * gib, 2 * gib, 2 * gib],
    ['2G,max:1G', 32 * gib, gib, gib],
    ['max:4G', 32 * gib, 4 * gib, 4 * gib],
    ['min:4G,1G', 32 * gib, 4 * gib, undefined],
    ['min:4G,1G,max:2G', 32 * gib, 2 * gib, 2 * gib],
    ['64G', 32 * gib, 32 * gib, undefined],
    ['-30G', 32 * gib, 2 * gib, undefined],
    ['50%', 32 * gib, 16 * gib, undefined],
    ['1G+25%', 32 * gib, 9 * gib, undefined],
    ['-1G+25%', 32 * gib, 23 * gib, undefined],
  ])('%s of %d pages', (text, available, initialPages, maximumPages) => {
    expect(dom0Size(read(text), available)).toEqual({ initialPages, maximumPages });
  });

  test('without it dom0 gets all but a sixteenth, and not less than all but 128 MiB', () => {
    expect(dom0Size({}, gib).initialPages).toBe(gib - 64 * mib);
    expect(dom0Size({}, 32 * gib).initialPages).toBe(32 * gib - 128 * mib);
  });

  test.each([
    ['2G,max:2G', 0],
    ['64G', 1],
    ['-64G', 1],
    ['min:4G,max:2G', 1],
    ['0', 1],
    ['max:64G', 0],
    ['64G,min:4G,max:2G', 2],
  ])('%s on 32 GiB has %d faults', (text, faults) => {
    expect(dom0MemFaults(read(text), 32 * gib).length).toBe(faults);
  });

  test('never more than there is, nor than the maximum', () => {
    const size = fc.record({
      sizeBytes: fc.nat(2 ** 31).map((kib) => kib * 1024),
      percent: fc.nat(99),
      isRest: fc.boolean(),
    });
    const spec = fc.record({ initial: size, min: size, max: size }, { requiredKeys: [] });
    fc.assert(
      fc.property(spec, fc.integer({ min: 16 * mib, max: 4096 * gib }), (dom0Mem, available) => {
        const { initialPages, maximumPages } = dom0Size(dom0Mem as Dom0Mem, available);
        expect(initialPages).toBeGreaterThanOrEqual(0);
        expect(initialPages).toBeLessThanOrEqual(Math.min(available, maximumPages ?? available));
      }),
    );
  });
});

test('what Xen takes first: vCPUs but one, a 512th for each IOMMU, the paging pool', () => {
  expect(iommuTablePages(8 * gib, 2)).toBe(2 * 16 * mib);
  const reserves = { vcpus: 5, iommuPages: iommuTablePages(gib, 1), pagingPages: 10 };
  expect(availableToDom0(gib, reserves)).toBe(gib - 4 - 2 * mib - 10);
  expect(availableToDom0(1, reserves)).toBe(0);
});

describe('dom0_max_vcpus', () => {
  const vcpus = (text: string, pcpus: number, type?: 'pv' | 'pvh'): number => {
    const result = parseDom0MaxVcpus(text);
    if (!result.ok) throw new Error(result.error.message);
    return dom0Vcpus(pcpus, result.value, type);
  };

  test('4-8 on 2, 4, 6, 8, 10 pCPUs', () => {
    expect([2, 4, 6, 8, 10].map((pcpus) => vcpus('4-8', pcpus))).toEqual([4, 4, 6, 8, 8]);
  });

  test.each<[string, number, number]>([
    ['3', 8, 3],
    ['4-', 2, 4],
    ['4-', 8, 8],
    ['-4', 2, 2],
    ['-4', 8, 4],
    ['0', 8, 1],
    ['10000', 8, 8192],
  ])('%s on %d pCPUs is %d', (text, pcpus, expected) => {
    expect(vcpus(text, pcpus)).toBe(expected);
  });

  test('the most counts more than the least', () => {
    expect(dom0Vcpus(2, { min: 8, max: 4 })).toBe(4);
  });

  test('a PVH dom0 has at most 128', () => {
    expect(vcpus('200', 8, 'pvh')).toBe(128);
  });

  test.each(['', '-', 'x', '8-4', '1-2-3', '4 ', '-0x4'])('refuses %j', (text) => {
    expect(parseDom0MaxVcpus(text)).toMatchObject({ ok: false, error: { item: text } });
  });
});
