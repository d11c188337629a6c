/**
 * Spinlocks of guests in time: the state machines of the locks, run on vCPUs that come onto pCPUs and leave them.
 *
 * Steps take no time but for what `costAhead` says, so they are done at once, one vCPU after the other. Who spins uses
 * its pCPU, and is no event for each test: when its tests will come to something else follows from the state, and is
 * reckoned again when somebody changes it. A waiter that was switched off goes on in the middle of its loop; a test at
 * the instant of a write sees what was written.
 */
import { assert } from '@xenolith/base';
import { runState, type SchedCore } from '../../schedule/core.ts';
import type { RunTimers } from '../run-timers.ts';
import { captureKernel, makeKernel, restoredKernel, type Kernel, type KernelSpec, type KernelState } from './kernel.ts';
import { costAhead, cpuOfEffect, effect, effectOf } from './lock-state.ts';
import { enterFrame, hasEarlier, leaveFrame, mode, setPreempted, type LockCounts, type Locker } from './locker.ts';

/** What a step means for the vCPU that took it. */
const outcome = { goesOn: 0, done: 1, waits: 2 } as const;

/** {@link GuestLocks} at one moment. */
export interface GuestLocksState {
  /** By unit; one object for all units of a domain. */
  readonly kernels: readonly (KernelState | undefined)[];
  readonly lastOn: Int32Array;
}

/** What runs the programs that lock. */
export interface LockHost {
  /** Goes on with the program of a vCPU that has its lock, or has given it back. */
  readonly goOn: (unit: number) => void;
  /** Arms a timer of {@link timers}. */
  readonly arm: (unit: number, dueNs: number) => void;
  /** Of vCPUs while they run. */
  readonly timers: RunTimers;
}

export class GuestLocks {
  readonly #core: SchedCore;
  readonly #host: LockHost;
  readonly #timers: RunTimers;
  readonly #socketOf: Int32Array;
  /** By unit. */
  readonly #lockers: (Locker | undefined)[] = [];
  /** By pCPU: the unit with a kernel that was there last, -1 for none. */
  readonly #lastOn: Int32Array;

  constructor(core: SchedCore, host: LockHost) {
    this.#core = core;
    this.#host = host;
    this.#timers = host.timers;
    this.#socketOf = Int32Array.from(core.topology.pcpus, ({ socket }) => socket);
    this.#lastOn = new Int32Array(core.topology.pcpus.length).fill(-1);
  }

  /** A domain whose vCPUs are these units has a kernel of this kind. */
  addKernel(units: readonly number[], spec: KernelSpec): void {
    for (const locker of makeKernel(spec, units).lockers) this.#lockers[locker.unit] = locker;
  }

  /** A unit begins a new life, without a kernel. */
  reset(unit: number): void {
    this.#lockers[unit] = undefined;
  }

  /** Whether a vCPU is at a lock, and its timer ours. */
  isAtLock(unit: number): boolean {
    return this.#lockers[unit]!.mode !== mode.none;
  }

  /** Whether a vCPU is asleep in a poll. */
  isAsleep(unit: number): boolean {
    return this.#lockers[unit]!.mode === mode.asleep;
  }

  /** Whether a vCPU is in Xen for a pause loop: no interrupt reaches its guest. */
  isExiting(unit: number): boolean {
    return this.#lockers[unit]!.mode === mode.exiting;
  }

  countOf(unit: number, name: keyof LockCounts): number {
    const locker = this.#lockers[unit];
    if (locker === undefined) return 0;
    if (name !== 'spinNs' || !locker.isActive) return locker[name];
    return locker.spinNs + Math.max(0, this.#core.now - locker.sinceNs);
  }

  /** A program locks. @returns whether it has the lock now; else it is told when it does */
  lock(unit: number, lock: number): boolean {
    const locker = this.#lockers[unit];
    assert(locker !== undefined, 'a vCPU that locks has a kernel');
    const { kernel, cpu } = locker;
    assert(lock < kernel.waiters.length && locker.held === -1, 'one of the locks at a time');
    locker.held = lock;
    locker.arrival = kernel.arrivals++;
    const costNs = kernel.costs.lockNs + kernel.costs.callNs;
    locker.debtNs += costNs;
    locker.overheadNs += costNs;
    const result = this.#took(locker, kernel.machine.lock(kernel.state, cpu, lock));
    return result === outcome.done || this.#advance(locker);
  }

  /** A program gives back what it holds. @returns whether that is done now; else it is told when it is */
  unlock(unit: number): boolean {
    const locker = this.#lockers[unit]!;
    const { kernel, cpu, held } = locker;
    assert(held >= 0 && kernel.owner[held] === cpu, 'a lock is held');
    kernel.owner[held] = -1;
    locker.held = -1;
    const costNs = kernel.costs.unlockNs;
    locker.debtNs += costNs;
    locker.overheadNs += costNs;
    const result = this.#took(locker, kernel.machine.unlock(kernel.state, cpu, held));
    return result === outcome.done || this.#advance(locker);
  }

  /** The cost that goes before what a vCPU does next, which is then paid. */
  takeDebtNs(unit: number): number {
    return takeDebtNs(this.#lockers[unit]!);
  }

  /** A vCPU of a kernel is on a pCPU: it pays for having come there, and for caches that are not its own any more. */
  arrived(unit: number): void {
    const locker = this.#lockers[unit]!;
    const dispatches = this.#core.dispatches[unit]!;
    if (dispatches === locker.dispatches) return;
    locker.dispatches = dispatches;
    const { costs } = locker.kernel;
    const pcpu = this.#core.pcpu[unit]!;
    const isWarm = locker.pcpu === pcpu && this.#lastOn[pcpu] === unit;
    locker.pcpu = pcpu;
    this.#lastOn[pcpu] = unit;
    owe(locker, isWarm ? costs.switchNs : costs.switchNs + costs.refillNs);
    this.#setPreempted(locker, 0);
  }

  /** A vCPU of a kernel is off its pCPU, and could run. */
  left(unit: number): void {
    if (this.#core.state[unit] === runState.runnable) this.#setPreempted(this.#lockers[unit]!, 1);
  }

  #setPreempted(locker: Locker, isPreempted: 0 | 1): void {
    if (locker.kernel.spec.lock !== 'pv-qspin') return;
    setPreempted(locker, isPreempted);
    if (isPreempted === 1) this.#reckonAll(locker.kernel);
  }

  /** A vCPU at a lock is on a pCPU, after each decision there. */
  running(unit: number): void {
    const locker = this.#lockers[unit]!;
    if (locker.isActive || this.#timers.isArmed(unit)) return;
    if (locker.mode === mode.spinning) {
      this.#goOnSpinning(locker);
      return;
    }
    if (locker.mode === mode.asleep) {
      locker.mode = mode.paying;
      locker.leftNs = 0;
    }
    this.#host.arm(unit, this.#core.now + locker.leftNs + takeDebtNs(locker));
  }

  /** A vCPU at a lock left its pCPU, or its task goes aside for an interrupt. */
  stopped(unit: number): void {
    const locker = this.#lockers[unit]!;
    if (locker.isActive) this.#stopSpinning(locker);
    else if (this.#timers.isArmed(unit)) locker.leftNs = this.#timers.dueNs(unit) - this.#core.now;
    this.#timers.disarm(unit);
  }

  /** An interrupt comes on a vCPU that runs; what it was at has been {@link stopped}. */
  enterInterrupt(unit: number): void {
    enterFrame(this.#lockers[unit]!);
  }

  leaveInterrupt(unit: number): void {
    leaveFrame(this.#lockers[unit]!);
  }

  /** Whether the guest may put another thread on a vCPU: who holds a spinlock, or is at one, is not disturbed. */
  isPreemptible(unit: number): boolean {
    const { mode: at, held } = this.#lockers[unit]!;
    return at === mode.none && held < 0;
  }

  /** The guest has put another thread on a vCPU. */
  switchedThread(unit: number): void {
    const locker = this.#lockers[unit]!;
    const { threadNs, refillNs } = locker.kernel.costs;
    owe(locker, threadNs + refillNs);
  }

  /** What a program does now counts as overhead. */
  countOverhead(unit: number, lengthNs: number): void {
    this.#lockers[unit]!.overheadNs += lengthNs;
  }

  /** The timer of a vCPU at a lock is due. */
  fire(unit: number): void {
    const locker = this.#lockers[unit]!;
    if (locker.mode === mode.spinning) {
      if (!this.#test(locker)) return;
    } else if (locker.mode === mode.exiting) {
      locker.mode = mode.spinning;
      locker.leftNs = locker.kernel.costs.pauseNs;
      locker.yields++;
      this.#core.yield(unit);
      return;
    }
    locker.mode = mode.none;
    const result = this.#step(locker);
    if (result === outcome.waits) return;
    if (result === outcome.done || this.#advance(locker)) this.#host.goOn(unit);
  }

  /** Takes steps that cost nothing. @returns whether the locking or unlocking is over */
  #advance(locker: Locker): boolean {
    const { kernel, pcAt } = locker;
    const { state, costs } = kernel;
    const { costOf } = kernel.machine;
    for (;;) {
      const ahead = costOf[state[pcAt]!]!;
      if (ahead === costAhead.pause) {
        locker.leftNs = costs.pauseNs;
        locker.mode = mode.spinning;
        this.#goOnSpinning(locker);
        return false;
      }
      if (ahead !== costAhead.nothing) {
        this.#pay(locker, ahead === costAhead.poll ? costs.pollNs : costs.sendNs, mode.paying);
        return false;
      }
      const result = this.#step(locker);
      if (result !== outcome.goesOn) return result === outcome.done;
    }
  }

  #step(locker: Locker): number {
    const { kernel } = locker;
    return this.#took(locker, kernel.machine.step(kernel.state, locker.cpu));
  }

  /** A step was taken, with its effect. @returns an {@link outcome} */
  #took(locker: Locker, result: number): number {
    const { kernel } = locker;
    switch (effectOf(result)) {
      case effect.went:
      case effect.spun:
        break;
      case effect.acquired:
        this.#acquired(locker);
        return outcome.done;
      case effect.released:
        if (kernel.spinning > 0) this.#reckonAll(kernel);
        return outcome.done;
      case effect.wrote:
        if (kernel.spinning > 0) this.#reckonAll(kernel);
        break;
      case effect.blocked:
        noteWaiting(locker);
        locker.sleeps++;
        locker.mode = mode.asleep;
        this.#core.block(locker.unit);
        return outcome.waits;
      case effect.kicked:
        locker.kicks++;
        break;
      case effect.woke:
        locker.kicks++;
        this.#core.unblock(kernel.lockers[cpuOfEffect(result)]!.unit);
        break;
      default:
    }
    return outcome.goesOn;
  }

  #acquired(locker: Locker): void {
    const { kernel, cpu } = locker;
    const lock = locker.held;
    const { owner, waiters, linePcpu, costs } = kernel;
    assert(owner[lock] === -1, 'a lock has one owner');
    owner[lock] = cpu;
    if (locker.waitsFor >= 0) {
      locker.waitsFor = -1;
      waiters[lock]!--;
    }
    locker.acquisitions++;
    if (waiters[lock]! > 0 && hasEarlier(locker, lock)) locker.overtakings++;
    const pcpu = this.#core.pcpu[locker.unit]!;
    const before = linePcpu[lock]!;
    if (before === pcpu) return;
    linePcpu[lock] = pcpu;
    if (before < 0) return;
    const isNear = this.#socketOf[before] === this.#socketOf[pcpu];
    owe(locker, isNear ? costs.transferNs : costs.farTransferNs);
  }

  // ---- spinning

  /** A loop is begun, or gone on with, on a pCPU. */
  #goOnSpinning(locker: Locker): void {
    const { kernel } = locker;
    noteWaiting(locker);
    const sinceNs = this.#core.now + takeDebtNs(locker);
    locker.sinceNs = sinceNs;
    locker.baseNs = sinceNs + locker.leftNs - kernel.costs.pauseNs;
    locker.window = kernel.testsOfWindow;
    locker.testedNs = -1;
    locker.isActive = true;
    kernel.spinners[kernel.spinning++] = locker;
    this.#aim(locker);
  }

  /** The loop is over, or its vCPU leaves its pCPU. */
  #endSpinning(locker: Locker): void {
    const { kernel } = locker;
    const { spinners } = kernel;
    locker.isActive = false;
    locker.spinNs += Math.max(0, this.#core.now - locker.sinceNs);
    let place = 0;
    while (spinners[place] !== locker) place++;
    spinners[place] = spinners[--kernel.spinning]!;
  }

  /** Arms the timer for the next test that comes to something. */
  #aim(locker: Locker): void {
    const { kernel, cpu } = locker;
    const { machine, state, costs } = kernel;
    if (kernel.spec.isStepwise === true || machine.passes(state, cpu)) {
      this.#host.arm(locker.unit, locker.baseNs + costs.pauseNs);
      return;
    }
    const tests = Math.min(machine.testsLeft(state, cpu), locker.window);
    if (tests === Infinity) this.#timers.disarm(locker.unit);
    else this.#host.arm(locker.unit, locker.baseNs + tests * costs.pauseNs);
  }

  /** Something has changed: who spins may have something else to come. */
  #reckonAll(kernel: Kernel): void {
    const { machine, state, spec, costs, spinners } = kernel;
    const { now } = this.#core;
    for (let place = 0; place < kernel.spinning; place++) {
      const locker = spinners[place]!;
      const passes = machine.passes(state, locker.cpu);
      if (!passes && !machine.hurries(state, locker.cpu)) continue;
      if (spec.isStepwise === true) {
        // A test of this instant sees what is written in it: it is taken again, once however often is written.
        if (passes && locker.testedNs === now) {
          count(locker, -1);
          locker.testedNs = -1;
        }
      } else {
        // Tests before now have failed.
        count(locker, Math.max(0, Math.ceil((now - locker.baseNs) / costs.pauseNs) - 1));
      }
      if (passes) this.#host.arm(locker.unit, locker.baseNs + costs.pauseNs);
      else this.#aim(locker);
    }
  }

  /** The test that a spinning vCPU's timer is for. @returns whether the loop is over, with a step to take */
  #test(locker: Locker): boolean {
    const { kernel, cpu } = locker;
    const { machine, state, costs, spec } = kernel;
    const { now } = this.#core;
    count(locker, Math.round((now - locker.baseNs) / costs.pauseNs) - 1);
    if (machine.passes(state, cpu) || machine.testsLeft(state, cpu) === 1) {
      this.#endSpinning(locker);
      return true;
    }
    count(locker, 1);
    locker.testedNs = now;
    if (locker.window === 0) {
      this.#endSpinning(locker);
      this.#pay(locker, spec.pauseLoopExiting!.exitNs, mode.exiting);
    } else this.#aim(locker);
    return false;
  }

  #stopSpinning(locker: Locker): void {
    const { now } = this.#core;
    const { kernel, cpu } = locker;
    const { machine, state, costs } = kernel;
    const ahead = machine.passes(state, cpu) ? 1 : Math.min(machine.testsLeft(state, cpu), locker.window);
    const past = Math.floor((now - locker.baseNs) / costs.pauseNs);
    count(locker, Math.max(0, Math.min(past, ahead - 1)));
    locker.leftNs = Math.max(0, locker.baseNs + costs.pauseNs - now);
    this.#endSpinning(locker);
  }

  #pay(locker: Locker, costNs: number, as: number): void {
    locker.mode = as;
    locker.overheadNs += costNs;
    this.#host.arm(locker.unit, this.#core.now + costNs + takeDebtNs(locker));
  }

  // ---- snapshots

  capture(): GuestLocksState {
    const states = new Map<Kernel, KernelState>();
    return {
      kernels: Array.from(this.#lockers, (locker) => {
        if (locker === undefined) return undefined;
        const state = states.get(locker.kernel) ?? captureKernel(locker.kernel);
        states.set(locker.kernel, state);
        return state;
      }),
      lastOn: this.#lastOn.slice(),
    };
  }

  restore({ kernels, lastOn }: GuestLocksState): void {
    this.#lockers.length = 0;
    this.#lockers.length = kernels.length;
    for (const state of new Set(kernels)) {
      if (state === undefined) continue;
      for (const locker of restoredKernel(state).lockers) this.#lockers[locker.unit] = locker;
    }
    this.#lastOn.set(lastOn);
  }
}

/** A cost that goes before whatever is next. */
function owe(locker: Locker, costNs: number): void {
  locker.debtNs += costNs;
  locker.overheadNs += costNs;
}

function takeDebtNs(locker: Locker): number {
  const { debtNs } = locker;
  locker.debtNs = 0;
  return debtNs;
}

function noteWaiting(locker: Locker): void {
  if (locker.waitsFor >= 0) return;
  locker.waitsFor = locker.held;
  locker.kernel.waiters[locker.held]!++;
}

/** Counts tests that have come to nothing. */
function count(locker: Locker, tests: number): void {
  if (tests === 0) return;
  const { kernel, cpu } = locker;
  kernel.machine.skip(kernel.state, cpu, tests);
  locker.window -= tests;
  locker.baseNs += tests * kernel.costs.pauseNs;
}
