/**
 * `npm run soak -- fuzz --seconds 60 --seed 1`: the decoders of what comes from the network, for as long as one likes.
 * A finding is printed with the seed that makes it again (`--seed N --seconds 0`); then the exit code is 1.
 */
import { parseArgs } from 'node:util';
import { SeededRandom } from '@xenolith/base';
import { complaint, mutated, targets } from './decoder-fuzz.ts';

export async function runFuzz(argv: readonly string[]): Promise<number> {
  const options = { seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } } as const;
  const { values } = parseArgs({ args: [...argv], options });
  const endMs = Date.now() + Number(values.seconds) * 1000;
  let seed = Number(values.seed);
  let tried = 0;
  let slowestMs = 0;
  do {
    for (const target of targets) {
      const random = new SeededRandom(seed);
      const bytes = mutated(target, random);
      const begin = performance.now();
      const found = complaint(target, bytes, random);
      slowestMs = Math.max(slowestMs, performance.now() - begin);
      tried++;
      if (found !== undefined) {
        console.error(
          `${target.name}, --seed ${seed}: ${found}\n${Buffer.from(bytes).toString('base64').slice(0, 4000)}`,
        );
        return 1;
      }
    }
    seed++;
  } while (Date.now() < endMs);
  const heapMib = process.memoryUsage.rss() / 2 ** 20;
  console.log(
    `${tried} messages, none that was taken wrongly; slowest ${slowestMs.toFixed(1)} ms, RSS ${heapMib.toFixed(0)} MiB`,
  );
  return 0;
}
