import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CpioEntry } from './cpio.ts';
import { writeCpio } from './cpio.ts';

/** Reads an archive back by the format's own rules, written without looking at the writer. */
function readCpio(bytes: Uint8Array): readonly { name: string; mode: number; content: Buffer; device: string }[] {
  const archive = Buffer.from(bytes);
  const found = [];
  let at = 0;
  for (;;) {
    expect(archive.toString('latin1', at, at + 6)).toBe('070701');
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    expect([field(2), field(3)], 'root owns everything').toEqual([0, 0]);
    const name = archive.toString('utf8', at + 110, at + 110 + nameSize - 1);
    const contentAt = Math.ceil((at + 110 + nameSize) / 4) * 4;
    if (name === 'TRAILER!!!') return found;
    found.push({
      name,
      mode,
      content: archive.subarray(contentAt, contentAt + size),
      device: `${field(9)}:${field(10)}`,
    });
    at = Math.ceil((contentAt + size) / 4) * 4;
  }
}

describe('writeCpio', () => {
  test('writes every kind of entry', () => {
    const entries: readonly CpioEntry[] = [
      { kind: 'directory', path: 'dev' },
      { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
      { kind: 'symlink', path: 'init', target: 'bin/busybox' },
      { kind: 'file', path: 'x', mode: 0o755, content: Buffer.from('abc') },
    ];
    expect(
      readCpio(writeCpio(entries)).map(({ content, ...rest }) => ({ ...rest, content: content.toString() })),
    ).toEqual([
      { name: 'dev', mode: 0o040755, device: '0:0', content: '' },
      { name: 'dev/console', mode: 0o020600, device: '5:1', content: '' },
      { name: 'init', mode: 0o120777, device: '0:0', content: 'bin/busybox' },
      { name: 'x', mode: 0o100755, device: '0:0', content: 'abc' },
    ]);
  });

  test('any names and contents come back', () => {
    const file = fc.record({
      kind: fc.constant('file' as const),
      path: fc.stringMatching(/^[a-z0-9._-]{1,40}$/),
      mode: fc.integer({ min: 0, max: 0o777 }),
      content: fc.uint8Array({ maxLength: 100 }),
    });
    fc.assert(
      fc.property(fc.array(file, { maxLength: 8 }), (files) => {
        expect(readCpio(writeCpio(files)).map(({ name, content }) => [name, [...content]])).toEqual(
          files.map(({ path, content }) => [path, [...content]]),
        );
      }),
    );
  });
});
