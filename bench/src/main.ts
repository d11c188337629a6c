/** `npm run bench [-- NAME…]`: the benchmarks, each beside its peer or limit; exit 1 where a bar is missed. */
import type { Bench } from './bench.ts';
import { benches } from './benches.ts';

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !benches.some((bench) => bench.name === name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are ${benches.map((bench) => bench.name).join(', ')}`);
  process.exit(2);
}

async function report(bench: Bench): Promise<boolean> {
  console.log(`${bench.name}: ${bench.what}`);
  const outcome = await bench.run('full');
  for (const line of outcome.lines) console.log(`    ${line}`);
  const holds = bench.bar.holds(outcome.figure);
  console.log(
    `    ${outcome.figure.toFixed(2)} ${outcome.unit}; bar: ${bench.bar.text}: ${holds ? 'holds' : 'MISSED'}`,
  );
  return holds;
}

let missed = 0;
for (const bench of benches) {
  if (wanted.length > 0 && !wanted.includes(bench.name)) continue;
  if (!(await report(bench))) missed++;
}
process.exitCode = missed === 0 ? 0 : 1;
