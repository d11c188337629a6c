import type { SchedCore } from '../schedule/core.ts';
import { pauseFlag, runState } from '../schedule/core.ts';

/** Words of an entry. */
const entryWords = 8;

const firstRun = 4;

/** Xen's number of the domain that idle vCPUs belong to (`DOMID_IDLE`). */
export const idleDomid = 0x7fff;

/** A decision, as it was kept. */
export interface TraceEntry {
  readonly nowNs: number;
  readonly pcpu: number;
  /** What ran before, and what runs from now on; the domain of idle vCPUs is {@link idleDomid}. */
  readonly previous: TracedVcpu;
  readonly next: TracedVcpu;
  /** Run state that the previous one went to; `running` when it stays. */
  readonly previousState: number;
  /** How long the next one may run; -1 for no limit. */
  readonly sliceNs: number;
  /** When the next one was woken, if it has not run since; -1 otherwise. */
  readonly wokenNs: number;
  /** Run state that it was woken from: blocked, or offline when it had never run. */
  readonly wokenFrom: number;
}

export interface TracedVcpu {
  readonly domain: number;
  readonly vcpu: number;
}

/**
 * The last decisions of a machine, in a ring of fixed size: what `xentrace` would see of the scheduler. Adding one
 * allocates nothing.
 *
 * An entry has the time in two words; the pCPU with the state of what ran before and a bit for a first run; the vCPUs before
 * and after; the slice; and how long ago the next one was woken in two words (-1 for not).
 */
export class TraceRing {
  readonly #words: Int32Array;
  readonly #capacity: number;
  /** Entries ever added. */
  #added = 0;

  /** @param capacity entries that are kept */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#words = new Int32Array(capacity * entryWords);
  }

  /** Entries that are kept now. */
  get size(): number {
    return Math.min(this.#added, this.#capacity);
  }

  /** Entries that had to give way to later ones. */
  get lost(): number {
    return this.#added - this.size;
  }

  /** Keeps a decision, before the switch to it. */
  decision(core: SchedCore, nowNs: number, pcpu: number, unit: number, sliceNs: number): void {
    const words = this.#words;
    const at = (this.#added % this.#capacity) * entryWords;
    this.#added++;
    const previous = core.current[pcpu]!;
    const wokenNs = unit === previous || unit < core.pcpuCount ? -1 : core.wokenNs[unit]!;
    const latencyNs = wokenNs < 0 ? -1 : nowNs - wokenNs;
    words[at] = nowNs >>> 0;
    words[at + 1] = Math.floor(nowNs / 2 ** 32);
    const isFirst = core.dispatches[unit] === 0 ? firstRun : 0;
    words[at + 2] = (pcpu << 3) | isFirst | (unit === previous ? runState.running : stateAfter(core, previous));
    words[at + 3] = packed(core, previous);
    words[at + 4] = packed(core, unit);
    words[at + 5] = Math.min(sliceNs, 0x7fffffff);
    words[at + 6] = latencyNs >>> 0;
    words[at + 7] = Math.floor(latencyNs / 2 ** 32);
  }

  /** The entries, oldest first. */
  *entries(): Generator<TraceEntry> {
    const words = this.#words;
    for (let index = this.lost; index < this.#added; index++) {
      const at = (index % this.#capacity) * entryWords;
      const nowNs = (words[at]! >>> 0) + words[at + 1]! * 2 ** 32;
      const latencyNs = (words[at + 6]! >>> 0) + words[at + 7]! * 2 ** 32;
      yield {
        nowNs,
        pcpu: words[at + 2]! >>> 3,
        previous: unpacked(words[at + 3]!),
        next: unpacked(words[at + 4]!),
        previousState: words[at + 2]! & 3,
        sliceNs: words[at + 5]!,
        wokenNs: words[at + 7]! < 0 ? -1 : nowNs - latencyNs,
        wokenFrom: (words[at + 2]! & firstRun) === 0 ? runState.blocked : runState.offline,
      };
    }
  }
}

/** What becomes of a unit that has to leave its pCPU. */
function stateAfter(core: SchedCore, unit: number): number {
  if (unit < core.pcpuCount) return runState.runnable;
  if ((core.flags[unit]! & pauseFlag.blocked) !== 0) return runState.blocked;
  return core.isRunnable(unit) ? runState.runnable : runState.offline;
}

const packed = (core: SchedCore, unit: number): number =>
  unit < core.pcpuCount ? (idleDomid << 16) | unit : (core.domain[unit]! << 16) | core.vcpu[unit]!;

const unpacked = (word: number): TracedVcpu => ({ domain: word >>> 16, vcpu: word & 0xffff });
