/**
 * xenolithd. Compiled code is kept between starts (next to the installed packages, when they may be written), so the
 * program itself is loaded after that is set up.
 */
import { enableCompileCache } from 'node:module';

enableCompileCache(
  process.env['NODE_COMPILE_CACHE'] ?? new URL('../../../node_modules/.cache/xenolith', import.meta.url).pathname,
);
const { runProgram } = await import('./start/program.ts');
await runProgram(process.argv.slice(2));
