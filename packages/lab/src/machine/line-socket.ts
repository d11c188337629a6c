import { connect } from 'node:net';
import { LabError } from '../lab-error.ts';

/** How much a peer may send without our taking it. */
const BUFFER_CHARS_MAX = 4 * 1024 * 1024;

/** A connection that is read line by line; the lines before the one looked for are given along with it. */
export type LineSocket = {
  readonly send: (text: string) => void;
  /** Waits for a line that `matches`, for at most `timeoutMs`; gives it and all lines since the last call. Throws LabError TIMED_OUT or BOOT_FAILED. */
  readonly waitFor: (matches: (line: string) => boolean, timeoutMs: number, what: string) => Promise<readonly string[]>;
  readonly close: () => void;
};

/** Connects to a unix socket. Throws LabError BOOT_FAILED when nobody listens, TIMED_OUT. */
export async function openLineSocket(path: string, timeoutMs: number, signal?: AbortSignal): Promise<LineSocket> {
  const socket = connect(path);
  socket.setEncoding('utf8');
  let buffer = '';
  const state: { ended: string | undefined } = { ended: undefined };
  let wake = (): void => {};
  socket.on('data', (chunk: string) => {
    buffer += chunk;
    if (buffer.length > BUFFER_CHARS_MAX) socket.destroy(new Error('more than 4 MiB without an end'));
    wake();
  });
  socket.on('error', (error) => {
    state.ended ??= error.message;
    wake();
  });
  socket.on('close', () => {
    state.ended ??= 'the connection was closed';
    wake();
  });
  const changed = (deadline: number, what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const finish = (failure?: LabError): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        wake = () => {};
        if (failure === undefined) resolve();
        else reject(failure);
      };
      const timer = setTimeout(
        () => finish(new LabError('TIMED_OUT', `${what}: no answer in time`)),
        Math.max(0, deadline - performance.now()),
      );
      const onAbort = (): void => finish(new LabError('INTERRUPTED', 'interrupted'));
      wake = () => finish();
      if (signal?.aborted === true) finish(new LabError('INTERRUPTED', 'interrupted'));
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  const takeThrough = (matches: (line: string) => boolean): readonly string[] | undefined => {
    const lines = buffer.split('\n');
    const found = lines.findIndex((line, index) => index < lines.length - 1 && matches(line.trimEnd()));
    if (found === -1) return undefined;
    buffer = lines.slice(found + 1).join('\n');
    return lines.slice(0, found + 1).map((line) => line.trimEnd());
  };

  const connectDeadline = performance.now() + timeoutMs;
  socket.on('connect', () => wake());
  while (socket.connecting && state.ended === undefined) {
    try {
      await changed(connectDeadline, path);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }
  if (state.ended !== undefined) throw new LabError('BOOT_FAILED', `${path}: ${state.ended}`);
  return {
    send: (text) => {
      socket.write(text);
    },
    waitFor: async (matches, waitMs, what) => {
      const deadline = performance.now() + waitMs;
      for (;;) {
        const lines = takeThrough(matches);
        if (lines !== undefined) return lines;
        if (state.ended !== undefined) throw new LabError('BOOT_FAILED', `${what}: ${state.ended}`);
        await changed(deadline, what);
      }
    },
    close: () => socket.destroy(),
  };
}
