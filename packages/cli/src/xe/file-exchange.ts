/** The files and the terminal of who runs xe. */
import { UsageError, type Exchange } from '@xenolith/xe';
import type { ServerRpc } from './rpc.ts';

/** More than any file that a command reads whole. */
const fileBytesMax = 64 * 1024 * 1024;

const words = (path: string, error: unknown): string =>
  `${path}: ${error instanceof Error ? error.message : String(error)}`;

/** Reads files here, and joins this terminal with consoles of the server. */
export const fileExchange = (rpc: ServerRpc): Exchange => ({
  async readFile(path) {
    const { readFile, stat } = await import('node:fs/promises');
    try {
      if ((await stat(path)).size > fileBytesMax) throw new Error('it is too large');
      return await readFile(path, 'utf8');
    } catch (error) {
      throw new UsageError(words(path, error));
    }
  },
  async upload(to, file) {
    const { upload } = await import('./file-transfer.ts');
    await upload(rpc, to, file);
  },
  async download(from, file) {
    const { download } = await import('./file-transfer.ts');
    await download(rpc, from, file);
  },
  ...(process.stdin.isTTY ? { ask: typedLine } : {}),
  async attach(vm) {
    const { attach } = await import('./console.ts');
    await attach(rpc, vm);
  },
});

/** The next line of the terminal; nothing at its end. */
async function typedLine(): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin });
  try {
    for await (const line of lines) return line;
    return '';
  } finally {
    lines.close();
  }
}
