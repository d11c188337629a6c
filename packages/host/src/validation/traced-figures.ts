/** What a trace of real Xen's scheduler shows, in the words in which the model is asked too. */
import type { TracedFigures, TracedGuest, TracedPcpu } from '@xenolith/experiments';
import { readXentrace } from '@xenolith/wire';

/** `TRC_SCHED_RUNSTATE_CHANGE`: the states before and after are in its low digits (xen/common/sched/core.c). */
const runstateChange = 0x00021001;
const changeMask = 0x0ffff00f;
const fromShift = 8;
const toShift = 4;
const running = 0;
const runnable = 1;
/** This, and offline after it: from both a vCPU wakes. */
const blocked = 2;
/** `DOMID_IDLE`. */
const idleDomid = 0x7fff;

interface Change {
  readonly pcpu: number;
  readonly cycles: number;
  readonly domid: number;
  readonly vcpu: number;
  readonly from: number;
  readonly to: number;
}

interface GuestCounts {
  dispatches: number;
  migrations: number;
  readonly waitsCycles: number[];
}

export interface TraceReading {
  /** Names of the guests by their domid. */
  readonly names: ReadonlyMap<number, string>;
  readonly pcpus: readonly number[];
  readonly cpuMhz: number;
}

/**
 * Figures of a trace file with the changes of run states in it (`xentrace -e 0x21000`). What went on before the first and
 * after the last record counts as the records nearest to it say.
 * @returns undefined for a trace that has no such record, or of which Xen lost some
 */
export function tracedFigures(file: Uint8Array, { names, pcpus, cpuMhz }: TraceReading): TracedFigures | undefined {
  const { changes, lost } = changesIn(file);
  const first = changes[0];
  const last = changes.at(-1);
  if (lost > 0 || first === undefined || last === undefined) return undefined;
  const nsPerCycle = 1000 / cpuMhz;
  const guests = new Map([...names.values()].map((name): [string, GuestCounts] => [name, newCounts()]));
  const vcpus = new Map<string, { pcpu?: number; wokenAt?: number }>();
  for (const { pcpu, cycles, domid, vcpu, from, to } of changes) {
    const name = names.get(domid);
    const counts = name === undefined ? undefined : guests.get(name);
    if (counts === undefined) continue;
    const key = `${domid}.${vcpu}`;
    const state = vcpus.get(key) ?? {};
    vcpus.set(key, state);
    if (to === runnable && from >= blocked) state.wokenAt = cycles;
    else if (to === running) {
      counts.dispatches += 1;
      if (state.pcpu !== undefined && state.pcpu !== pcpu) counts.migrations += 1;
      if (state.wokenAt !== undefined) counts.waitsCycles.push(cycles - state.wokenAt);
    }
    if (from === running || to === running) state.pcpu = pcpu;
    if (to !== runnable || from < blocked) delete state.wokenAt;
  }
  return {
    durationNs: (last.cycles - first.cycles) * nsPerCycle,
    guests: Object.fromEntries([...guests].map(([name, counts]) => [name, guestFigures(counts, nsPerCycle)])),
    pcpus: Object.fromEntries(pcpus.map((pcpu) => [pcpu, pcpuFigures(pcpu, changes, nsPerCycle)])),
  };
}

const newCounts = (): GuestCounts => ({ dispatches: 0, migrations: 0, waitsCycles: [] });

/** The changes of run states of a file in order of time. */
function changesIn(file: Uint8Array): { readonly changes: readonly Change[]; readonly lost: number } {
  const changes: Change[] = [];
  const lost = readXentrace(file, ({ event, pcpu, cycles, words: [of] }) => {
    if ((event & changeMask) !== runstateChange || cycles === undefined || of === undefined) return;
    const [from, to] = [(event >>> fromShift) & 0xf, (event >>> toShift) & 0xf];
    changes.push({ pcpu, cycles, domid: of >>> 16, vcpu: of & 0xffff, from, to });
  });
  // Stable: what one pCPU did at one time stays in its order.
  changes.sort((a, b) => a.cycles - b.cycles);
  return { changes, lost };
}

function guestFigures({ dispatches, migrations, waitsCycles }: GuestCounts, nsPerCycle: number): TracedGuest {
  const sorted = waitsCycles.toSorted((a, b) => a - b);
  const quantile = (of: number): number =>
    sorted.length === 0 ? 0 : (sorted[Math.ceil(sorted.length * of) - 1] ?? 0) * nsPerCycle;
  return { dispatches, migrations, wakes: sorted.length, wakeP50Ns: quantile(0.5), wakeP95Ns: quantile(0.95) };
}

/** A pCPU without a record had the same on it all the time; nobody's running there is known, so it was idle. */
function pcpuFigures(pcpu: number, all: readonly Change[], nsPerCycle: number): TracedPcpu {
  const begin = all[0]?.cycles ?? 0;
  const end = all.at(-1)?.cycles ?? 0;
  let switches = 0;
  let busyCycles = 0;
  /** Since when a domain is on it; undefined while none is, or while it is not known. */
  let since: number | undefined;
  let isFirst = true;
  for (const { pcpu: where, cycles, domid, from, to } of all) {
    if (where !== pcpu || (from !== running && to !== running) || domid === idleDomid) {
      if (where === pcpu && domid === idleDomid && to === running) switches += 1;
      if (where === pcpu && domid === idleDomid) isFirst = false;
      continue;
    }
    if (from === running) {
      if (since !== undefined || isFirst) busyCycles += cycles - (since ?? begin);
      since = undefined;
    } else {
      switches += 1;
      since = cycles;
    }
    isFirst = false;
  }
  if (since !== undefined) busyCycles += end - since;
  return { switches, busyNs: busyCycles * nsPerCycle };
}
