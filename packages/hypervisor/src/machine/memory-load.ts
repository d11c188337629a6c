/** What memory costs the vCPUs of a machine that schedules: their running time becomes work, at rates that change with every switch. */
import { assert } from '@xenolith/base';
import { grownFloat64, grownInt32 } from '../engine/timer-heap.ts';
import { calibratedMemoryCost, MemoryCostSolver, type MemoryCostParameters } from '../numa/memory-cost.ts';
import type { SchedCore } from '../schedule/core.ts';

export interface MemoryLoadOptions {
  /** Those of the specification where absent. */
  readonly cost?: MemoryCostParameters;
  /**
   * A vCPU that comes onto a pCPU of another node does no work for so long, as its caches are empty there; 500 µs where absent.
   * The specification knows only that it is 0.2 to 1 ms.
   */
  readonly refillNs?: number;
}

/** A {@link MemoryLoad} at one moment. */
export interface MemoryLoadState {
  readonly cost: MemoryCostParameters;
  readonly refillNs: number;
  readonly sinceNs: number;
  readonly shares: readonly (readonly [domid: number, shares: readonly number[]])[];
  readonly kinds: readonly (readonly number[])[];
  readonly workNs: Float64Array;
  readonly refillLeftNs: Float64Array;
  readonly lastNode: Int32Array;
}

const defaultRefillNs = 500_000;
/** Mixes of busy threads whose rates are kept. */
const knownMax = 4096;
/** Kinds of memory from which on those that no domain has any more are forgotten. */
const kindsMax = 256;

/**
 * Between two switches everything that runs has a rate of its own (numa/memory-cost.ts); VMs that have a vCPU on a pCPU then are
 * the busy ones. Nothing is scheduled otherwise for it: programs take the CPU time that they took without.
 */
export class MemoryLoad {
  readonly #core: SchedCore;
  readonly #cost: MemoryCostParameters;
  readonly #refillNs: number;
  readonly #solver: MemoryCostSolver;
  /** By pCPU. */
  readonly #nodeOf: Int32Array;
  readonly #siblings: readonly (readonly number[])[];
  readonly #nodes: number;
  readonly #shares = new Map<number, readonly number[]>();
  /** Different shares that domains have, the even ones of a domain whose memory nobody has said first; and which a domain has. */
  #kinds: readonly (readonly number[])[];
  readonly #kindOf = new Map<number, number>();
  /** By unit: work until {@link #sinceNs}, what is left of refilling, and the node that it ran on last (-1 for none). */
  #workNs: Float64Array;
  #refillLeftNs: Float64Array;
  #lastNode: Int32Array;
  /** From here on the rates are those of what runs now. */
  #sinceNs: number;
  /** Rates by pCPU, 0 where it is idle; they are of what runs now if they are solved. */
  readonly #rates: Float64Array;
  #isSolved = false;
  /** Busy threads by kind of memory, node and whether the core is shared; the group of each pCPU, -1 for none. */
  #groups: Uint16Array;
  readonly #groupOf: Int32Array;
  /** Rates of groups that were solved before, by what there was of each. */
  readonly #known = new Map<string, Float64Array>();

  constructor(core: SchedCore, { cost = calibratedMemoryCost, refillNs = defaultRefillNs }: MemoryLoadOptions) {
    assert(refillNs >= 0, `a refill of ${refillNs}`);
    const { pcpus, nodes } = core.topology;
    this.#core = core;
    this.#cost = cost;
    this.#refillNs = refillNs;
    this.#solver = new MemoryCostSolver(
      cost,
      nodes.map(({ distances }) => distances),
    );
    this.#nodeOf = Int32Array.from(pcpus, ({ node }) => node);
    this.#siblings = pcpus.map((own) =>
      pcpus
        .filter((each) => each !== own && each.socket === own.socket && each.core === own.core)
        .map(({ pcpu }) => pcpu),
    );
    this.#nodes = nodes.length;
    this.#kinds = [nodes.map(() => 1 / nodes.length)];
    this.#groups = new Uint16Array(2 * nodes.length);
    this.#groupOf = new Int32Array(pcpus.length);
    this.#rates = new Float64Array(pcpus.length);
    this.#workNs = new Float64Array(core.unitCapacity);
    this.#refillLeftNs = new Float64Array(core.unitCapacity);
    this.#lastNode = new Int32Array(core.unitCapacity).fill(-1);
    this.#sinceNs = core.now;
  }

  /** A vCPU is new. */
  addUnit(unit: number): void {
    const { unitCapacity } = this.#core;
    if (unitCapacity > this.#workNs.length) {
      this.#workNs = grownFloat64(this.#workNs, unitCapacity);
      this.#refillLeftNs = grownFloat64(this.#refillLeftNs, unitCapacity);
      this.#lastNode = grownInt32(this.#lastNode, unitCapacity, -1);
    }
    this.#workNs[unit] = 0;
    this.#refillLeftNs[unit] = 0;
    this.#lastNode[unit] = -1;
  }

  removeDomain(domid: number): void {
    this.#shares.delete(domid);
    this.#kindOf.delete(domid);
  }

  /**
   * Where a domain's memory is from now on: all of it is accessed alike.
   * @param amountsByNode of any unit; index is the node's number, and nodes at the end that have none may be left out
   */
  setMemory(domid: number, amountsByNode: readonly number[]): void {
    const nodes = this.#nodes;
    const total = amountsByNode.reduce((sum, amount) => sum + amount, 0);
    const isSound = amountsByNode.length <= nodes && amountsByNode.every((amount) => amount >= 0) && total > 0;
    assert(isSound, `memory of ${amountsByNode.join(', ')} on ${nodes} nodes`);
    this.#commit();
    this.#isSolved = false;
    this.#setShares(
      domid,
      Array.from({ length: nodes }, (_, node) => (amountsByNode[node] ?? 0) / total),
    );
  }

  #setShares(domid: number, shares: readonly number[]): void {
    this.#shares.set(domid, shares);
    const isSame = (each: readonly number[]): boolean => each.every((share, node) => share === shares[node]);
    if (!this.#kinds.some(isSame)) {
      const isFull = this.#kinds.length >= kindsMax;
      this.#setKinds(isFull ? [this.#kinds[0]!, ...this.#shares.values()] : [...this.#kinds, shares]);
    }
    this.#kindOf.set(domid, this.#kinds.findIndex(isSame));
  }

  /** Numbers kinds of memory anew, and the domains by them. */
  #setKinds(kinds: readonly (readonly number[])[]): void {
    this.#kinds = [...kinds];
    this.#groups = new Uint16Array(kinds.length * this.#nodes * 2);
    this.#known.clear();
    for (const [domid, shares] of this.#shares) {
      const kind = kinds.findIndex((each) => each.every((share, node) => share === shares[node]));
      this.#kindOf.set(domid, kind);
    }
  }

  /** A decision, before the switch to it: what ran is still the current one. */
  decided(pcpu: number, unit: number): void {
    const core = this.#core;
    if (unit === core.current[pcpu]) return;
    this.#commit();
    this.#isSolved = false;
    if (core.isIdle(unit)) return;
    const node = this.#nodeOf[pcpu]!;
    const before = this.#lastNode[unit]!;
    if (before >= 0 && before !== node) this.#refillLeftNs[unit] = this.#refillNs;
    this.#lastNode[unit] = node;
  }

  /** What a vCPU has done so far, in nanoseconds of a thread that nothing slows. */
  workNs(unit: number): number {
    const committed = this.#workNs[unit]!;
    const pcpu = this.#core.current.indexOf(unit);
    if (pcpu < 0) return committed;
    this.#solve();
    return committed + this.#sinceThen(unit, pcpu);
  }

  capture(): MemoryLoadState {
    return {
      cost: this.#cost,
      refillNs: this.#refillNs,
      sinceNs: this.#sinceNs,
      shares: [...this.#shares],
      kinds: [...this.#kinds],
      workNs: this.#workNs.slice(),
      refillLeftNs: this.#refillLeftNs.slice(),
      lastNode: this.#lastNode.slice(),
    };
  }

  /** What was captured, on a core that is what that core was. */
  static restored(core: SchedCore, state: MemoryLoadState): MemoryLoad {
    const load = new MemoryLoad(core, state);
    load.#sinceNs = state.sinceNs;
    // Rates are the same to the last bit only where they are summed in the same order.
    load.#setKinds(state.kinds);
    for (const [domid, shares] of state.shares) load.#setShares(domid, shares);
    load.#workNs = state.workNs.slice();
    load.#refillLeftNs = state.refillLeftNs.slice();
    load.#lastNode = state.lastNode.slice();
    return load;
  }

  /** Counts what was done until now. */
  #commit(): void {
    const { now, current } = this.#core;
    if (now === this.#sinceNs) return;
    this.#solve();
    for (let pcpu = 0; pcpu < current.length; pcpu++) {
      const unit = current[pcpu]!;
      if (this.#core.isIdle(unit)) continue;
      this.#workNs[unit]! += this.#sinceThen(unit, pcpu);
      this.#refillLeftNs[unit] = Math.max(0, this.#refillLeftNs[unit]! - (now - this.#sinceNs));
    }
    this.#sinceNs = now;
  }

  /** Work of a vCPU that runs, since the last change. */
  #sinceThen(unit: number, pcpu: number): number {
    const usefulNs = Math.max(0, this.#core.now - this.#sinceNs - this.#refillLeftNs[unit]!);
    return usefulNs * this.#rates[pcpu]!;
  }

  /** Finds the rates of what runs now. */
  #solve(): void {
    if (this.#isSolved) return;
    const busyVms = this.#countGroups();
    const key = `${busyVms} ${this.#groups.join(' ')}`;
    let rates = this.#known.get(key);
    if (rates === undefined) {
      rates = this.#ratesOfGroups(busyVms);
      if (this.#known.size === knownMax) this.#known.clear();
      this.#known.set(key, rates);
    }
    for (let pcpu = 0; pcpu < this.#rates.length; pcpu++) {
      const group = this.#groupOf[pcpu]!;
      this.#rates[pcpu] = group < 0 ? 0 : rates[group]!;
    }
    this.#isSolved = true;
  }

  /** Puts what runs into groups. @returns VMs that have a vCPU on a pCPU */
  #countGroups(): number {
    const core = this.#core;
    const { current, domain } = core;
    const domains = new Set<number>();
    this.#groups.fill(0);
    for (let pcpu = 0; pcpu < current.length; pcpu++) {
      const unit = current[pcpu]!;
      this.#groupOf[pcpu] = -1;
      if (core.isIdle(unit)) continue;
      const domid = domain[unit]!;
      domains.add(domid);
      const isShared = this.#siblings[pcpu]!.some((sibling) => !core.isIdle(current[sibling]!));
      const group = ((this.#kindOf.get(domid) ?? 0) * this.#nodes + this.#nodeOf[pcpu]!) * 2 + Number(isShared);
      this.#groupOf[pcpu] = group;
      this.#groups[group]!++;
    }
    return domains.size;
  }

  #ratesOfGroups(busyVms: number): Float64Array {
    const solver = this.#solver;
    const present: number[] = [];
    solver.clear();
    for (const [group, threads] of this.#groups.entries()) {
      if (threads === 0) continue;
      present.push(group);
      const [place, isShared] = [group >> 1, group % 2 === 1];
      const shares = this.#kinds[Math.floor(place / this.#nodes)]!;
      solver.add(threads, place % this.#nodes, isShared ? this.#cost.siblingSpeed : 1, shares);
    }
    solver.solve(busyVms);
    const rates = new Float64Array(this.#groups.length);
    for (const [index, group] of present.entries()) rates[group] = solver.rates[index]!;
    return rates;
  }
}
