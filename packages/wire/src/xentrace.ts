/** Files of `xentrace`: what Xen's trace buffers held (xen/include/public/trace.h, `struct t_rec`). */

/** A record: what happened, on which pCPU, when by the counter of cycles (absent where the record has no time), and its data. */
export interface XentraceRecord {
  /** `TRC_*`, without the bits of the header. */
  readonly event: number;
  readonly pcpu: number;
  readonly cycles?: number;
  readonly words: readonly number[];
}

/** `TRC_TRACE_CPU_CHANGE`: what follows, for so many bytes, is of that pCPU. */
const cpuChange = 0x0001f003;
/** `TRC_LOST_RECORDS`. */
const lostRecords = 0x0001f001;
const eventMask = 0x0fffffff;
const extraShift = 28;
const extraMask = 7;
const withCycles = 0x80000000;

/** What a file may have: half a gigabyte. */
const bytesMax = 512 * 1024 * 1024;

export class XentraceError extends Error {
  override readonly name = 'XentraceError';
}

/**
 * Hands over the records of a file as they stand in it: in order of time only for each pCPU. A record that the end of the
 * file cuts off is left out, as of a tracer that was stopped.
 * @returns how many records Xen could not keep, by its own word
 * @throws XentraceError for a file that is too large, or that does not begin with the name of a pCPU
 */
export function readXentrace(bytes: Uint8Array, visit: (record: XentraceRecord) => void): number {
  if (bytes.length > bytesMax) throw new XentraceError(`a trace of ${bytes.length} bytes is too large`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let pcpu: number | undefined;
  let lost = 0;
  let at = 0;
  while (at + 4 <= bytes.length) {
    const header = view.getUint32(at, true);
    const event = header & eventMask;
    const extra = (header >>> extraShift) & extraMask;
    const hasCycles = (header & withCycles) !== 0;
    const wordsAt = at + (hasCycles ? 12 : 4);
    const next = wordsAt + extra * 4;
    if (next > bytes.length) break;
    const words = Array.from({ length: extra }, (_, index) => view.getUint32(wordsAt + index * 4, true));
    if (event === cpuChange) pcpu = words[0];
    else if (pcpu === undefined) throw new XentraceError('not a trace: it does not begin with the name of a pCPU');
    else {
      if (event === lostRecords) lost += words[0] ?? 0;
      const cycles = hasCycles ? view.getUint32(at + 4, true) + view.getUint32(at + 8, true) * 2 ** 32 : undefined;
      visit({ event, pcpu, words, ...(cycles === undefined ? {} : { cycles }) });
    }
    at = next;
  }
  return lost;
}
