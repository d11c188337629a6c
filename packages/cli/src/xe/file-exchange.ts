/** Files and the terminal of who runs xe. */
import { UsageError, type Exchange } from '@xenolith/xe';
import type { ServerRpc } from './rpc.ts';

/** More than any file that a command reads whole. */
const fileBytesMax = 64 * 1024 * 1024;

const words = (path: string, error: unknown): string =>
  `${path}: ${error instanceof Error ? error.message : String(error)}`;

/** Reads and writes files here, and joins this terminal with consoles of the server. */
export const fileExchange = (rpc: ServerRpc): Exchange => ({
  async readFile(path) {
    const { readFile, stat } = await import('node:fs/promises');
    try {
      if ((await stat(path)).size > fileBytesMax) throw new Error('it is too large');
      return await readFile(path);
    } catch (error) {
      throw new UsageError(words(path, error));
    }
  },
  async writeFile(path, data) {
    if (path === '') {
      process.stdout.write(data);
      return;
    }
    const { writeFile } = await import('node:fs/promises');
    await writeFile(path, data, { flag: 'wx' }).catch((error: unknown) => {
      throw new UsageError(words(path, error));
    });
  },
  async attach(vm) {
    const { attach } = await import('./console.ts');
    await attach(rpc, vm);
  },
});
