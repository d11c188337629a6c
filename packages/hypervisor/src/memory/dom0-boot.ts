/** Where dom0's memory goes when it boots: what Linux gives back for holes, and for what it makes room. */
import { assert } from '@xenolith/base';
import type { Dom0Size } from './dom0-mem.ts';
import { usablePages, type E820Map } from './e820.ts';
import { holePolicyOf, looksAtMaximum, type HolePolicy, type LinuxRelease } from './linux-release.ts';
import { pageBytes } from './page.ts';

/** Pages from `startPage` to the one before `endPage`. */
export interface PageRange {
  readonly startPage: number;
  readonly endPage: number;
}

/** dom0's pseudo-physical memory after boot. */
export interface Dom0Layout {
  readonly policy: HolePolicy;
  /** What the domain builder gave. */
  readonly initialPages: number;
  /** Given back to Xen because they lay in holes. */
  readonly releasedPages: number;
  /** Of these, got again from Xen elsewhere. */
  readonly populatedPages: number;
  /** Moved from holes to behind the memory; never Xen's in between. */
  readonly remappedPages: number;
  /** What dom0 has in the end. */
  readonly ownedPages: number;
  /** Room for memory that the balloon driver may bring, above what is owned. */
  readonly balloonedPages: number;
  /** Pages that Linux knows as memory, and has overhead for: what is owned and ballooned. */
  readonly coveredPages: number;
  /** Where they lie, ascending. */
  readonly ranges: readonly PageRange[];
}

/**
 * More room than this, as a multiple of the initial pages, is not made: all the memory would go into its overhead
 * (`EXTRA_MEM_RATIO` in arch/x86/xen/setup.c of Linux).
 */
const extraRatio = 10;

/**
 * What dom0's kernel makes of its memory (`xen_memory_setup` in arch/x86/xen/setup.c of Linux, release by release).
 * @param map the machine's, sanitised
 */
export function dom0Layout(release: LinuxRelease, { initialPages, maximumPages }: Dom0Size, map: E820Map): Dom0Layout {
  assert(initialPages >= 1, `a dom0 of ${initialPages} pages`);
  const policy = holePolicyOf(release);
  if (policy === 'classic') return classicLayout(initialPages);
  const ram = ramOf(map);
  const limit = (looksAtMaximum(release) ? maximumPages : undefined) ?? Number.POSITIVE_INFINITY;
  const inHoles = holesOf(map).reduce(
    (pages, { startPage, endPage }) => pages + Math.max(0, Math.min(endPage, initialPages) - startPage),
    0,
  );
  const above = ram.flatMap((range) => cut(range, initialPages, Number.POSITIVE_INFINITY));
  const roomAbove = pagesIn(above);
  // Where there is no memory in the map to move pages to, they are given back by every kernel.
  const moved = policy === 'release' ? 0 : Math.min(inHoles, roomAbove);
  const lost = inHoles - moved;
  const reached = policy === 'populate' ? endOf(above, moved, initialPages) : initialPages;
  const wished = Math.max(0, limit - initialPages) + (policy === 'remap' ? inHoles : lost);
  const extra = Math.min(wished, extraRatio * reached);
  const below = ram.flatMap((range) => cut(range, 0, reached));
  const placed = takeFrom(
    ram.flatMap((range) => cut(range, reached, Number.POSITIVE_INFINITY)),
    extra,
  );
  const ranges = joined([...below, ...placed]);
  const coveredPages = pagesIn(ranges);
  const ownedPages = initialPages - lost;
  const isMovedByXen = policy === 'populate';
  return {
    policy,
    initialPages,
    releasedPages: policy === 'remap' ? lost : inHoles,
    populatedPages: isMovedByXen ? moved : 0,
    remappedPages: policy === 'remap' ? moved : 0,
    ownedPages,
    balloonedPages: Math.max(0, coveredPages - ownedPages),
    coveredPages,
    ranges,
  };
}

const classicLayout = (initialPages: number): Dom0Layout => ({
  policy: 'classic',
  initialPages,
  releasedPages: 0,
  populatedPages: 0,
  remappedPages: 0,
  ownedPages: initialPages,
  balloonedPages: 0,
  coveredPages: initialPages,
  ranges: [{ startPage: 0, endPage: initialPages }],
});

/** dom0 takes memory that the firmware calls unusable as usable: Xen has not given it any of it. */
const isRam = (type: string): boolean => type === 'usable' || type === 'unusable';

/** Whole pages of memory. */
const ramOf = (map: E820Map): readonly PageRange[] =>
  map
    .filter(({ type }) => isRam(type))
    .map(({ startByte, endByte }) => ({
      startPage: Math.ceil(startByte / pageBytes),
      endPage: Math.floor(endByte / pageBytes),
    }))
    .filter(({ startPage, endPage }) => endPage > startPage);

/** What lies between memory, with the pages that are memory only in part. Nothing is known behind the map's end. */
function holesOf(map: E820Map): readonly PageRange[] {
  const holes: PageRange[] = [];
  let startByte = 0;
  for (const [index, { startByte: at, endByte, type }] of map.entries()) {
    if (!isRam(type) && index < map.length - 1) continue;
    const end = isRam(type) ? at : endByte;
    const hole = { startPage: Math.floor(startByte / pageBytes), endPage: Math.ceil(end / pageBytes) };
    if (end > startByte && hole.endPage > hole.startPage) holes.push(hole);
    startByte = endByte;
  }
  return holes;
}

function cut({ startPage, endPage }: PageRange, from: number, to: number): readonly PageRange[] {
  const range = { startPage: Math.max(startPage, from), endPage: Math.min(endPage, to) };
  return range.endPage > range.startPage ? [range] : [];
}

const pagesIn = (ranges: readonly PageRange[]): number =>
  ranges.reduce((pages, { startPage, endPage }) => pages + endPage - startPage, 0);

/** The first `pages` pages of some ranges. */
function takeFrom(ranges: readonly PageRange[], pages: number): readonly PageRange[] {
  let left = pages;
  return ranges.flatMap((range) => {
    const taken = cut(range, range.startPage, range.startPage + left);
    left -= pagesIn(taken);
    return taken;
  });
}

/** Where the first `pages` pages of some ranges end. */
const endOf = (ranges: readonly PageRange[], pages: number, none: number): number =>
  takeFrom(ranges, pages).at(-1)?.endPage ?? none;

/** Ranges that touch as one. */
function joined(ranges: readonly PageRange[]): readonly PageRange[] {
  const result: { startPage: number; endPage: number }[] = [];
  for (const { startPage, endPage } of ranges) {
    const last = result.at(-1);
    if (last?.endPage === startPage) last.endPage = endPage;
    else result.push({ startPage, endPage });
  }
  return result;
}

/** Bytes that Xen keeps for each page of the machine: 32 of its frame table, and 8 that lead from machine to physical. */
const xenBytesPerPage = 40;

/** Pages that Xen has free for dom0 and others on a machine of this map, less its own tables. */
export function freePagesAtBoot(map: E820Map): number {
  const pages = usablePages(map);
  return pages - Math.ceil((pages * xenBytesPerPage) / pageBytes);
}
