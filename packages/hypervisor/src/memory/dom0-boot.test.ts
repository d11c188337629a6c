import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dom0Layout, freePagesAtBoot, type Dom0Layout } from './dom0-boot.ts';
import { dom0Overhead, isImageKnown, memTotalKib, type Overhead, type OverheadKind } from './dom0-overhead.ts';
import { sanitiseE820, typicalE820, usablePages, type E820Map } from './e820.ts';
import { holePolicyOf, looksAtMaximum, parseLinuxRelease, type LinuxRelease } from './linux-release.ts';

const gib = 262_144;

function linux(text: string): LinuxRelease {
  const release = parseLinuxRelease(text);
  if (!release.ok) throw new Error(release.error);
  return release.value;
}

/** A machine with 8 GiB, of which a fourth lies above the hole below 4 GiB. */
const known: E820Map = [
  { startByte: 0, endByte: 0x9fc00, type: 'usable' },
  { startByte: 0x9fc00, endByte: 0x100000, type: 'reserved' },
  { startByte: 0x100000, endByte: 3 * 2 ** 30, type: 'usable' },
  { startByte: 3 * 2 ** 30, endByte: 4 * 2 ** 30, type: 'reserved' },
  { startByte: 4 * 2 ** 30, endByte: 9 * 2 ** 30, type: 'usable' },
];

/** The 32 GiB machine of the lab, as `xl dmesg` has it. */
const lab: E820Map = [
  { startByte: 0, endByte: 0x9fc00, type: 'usable' },
  { startByte: 0x9fc00, endByte: 0x100000, type: 'reserved' },
  { startByte: 0x100000, endByte: 0xbffdd000, type: 'usable' },
  { startByte: 0xbffdd000, endByte: 0xc0000000, type: 'reserved' },
  { startByte: 0xfffc0000, endByte: 0x1_0000_0000, type: 'reserved' },
  { startByte: 0x1_0000_0000, endByte: 0x8_4000_0000, type: 'usable' },
  { startByte: 0xfd_0000_0000, endByte: 0x100_0000_0000, type: 'reserved' },
];

const layout = (release: string, initialPages: number, maximumPages?: number, map = known): Dom0Layout =>
  dom0Layout(linux(release), { initialPages, maximumPages }, map);

describe('releases of Linux', () => {
  test.each([
    ['2.6.18', 'classic'],
    ['2.6.18-128.el5xen', 'classic'],
    ['3.0', 'release'],
    ['3.4.113', 'release'],
    ['3.5', 'populate'],
    ['3.15.9', 'populate'],
    ['3.16', 'remap'],
    ['6.1.0-56-amd64', 'remap'],
  ])('%s: %s', (text, policy) => {
    expect(holePolicyOf(linux(text))).toBe(policy);
  });

  test.each(['', '6', '2.6.32', '2.4.37', 'six', '6.1 x', '6.1;'])('refuses %j', (text) => {
    expect(parseLinuxRelease(text).ok).toBe(false);
  });

  test('3.0.5 is the first to look at the maximum reservation', () => {
    expect(['3.0.4', '3.0.5', '3.1', '6.1'].map((text) => looksAtMaximum(linux(text)))).toEqual([
      false,
      true,
      true,
      true,
    ]);
  });
});

describe('pages of dom0 on a known map, dom0_mem=4G', () => {
  test.each<[string, Partial<Dom0Layout>]>([
    ['2.6.18', { ownedPages: 4 * gib, releasedPages: 0, coveredPages: 4 * gib }],
    ['3.2', { ownedPages: 786_335, releasedPages: 262_241, populatedPages: 0 }],
    ['3.5', { ownedPages: 1_048_576, releasedPages: 262_241, populatedPages: 262_241 }],
    ['6.1', { ownedPages: 1_048_576, releasedPages: 0, remappedPages: 262_241 }],
  ])('%s', (release, expected) => {
    expect(layout(release, 4 * gib)).toMatchObject(expected);
  });

  test('with dom0_mem=2G only the hole below 1 MiB costs pages', () => {
    expect(layout('3.2', 2 * gib)).toMatchObject({ releasedPages: 97, ownedPages: 2 * gib - 97 });
  });

  test('with max there is room for what was released, and for no more', () => {
    for (const release of ['3.2', '3.5', '6.1']) {
      expect(layout(release, 4 * gib, 4 * gib).coveredPages, release).toBe(4 * gib);
    }
    expect(layout('3.2', 4 * gib, 4 * gib).balloonedPages).toBe(262_241);
  });

  test('without max there is room for all memory of the machine, or ten times the own', () => {
    for (const release of ['3.2', '3.5', '6.1']) {
      expect(layout(release, 4 * gib).coveredPages, release).toBe(8 * gib - 97);
    }
    const { coveredPages } = layout('6.1', gib / 4);
    expect(coveredPages).toBe(gib / 4 - 97 + (10 * gib) / 4);
    expect(layout('3.0.4', gib / 4, gib / 4).coveredPages).toBe(coveredPages);
  });

  test('where the map has no memory above, pages of holes are given back by all', () => {
    const map = known.slice(0, 4);
    expect(layout('6.1', 3 * gib, undefined, map)).toMatchObject({ releasedPages: 97, ownedPages: 3 * gib - 97 });
    expect(layout('3.5', 3 * gib, undefined, map)).toMatchObject({ populatedPages: 0, ownedPages: 3 * gib - 97 });
  });

  test('unusable memory is taken as memory', () => {
    const map = known.map((each, index) => (index === 4 ? { ...each, type: 'unusable' as const } : each));
    expect(layout('6.1', 4 * gib, 4 * gib, map)).toEqual(layout('6.1', 4 * gib, 4 * gib));
  });
});

const overhead = (of: Dom0Layout, release: string, vcpus = 1): readonly Overhead[] =>
  dom0Overhead(of, { release: linux(release), vcpus, machinePages: 32 * gib });

const pagesOf = (items: readonly Overhead[], kind: OverheadKind): number =>
  items.find((item) => item.kind === kind)?.pages ?? 0;

describe('what was seen on real Xen 4.17 with Linux 6.1, 32 GiB and dom0_mem=2G', () => {
  const [without, withMax] = [layout('6.1', 2 * gib, undefined, lab), layout('6.1', 2 * gib, 2 * gib, lab)];

  test('the highest page, the pages of the direct map, and what the balloon driver has', () => {
    expect(without.ranges.at(-1)?.endPage).toBe(0x5c_0023);
    expect(withMax.ranges.at(-1)?.endPage).toBe(0x8_0061);
    // info/low_kb of the balloon driver.
    expect(without.balloonedPages * 4).toBe(20_971_132);
    expect(withMax.balloonedPages).toBe(0);
    // Of "Memory: …K/23068280K available", which does not count page 0.
    expect((without.coveredPages - 1) * 4).toBe(23_068_280);
    expect((withMax.coveredPages - 1) * 4).toBe(2_097_148);
  });

  test.each([
    ['without max', without, 1_482_276],
    ['with max', withMax, 1_938_848],
  ])('MemTotal %s', (_, of, measuredKib) => {
    const predictedKib = memTotalKib(of, overhead(of, '6.1'));
    expect(Math.abs(predictedKib - measuredKib)).toBeLessThan(measuredKib * 0.002);
  });

  test('what max: saves, to the last 12 KiB of 446 MiB', () => {
    const saved = memTotalKib(withMax, overhead(withMax, '6.1')) - memTotalKib(without, overhead(without, '6.1'));
    expect(saved).toBe(1_938_848 - 1_482_276 - 12);
  });

  test('memory blocks: 177 sections of 128 MiB without max, and 17 with', () => {
    expect(pagesOf(overhead(without, '6.1'), 'struct-page')).toBe(177 * 512);
    expect(pagesOf(overhead(withMax, '6.1'), 'struct-page')).toBe(17 * 512);
  });
});

describe('overhead by kind', () => {
  test('a GiB of room costs 16 MiB of struct page, 2 MiB of direct map and 2 MiB of p2m', () => {
    const [small, large] = [layout('6.1', gib, 2 * gib), layout('6.1', gib, 3 * gib)];
    const grown = (kind: OverheadKind): number =>
      pagesOf(overhead(large, '6.1'), kind) - pagesOf(overhead(small, '6.1'), kind);
    expect(grown('struct-page')).toBe(16 * 256);
    expect(grown('vmemmap-page-tables')).toBe(8);
    expect(grown('direct-map')).toBe(513);
    expect(grown('p2m')).toBe(514);
  });

  test('hash tables double where memory passes a power of two, and grow slower from 64 GiB on', () => {
    const map = typicalE820(1024 * 2 ** 30);
    const dentry = (gibs: number, release = '6.1'): number =>
      pagesOf(overhead(layout(release, gibs * gib, gibs * gib, map), release), 'dentry-hash') / 256;
    expect([1, 2, 4, 32, 64].map((gibs) => dentry(gibs))).toEqual([1, 2, 4, 32, 64]);
    expect([128, 256, 512].map((gibs) => dentry(gibs))).toEqual([64, 128, 128]);
    expect([128, 512].map((gibs) => dentry(gibs, '4.12'))).toEqual([128, 512]);
  });

  test('those of dentries and inodes count for MemTotal since Linux 5.3', () => {
    const isIn = (release: string): boolean | undefined =>
      overhead(layout(release, gib), release).find(({ kind }) => kind === 'dentry-hash')?.isInMemTotal;
    expect([isIn('5.2'), isIn('5.3')]).toEqual([false, true]);
  });

  test('classic kernels have none for memory that they do not own', () => {
    const items = overhead(layout('2.6.18', gib), '2.6.18');
    expect(pagesOf(items, 'struct-page')).toBe((gib * 56) / 4096);
    expect(pagesOf(items, 'direct-map')).toBe(512 + 1 + 1);
    expect(pagesOf(items, 'vmemmap-page-tables')).toBe(0);
    expect(pagesOf(items, 'first-mib')).toBe(0);
  });

  test('the bounce buffer of classic kernels is small on small machines', () => {
    const of = layout('2.6.18', gib);
    const swiotlb = (machinePages: number): number =>
      pagesOf(dom0Overhead(of, { release: linux('2.6.18'), vcpus: 1, machinePages }), 'swiotlb');
    expect([swiotlb(2 * gib), swiotlb(2 * gib + 1)]).toEqual([515, 16_480]);
  });

  test('each vCPU has its area', () => {
    const of = layout('6.1', gib);
    expect(pagesOf(overhead(of, '6.1', 8), 'per-cpu')).toBe(8 * pagesOf(overhead(of, '6.1', 1), 'per-cpu'));
  });

  test('the size of an image is known of Linux 6.1 only', () => {
    expect(['6.1', '6.2', '5.1'].map((text) => isImageKnown(linux(text)))).toEqual([true, false, false]);
  });

  test('nothing is below nothing', () => {
    const of = layout('6.1', 256);
    expect(memTotalKib(of, overhead(of, '6.1'))).toBe(0);
  });
});

test('Xen keeps 40 bytes of each page: 320 MiB of 32 GiB', () => {
  const free = freePagesAtBoot(lab);
  // Measured: 32767 MiB in all, 30395 free beside 2048 of dom0.
  expect(Math.abs(free / 256 - (30_395 + 2048))).toBeLessThan(6);
});

describe('for any machine and size', () => {
  const machine = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 60_000 }), fc.nat(20_000)), { minLength: 1, maxLength: 5 })
    .map((parts) => {
      let at = 0;
      return sanitiseE820(
        parts.flatMap(([pages, gap]) => {
          const startByte = at;
          const endByte = at + pages * 4096 + 512;
          at = endByte + gap * 4096;
          return [
            { startByte, endByte, type: 'usable' as const },
            { startByte: endByte, endByte: at, type: 'reserved' as const },
          ];
        }),
      );
    });
  const releases = fc.constantFrom('2.6.18', '3.0', '3.2', '3.5', '3.16', '6.1');
  const share = fc.double({ min: 0.01, max: 1, noNaN: true });

  test('no page is owned twice or lost without being told, and room is bounded', () => {
    fc.assert(
      fc.property(machine, releases, share, fc.option(share, { nil: undefined }), (map, release, part, maxPart) => {
        const initialPages = Math.max(1, Math.floor(usablePages(map) * part));
        const maximumPages = maxPart === undefined ? undefined : initialPages + Math.floor(usablePages(map) * maxPart);
        const of = layout(release, initialPages, maximumPages, map);
        expect(of.ownedPages).toBe(initialPages - of.releasedPages + of.populatedPages);
        expect(of.coveredPages).toBe(of.ranges.reduce((sum, { startPage, endPage }) => sum + endPage - startPage, 0));
        expect(of.coveredPages).toBeGreaterThanOrEqual(of.ownedPages);
        expect(of.balloonedPages).toBe(of.coveredPages - of.ownedPages);
        expect(of.balloonedPages).toBeLessThanOrEqual(10 * (of.ranges.at(-1)?.endPage ?? 0));
        if (maximumPages !== undefined && release !== '3.0' && release !== '2.6.18') {
          expect(of.coveredPages).toBeLessThanOrEqual(maximumPages);
        }
        for (const [index, { startPage }] of of.ranges.slice(1).entries()) {
          expect(startPage).toBeGreaterThan(of.ranges[index]!.endPage);
        }
      }),
    );
  });
});
