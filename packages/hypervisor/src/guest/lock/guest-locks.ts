/**
 * Spinlocks of guests in time: the state machines of the locks, run on vCPUs that come onto pCPUs and leave them.
 *
 * Steps take no time but for what `costAhead` says, so they are done at once, one vCPU after the other. Who spins uses
 * its pCPU, and is no event for each test: when its tests will come to something else follows from the state, and is
 * reckoned again when somebody changes it. A waiter that was switched off goes on in the middle of its loop; a test at
 * the instant of a write sees what was written.
 */
import { assert } from '@xenolith/base';
import { grownFloat64, grownUint8 } from '../../engine/timer-heap.ts';
import { runState, type SchedCore } from '../../schedule/core.ts';
import type { RunTimers } from '../run-timers.ts';
import { captureKernel, makeKernel, restoredKernel, type Kernel, type KernelSpec, type KernelState } from './kernel.ts';
import { costAhead, cpuAt, cpuOfEffect, effect, effectOf, ofCpu } from './lock-state.ts';

/** What a vCPU is at: nothing of ours, paying for its next step, spinning, asleep in a poll, leaving a pause loop. */
const mode = { none: 0, paying: 1, spinning: 2, asleep: 3, exiting: 4 } as const;

/** What a step means for the vCPU that took it. */
const outcome = { goesOn: 0, done: 1, waits: 2 } as const;

/** Counts of a vCPU since its beginning. Of its running time, what is in neither of the first two is its program's. */
export interface LockCounts {
  /** Running time that it spun. */
  readonly spinNs: number;
  /** Running time of locking and unlocking itself, hypercalls, exits and context switches. */
  readonly overheadNs: number;
  readonly acquisitions: number;
  /** Acquisitions before somebody who had come earlier. */
  readonly overtakings: number;
  /** Polls that slept, events that were sent, and yields of pause loops. */
  readonly sleeps: number;
  readonly kicks: number;
  readonly yields: number;
}

/** The counts that there are, in the order in which they are kept. */
export const lockCounters = [
  'spinNs',
  'overheadNs',
  'acquisitions',
  'overtakings',
  'sleeps',
  'kicks',
  'yields',
] as const satisfies readonly (keyof LockCounts)[];
const counterCount = 7;
const counter = { spinNs: 0, overheadNs: 1, acquisitions: 2, overtakings: 3, sleeps: 4, kicks: 5, yields: 6 } as const;

/** {@link GuestLocks} at one moment. */
export interface GuestLocksState {
  readonly kernels: readonly (KernelState | undefined)[];
  readonly arrays: readonly (Float64Array | Int32Array | Uint8Array)[];
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
  readonly #socketOf: Int32Array;
  /** By unit; one object for all units of a domain. */
  readonly #kernelOf: (Kernel | undefined)[] = [];
  #mode: Uint8Array;
  /** It spins on a pCPU. */
  #isActive: Uint8Array;
  /** What was left when it was switched off: of a cost, or until the next test. */
  #leftNs: Float64Array;
  /** Test n of a loop is so many pauses after this. */
  #baseNs: Float64Array;
  /** Since when it has spun. */
  #sinceNs: Float64Array;
  /** Last test of a stepwise loop. */
  #testedNs: Float64Array;
  /** Tests that are left of the window of pause-loop exiting. */
  #window: Float64Array;
  /** Cost that goes before whatever is next. */
  #debtNs: Float64Array;
  /** Dispatches of the core that it has paid for. */
  #dispatches: Float64Array;
  /** So many to a unit as there are {@link lockCounters}, in their order. */
  #counts: Float64Array;

  constructor(core: SchedCore, host: LockHost) {
    this.#core = core;
    this.#host = host;
    this.#socketOf = Int32Array.from(core.topology.pcpus, ({ socket }) => socket);
    const count = core.unitCapacity;
    this.#mode = new Uint8Array(count);
    this.#isActive = new Uint8Array(count);
    this.#leftNs = new Float64Array(count);
    this.#baseNs = new Float64Array(count);
    this.#sinceNs = new Float64Array(count);
    this.#testedNs = new Float64Array(count);
    this.#window = new Float64Array(count);
    this.#debtNs = new Float64Array(count);
    this.#dispatches = new Float64Array(count);
    this.#counts = new Float64Array(count * counterCount);
  }

  grow(unitCapacity: number): void {
    if (unitCapacity <= this.#mode.length) return;
    this.#mode = grownUint8(this.#mode, unitCapacity);
    this.#isActive = grownUint8(this.#isActive, unitCapacity);
    this.#leftNs = grownFloat64(this.#leftNs, unitCapacity);
    this.#baseNs = grownFloat64(this.#baseNs, unitCapacity);
    this.#sinceNs = grownFloat64(this.#sinceNs, unitCapacity);
    this.#testedNs = grownFloat64(this.#testedNs, unitCapacity);
    this.#window = grownFloat64(this.#window, unitCapacity);
    this.#debtNs = grownFloat64(this.#debtNs, unitCapacity);
    this.#dispatches = grownFloat64(this.#dispatches, unitCapacity);
    this.#counts = grownFloat64(this.#counts, unitCapacity * counterCount);
  }

  /** A domain whose vCPUs are these units has a kernel of this kind. */
  addKernel(units: readonly number[], spec: KernelSpec): void {
    const kernel = makeKernel(spec, units);
    for (const unit of units) this.#kernelOf[unit] = kernel;
  }

  /** A unit begins a new life, without a kernel. */
  reset(unit: number): void {
    this.#kernelOf[unit] = undefined;
    this.#mode[unit] = mode.none;
    this.#isActive[unit] = 0;
    this.#debtNs[unit] = 0;
    this.#dispatches[unit] = 0;
    this.#counts.fill(0, unit * counterCount, (unit + 1) * counterCount);
  }

  /** Whether a vCPU is at a lock, and its timer ours. */
  isAtLock(unit: number): boolean {
    return this.#mode[unit] !== mode.none;
  }

  /** Whether a vCPU is in a loop that spins, on a pCPU or not. */
  isSpinning(unit: number): boolean {
    return this.#mode[unit] === mode.spinning || this.#mode[unit] === mode.exiting;
  }

  countOf(unit: number, name: keyof LockCounts): number {
    const count = this.#counts[unit * counterCount + lockCounters.indexOf(name)]!;
    if (name !== 'spinNs' || this.#isActive[unit] === 0) return count;
    return count + Math.max(0, this.#core.now - this.#sinceNs[unit]!);
  }

  /** A program locks. @returns whether it has the lock now; else it is told when it does */
  lock(unit: number, lock: number): boolean {
    const kernel = this.#kernelOf[unit];
    assert(kernel !== undefined, 'a vCPU that locks has a kernel');
    const cpu = this.#core.vcpu[unit]!;
    assert(lock < kernel.waiters.length && kernel.held[cpu] === -1, 'one of the locks at a time');
    kernel.held[cpu] = lock;
    kernel.arrival[cpu] = kernel.arrivals++;
    this.#owe(unit, kernel.costs.lockNs + kernel.costs.callNs);
    const result = this.#took(kernel, unit, cpu, kernel.machine.lock(kernel.state, cpu, lock));
    return result === outcome.done || this.#advance(kernel, unit, cpu);
  }

  /** A program gives back what it holds. @returns whether that is done now; else it is told when it is */
  unlock(unit: number): boolean {
    const kernel = this.#kernelOf[unit]!;
    const cpu = this.#core.vcpu[unit]!;
    const lock = kernel.held[cpu]!;
    assert(lock >= 0, 'a lock is held');
    kernel.held[cpu] = -1;
    this.#owe(unit, kernel.costs.unlockNs);
    const result = this.#took(kernel, unit, cpu, kernel.machine.unlock(kernel.state, cpu, lock));
    return result === outcome.done || this.#advance(kernel, unit, cpu);
  }

  /** The cost that goes before what a vCPU does next, which is then paid. */
  takeDebtNs(unit: number): number {
    const debtNs = this.#debtNs[unit]!;
    this.#debtNs[unit] = 0;
    return debtNs;
  }

  /** A vCPU of a kernel is on a pCPU: it pays for having come there. */
  arrived(unit: number): void {
    const kernel = this.#kernelOf[unit]!;
    const dispatches = this.#core.dispatches[unit]!;
    if (dispatches === this.#dispatches[unit]) return;
    this.#dispatches[unit] = dispatches;
    this.#owe(unit, kernel.costs.switchNs);
    this.#setPreempted(kernel, unit, 0);
  }

  /** A vCPU of a kernel is off its pCPU, and could run. */
  left(unit: number): void {
    if (this.#core.state[unit] === runState.runnable) this.#setPreempted(this.#kernelOf[unit]!, unit, 1);
  }

  #setPreempted(kernel: Kernel, unit: number, isPreempted: 0 | 1): void {
    if (kernel.spec.lock !== 'pv-qspin') return;
    kernel.state[cpuAt(kernel.machine.shape, this.#core.vcpu[unit]!) + ofCpu.preempted] = isPreempted;
    if (isPreempted === 1) this.#reckonAll(kernel);
  }

  /** A vCPU at a lock is on a pCPU, after each decision there. */
  running(unit: number): void {
    if (this.#isActive[unit] === 1 || this.#host.timers.isArmed(unit)) return;
    if (this.#mode[unit] === mode.spinning) {
      this.#goOnSpinning(this.#kernelOf[unit]!, unit);
      return;
    }
    if (this.#mode[unit] === mode.asleep) {
      this.#mode[unit] = mode.paying;
      this.#leftNs[unit] = 0;
    }
    this.#host.arm(unit, this.#core.now + this.#leftNs[unit]! + this.takeDebtNs(unit));
  }

  /** A vCPU at a lock left its pCPU. */
  stopped(unit: number): void {
    const { timers } = this.#host;
    if (this.#isActive[unit] === 1) this.#stopSpinning(this.#kernelOf[unit]!, unit);
    else if (timers.isArmed(unit)) this.#leftNs[unit] = timers.dueNs(unit) - this.#core.now;
    timers.disarm(unit);
  }

  /** The timer of a vCPU at a lock is due. */
  fire(unit: number): void {
    const kernel = this.#kernelOf[unit]!;
    const cpu = this.#core.vcpu[unit]!;
    if (this.#mode[unit] === mode.exiting) {
      this.#mode[unit] = mode.spinning;
      this.#leftNs[unit] = kernel.costs.pauseNs;
      this.#counts[unit * counterCount + counter.yields]!++;
      this.#core.yield(unit);
      return;
    }
    if (this.#mode[unit] === mode.spinning && !this.#test(kernel, unit, cpu)) return;
    this.#mode[unit] = mode.none;
    const result = this.#step(kernel, unit, cpu);
    if (result === outcome.waits) return;
    if (result === outcome.done || this.#advance(kernel, unit, cpu)) this.#host.goOn(unit);
  }

  /** Takes steps that cost nothing. @returns whether the locking or unlocking is over */
  #advance(kernel: Kernel, unit: number, cpu: number): boolean {
    const { state, costs } = kernel;
    const { costOf } = kernel.machine;
    const pcAt = kernel.pcAt[cpu]!;
    for (;;) {
      const ahead = costOf[state[pcAt]!]!;
      if (ahead === costAhead.pause) {
        this.#leftNs[unit] = costs.pauseNs;
        this.#mode[unit] = mode.spinning;
        this.#goOnSpinning(kernel, unit);
        return false;
      }
      if (ahead !== costAhead.nothing) {
        this.#pay(unit, ahead === costAhead.poll ? costs.pollNs : costs.sendNs, mode.paying);
        return false;
      }
      const result = this.#step(kernel, unit, cpu);
      if (result !== outcome.goesOn) return result === outcome.done;
    }
  }

  #step(kernel: Kernel, unit: number, cpu: number): number {
    return this.#took(kernel, unit, cpu, kernel.machine.step(kernel.state, cpu));
  }

  /** A step was taken, with its effect. @returns an {@link outcome} */
  #took(kernel: Kernel, unit: number, cpu: number, result: number): number {
    const core = this.#core;
    switch (effectOf(result)) {
      case effect.acquired:
        this.#acquired(kernel, unit, cpu);
        return outcome.done;
      case effect.released:
        if (kernel.spinning > 0) this.#reckonAll(kernel);
        return outcome.done;
      case effect.wrote:
        if (kernel.spinning > 0) this.#reckonAll(kernel);
        break;
      case effect.blocked:
        this.#noteWaiting(kernel, cpu);
        this.#counts[unit * counterCount + counter.sleeps]!++;
        this.#mode[unit] = mode.asleep;
        core.block(unit);
        return outcome.waits;
      case effect.kicked:
        this.#counts[unit * counterCount + counter.kicks]!++;
        break;
      case effect.woke:
        this.#counts[unit * counterCount + counter.kicks]!++;
        core.unblock(kernel.units[cpuOfEffect(result)]!);
        break;
      default:
    }
    return outcome.goesOn;
  }

  #noteWaiting(kernel: Kernel, cpu: number): void {
    if (kernel.waitsFor[cpu]! >= 0) return;
    kernel.waitsFor[cpu] = kernel.held[cpu]!;
    kernel.waiters[kernel.held[cpu]!]!++;
  }

  #acquired(kernel: Kernel, unit: number, cpu: number): void {
    const lock = kernel.held[cpu]!;
    const { waiters, waitsFor, linePcpu, costs } = kernel;
    if (waitsFor[cpu]! >= 0) {
      waitsFor[cpu] = -1;
      waiters[lock]!--;
    }
    this.#counts[unit * counterCount + counter.acquisitions]!++;
    if (waiters[lock]! > 0 && hasEarlier(kernel, lock, cpu)) {
      this.#counts[unit * counterCount + counter.overtakings]!++;
    }
    const pcpu = this.#core.pcpu[unit]!;
    const before = linePcpu[lock]!;
    if (before === pcpu) return;
    linePcpu[lock] = pcpu;
    if (before < 0) return;
    const isNear = this.#socketOf[before] === this.#socketOf[pcpu];
    this.#owe(unit, isNear ? costs.transferNs : costs.farTransferNs);
  }

  // ---- spinning

  /** A loop is begun, or gone on with, on a pCPU. */
  #goOnSpinning(kernel: Kernel, unit: number): void {
    const { now, vcpu } = this.#core;
    const cpu = vcpu[unit]!;
    this.#noteWaiting(kernel, cpu);
    const sinceNs = now + this.takeDebtNs(unit);
    this.#sinceNs[unit] = sinceNs;
    this.#baseNs[unit] = sinceNs + this.#leftNs[unit]! - kernel.costs.pauseNs;
    this.#window[unit] = kernel.testsOfWindow;
    this.#testedNs[unit] = -1;
    this.#isActive[unit] = 1;
    kernel.spinners[kernel.spinning++] = cpu;
    this.#aim(kernel, unit, cpu);
  }

  /** The loop is over, or its vCPU leaves its pCPU. */
  #endSpinning(kernel: Kernel, unit: number): void {
    const { now, vcpu } = this.#core;
    this.#isActive[unit] = 0;
    this.#counts[unit * counterCount + counter.spinNs]! += Math.max(0, now - this.#sinceNs[unit]!);
    const place = kernel.spinners.indexOf(vcpu[unit]!);
    kernel.spinners[place] = kernel.spinners[--kernel.spinning]!;
  }

  /** Arms the timer for the next test that comes to something. */
  #aim(kernel: Kernel, unit: number, cpu: number): void {
    const tests = this.#testsAhead(kernel, unit, cpu);
    if (tests === Infinity) this.#host.timers.disarm(unit);
    else this.#host.arm(unit, this.#baseNs[unit]! + tests * kernel.costs.pauseNs);
  }

  /** Tests after the last that was counted until one that comes to something, if nothing changes. */
  #testsAhead({ machine, state, spec }: Kernel, unit: number, cpu: number): number {
    if (spec.isStepwise === true || machine.passes(state, cpu)) return 1;
    return Math.min(machine.testsLeft(state, cpu), this.#window[unit]!);
  }

  /** Counts tests that have come to nothing. */
  #count({ machine, state, costs }: Kernel, unit: number, cpu: number, tests: number): void {
    if (tests === 0) return;
    machine.skip(state, cpu, tests);
    this.#window[unit]! -= tests;
    this.#baseNs[unit]! += tests * costs.pauseNs;
  }

  /** Something has changed: who spins may have something else to come. */
  #reckonAll(kernel: Kernel): void {
    const { machine, state, spec, costs, spinners, units } = kernel;
    const { now } = this.#core;
    for (let place = 0; place < kernel.spinning; place++) {
      const cpu = spinners[place]!;
      const passes = machine.passes(state, cpu);
      if (!passes && !machine.hurries(state, cpu)) continue;
      const unit = units[cpu]!;
      if (spec.isStepwise === true) {
        // A test of this instant sees what is written in it: it is taken again.
        if (passes && this.#testedNs[unit] === now) this.#count(kernel, unit, cpu, -1);
      } else {
        // Tests before now have failed.
        this.#count(kernel, unit, cpu, Math.max(0, Math.ceil((now - this.#baseNs[unit]!) / costs.pauseNs) - 1));
      }
      this.#aim(kernel, unit, cpu);
    }
  }

  /** The test that a spinning vCPU's timer is for. @returns whether the loop is over, with a step to take */
  #test(kernel: Kernel, unit: number, cpu: number): boolean {
    const { machine, state, costs, spec } = kernel;
    const { now } = this.#core;
    this.#count(kernel, unit, cpu, Math.round((now - this.#baseNs[unit]!) / costs.pauseNs) - 1);
    if (machine.passes(state, cpu) || machine.testsLeft(state, cpu) === 1) {
      this.#endSpinning(kernel, unit);
      return true;
    }
    this.#count(kernel, unit, cpu, 1);
    this.#testedNs[unit] = now;
    if (this.#window[unit] === 0) {
      this.#endSpinning(kernel, unit);
      this.#pay(unit, spec.pauseLoopExiting!.exitNs, mode.exiting);
    } else this.#aim(kernel, unit, cpu);
    return false;
  }

  #stopSpinning(kernel: Kernel, unit: number): void {
    const { now, vcpu } = this.#core;
    const cpu = vcpu[unit]!;
    const { machine, state, costs } = kernel;
    const ahead = machine.passes(state, cpu) ? 1 : Math.min(machine.testsLeft(state, cpu), this.#window[unit]!);
    const past = Math.floor((now - this.#baseNs[unit]!) / costs.pauseNs);
    this.#count(kernel, unit, cpu, Math.max(0, Math.min(past, ahead - 1)));
    this.#leftNs[unit] = Math.max(0, this.#baseNs[unit]! + costs.pauseNs - now);
    this.#endSpinning(kernel, unit);
  }

  // ---- costs

  /** A cost that goes before whatever is next. */
  #owe(unit: number, costNs: number): void {
    this.#debtNs[unit]! += costNs;
    this.#counts[unit * counterCount + counter.overheadNs]! += costNs;
  }

  #pay(unit: number, costNs: number, as: number): void {
    this.#mode[unit] = as;
    this.#counts[unit * counterCount + counter.overheadNs]! += costNs;
    this.#host.arm(unit, this.#core.now + costNs + this.takeDebtNs(unit));
  }

  // ---- snapshots

  capture(): GuestLocksState {
    const states = new Map<Kernel, KernelState>();
    return {
      kernels: Array.from(this.#kernelOf, (kernel) => {
        if (kernel === undefined) return undefined;
        const state = states.get(kernel) ?? captureKernel(kernel);
        states.set(kernel, state);
        return state;
      }),
      arrays: this.#arrays().map((array) => array.slice()),
    };
  }

  restore({ kernels, arrays }: GuestLocksState): void {
    const restored = new Map<KernelState, Kernel>();
    this.#kernelOf.length = 0;
    for (const state of kernels) {
      const kernel = state && (restored.get(state) ?? restoredKernel(state));
      if (state !== undefined) restored.set(state, kernel!);
      this.#kernelOf.push(kernel);
    }
    this.grow(arrays[0]!.length);
    for (const [index, array] of this.#arrays().entries()) array.set(arrays[index]!);
  }

  #arrays(): readonly (Float64Array | Int32Array | Uint8Array)[] {
    return [
      this.#mode,
      this.#isActive,
      this.#leftNs,
      this.#baseNs,
      this.#sinceNs,
      this.#testedNs,
      this.#window,
      this.#debtNs,
      this.#dispatches,
      this.#counts,
    ];
  }
}

/** Whether somebody waits for a lock who came before a CPU. */
function hasEarlier({ waitsFor, arrival }: Kernel, lock: number, cpu: number): boolean {
  for (let other = 0; other < waitsFor.length; other++) {
    if (waitsFor[other] === lock && arrival[other]! < arrival[cpu]!) return true;
  }
  return false;
}
