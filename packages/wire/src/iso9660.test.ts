/** Discs as three kinds of readers see them. Images were also read by isoinfo, bsdtar, xorriso and blkid when this was written. */
import { expect, test } from 'vitest';
import { encodeIso9660, type DiscFile } from './iso9660.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const file = (name: string, text: string): DiscFile => ({ name, data: bytesOf(text) });

interface Entry {
  readonly name: string;
  readonly unixName: string | undefined;
  readonly text: string;
}

/** The descriptor of a kind: where its root directory is, and its label. */
function descriptor(
  image: Uint8Array,
  kind: number,
): { readonly root: number; readonly label: Uint8Array; readonly sectors: number } {
  for (let sector = 16; ; sector++) {
    const view = new DataView(image.buffer, sector * 2048, 2048);
    expect(Buffer.from(image.buffer, sector * 2048 + 1, 5).toString()).toBe('CD001');
    const type = view.getUint8(0);
    if (type !== kind) {
      expect(type).not.toBe(255);
      continue;
    }
    expect(view.getUint32(80, true)).toBe(view.getUint32(84));
    const table = image.subarray(view.getUint32(140, true) * 2048);
    const root = view.getUint32(156 + 2, true);
    // The path tables name the same directory, one in each order of bytes.
    expect(new DataView(table.buffer, table.byteOffset).getUint32(2, true)).toBe(root);
    expect(new DataView(image.buffer, view.getUint32(148) * 2048).getUint32(2)).toBe(root);
    return { root, label: image.slice(sector * 2048 + 40, sector * 2048 + 72), sectors: view.getUint32(80, true) };
  }
}

function entries(image: Uint8Array, root: number): readonly Entry[] {
  const found: Entry[] = [];
  for (let offset = root * 2048; image[offset] !== 0; offset += image[offset] ?? 0) {
    const view = new DataView(image.buffer, offset);
    const [start, size, nameLength] = [view.getUint32(2, true) * 2048, view.getUint32(10, true), view.getUint8(32)];
    expect([view.getUint32(6), view.getUint32(14)]).toEqual([start / 2048, size]);
    const name = Buffer.from(image.buffer, offset + 33, nameLength).toString('latin1');
    let unixName: string | undefined;
    for (let at = 33 + nameLength + ((nameLength + 1) % 2); at + 4 < view.getUint8(0); at += view.getUint8(at + 2)) {
      const signature = Buffer.from(image.buffer, offset + at, 2).toString('latin1');
      if (signature === 'NM')
        unixName = Buffer.from(image.buffer, offset + at + 5, view.getUint8(at + 2) - 5).toString('latin1');
      else expect(['SP', 'PX', 'ER']).toContain(signature);
    }
    if (view.getUint8(25) === 0)
      found.push({ name, unixName, text: Buffer.from(image.buffer, start, size).toString() });
    else expect([start, size, name <= '\u0001']).toEqual([root * 2048, 2048, true]);
  }
  return found;
}

test('a disc has its files under their names, for every kind of reader', () => {
  const long = 'x'.repeat(5000);
  const image = encodeIso9660('cidata', [file('user-data', long), file('meta-data', 'm'), file('network-config', '')]);
  const primary = descriptor(image, 1);
  expect(Buffer.from(primary.label).toString()).toBe('cidata'.padEnd(32));
  expect(primary.sectors * 2048).toBe(image.length);
  expect(entries(image, primary.root)).toEqual([
    { name: 'META_DATA.;1', unixName: 'meta-data', text: 'm' },
    { name: 'NETWORK_CONFIG.;1', unixName: 'network-config', text: '' },
    { name: 'USER_DATA.;1', unixName: 'user-data', text: long },
  ]);
  const joliet = descriptor(image, 2);
  expect(Buffer.from(joliet.label).swap16().toString('utf16le').trimEnd()).toBe('cidata');
  expect(
    entries(image, joliet.root).map(({ name }) => Buffer.from(name, 'latin1').swap16().toString('utf16le')),
  ).toEqual(['meta-data', 'network-config', 'user-data']);
});

test('equal files give equal discs, and no files one without any', () => {
  const make = (): Uint8Array => encodeIso9660('a', [file('b', 'c')]);
  expect(make()).toEqual(make());
  const empty = encodeIso9660('a', []);
  expect(entries(empty, descriptor(empty, 1).root)).toEqual([]);
});

test('names that it has no room for, or that would be one, are a mistake', () => {
  for (const name of ['', 'a b', 'ä', '../x', 'x'.repeat(65)])
    expect(() => encodeIso9660('a', [file(name, '')])).toThrow();
  expect(() => encodeIso9660('a', [file('a-b', ''), file('a.b', '')])).toThrow('differ');
  expect(() => encodeIso9660('x'.repeat(17), [])).toThrow('label');
  const many = Array.from({ length: 9 }, (_, index) => file(`f${index}`, ''));
  expect(() => encodeIso9660('a', many)).toThrow('root');
  expect(() =>
    encodeIso9660(
      'a',
      many.slice(1).map(({ data }, index) => ({ name: `${index}${'y'.repeat(63)}`, data })),
    ),
  ).not.toThrow();
});
