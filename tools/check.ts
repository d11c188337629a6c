/** `npm run check`: types, lint and format of every room, as many tools at a time as there are processors. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const bin = (name: string): string => join('node_modules', '.bin', name);
const rooms = readdirSync('packages').map((room) => join('packages', room));

const steps: (readonly [string, ...string[]])[] = [];
for (const room of [...rooms, 'tests', 'bench', 'tools']) {
  for (const file of ['tsconfig.json', 'tsconfig.test.json']) {
    if (existsSync(join(room, file))) steps.push([bin('tsc'), '-p', join(room, file)]);
  }
}
steps.push([
  bin('oxlint'),
  '--type-aware',
  '--deny-warnings',
  'packages',
  'tests',
  'bench',
  'tools',
  'vitest.config.ts',
]);
steps.push([bin('oxfmt'), '--check', 'packages', 'tests', 'bench', 'tools', 'vitest.config.ts']);

/** Runs one tool; what it says comes in one piece, whatever runs beside it. Whether it found nothing. */
function passes([program, ...args]: readonly [string, ...string[]]): Promise<boolean> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => said.push(data));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      process.stdout.write(Buffer.concat(said));
      if (code !== 0) console.error(`failed: ${program} ${args.join(' ')}`);
      resolve(code === 0);
    });
  });
}

let failed = 0;
const waiting = [...steps];
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      if (!(await passes(step))) failed++;
    }
  }),
);
console.log(
  failed === 0 ? `checked ${steps.length} steps: nothing found` : `${failed} of ${steps.length} steps failed`,
);
process.exitCode = failed === 0 ? 0 : 1;
