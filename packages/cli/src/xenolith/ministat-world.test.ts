import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { widthFor } from './ministat-world.ts';

// What ministat was seen to do on terminals of these widths.
test.each<[boolean, number, string | undefined, number]>([
  [true, 40, undefined, 38],
  [true, 0, undefined, 74],
  [true, 0, '50', 50],
  [true, 100, '50', 50],
  [true, 100, 'x', 98],
  [true, 100, '0', 98],
  [false, 40, '50', 74],
])('terminal %s of %d columns, COLUMNS=%s: %d', (isTTY, columns, variable, expected) => {
  expect(widthFor({ isTTY, columns }, variable)).toBe(expected);
});

test('who stops reading is no failure', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-ministat-'));
  try {
    const file = join(folder, 'tall');
    writeFileSync(file, `0\n${'1\n'.repeat(20_000)}`);
    const main = new URL('../xenolith.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [main, 'ministat', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [code] = (await once(child, 'close')) as [number | null];
    expect([code, said]).toEqual([0, '']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
