import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatTarHeader, parseTarHeader, tarEnd, tarPadding } from './tar.ts';
import { xxHash64 } from './xxhash64.ts';

test('what tar(1) reads, and what it writes', () => {
  const directory = mkdtempSync(join(tmpdir(), 'xva-tar-'));
  try {
    const content = Buffer.from('x'.repeat(1000));
    const header = formatTarHeader({ name: 'Ref:1/00000000', sizeBytes: content.length }, 1_700_000_000);
    const padding = new Uint8Array(tarPadding(content.length));
    writeFileSync(join(directory, 'a.tar'), Buffer.concat([header, content, padding, tarEnd()]));
    execFileSync('tar', ['-xf', 'a.tar', '--force-local'], { cwd: directory });
    expect(readFileSync(join(directory, 'Ref:1', '00000000'))).toEqual(content);
    execFileSync('tar', ['-cf', 'b.tar', '--format=ustar', '--force-local', 'Ref:1/00000000'], { cwd: directory });
    expect(parseTarHeader(readFileSync(join(directory, 'b.tar')).subarray(0, 512))).toEqual({
      name: 'Ref:1/00000000',
      sizeBytes: 1000,
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('blocks that are no header of a file', () => {
  const header = formatTarHeader({ name: 'a', sizeBytes: 1 }, 0);
  expect(parseTarHeader(new Uint8Array(512))).toBeUndefined();
  for (const [at, value] of [
    [0, 98],
    [156, 53],
    [124, 57],
  ] as const) {
    const broken = Uint8Array.from(header);
    broken[at] = value;
    expect(() => parseTarHeader(broken)).toThrow('not a tar archive');
  }
  expect(() => formatTarHeader({ name: 'n'.repeat(101), sizeBytes: 0 }, 0)).toThrow('does not fit');
});

// From the xxHash specification's reference program: a seed of 0.
test.each([
  ['', 'EF46DB3751D8E999'],
  ['a', 'D24EC4F1A98C6E5B'],
  ['abc', '44BC2CF5AD770999'],
  ['Nobody inspects the spammish repetition', 'FBCEA83C8A378BF1'],
])('XXH64 of %j', (text, hash) => {
  expect(xxHash64(Buffer.from(text))).toBe(hash);
});
