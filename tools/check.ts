/** `npm run check`: types, lint and format of every room; the first tool that finds something says what. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
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

let failed = 0;
for (const [program, ...args] of steps) {
  const result = spawnSync(program, args, { stdio: 'inherit' });
  if (result.status !== 0) {
    failed++;
    console.error(`failed: ${program} ${args.join(' ')}`);
  }
}
console.log(
  failed === 0 ? `checked ${steps.length} steps: nothing found` : `${failed} of ${steps.length} steps failed`,
);
process.exitCode = failed === 0 ? 0 : 1;
