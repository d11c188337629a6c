import { describe, expect, test } from 'vitest';
import { libxlNeedKib, libxlShadowKib, libxlXenMaximumKib, xapiMemory, type LibxlDomain } from './memory-overhead.ts';

const gibKib = 1024 * 1024;

describe('libxl', () => {
  const guest = { vcpus: 2, targetKib: gibKib, maximumKib: gibKib } as const;

  test.each<[string, LibxlDomain, number]>([
    ['PV', { ...guest, type: 'pv' }, 2048],
    ['PV without HAP', { ...guest, type: 'pv', hasHap: false }, 6144],
    ['PVH', { ...guest, type: 'pvh' }, 6144],
    ['HVM without HAP', { ...guest, type: 'hvm', hasHap: false }, 10_240],
  ])('shadow memory of %s', (_, domain, kib) => {
    expect(libxlShadowKib(domain)).toBe(kib);
  });

  test('4.2 counts both tables for all', () => {
    expect(libxlShadowKib({ ...guest, type: 'pv' }, '4.2')).toBe(10_240);
  });

  test('what must be free, in steps of 2 MiB', () => {
    expect(libxlNeedKib({ ...guest, type: 'pvh' })).toBe(gibKib + 6144 + 2048);
    expect(libxlNeedKib({ ...guest, type: 'pv' })).toBe(gibKib + 4096);
    expect(libxlNeedKib({ ...guest, type: 'hvm', extraKib: 1, iommuKib: 2047 })).toBe(gibKib + 6144 + 4096);
    expect(libxlNeedKib({ ...guest, type: 'hvm', extraKib: 2, iommuKib: 2047 })).toBe(gibKib + 6144 + 6144);
  });

  test('the maximum reservation has a MiB more', () => {
    expect(libxlXenMaximumKib(gibKib)).toBe(gibKib + 1024);
  });
});

describe('xapi', () => {
  const guest = { vcpus: 2, staticMaxMib: 1024, targetMib: 512 } as const;

  test('HVM with 2 vCPUs and 1024 MiB: 13 MiB; PV: 12', () => {
    expect(xapiMemory({ ...guest, type: 'hvm' })).toEqual({
      shadowMib: 10,
      overheadMib: 13,
      footprintMib: 525,
      xenMaximumMib: 1025,
    });
    expect(xapiMemory({ ...guest, type: 'pv' })).toMatchObject({ overheadMib: 12, xenMaximumMib: 1024 });
  });

  test.each([
    [1.5, 15],
    [1.25, 12],
    [0.01, 1],
  ])('a shadow multiplier of %d makes %d MiB', (shadowMultiplier, shadowMib) => {
    expect(xapiMemory({ ...guest, type: 'hvm', shadowMultiplier }).shadowMib).toBe(shadowMib);
  });

  test('vCPUs: 38 pages each, together and rounded up', () => {
    expect(xapiMemory({ ...guest, type: 'hvm', vcpus: 6 }).overheadMib).toBe(1 + 1 + 14 + 1);
    expect(xapiMemory({ ...guest, type: 'hvm', vcpus: 7 }).overheadMib).toBe(1 + 1 + 15 + 2);
  });

  test('a shim has 23 MiB and a ninetieth', () => {
    expect(xapiMemory({ ...guest, type: 'pvh', hasPvShim: true })).toMatchObject({
      overheadMib: 13 + 23 + 11,
      xenMaximumMib: 1025 + 34,
    });
  });
});
