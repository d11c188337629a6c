/**
 * What memory costs vCPUs that compute: how fast each gets on, by where its memory is and what all others do to memory
 * controllers and links (specification numa.md, section 6). It is calibrated to four statements of a post of 2012 about a host of
 * two nodes, not to data.
 */
import { assert } from '@xenolith/base';

/** All are numbers without a unit, but the capacities, which are in threads that run at full speed. */
export interface MemoryCostParameters {
  /** Part of a thread's time that goes to memory when nobody else wants it (μ0). */
  readonly memoryShare: number;
  /** An access to another node takes so many times as long (R), whatever the distance. */
  readonly remoteFactor: number;
  /** How steeply the queues of a memory controller and of a link grow (a, b). */
  readonly controllerQueue: number;
  readonly linkQueue: number;
  /** What a node's controller, and the link of two nodes, can serve (Cm, Cq). */
  readonly controllerCapacity: number;
  readonly linkCapacity: number;
  /** How much eight busy VMs add to the time that goes to memory, as they empty each other's caches (κ). */
  readonly pollution: number;
  /** Speed of each of two threads that share a core (s). */
  readonly siblingSpeed: number;
}

/** Those of the specification. With `siblingSpeed` 1 all pCPUs are cores of their own. */
export const calibratedMemoryCost: MemoryCostParameters = {
  memoryShare: 0.18,
  remoteFactor: 1.7,
  controllerQueue: 0.3,
  linkQueue: 0.35,
  controllerCapacity: 10,
  linkCapacity: 10,
  pollution: 0.5,
  siblingSpeed: 0.62,
};

/** Beyond this use a queue grows no more. */
const useMax = 0.97;
/** VMs that do not yet hurt each other's caches, and how many more {@link MemoryCostParameters.pollution} is of. */
const politeVms = 2;
const pollutionVms = 6;

/** Steps of the fixed point, and how near is there. */
export const costStepsMax = 50;
const precision = 1e-12;
/**
 * So many steps are of a length that all threads share, by how the last one changed what is left. Where queues are nearly full
 * and that leads nowhere, each has a length of its own from then on, halved whenever it went too far.
 */
const jointSteps = 25;

/** Threads on one node that do the same to memory. */
export interface BusyThreads {
  /** May be a part of one: that much of the time. */
  readonly threads: number;
  readonly node: number;
  /** 1 where its core is its own, {@link MemoryCostParameters.siblingSpeed} where it is shared, or a mean of both. */
  readonly speed: number;
  /** Parts of its accesses by node, 1 in all. */
  readonly memoryShares: readonly number[];
}

/**
 * Rates of work of all that is busy, 1 for a thread that has a core for itself and memory that costs no more than nothing. What one
 * demands slows the others, which demand less then: a fixed point, to which it goes in damped
 * steps.
 * @param busyVms VMs that have a thread running
 */
export function workRates(
  parameters: MemoryCostParameters,
  distances: readonly (readonly number[])[],
  busyVms: number,
  busy: readonly BusyThreads[],
): readonly number[] {
  const solver = new MemoryCostSolver(parameters, distances);
  for (const { threads, node, speed, memoryShares } of busy) solver.add(threads, node, speed, memoryShares);
  solver.solve(busyVms);
  return busy.map((_, index) => solver.rates[index]!);
}

/** The same, for many loads of one machine one after the other: {@link add} each, {@link solve}, {@link clear}. */
export class MemoryCostSolver {
  /** In the order of their adding, once solved. */
  rates = new Float64Array(64);
  /** Steps that the last solution took. */
  steps = 0;
  readonly #parameters: MemoryCostParameters;
  readonly #nodes: number;
  /** By node and other node: 1 where it is remote. */
  readonly #isRemote: Uint8Array;
  readonly #shares: (readonly number[])[] = [];
  #threads = new Float64Array(64);
  #speeds = new Float64Array(64);
  #node = new Int32Array(64);
  /** What is left to the goal, and how much of it is gone at a step. */
  #way = new Float64Array(64);
  #part = new Float64Array(64);
  #count = 0;
  /** What controllers and links are asked for, and what an access then costs, by node, and by pair of nodes. */
  readonly #demand: Float64Array;
  readonly #linkDemand: Float64Array;

  constructor(parameters: MemoryCostParameters, distances: readonly (readonly number[])[]) {
    this.#parameters = parameters;
    this.#nodes = distances.length;
    this.#isRemote = Uint8Array.from(distances.flatMap((row) => row.map((distance) => Number(distance > 10))));
    this.#demand = new Float64Array(this.#nodes);
    this.#linkDemand = new Float64Array(this.#nodes * this.#nodes);
  }

  clear(): void {
    this.#count = 0;
    this.#shares.length = 0;
  }

  add(threads: number, node: number, speed: number, memoryShares: readonly number[]): void {
    assert(node < this.#nodes && memoryShares.length === this.#nodes, `memory of ${memoryShares.length} nodes`);
    const index = this.#count++;
    if (index === this.rates.length) this.#grow();
    this.#threads[index] = threads;
    this.#node[index] = node;
    this.#speeds[index] = speed;
    this.#shares.push(memoryShares);
  }

  solve(busyVms: number): void {
    const { memoryShare, pollution } = this.#parameters;
    const share = memoryShare * (1 + (pollution * Math.max(0, busyVms - politeVms)) / pollutionVms);
    const { rates } = this;
    this.#way.fill(0, 0, this.#count);
    const [way, part] = [this.#way, this.#part];
    rates.set(this.#speeds.subarray(0, this.#count));
    for (this.steps = 1; ; this.steps++) {
      this.#sumDemands();
      let off = 0;
      let moved = 0;
      let slope = 0;
      for (let index = 0; index < this.#count; index++) {
        const left = this.#speeds[index]! / (1 - share + share * this.#costOf(index)) - rates[index]!;
        // What the last step did to what is left, along the step.
        const step = part[index]! * way[index]!;
        slope += (left - way[index]!) * step;
        moved += step * step;
        if (this.steps > jointSteps)
          part[index] = left * way[index]! < 0 ? part[index]! / 2 : Math.min(0.5, part[index]! * 1.25);
        way[index] = left;
        off = Math.max(off, Math.abs(left));
      }
      if (off < precision || this.steps === costStepsMax) return;
      if (this.steps === 1) part.fill(0.5, 0, this.#count);
      else if (this.steps <= jointSteps)
        part.fill(slope < 0 ? Math.max(0.02, Math.min(1, -moved / slope)) : 0.5, 0, this.#count);
      for (let index = 0; index < this.#count; index++) rates[index]! += way[index]! * part[index]!;
    }
  }

  #sumDemands(): void {
    const nodes = this.#nodes;
    this.#demand.fill(0);
    this.#linkDemand.fill(0);
    for (let index = 0; index < this.#count; index++) {
      const demand = this.rates[index]! * this.#threads[index]!;
      const from = this.#node[index]!;
      const shares = this.#shares[index]!;
      for (let node = 0; node < nodes; node++) {
        this.#demand[node]! += demand * shares[node]!;
        // A link carries both ways.
        if (node !== from)
          this.#linkDemand[Math.min(from, node) * nodes + Math.max(from, node)]! += demand * shares[node]!;
      }
    }
  }

  /** What an access of a thread costs at the present demands, 1 for a local one that waits for nobody. */
  #costOf(index: number): number {
    const { remoteFactor, controllerQueue, linkQueue, controllerCapacity, linkCapacity } = this.#parameters;
    const nodes = this.#nodes;
    const from = this.#node[index]!;
    const shares = this.#shares[index]!;
    let cost = 0;
    for (let node = 0; node < nodes; node++) {
      const part = shares[node]!;
      if (part === 0) continue;
      cost += part * queued(controllerQueue, this.#demand[node]! / controllerCapacity);
      if (this.#isRemote[from * nodes + node] === 0) continue;
      const link = this.#linkDemand[Math.min(from, node) * nodes + Math.max(from, node)]!;
      cost += part * (remoteFactor - 1) * queued(linkQueue, link / linkCapacity);
    }
    return cost;
  }

  #grow(): void {
    const length = this.rates.length * 2;
    const grown = <T extends Float64Array | Int32Array>(longer: T, old: T): T => {
      longer.set(old);
      return longer;
    };
    this.rates = grown(new Float64Array(length), this.rates);
    this.#threads = grown(new Float64Array(length), this.#threads);
    this.#speeds = grown(new Float64Array(length), this.#speeds);
    this.#node = grown(new Int32Array(length), this.#node);
    this.#way = new Float64Array(length);
    this.#part = new Float64Array(length);
  }
}

/** How much longer an access takes for waiting behind others. */
function queued(slope: number, use: number): number {
  const bounded = Math.min(useMax, use);
  return 1 + (slope * bounded * bounded) / (1 - bounded);
}
