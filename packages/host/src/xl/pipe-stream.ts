/** Node's streams as the ends of a {@link Pipe}. */
import type { Readable, Writable } from 'node:stream';

/**
 * What a stream gives, one piece ahead at most: while nobody takes it, the stream stands still. The stream is not
 * destroyed at its end, which for one of SSH would be the end of the channel before its exit code is heard.
 * @param closed settles when the command has ended
 * @param failure why it ended early, or undefined when it did not
 */
export async function* takeFrom(
  stream: Readable,
  closed: Promise<unknown>,
  failure: () => Error | undefined,
): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let ended = false;
  let isClosed = false;
  let wake = (): void => undefined;
  stream.on('data', (data: Uint8Array) => {
    pieces.push(data);
    stream.pause();
    wake();
  });
  stream.once('end', () => {
    ended = true;
    wake();
  });
  const close = (): void => {
    isClosed = true;
    wake();
  };
  closed.then(close, close);
  try {
    for (;;) {
      const piece = pieces.shift();
      if (piece !== undefined) {
        yield piece;
        continue;
      }
      const why = failure();
      if (why !== undefined) throw why;
      // A command may be over while its last bytes are still to be taken.
      if (ended || (isClosed && stream.readableLength === 0)) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        stream.resume();
      });
    }
  } finally {
    // What nobody takes any more must not keep the command from ending.
    stream.removeAllListeners('data');
    stream.resume();
  }
}

/**
 * A writer that resolves when there is room for more, or nobody reads any longer. One write at a time.
 * @param closed settles when the command has ended
 */
export function writerTo(stream: Writable, closed: Promise<unknown>): (data: Uint8Array) => Promise<void> {
  let isClosed = false;
  let wake = (): void => undefined;
  const close = (): void => {
    isClosed = true;
    wake();
  };
  closed.then(close, close);
  stream.on('drain', () => wake());
  stream.on('close', close);
  return (data) => {
    if (isClosed || stream.destroyed || stream.write(data)) return Promise.resolve();
    return new Promise((resolve) => {
      wake = resolve;
    });
  };
}
