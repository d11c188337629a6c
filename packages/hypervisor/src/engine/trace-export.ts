/** A trace of decisions in the forms that other programs read. */
import { runState } from '../schedule/core.ts';
import { idleDomid, type TraceEntry, type TracedVcpu, type TraceRing } from './trace-ring.ts';

/** Names for the rows and slices of a picture of a trace. */
export interface TraceNames {
  /** What the machine is called. */
  readonly title: string;
  readonly vcpu: (domain: number, vcpu: number) => string;
}

/** An event of Chrome's trace format (the one of `chrome://tracing` and Perfetto); times in µs. */
interface ChromeEvent {
  readonly name: string;
  readonly ph: 'X' | 'M' | 'i';
  readonly ts?: number;
  readonly dur?: number;
  readonly pid: number;
  readonly tid: number;
  readonly s?: 't';
  readonly args?: Readonly<Record<string, string | number>>;
}

/**
 * A trace as Chrome's trace JSON: a row for each pCPU, a slice for each time that a vCPU was on it, a mark for each wake.
 * @param endNs when the trace ends: what runs then has a slice up to there
 */
export function chromeTrace(ring: TraceRing, endNs: number, names: TraceNames): string {
  const events: ChromeEvent[] = [{ name: 'process_name', ph: 'M', pid: 0, tid: 0, args: { name: names.title } }];
  const begun: ({ readonly entry: TraceEntry } | undefined)[] = [];
  const close = (pcpu: number, atNs: number): void => {
    const entry = begun[pcpu]?.entry;
    if (entry === undefined || entry.next.domain === idleDomid) return;
    const { nowNs, next, sliceNs, wokenNs } = entry;
    const args = { slice_ns: sliceNs, ...(wokenNs < 0 ? {} : { wake_latency_ns: nowNs - wokenNs }) };
    events.push({
      name: names.vcpu(next.domain, next.vcpu),
      ph: 'X',
      ts: nowNs / 1000,
      dur: (atNs - nowNs) / 1000,
      pid: 0,
      tid: pcpu,
      args,
    });
  };
  for (const entry of ring.entries()) {
    const { nowNs, pcpu, previous, next, wokenNs } = entry;
    if (begun[pcpu] !== undefined && isSame(previous, next)) continue;
    if (begun[pcpu] === undefined) {
      events.push({ name: 'thread_name', ph: 'M', pid: 0, tid: pcpu, args: { name: `pCPU ${pcpu}` } });
    }
    close(pcpu, nowNs);
    begun[pcpu] = { entry };
    if (wokenNs < 0) continue;
    const name = `wake ${names.vcpu(next.domain, next.vcpu)}`;
    events.push({ name, ph: 'i', ts: wokenNs / 1000, pid: 0, tid: pcpu, s: 't' });
  }
  for (const pcpu of begun.keys()) close(pcpu, endNs);
  return `{"displayTimeUnit":"ns","traceEvents":[\n${events.map((event) => JSON.stringify(event)).join(',\n')}\n]}\n`;
}

const isSame = (a: TracedVcpu, b: TracedVcpu): boolean => a.domain === b.domain && a.vcpu === b.vcpu;

/** Numbers of trace events (`TRC_*`, xen/include/public/trace.h). */
export const traceEvent = {
  lostRecords: 0x0001f001,
  cpuChange: 0x0001f003,
  runstateChange: 0x00021001,
  continueRunning: 0x00021002,
  wake: 0x00028004,
  switch: 0x0002800a,
} as const;

/** In the header of a record: its data words, and whether it has the time (`struct t_rec`). */
const extraShift = 28;
const withTime = 0x80000000;

interface TraceRecord {
  readonly atNs: number;
  readonly pcpu: number;
  readonly event: number;
  readonly data: readonly number[];
}

/**
 * A trace in the format of `xentrace`'s files: records of `struct t_rec`, little-endian, those of a pCPU that follow each
 * other behind a record that names it. The time stamp is in nanoseconds, as of a counter of 1 GHz. Of a wake, the record
 * names the pCPU where the vCPU came to run. Records that the ring has lost are counted at the beginning.
 */
export function xentraceBytes(ring: TraceRing): Uint8Array {
  const records = [...ring.entries()].flatMap(recordsOf);
  // Wakes are known when they end; sorting is stable.
  records.sort((a, b) => a.atNs - b.atNs);
  const words: number[] = [];
  if (ring.lost > 0) {
    appendCpuChange(words, 0, 5 * 4);
    // did, vCPU and time of the first lost record are not known.
    words.push(traceEvent.lostRecords | (4 << extraShift), ring.lost, idleDomid << 16, 0, 0);
  }
  for (let from = 0; from < records.length;) {
    const { pcpu } = records[from]!;
    let to = from;
    let length = 0;
    for (; to < records.length && records[to]!.pcpu === pcpu; to++) length += (3 + records[to]!.data.length) * 4;
    appendCpuChange(words, pcpu, length);
    for (; from < to; from++) appendRecord(words, records[from]!);
  }
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) view.setUint32(index * 4, word >>> 0, true);
  return bytes;
}

function appendCpuChange(words: number[], pcpu: number, windowBytes: number): void {
  words.push(traceEvent.cpuChange | (2 << extraShift), pcpu, windowBytes);
}

function appendRecord(words: number[], { atNs, event, data }: TraceRecord): void {
  words.push((event | (data.length << extraShift) | withTime) >>> 0, atNs >>> 0, Math.floor(atNs / 2 ** 32), ...data);
}

function recordsOf({
  nowNs,
  pcpu,
  previous,
  next,
  previousState,
  wokenNs,
  wokenFrom,
}: TraceEntry): readonly TraceRecord[] {
  if (isSame(previous, next)) {
    return [{ atNs: nowNs, pcpu, event: traceEvent.continueRunning, data: [packedVcpu(next)] }];
  }
  const records: TraceRecord[] = [];
  if (wokenNs >= 0) {
    records.push(
      { atNs: wokenNs, pcpu, event: stateChange(wokenFrom, runState.runnable), data: [packedVcpu(next)] },
      { atNs: wokenNs, pcpu, event: traceEvent.wake, data: [next.domain, next.vcpu] },
    );
  }
  records.push(
    {
      atNs: nowNs,
      pcpu,
      event: traceEvent.switch,
      data: [previous.domain, previous.vcpu, next.domain, next.vcpu],
    },
    { atNs: nowNs, pcpu, event: stateChange(runState.running, previousState), data: [packedVcpu(previous)] },
    { atNs: nowNs, pcpu, event: stateChange(runState.runnable, runState.running), data: [packedVcpu(next)] },
  );
  return records;
}

/** `TRC_SCHED_RUNSTATE_CHANGE` with the states before and after in it. */
const stateChange = (from: number, to: number): number => traceEvent.runstateChange | (from << 8) | (to << 4);

const packedVcpu = ({ domain, vcpu }: TracedVcpu): number => (domain << 16) | vcpu;
