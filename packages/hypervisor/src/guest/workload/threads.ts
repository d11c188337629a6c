/**
 * The scheduler of a guest, for more threads than vCPUs: one queue, first come, first served. A thread has its vCPU until
 * it sleeps, or until a tick of the vCPU's clock at which others wait; who is at a spinlock then, or holds one, keeps it
 * until the next tick, since a spinlock switches preemption off.
 */
import type { SchedCore } from '../../schedule/core.ts';
import { RunTimers, type RunTimersState } from '../run-timers.ts';
import type { Program } from './step.ts';

/** A thread while it is on no vCPU. */
export interface Thread {
  readonly program: Program;
  /** Where its next step is; what is left of a `run` that was interrupted; the state that its lengths are drawn from. */
  at: number;
  leftNs: number;
  random: number;
  /** The vCPU that it was on last, -1 for none. */
  unit: number;
}

/** The threads of a domain. */
interface Group {
  readonly units: readonly number[];
  /** Numbers of threads that could run, the first one first. */
  readonly queue: number[];
  /** By vCPU: it has nothing to run, and is blocked. */
  readonly isIdle: boolean[];
}

/** Threads of all domains that have some, under numbers. */
export class GuestThreads {
  readonly #core: SchedCore;
  readonly #threads: Thread[] = [];
  /** By thread, and by unit. */
  readonly #groupOf: Group[] = [];
  readonly #groupOfUnit: (Group | undefined)[] = [];
  /** By unit: the thread that it is at, and the one that it was at last; -1 for none. */
  readonly #current: number[] = [];
  readonly #last: number[] = [];
  readonly #sleepers = new RunTimers(0);
  readonly #sleepTimer: number;

  constructor(core: SchedCore) {
    this.#core = core;
    this.#sleepTimer = core.newActionTimer(() => this.#wake());
  }

  /** The vCPUs of a domain, which have not started, run these threads. */
  add(units: readonly number[], threads: readonly Thread[]): void {
    const group: Group = { units, queue: [], isIdle: units.map(() => false) };
    for (const thread of threads) {
      group.queue.push(this.#threads.length);
      this.#groupOf.push(group);
      this.#threads.push(thread);
    }
    this.#sleepers.grow(this.#threads.length);
    for (const unit of units) {
      this.#groupOfUnit[unit] = group;
      this.#current[unit] = this.#last[unit] = -1;
    }
  }

  /** A unit begins a new life, without threads. */
  reset(unit: number): void {
    this.#groupOfUnit[unit] = undefined;
  }

  has(unit: number): boolean {
    return this.#groupOfUnit[unit] !== undefined;
  }

  /** The thread that a vCPU is at; undefined when it looks for one. */
  current(unit: number): Thread | undefined {
    return this.#threads[this.#current[unit]!];
  }

  /** Whether a vCPU is at a thread and another one waits for a vCPU. */
  isWanted(unit: number): boolean {
    const group = this.#groupOfUnit[unit];
    return group !== undefined && group.queue.length > 0 && this.#current[unit]! >= 0;
  }

  /** The thread of a vCPU, which has been put away in it, goes to the end of the queue; or sleeps until a time. */
  putBack(unit: number): void {
    this.#groupOfUnit[unit]!.queue.push(this.#leave(unit));
  }

  sleepUntil(unit: number, dueNs: number): void {
    this.#sleepers.arm(this.#leave(unit), dueNs);
    this.#armForFirst();
  }

  /** A vCPU takes the first of the queue. @returns whether it is another one than it had last; undefined where there is none: it is idle */
  take(unit: number): boolean | undefined {
    const { queue, isIdle, units } = this.#groupOfUnit[unit]!;
    const next = queue.shift();
    if (next === undefined) {
      isIdle[units.indexOf(unit)] = true;
      return undefined;
    }
    const isOther = this.#last[unit] !== next;
    this.#current[unit] = this.#last[unit] = next;
    this.#threads[next]!.unit = unit;
    return isOther;
  }

  #leave(unit: number): number {
    const thread = this.#current[unit]!;
    this.#current[unit] = -1;
    return thread;
  }

  #armForFirst(): void {
    const first = this.#sleepers.first;
    if (first >= 0) this.#core.timers.arm(this.#sleepTimer, this.#sleepers.dueNs(first));
  }

  /** Threads whose sleep is over stand in the queue, and wake a vCPU that is idle: that where they were, or the first one. */
  #wake(): void {
    const sleepers = this.#sleepers;
    const { now } = this.#core;
    for (let thread = sleepers.first; thread >= 0 && sleepers.dueNs(thread) <= now; thread = sleepers.first) {
      sleepers.disarm(thread);
      const { units, queue, isIdle } = this.#groupOf[thread]!;
      queue.push(thread);
      const before = units.indexOf(this.#threads[thread]!.unit);
      const cpu = isIdle[before] === true ? before : isIdle.indexOf(true);
      if (cpu < 0) continue;
      isIdle[cpu] = false;
      this.#core.unblock(units[cpu]!);
    }
    this.#armForFirst();
  }

  capture(): GuestThreadsState {
    return structuredCopy({
      threads: this.#threads,
      groupOf: this.#groupOf,
      groupOfUnit: this.#groupOfUnit,
      current: this.#current,
      last: this.#last,
      sleepers: this.#sleepers.capture(),
    });
  }

  restore(state: GuestThreadsState): void {
    const { threads, groupOf, groupOfUnit, current, last, sleepers } = structuredCopy(state);
    this.#threads.splice(0, Infinity, ...threads);
    this.#groupOf.splice(0, Infinity, ...groupOf);
    this.#groupOfUnit.splice(0, Infinity, ...groupOfUnit);
    this.#current.splice(0, Infinity, ...current);
    this.#last.splice(0, Infinity, ...last);
    this.#sleepers.grow(threads.length);
    this.#sleepers.restore(sleepers);
  }
}

/** {@link GuestThreads} at one moment. */
export interface GuestThreadsState {
  readonly threads: readonly Thread[];
  /** One object for all threads and vCPUs of a domain. */
  readonly groupOf: readonly Group[];
  readonly groupOfUnit: readonly (Group | undefined)[];
  readonly current: readonly number[];
  readonly last: readonly number[];
  readonly sleepers: RunTimersState;
}

/** A copy in which what changes is new; programs do not change. */
function structuredCopy(state: GuestThreadsState): GuestThreadsState {
  const copies = new Map<Group, Group>();
  const copyOf = (group: Group): Group => {
    const copy = copies.get(group) ?? { units: group.units, queue: [...group.queue], isIdle: [...group.isIdle] };
    copies.set(group, copy);
    return copy;
  };
  return {
    threads: state.threads.map((thread) => ({ ...thread })),
    groupOf: state.groupOf.map(copyOf),
    groupOfUnit: Array.from(state.groupOfUnit, (group) => group && copyOf(group)),
    current: [...state.current],
    last: [...state.last],
    sleepers: state.sleepers,
  };
}
