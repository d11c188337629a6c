/**
 * Every order in which a few CPUs can take their steps at spinlocks: all states that there are, and what is wrong with
 * any of them.
 */
import { assert } from '@xenolith/base';
import type { LockMachine } from '../guest/lock/lock-machine.ts';
import {
  cpuAt,
  cpuOfEffect,
  effect,
  effectOf,
  emptyLockState,
  enterInterrupt,
  leaveInterrupt,
  ofCpu,
} from '../guest/lock/lock-state.ts';

/** What a CPU does: takes these locks, one after the other; and the lock of an interrupt that may come at any time. */
export interface CpuScript {
  readonly locks: readonly number[];
  readonly interrupt?: number;
}

export interface LockSpace {
  readonly machine: LockMachine;
  readonly cpus: readonly CpuScript[];
  /** What the locks are before. */
  readonly prepare?: (state: Int32Array) => void;
  /** Of a state in which nobody is at a lock any more. */
  readonly faultsAtRest?: (state: Int32Array) => readonly string[];
  /** `vcpu_is_preempted` is true or false at any time. */
  readonly isPreemptible?: boolean;
  readonly statesMax?: number;
}

export interface LockSpaceResult {
  readonly states: number;
  /** Somebody got a lock before one who had come earlier. */
  readonly overtakings: number;
  /** Polls that slept, and polls that came back at once. */
  readonly sleeps: number;
  readonly polls: number;
  /** What went wrong first, with the CPUs that took the steps to it. */
  readonly fault: string | undefined;
}

/** What a frame of a CPU is at, after the words of the machine. */
const at = { nothing: 0, locking: 1, holding: 2, unlocking: 3 } as const;
const defaultStatesMax = 3_000_000;

class Walk {
  readonly #space: LockSpace;
  readonly #machineWords: number;
  readonly #frames: number;
  readonly #numbers = new Map<string, number>();
  readonly #states: Int32Array[] = [];
  readonly #from: number[] = [];
  readonly #by: number[] = [];
  /** Pairs: a state, and one that a step leads to. */
  readonly #edges: number[] = [];
  #overtakings = 0;
  #sleeps = 0;
  #polls = 0;
  #fault: string | undefined;

  constructor(space: LockSpace) {
    this.#space = space;
    this.#frames = space.machine.shape.frames;
    this.#machineWords = emptyLockState(space.machine.shape).length;
  }

  // Behind the machine's words: for each CPU its place in the script, whether its interrupt has come, and what its
  // frames are at; for each lock its owner + 1 and those who wait, in the order of their coming.
  get #cpuWords(): number {
    return 2 + this.#frames;
  }
  #cpu(cpu: number): number {
    return this.#machineWords + cpu * this.#cpuWords;
  }
  get #waiters(): number {
    return this.#space.cpus.length * this.#frames;
  }
  #lock(lock: number): number {
    return this.#cpu(this.#space.cpus.length) + lock * (1 + this.#waiters);
  }

  run(): LockSpaceResult {
    const { machine, prepare, statesMax = defaultStatesMax } = this.#space;
    const first = new Int32Array(this.#lock(machine.shape.locks));
    prepare?.(first);
    this.#enter(first, -1, -1);
    for (let state = 0; state < this.#states.length && this.#fault === undefined; state++) {
      assert(this.#states.length <= statesMax, `more than ${statesMax} states`);
      this.#expand(state);
    }
    if (this.#fault === undefined) this.#findStuck();
    return {
      states: this.#states.length,
      overtakings: this.#overtakings,
      sleeps: this.#sleeps,
      polls: this.#polls,
      fault: this.#fault,
    };
  }

  #enter(state: Int32Array, from: number, by: number): void {
    const key = String.fromCharCode.apply(undefined, state as unknown as number[]);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#states.length;
      this.#numbers.set(key, number);
      this.#states.push(state);
      this.#from.push(from);
      this.#by.push(by);
    }
    if (from >= 0 && from !== number) this.#edges.push(from, number);
  }

  #expand(number: number): void {
    const { cpus, isPreemptible = false, machine } = this.#space;
    const state = this.#states[number]!;
    for (const [cpu, { interrupt }] of cpus.entries()) {
      const words = cpuAt(machine.shape, cpu);
      if (state[words + ofCpu.blocked] === 0) {
        const next = state.slice();
        if (this.#move(next, cpu, number)) this.#enter(next, number, cpu);
      }
      const own = this.#cpu(cpu);
      const canInterrupt = state[words + ofCpu.irqsOff] === 0 && state[words + ofCpu.depth] === 0;
      if (interrupt !== undefined && canInterrupt && state[own + 1] === 0) {
        const next = state.slice();
        next[own + 1] = 1;
        enterInterrupt(machine.shape, next, cpu);
        this.#move(next, cpu, number);
        this.#enter(next, number, cpu);
      }
      if (isPreemptible) {
        const next = state.slice();
        next[words + ofCpu.preempted]! ^= 1;
        this.#enter(next, number, cpu);
      }
    }
    this.#checkRest(state, number);
  }

  /** A step of a CPU. @returns whether it had one to take */
  #move(state: Int32Array, cpu: number, number: number): boolean {
    const { machine, cpus } = this.#space;
    const own = this.#cpu(cpu);
    const depth = state[cpuAt(machine.shape, cpu) + ofCpu.depth]!;
    const script = cpus[cpu]!;
    const place = state[own]!;
    const lock = depth === 0 ? script.locks[place] : script.interrupt;
    if (lock === undefined) return false;
    const what = own + 2 + depth;
    const who = cpu * this.#frames + depth + 1;
    let result: number;
    if (state[what] === at.nothing) {
      state[what] = at.locking;
      this.#come(state, lock, who);
      result = machine.lock(state, cpu, lock);
    } else if (state[what] === at.holding) {
      state[what] = at.unlocking;
      if (state[this.#lock(lock)] !== who) this.#fail(number, cpu, 'a lock is held by two');
      state[this.#lock(lock)] = 0;
      result = machine.unlock(state, cpu, lock);
    } else result = machine.step(state, cpu);
    switch (effectOf(result)) {
      case effect.acquired:
        state[what] = at.holding;
        this.#own(state, lock, who, number, cpu);
        break;
      case effect.released:
        state[what] = at.nothing;
        if (depth === 0) state[own]!++;
        else leaveInterrupt(machine.shape, state, cpu);
        break;
      case effect.blocked:
        this.#sleeps++;
        break;
      case effect.polled:
        this.#polls++;
        break;
      case effect.woke:
        if (state[cpuAt(machine.shape, cpuOfEffect(result)) + ofCpu.blocked] === 1) this.#fail(number, cpu, 'no wake');
        break;
      default:
    }
    return true;
  }

  /** A frame has come to a lock: behind those who wait for it. */
  #come(state: Int32Array, lock: number, who: number): void {
    const queue = this.#lock(lock) + 1;
    let last = 0;
    while (state[queue + last] !== 0) last++;
    state[queue + last] = who;
  }

  #own(state: Int32Array, lock: number, who: number, number: number, cpu: number): void {
    const owner = this.#lock(lock);
    if (state[owner] !== 0) this.#fail(number, cpu, 'a lock has two owners');
    state[owner] = who;
    const queue = state.subarray(owner + 1, owner + 1 + this.#waiters);
    const place = queue.indexOf(who);
    if (place > 0) this.#overtakings++;
    queue.copyWithin(place, place + 1);
    queue[queue.length - 1] = 0;
  }

  #isDone(state: Int32Array): boolean {
    return this.#space.cpus.every(({ locks }, cpu) => {
      const own = this.#cpu(cpu);
      const depth = state[cpuAt(this.#space.machine.shape, cpu) + ofCpu.depth];
      return state[own] === locks.length && depth === 0;
    });
  }

  #checkRest(state: Int32Array, number: number): void {
    const isAtRest = this.#space.cpus.every((_, cpu) =>
      state.subarray(this.#cpu(cpu) + 2, this.#cpu(cpu) + 2 + this.#frames).every((what) => what === at.nothing),
    );
    if (!isAtRest) return;
    const faults = this.#space.faultsAtRest?.(state) ?? [];
    if (faults.length > 0) this.#fail(number, -1, faults.join(', '));
  }

  /** A state from which there is no way to the end: somebody sleeps for ever, or spins for ever. */
  #findStuck(): void {
    const before = new Map<number, number[]>();
    for (let edge = 0; edge < this.#edges.length; edge += 2) {
      const [from, to] = [this.#edges[edge]!, this.#edges[edge + 1]!];
      const list = before.get(to);
      if (list === undefined) before.set(to, [from]);
      else list.push(from);
    }
    const live = new Uint8Array(this.#states.length);
    const stack: number[] = [];
    for (const [number, state] of this.#states.entries()) if (this.#isDone(state)) stack.push(number);
    for (const number of stack) live[number] = 1;
    while (stack.length > 0) {
      for (const from of before.get(stack.pop()!) ?? []) {
        if (live[from] === 1) continue;
        live[from] = 1;
        stack.push(from);
      }
    }
    const doomed = live.indexOf(0);
    if (doomed < 0) return;
    // Where nothing happens any more, rather than where that was settled.
    const hasNext = new Uint8Array(this.#states.length);
    for (let edge = 0; edge < this.#edges.length; edge += 2) hasNext[this.#edges[edge]!] = 1;
    const stuck = live.findIndex((isLive, number) => isLive === 0 && hasNext[number] === 0);
    if (stuck < 0) {
      this.#fail(doomed, -1, 'somebody spins for ever');
      return;
    }
    const blocked = this.#space.cpus.flatMap((_, cpu) =>
      this.#states[stuck]![cpuAt(this.#space.machine.shape, cpu) + ofCpu.blocked] === 1 ? [cpu] : [],
    );
    this.#fail(stuck, -1, `nobody will wake CPU ${blocked.join(', ')}`);
  }

  #fail(number: number, cpu: number, fault: string): void {
    if (this.#fault !== undefined) return;
    const steps: number[] = cpu < 0 ? [] : [cpu];
    for (let state = number; state > 0; state = this.#from[state]!) steps.unshift(this.#by[state]!);
    this.#fault = `${fault}, after steps of ${steps.join(' ')}`;
  }
}

/** Goes through all of it. @throws AssertionError for more states than were reckoned with */
export function exploreLocks(space: LockSpace): LockSpaceResult {
  assert(space.cpus.length === space.machine.shape.cpus, 'a script for each CPU');
  return new Walk(space).run();
}
