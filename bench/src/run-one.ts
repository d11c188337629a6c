/** Runs one benchmark in a process of its own, `node bench/src/run-one.ts NAME`; exit 1 where its bar is missed. */
import { setFlagsFromString } from 'node:v8';
import { machineV8Flags } from '@xenolith/hypervisor';
import type { Bench } from './bench.ts';
import { benches } from './benches.ts';

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

if (import.meta.main) {
  const bench = benches.find(({ name }) => name === process.argv[2]);
  if (bench === undefined) throw new Error(`no benchmark ${process.argv[2]}`);
  // As `xenolith experiment` does.
  setFlagsFromString(machineV8Flags);
  process.exitCode = (await report(bench)) ? 0 : 1;
}
