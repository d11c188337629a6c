/**
 * Random histories of a pool, each from a seed. A failing one is printed with the line that runs it again; it can be longer
 * with XENOLITH_HISTORY_STEPS, and there can be more of them with XENOLITH_HISTORY_SEEDS.
 */
import { describe, expect, test } from 'vitest';
import { poolHistory } from '../testing/pool-history.ts';

const { XENOLITH_HISTORY_SEED: only, XENOLITH_HISTORY_SEEDS: many, XENOLITH_HISTORY_STEPS: steps } = process.env;
const seedCount = Number(many ?? 1000);
const stepCount = steps === undefined ? undefined : Number(steps);
/** Seeds a test: a test has a time limit. */
const seedsEach = 50;

/** A failing history, for whoever has to find out why. */
async function replayable(seed: number): Promise<string> {
  const { broken, lines } = await poolHistory(seed, stepCount);
  if (broken.length === 0) return '';
  return [
    `seed ${seed} breaks what must hold. Again:`,
    `  XENOLITH_HISTORY_SEED=${seed} node node_modules/vitest/vitest.mjs run --project unit packages/host/src/model/pool-history.test.ts`,
    ...broken.slice(0, 10).map((what) => `- ${what}`),
    ...lines.map((line, at) => `${String(at + 1).padStart(4)} ${line}`),
  ].join('\n');
}

if (only !== undefined) {
  test(`the history of seed ${only}`, async () => {
    const { lines } = await poolHistory(Number(only), stepCount);
    process.stdout.write(lines.map((line, at) => `${String(at + 1).padStart(4)} ${line}\n`).join(''));
    expect(await replayable(Number(only))).toBe('');
  });
} else {
  describe('whatever happens, what must hold does', () => {
    const firsts = Array.from({ length: Math.ceil(seedCount / seedsEach) }, (_, at) => 1 + at * seedsEach);
    test.each(firsts)('seeds from %i', { timeout: 120_000 }, async (first) => {
      for (let seed = first; seed < Math.min(first + seedsEach, 1 + seedCount); seed++) {
        expect(await replayable(seed)).toBe('');
      }
    });
  });

  test('a seed has one history', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      expect(await poolHistory(seed)).toEqual(await poolHistory(seed));
    }
  });
}
