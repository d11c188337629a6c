/** `npm run soak -- fuzz …`, `npm run soak -- lab` (the long tests on real Xen) and `npm run soak -- …`: what is tried for as long as one likes, and is no test. */
import { spawnSync } from 'node:child_process';

if (process.argv[2] === 'fuzz') {
  const { runFuzz } = await import('./fuzz.ts');
  process.exitCode = await runFuzz(process.argv.slice(3));
} else if (process.argv[2] === 'lab') {
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'soak', ...process.argv.slice(3)];
  process.exitCode = spawnSync(process.execPath, vitest, { stdio: 'inherit' }).status ?? 1;
} else {
  await import('./ssh-commands.ts');
}
