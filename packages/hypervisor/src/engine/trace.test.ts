import { expect, test } from 'vitest';
import { Machine } from '../machine/machine.ts';
import { buildTopology } from '../topology/topology.ts';
import { chromeTrace, traceEvent, xentraceBytes } from './trace-export.ts';
import { idleDomid, TraceRing } from './trace-ring.ts';

const ms = 1_000_000;
const topology = buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: 2, threadsPerCore: 1 });

/** Two pCPUs, three hogs and a user, under credit. */
function traced(capacity: number): { readonly machine: Machine; readonly trace: TraceRing } {
  const trace = new TraceRing(capacity);
  const machine = new Machine({ topology, seed: 1, trace });
  machine.addCpupool({ name: 'p', scheduler: 'credit', pcpus: [0, 1] });
  for (let hog = 0; hog < 3; hog++) {
    machine.addDomain({ name: `hog${hog}`, cpupool: 'p', vcpus: [{ workload: { kind: 'hog' } }] });
  }
  const workload = { kind: 'interactive', workNs: 2 * ms, sleepNs: 5 * ms } as const;
  machine.addDomain({ name: '"user"', cpupool: 'p', vcpus: [{ workload }] });
  // Past 2^32 ns: times need their second word.
  machine.run(5000 * ms);
  return { machine, trace };
}

test('every decision is in the trace, in order, and each goes on from the one before', () => {
  const { machine, trace } = traced(1 << 16);
  const entries = [...trace.entries()];
  expect(entries.length).toBe(machine.core.decisions);
  expect(trace.lost).toBe(0);
  const on = [0, 1].map((vcpu) => ({ domain: idleDomid, vcpu }));
  let beforeNs = 0;
  for (const { nowNs, pcpu, previous, next } of entries) {
    expect(nowNs).toBeGreaterThanOrEqual(beforeNs);
    expect(previous).toEqual(on[pcpu]);
    beforeNs = nowNs;
    on[pcpu] = next;
  }
  expect(beforeNs).toBeGreaterThan(2 ** 32);
});

test('a full ring keeps the latest', () => {
  const all = [...traced(1 << 16).trace.entries()];
  const { trace } = traced(100);
  expect(trace.size).toBe(100);
  expect(trace.lost).toBe(all.length - 100);
  expect([...trace.entries()]).toEqual(all.slice(-100));
});

interface Slice {
  readonly name: string;
  readonly ph: string;
  readonly ts: number;
  readonly dur: number;
  readonly tid: number;
}

test('slices of a Chrome trace do not overlap, and add up to the running time of each vCPU', () => {
  const { machine, trace } = traced(1 << 16);
  const json = chromeTrace(trace, machine.core.now, { title: 't', vcpu: machine.nameOf.bind(machine) });
  const { traceEvents } = JSON.parse(json) as { readonly traceEvents: readonly Slice[] };
  const slices = traceEvents.filter(({ ph }) => ph === 'X');
  for (const pcpu of [0, 1]) {
    let endUs = 0;
    for (const { ts, dur } of slices.filter(({ tid }) => tid === pcpu)) {
      expect(ts).toBeGreaterThanOrEqual(endUs - 1e-3);
      endUs = ts + dur;
    }
  }
  for (const { name, runNs } of machine.figures().domains) {
    const own = slices.filter((slice) => slice.name === `${name}v0`).reduce((sum, { dur }) => sum + dur * 1000, 0);
    expect(Math.round(own)).toBe(runNs);
  }
  const wakes = traceEvents.filter(({ ph, name }) => ph === 'i' && name === 'wake "user"v0').length;
  expect(wakes).toBe(machine.figures().domains[3]?.wakeNs.count);
});

interface Parsed {
  readonly event: number;
  readonly pcpu: number;
  readonly atNs: number | undefined;
  readonly data: readonly number[];
}

/** Reads records as xentrace's readers do: header, time if there, data words. */
function parse(bytes: Uint8Array): readonly Parsed[] {
  const view = new DataView(bytes.buffer);
  const records: Parsed[] = [];
  let pcpu = -1;
  let windowEnd = -1;
  for (let at = 0; at < bytes.length;) {
    const header = view.getUint32(at, true);
    const event = header & 0x0fffffff;
    const words = (header >>> 28) & 7;
    const hasTime = header >>> 31 === 1;
    const dataAt = at + (hasTime ? 12 : 4);
    const data = Array.from({ length: words }, (_, index) => view.getUint32(dataAt + 4 * index, true));
    const atNs = hasTime ? view.getUint32(at + 4, true) + view.getUint32(at + 8, true) * 2 ** 32 : undefined;
    at = dataAt + 4 * words;
    if (event === traceEvent.cpuChange) {
      expect(at - 4 - 4 * words).toBe(windowEnd < 0 ? 0 : windowEnd);
      pcpu = data[0] ?? -1;
      windowEnd = at + (data[1] ?? 0);
    } else records.push({ event, pcpu, atNs, data });
  }
  expect(windowEnd).toBe(bytes.length);
  return records;
}

test('xentrace records: switches, wakes and run states, in windows of a pCPU and in order of time', () => {
  const { machine, trace } = traced(1 << 16);
  const records = parse(xentraceBytes(trace));
  const times = records.map(({ atNs }) => atNs!);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  const { pcpus, domains } = machine.figures();
  for (const { pcpu, contextSwitches } of pcpus) {
    const own = records.filter((record) => record.event === traceEvent.switch && record.pcpu === pcpu);
    expect(own.length).toBe(contextSwitches);
  }
  const wakes = records.filter(({ event, data }) => event === traceEvent.wake && data[0] === 3);
  expect(wakes.length).toBe(domains[3]?.wakeNs.count);
  // The first wake of a domain is its start, from offline; the later ones are from blocked.
  const states = records
    .filter(({ event, data }) => (event & ~0x330) === traceEvent.runstateChange && data[0] === 3 << 16)
    .map(({ event }) => [(event >>> 8) & 3, (event >>> 4) & 3]);
  expect(states.slice(0, 5)).toEqual([
    [3, 1],
    [1, 0],
    [0, 2],
    [2, 1],
    [1, 0],
  ]);
});

test('what a ring has lost is said at the beginning', () => {
  const { trace } = traced(100);
  expect(parse(xentraceBytes(trace))[0]).toMatchObject({
    event: traceEvent.lostRecords,
    data: [trace.lost, 0x7fff0000, 0, 0],
  });
});
