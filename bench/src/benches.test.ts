import { expect, test } from 'vitest';
import { benches } from './benches.ts';

test.each(benches.filter((bench) => bench.name !== 'vm-start').map((bench) => [bench.name, bench] as const))(
  '%s runs with a tiny size',
  async (_name, bench) => {
    const outcome = await bench.run('tiny');
    expect(outcome.figure).toBeGreaterThan(0);
    expect(outcome.lines.length).toBeGreaterThan(0);
  },
  60_000,
);
