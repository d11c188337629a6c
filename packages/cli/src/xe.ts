/** xe: the command line of the XenAPI. Compiled code is kept between runs, so that a command answers at once. */
import { enableCompileCache } from 'node:module';

enableCompileCache(
  process.env['NODE_COMPILE_CACHE'] ?? new URL('../../../node_modules/.cache/xenolith', import.meta.url).pathname,
);
const { runXe } = await import('./xe/program.ts');
await runXe(process.argv.slice(2));
