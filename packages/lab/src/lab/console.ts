import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { LabError } from '../lab-error.ts';
import type { LabHost } from './lab-state.ts';

/** Ctrl-], as in telnet and `xl console`. */
export const CONSOLE_ESCAPE = '\u001d';

/**
 * Joins two streams with a host's console (Xen's messages and a root shell of dom0) until Ctrl-] comes in on `input`, `signal` is aborted, or the host ends.
 * A terminal must be in raw mode before. Throws LabError BOOT_FAILED when the console cannot be reached.
 */
export function attachConsole(
  host: LabHost,
  streams: { readonly input: Readable; readonly output: Writable; readonly signal?: AbortSignal },
): Promise<'detached' | 'ended'> {
  const { input, output, signal } = streams;
  return new Promise((resolve, reject) => {
    const socket = connect(host.consoleSocketPath);
    const finish = (result: 'detached' | 'ended'): void => {
      input.off('data', onInput);
      input.pause();
      signal?.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(result);
    };
    const onAbort = (): void => finish('detached');
    const onInput = (chunk: Buffer | string): void => {
      const bytes = Buffer.from(chunk);
      const escape = bytes.indexOf(CONSOLE_ESCAPE);
      if (escape === -1) socket.write(bytes);
      else {
        socket.write(bytes.subarray(0, escape));
        finish('detached');
      }
    };
    socket.once('connect', () => {
      input.on('data', onInput);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted === true) onAbort();
    });
    socket.on('data', (chunk) => output.write(chunk));
    socket.once('error', (cause) =>
      reject(new LabError('BOOT_FAILED', `the console of ${host.name} cannot be reached: ${cause.message}`, { cause })),
    );
    socket.once('close', () => finish('ended'));
  });
}
