/** What dom0's kernel keeps of its memory, by kind, and what is left: `MemTotal`. 64-bit. */
import { mibBytes } from '@xenolith/base';
import type { Dom0Layout, PageRange } from './dom0-boot.ts';
import { isAtLeast, type LinuxRelease } from './linux-release.ts';
import { mibPages, pageBytes } from './page.ts';

export const overheadKinds = [
  'struct-page',
  'vmemmap-page-tables',
  'direct-map',
  'p2m',
  'dentry-hash',
  'inode-hash',
  'mount-hashes',
  'network-hashes',
  'swiotlb',
  'kernel-image',
  'per-cpu',
  'first-mib',
] as const;

export type OverheadKind = (typeof overheadKinds)[number];

/** Memory that the kernel keeps for one purpose. */
export interface Overhead {
  readonly kind: OverheadKind;
  readonly pages: number;
  /** Whether `MemTotal` is less by it: what is taken before the page allocator has its memory. */
  readonly isInMemTotal: boolean;
}

/** Sizes of a kernel and its machine that do not follow from memory. */
export interface KernelShape {
  readonly release: LinuxRelease;
  readonly vcpus: number;
  /** Of the machine, as the size of a bounce buffer may hang on it. */
  readonly machinePages: number;
  /** Code, data, read-only data and bss, which `Memory:` in the kernel's log has; Debian's 6.1 where absent. */
  readonly imageBytes?: number;
}

/** `14343K kernel code, 2338K rwdata, 9132K rodata, 17344K bss`, as the log of Debian's 6.1.0-56-amd64 has them. */
export const debian61ImageBytes = (14_343 + 2338 + 9132 + 17_344) * 1024;

/** Kernels whose image size was seen; others are given that of the nearest, which is too much by some MiB for old ones. */
export const isImageKnown = ({ major, minor }: LinuxRelease): boolean => major === 6 && minor === 1;

/** Pages that one page of 8-byte entries has entries for. */
const fanOut = 512;
const sectionPages = 32_768;

/** What a kernel keeps, by kind, in the order of {@link overheadKinds}. */
export function dom0Overhead(layout: Dom0Layout, shape: KernelShape): readonly Overhead[] {
  const { release } = shape;
  const items = layout.policy === 'classic' ? classicTables(layout.coveredPages) : pvopsTables(layout.ranges);
  const structPages = items[0]?.pages ?? 0;
  return [
    ...items,
    ...hashTables(release, layout.coveredPages - structPages),
    early('swiotlb', swiotlbBytes(release, shape.machinePages) / pageBytes),
    early('kernel-image', (shape.imageBytes ?? debian61ImageBytes) / pageBytes),
    early('per-cpu', perCpuPages * shape.vcpus),
    early('first-mib', firstMibPages(layout, release)),
  ];
}

const early = (kind: OverheadKind, pages: number): Overhead => ({ kind, pages: Math.ceil(pages), isInMemTotal: true });

/** 62 pages a CPU: `percpu: Embedded 62 pages/cpu` of Debian's 6.1. */
const perCpuPages = 62;

/** Classic kernels have flat tables for what they own, the direct map and one list of frames. */
const classicTables = (pages: number): readonly Overhead[] => [
  // The structure has seven words in 2.6.18.
  early('struct-page', (pages * 56) / pageBytes),
  early('direct-map', tablePages([{ startPage: 0, endPage: pages }])),
  early('p2m', Math.ceil(pages / fanOut) + Math.ceil(pages / fanOut ** 2)),
];

/**
 * Tables for all covered pages. `struct page` (64 bytes) lies in sections of 128 MiB, each whole; as a PV guest has no
 * large pages, every section needs a page of page table to map them. The direct map has a page of page table for each
 * 2 MiB. The p2m list has a page for as many, and two more for each GiB: one maps it, one lists its frames for Xen
 * (arch/x86/xen/p2m.c); holes share one page.
 */
function pvopsTables(ranges: readonly PageRange[]): readonly Overhead[] {
  const sections = unitsOf(ranges, sectionPages);
  return [
    early('struct-page', (sections * sectionPages * 64) / pageBytes),
    early('vmemmap-page-tables', sections + Math.ceil(sections / fanOut)),
    early('direct-map', tablePages(ranges)),
    early('p2m', unitsOf(ranges, fanOut) + 2 * unitsOf(ranges, fanOut ** 2)),
  ];
}

/** Page tables that map some pages one by one: three levels below the top. */
const tablePages = (ranges: readonly PageRange[]): number =>
  unitsOf(ranges, fanOut) + unitsOf(ranges, fanOut ** 2) + unitsOf(ranges, fanOut ** 3);

/** How many units of so many pages have a page of the ranges, which are ascending. */
function unitsOf(ranges: readonly PageRange[], unitPages: number): number {
  let units = 0;
  let next = 0;
  for (const { startPage, endPage } of ranges) {
    const first = Math.max(next, Math.floor(startPage / unitPages));
    const end = Math.ceil(endPage / unitPages);
    units += Math.max(0, end - first);
    next = Math.max(next, end);
  }
  return units;
}

/** A hash table that Linux scales to memory: an entry for each 2^scale bytes. */
interface ScaledTable {
  readonly scale: number;
  readonly bucketBytes: number;
  readonly entriesMax?: number;
}

const tables = {
  dentry: { scale: 13, bucketBytes: 8 },
  inode: { scale: 14, bucketBytes: 8 },
  mount: { scale: 19, bucketBytes: 8 },
  tcpEstablished: { scale: 17, bucketBytes: 8, entriesMax: 512 * 1024 },
  udp: { scale: 21, bucketBytes: 32, entriesMax: 64 * 1024 },
} satisfies Record<string, ScaledTable>;

/** From 64 GiB on, a table grows by half as much, from 256 GiB on by a quarter, and so on; since Linux 4.13. */
const adaptPages = (64 * 1024 * mibBytes) / pageBytes;

/** Entries of a table: a power of two (`alloc_large_system_hash` in mm/page_alloc.c). */
function entriesOf({ scale, entriesMax }: ScaledTable, pages: number, release: LinuxRelease): number {
  const whole = Math.ceil(pages / mibPages) * mibPages;
  let shift = scale - 12;
  if (entriesMax === undefined && isAtLeast(release, 4, 13)) {
    for (let from = adaptPages; from < whole; from *= 4) shift++;
  }
  const entries = 2 ** Math.ceil(Math.log2(Math.max(1, Math.floor(whole / 2 ** shift))));
  return Math.min(entries, entriesMax ?? entries);
}

/**
 * Tables of the file systems' and the network's caches, scaled to all memory there is room for.
 *
 * Those of dentries and inodes are taken before the page allocator has memory since Linux 5.3, where one node has all
 * of it; before, kernels with NUMA took them afterwards, as all take the others. Tables of the network, and those of
 * mounts before they were scaled (3.15), are left out for kernels before 3.16: they took other sizes.
 */
function hashTables(release: LinuxRelease, pages: number): readonly Overhead[] {
  const pagesOf = (table: ScaledTable): number =>
    Math.ceil((entriesOf(table, pages, release) * table.bucketBytes) / pageBytes);
  const isInMemTotal = isAtLeast(release, 5, 3);
  const caches: readonly Overhead[] = [
    { kind: 'dentry-hash', pages: pagesOf(tables.dentry), isInMemTotal },
    { kind: 'inode-hash', pages: pagesOf(tables.inode), isInMemTotal },
  ];
  if (!isAtLeast(release, 3, 16)) return caches;
  const bindEntries = Math.min(64 * 1024, entriesOf(tables.tcpEstablished, pages, release));
  // A second table, by address, came with 6.1.
  const bindBytes = bindEntries * (isAtLeast(release, 6, 1) ? 32 : 16);
  const network = pagesOf(tables.tcpEstablished) + bindBytes / pageBytes + 2 * pagesOf(tables.udp);
  return [
    ...caches,
    { kind: 'mount-hashes', pages: 2 * pagesOf(tables.mount), isInMemTotal: false },
    { kind: 'network-hashes', pages: Math.ceil(network), isInMemTotal: false },
  ];
}

const swiotlbSlotBytes = 2048;

/**
 * The bounce buffer of dom0, 64 MiB of 2 KiB slots with their bookkeeping; classic kernels had 2 MiB on machines of up
 * to 2 GiB (`swiotlb_init` of lib/swiotlb.c, kernel/dma/swiotlb.c).
 */
function swiotlbBytes(release: LinuxRelease, machinePages: number): number {
  const isSmall = release.major < 3 && machinePages <= 2 * 1024 * mibPages;
  const buffer = (isSmall ? 2 : 64) * mibBytes;
  const slotBytes = isAtLeast(release, 5, 14) ? 24 : 12;
  return buffer + (buffer / swiotlbSlotBytes) * slotBytes;
}

/** Linux leaves the first MiB to the firmware since 5.13; 64 KiB of it before. Page 0 is never used. */
function firstMibPages({ policy, ranges }: Dom0Layout, release: LinuxRelease): number {
  if (policy === 'classic') return 0;
  const end = isAtLeast(release, 5, 13) ? mibPages : 16;
  return ranges.reduce((pages, range) => pages + Math.max(0, Math.min(range.endPage, end) - range.startPage), 0);
}

/** `MemTotal` of /proc/meminfo, in KiB. */
export function memTotalKib({ ownedPages }: Dom0Layout, overhead: readonly Overhead[]): number {
  const taken = overhead.reduce((pages, item) => pages + (item.isInMemTotal ? item.pages : 0), 0);
  return Math.max(0, ownedPages - taken) * 4;
}
