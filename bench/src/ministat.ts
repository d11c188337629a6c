import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '@xenolith/base';
import { median, spread, type Bench } from './bench.ts';
import { root } from './process.ts';

/** Bell-shaped, around 100, with three decimals. */
function samples(count: number, random: SeededRandom): string {
  const unit = (): number => random.nextUint32() / 2 ** 32;
  const lines = Array.from({ length: count }, () => (100 + 10 * (unit() + unit() + unit() - 1.5)).toFixed(3));
  return `${lines.join('\n')}\n`;
}

/** Milliseconds from start to end, and what was printed; undefined where there is no such program. */
function timed(program: string, args: readonly string[]): { readonly ms: number; readonly out: string } | undefined {
  const begin = performance.now();
  const { error, status, stdout } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const ms = performance.now() - begin;
  if (error !== undefined && 'code' in error && error.code === 'ENOENT') return undefined;
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}`);
  return { ms, out: stdout };
}

/** Both programs as whole processes, one after the other in each round, on the same file. */
export const ministat: Bench = {
  name: 'ministat',
  what: "`xenolith ministat` on 1,000,000 samples, whole process with its picture, beside FreeBSD's ministat",
  bar: { text: 'below 1000 ms', holds: (ms) => ms < 1000 },
  run: (size) => {
    const [count, rounds] = size === 'full' ? [1_000_000, 9] : [1000, 1];
    const folder = mkdtempSync(join(tmpdir(), 'xenolith-bench-ministat-'));
    try {
      const file = join(folder, 'samples');
      writeFileSync(file, samples(count, new SeededRandom(1)));
      const ours: number[] = [];
      const theirs: number[] = [];
      for (let round = -1; round < rounds; round++) {
        const peer = timed('ministat', [file]);
        const own = timed(process.execPath, [join(root, 'packages/cli/src/xenolith.ts'), 'ministat', file]);
        if (own === undefined) throw new Error('there is no Node');
        if (peer !== undefined && peer.out !== own.out) throw new Error('the two print different things');
        if (round < 0) continue;
        ours.push(own.ms);
        if (peer !== undefined) theirs.push(peer.ms);
      }
      const peerLines =
        theirs.length === 0
          ? ["FreeBSD's ministat is not installed: nothing to compare with"]
          : [
              `FreeBSD's ministat ${spread(theirs, 0)} ms`,
              `ratio of the medians ${(median(ours) / median(theirs)).toFixed(2)}; both print the same`,
            ];
      return Promise.resolve({
        lines: [`xenolith ministat  ${spread(ours, 0)} ms`, ...peerLines],
        figure: median(ours),
        unit: 'ms',
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
