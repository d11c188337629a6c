/** xenolith: starts the server and the lab, and adds hosts. Compiled code is kept between runs. */
import { enableCompileCache } from 'node:module';

enableCompileCache(
  process.env['NODE_COMPILE_CACHE'] ?? new URL('../../../node_modules/.cache/xenolith', import.meta.url).pathname,
);
const { runXenolith } = await import('./xenolith/program.ts');
await runXenolith(process.argv);
