/**
 * `npm run bench [-- NAME…]`: the benchmarks, each beside its peer or limit; exit 1 where a bar is missed.
 *
 * Each runs in a process of its own, so that none finds code that was compiled for another; and of modules that were
 * compiled before, which is why they are imported here too. A process that strips types itself does so with a
 * WebAssembly module whose memory grows, and V8 looks from then on, at every access to a typed array, whether its memory
 * is still there: that makes the schedulers slower by a tenth.
 */
import { spawnSync } from 'node:child_process';
import { enableCompileCache, flushCompileCache } from 'node:module';

const cache =
  process.env['NODE_COMPILE_CACHE'] ?? new URL('../../node_modules/.cache/xenolith', import.meta.url).pathname;
enableCompileCache(cache);
const { benches } = await import('./benches.ts');
await import('./run-one.ts');
flushCompileCache();

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !benches.some((bench) => bench.name === name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are ${benches.map((bench) => bench.name).join(', ')}`);
  process.exit(2);
}

let missed = 0;
for (const { name } of benches) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const { status } = spawnSync(process.execPath, [new URL('run-one.ts', import.meta.url).pathname, name], {
    stdio: 'inherit',
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
  });
  if (status !== 0) missed++;
}
process.exitCode = missed === 0 ? 0 : 1;
