/**
 * An image of a disc with a few small files in its root, as ISO 9660 (ECMA-119) with their true names beside: for Unix
 * by Rock Ridge (IEEE P1282), for others by Joliet. What reads it: Linux isofs, FreeBSD cd9660, Windows. Equal inputs give equal
 * images, since every date in it is the same one.
 */
import { assert } from '@xenolith/base';

/** A file in the root of a disc. */
export interface DiscFile {
  /** Letters, digits, `.`, `_`, `-`: 1 to 64 of them. */
  readonly name: string;
  readonly data: Uint8Array;
}

const sectorBytes = 2048;
/** Before the descriptors are sectors that belong to nobody. */
const systemSectors = 16;
/** Descriptors: primary, Joliet, the end; then path tables, little-endian and big-endian for both; then the two roots. */
const at = { pathTables: 19, root: 23, jolietRoot: 24, files: 25 } as const;
const pathTableBytes = 10;
/** 2000-01-01, as directories have dates and as descriptors have them. */
const recordDate: readonly number[] = [100, 1, 1, 0, 0, 0, 0];
const descriptorDate = '2000010100000000';
const noDate = '0000000000000000';
const discFilesMax = 8;

const ascii = (text: string): readonly number[] => Array.from(text, (character) => character.charCodeAt(0));
const ucs2 = (text: string): readonly number[] => ascii(text).flatMap((code) => [code >> 8, code & 255]);
const little32 = (value: number): readonly number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 255);
const both16 = (value: number): readonly number[] => [value & 255, value >> 8, value >> 8, value & 255];
const both32 = (value: number): readonly number[] => [...little32(value), ...little32(value).toReversed()];
const sectorsOf = (bytes: number): number => Math.ceil(bytes / sectorBytes);

/** Where something is on the disc. */
interface Extent {
  readonly sector: number;
  readonly bytes: number;
}

/** A directory record (ECMA-119, 9.1) with its system use area. */
function record(name: readonly number[], { sector, bytes }: Extent, isDirectory: boolean, use: readonly number[] = []) {
  const paddedName = name.length % 2 === 0 ? [...name, 0] : name;
  const rest = [
    0,
    ...both32(sector),
    ...both32(bytes),
    ...recordDate,
    isDirectory ? 2 : 0,
    0,
    0,
    ...both16(1),
    name.length,
    ...paddedName,
    ...use,
    ...(use.length % 2 === 0 ? [] : [0]),
  ];
  const length = rest.length + 1;
  assert(length <= 255, 'a directory record has 255 bytes at most');
  return [length, ...rest];
}

const here = [0];
const above = [1];

/** Rock Ridge: who may do what with it (PX), its name (NM), and that the disc has such entries at all (SP, ER). */
const permissions = (mode: number, links: number): readonly number[] => [
  ...ascii('PX'),
  36,
  1,
  ...both32(mode),
  ...both32(links),
  ...both32(0),
  ...both32(0),
];
const alternateName = (name: string): readonly number[] => [...ascii('NM'), 5 + name.length, 1, 0, ...ascii(name)];
const rockRidgeMark = [...ascii('SP'), 7, 1, 0xbe, 0xef, 0];
const rockRidgeName = 'RRIP_1991A';
const rockRidgeReference = [...ascii('ER'), 8 + rockRidgeName.length, 1, rockRidgeName.length, 0, 0, 1];
const directoryMode = permissions(0o040555, 2);
const fileMode = permissions(0o100444, 1);

/** A volume descriptor (ECMA-119, 8.4 and 8.5): the primary one, or Joliet's with its texts in UCS-2. */
function descriptor(
  label: string,
  root: Extent,
  pathTables: number,
  sectors: number,
  isJoliet: boolean,
): readonly number[] {
  const text = (value: string, bytes: number): readonly number[] =>
    isJoliet
      ? [...ucs2(value.padEnd(bytes >> 1)), ...(bytes % 2 === 0 ? [] : [0])].slice(0, bytes)
      : ascii(value.padEnd(bytes)).slice(0, bytes);
  return [
    isJoliet ? 2 : 1,
    ...ascii('CD001'),
    1,
    0,
    ...text('', 32),
    ...text(label, 32),
    ...zeros(8),
    ...both32(sectors),
    ...(isJoliet ? ascii('%/E') : zeros(3)),
    ...zeros(29),
    ...both16(1),
    ...both16(1),
    ...both16(sectorBytes),
    ...both32(pathTableBytes),
    ...little32(pathTables),
    ...little32(0),
    ...little32(pathTables + 1).toReversed(),
    ...little32(0),
    ...record(here, root, true),
    ...[128, 128, 128, 128, 37, 37, 37].flatMap((bytes) => text('', bytes)),
    ...ascii(descriptorDate),
    0,
    ...ascii(descriptorDate),
    0,
    ...ascii(noDate),
    0,
    ...ascii(noDate),
    0,
    1,
  ];
}

const zeros = (count: number): readonly number[] => Array.from({ length: count }, () => 0);

/** A path table of a disc that has no directory but its root. */
function pathTable(root: number, isLittle: boolean): readonly number[] {
  const sector = little32(root);
  return [1, 0, ...(isLittle ? sector : sector.toReversed()), ...(isLittle ? [1, 0] : [0, 1]), 0, 0];
}

/** The name that ISO 9660 itself has for a file (31 characters and its version): for readers that know no other. */
const plainName = (name: string): string =>
  `${name
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]/g, '_')
    .slice(0, 30)}.;1`;

const byBytes = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

/**
 * Writes an image of a disc.
 * @param label of the volume: 1 to 16 letters, digits, `_` and `-`
 * @param files at most eight; they differ in letters and digits, among their first 30 characters
 */
export function encodeIso9660(label: string, files: readonly DiscFile[]): Uint8Array<ArrayBuffer> {
  assert(/^[\w-]{1,16}$/.test(label), 'a label that Joliet has room for');
  assert(files.length <= discFilesMax, 'a root directory of one sector');
  let next: number = at.files;
  const placed = files.map(({ name, data }) => {
    assert(/^[\w.-]{1,64}$/.test(name), 'names of plain characters');
    const extent: Extent = { sector: next, bytes: data.length };
    next += Math.max(1, sectorsOf(data.length));
    return { name, data, extent };
  });
  const plain = placed.map(({ name, extent }) => [plainName(name), { name, extent }] as const);
  assert(new Set(plain.map(([name]) => name)).size === files.length, 'names that differ');
  const [root, jolietRoot] = [at.root, at.jolietRoot].map((sector) => ({ sector, bytes: sectorBytes })) as [
    Extent,
    Extent,
  ];
  const rootRecords = [
    ...record(here, root, true, [...rockRidgeMark, ...directoryMode, ...rockRidgeReference, ...ascii(rockRidgeName)]),
    ...record(above, root, true, directoryMode),
    ...plain
      .toSorted(byBytes)
      .flatMap(([own, { name, extent }]) => record(ascii(own), extent, false, [...fileMode, ...alternateName(name)])),
  ];
  const jolietRecords = [
    ...record(here, jolietRoot, true),
    ...record(above, jolietRoot, true),
    ...placed
      .map(({ name, extent }) => [name, extent] as const)
      .toSorted(byBytes)
      .flatMap(([name, extent]) => record(ucs2(name), extent, false)),
  ];
  const image = new Uint8Array(next * sectorBytes);
  const put = (sector: number, bytes: ArrayLike<number>): void => image.set(bytes, sector * sectorBytes);
  put(systemSectors, descriptor(label, root, at.pathTables, next, false));
  put(systemSectors + 1, descriptor(label, jolietRoot, at.pathTables + 2, next, true));
  put(systemSectors + 2, [255, ...ascii('CD001'), 1]);
  for (const [index, sector] of [at.root, at.jolietRoot].entries()) {
    put(at.pathTables + 2 * index, pathTable(sector, true));
    put(at.pathTables + 2 * index + 1, pathTable(sector, false));
  }
  put(at.root, rootRecords);
  put(at.jolietRoot, jolietRecords);
  for (const { data, extent } of placed) put(extent.sector, data);
  return image;
}
