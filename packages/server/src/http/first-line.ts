/** A look at how a connection begins, before anybody reads it. */
import type { Duplex } from 'node:stream';

const thinCli = Buffer.from('POST /cli ');

/** Whether the bytes are the beginning of a thin CLI request; undefined while that cannot be told. */
export function isThinCli(bytes: Uint8Array): boolean | undefined {
  const known = Math.min(bytes.length, thinCli.length);
  if (!thinCli.subarray(0, known).equals(bytes.subarray(0, known))) return false;
  return known === thinCli.length ? true : undefined;
}

/**
 * Gives the connection to whom its first bytes are for, paused, with all that has come still to be read. A connection
 * that ends before that is nobody's.
 */
export function tellApart(socket: Duplex, to: { readonly thinCli: () => void; readonly http: () => void }): void {
  let seen = Buffer.alloc(0);
  const look = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk]);
    const answer = isThinCli(seen);
    if (answer === undefined) return;
    socket.off('data', look);
    socket.pause();
    socket.unshift(seen);
    (answer ? to.thinCli : to.http)();
  };
  socket.on('data', look);
  // It may be paused, and then a listener alone does not have it go on.
  socket.resume();
}
