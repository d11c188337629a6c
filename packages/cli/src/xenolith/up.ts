/** `xenolith up`: the server, as a program of its own. */
import { fileURLToPath } from 'node:url';
import { runChild } from './run-child.ts';

/** Runs xenolithd with its own options until it ends. */
export function runServer(options: readonly string[]): Promise<void> {
  const main = fileURLToPath(new URL('main.ts', import.meta.resolve('@xenolith/server')));
  // Without the --, Node takes --env-file for itself.
  return runChild(process.execPath, ['--', main, ...options]);
}
