/** The length that goes before each frame on a QEMU `-netdev stream` (net/net.c, net_fill_rstate): 4 bytes, big-endian. */
const LENGTH_BYTES = 4;
/** QEMU's own limit for a frame (NET_BUFSIZE in include/net/net.h). */
export const FRAME_BYTES_MAX = 4096 + 65536;

/** What a decoder made of the bytes so far: whole frames, or the reason why the stream cannot go on. */
export type Decoded = { readonly frames: readonly Buffer[]; readonly error?: string };

/** Turns a byte stream back into Ethernet frames, however the stream is cut. After an error nothing more can be decoded. */
export class FrameDecoder {
  #pending: Buffer = Buffer.alloc(0);

  /** Takes the next bytes of the stream and gives the frames they complete. */
  push(chunk: Buffer): Decoded {
    let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const frames: Buffer[] = [];
    while (rest.length >= LENGTH_BYTES) {
      const length = rest.readUInt32BE(0);
      if (length === 0 || length > FRAME_BYTES_MAX) return { frames, error: `a frame of ${length} bytes` };
      if (rest.length < LENGTH_BYTES + length) break;
      frames.push(rest.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
      rest = rest.subarray(LENGTH_BYTES + length);
    }
    this.#pending = rest;
    return { frames };
  }
}

/** A frame as it goes on the stream. */
export function encodeFrame(frame: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(frame.length, 0);
  return Buffer.concat([length, frame]);
}
