/**
 * What guests do on their vCPUs, as programs of simple steps: compute, block, yield, send and wait for events. The
 * rules of the order in which things happen at one instant are those of the recorded answers (hypervisor/kat/README,
 * sections 1 and 2), so that a run is the same, decision by decision.
 */
import { assert } from '@xenolith/base';
import { grownFloat64, grownInt32 } from '../../engine/timer-heap.ts';
import { pauseFlag, runState, type SchedCore } from '../../schedule/core.ts';
import type { GuestCode } from '../../schedule/guest-code.ts';
import { interruptLock, type KernelSpec } from '../lock/kernel.ts';
import { GuestLocks, type GuestLocksState } from '../lock/guest-locks.ts';
import { RunTimers, type RunTimersState } from '../run-timers.ts';
import { Jobs, type JobsState } from './jobs.ts';
import { compileProgram, emptyProgram, ofStep, op, stepNumbers, type Program } from './step.ts';
import { GuestThreads, type GuestThreadsState } from './threads.ts';

/** Steps of no length that may follow each other at one instant; more are a program that never lets time pass. */
const instantStepsMax = 100_000;

/** Runs programs on the vCPUs of a machine. */
export class Programs implements GuestCode {
  /** The jobs that programs take, and the work they have done. */
  declare readonly jobs: Jobs;
  /** The spinlocks of guests' kernels. */
  declare readonly locks: GuestLocks;
  readonly #core: SchedCore;
  /** Of vCPUs with kernels while they are on pCPUs; others, and those that sleep, have timers of the core. */
  readonly #runTimers: RunTimers;
  /** The timer of the core for {@link #runTimers}, and whether they are gone through just now. */
  readonly #runTimer: number;
  #isBurst = false;
  readonly #program: Program[] = [];
  /** Where the next step begins in its program. */
  #at: Int32Array = new Int32Array(0);
  /** What is left of the present `run`, or was of a `block` when it began. */
  #leftNs: Float64Array = new Float64Array(0);
  #random: Uint32Array = new Uint32Array(0);
  /** Bits of {@link trait}. */
  #traits: Uint8Array = new Uint8Array(0);
  /** When the next tick of a vCPU is due whose kernel has interrupts, and the timer of the core for the first of them. */
  readonly #ticks: RunTimers;
  readonly #tickTimer: number;
  /** Threads of domains that have more of them than vCPUs. */
  readonly #threads: GuestThreads;
  /** By unit: what its kernel does when a tick comes, and what the tick that it is at has interrupted. */
  readonly #handler: (Handler | undefined)[] = [];
  readonly #interrupted: (Interrupted | undefined)[] = [];
  /** When the present phase ends; Infinity outside of one. */
  #phaseEndNs: Float64Array = new Float64Array(0);

  constructor(core: SchedCore) {
    this.#core = core;
    this.jobs = new Jobs(core.unitCapacity);
    this.#runTimers = new RunTimers(core.unitCapacity);
    this.#runTimer = core.newActionTimer(() => this.#burst());
    this.#ticks = new RunTimers(core.unitCapacity);
    this.#tickTimer = core.newActionTimer(() => this.#tick());
    this.#threads = new GuestThreads(core);
    this.locks = new GuestLocks(core, {
      goOn: (unit) => this.#goOnWithKernel(unit),
      arm: (unit, dueNs) => this.#armRun(unit, dueNs),
      timers: this.#runTimers,
    });
    this.#phaseEndNs = new Float64Array(core.unitCapacity);
    this.#at = new Int32Array(core.unitCapacity);
    this.#leftNs = new Float64Array(core.unitCapacity);
    this.#random = new Uint32Array(core.unitCapacity);
    this.#traits = new Uint8Array(core.unitCapacity);
    core.guest = this;
  }

  grow(unitCapacity: number): void {
    if (unitCapacity <= this.#at.length) return;
    this.#at = grownInt32(this.#at, unitCapacity, 0);
    this.#leftNs = grownFloat64(this.#leftNs, unitCapacity);
    this.#phaseEndNs = grownFloat64(this.#phaseEndNs, unitCapacity);
    this.jobs.grow(unitCapacity);
    this.#runTimers.grow(unitCapacity);
    this.#ticks.grow(unitCapacity);
    const random = new Uint32Array(unitCapacity);
    random.set(this.#random);
    this.#random = random;
    const traits = new Uint8Array(unitCapacity);
    traits.set(this.#traits);
    this.#traits = traits;
  }

  /** Gives a vCPU that has not started its program, and the seed of its lengths (not 0). */
  load(unit: number, program: Program, seed = 1): void {
    this.#program[unit] = program.steps.length === 0 ? emptyProgram : program;
    this.#at[unit] = 0;
    this.#leftNs[unit] = 0;
    this.#random[unit] = seed >>> 0;
    this.#traits[unit] = 0;
    this.#phaseEndNs[unit] = Infinity;
    this.jobs.reset(unit, seed);
    this.locks.reset(unit);
    this.#ticks.disarm(unit);
    this.#threads.reset(unit);
    this.#handler[unit] = this.#interrupted[unit] = undefined;
    this.#takeUpRun(unit);
  }

  /** The vCPUs of a domain, which have not started, have a kernel with locks. */
  addKernel(units: readonly number[], spec: KernelSpec): void {
    this.locks.addKernel(units, spec);
    for (const unit of units) this.#traits[unit]! |= trait.kernel;
    const { interrupts } = spec;
    if (interrupts === undefined) return;
    const { periodNs, workNs, holdNs } = interrupts;
    assert(Number.isSafeInteger(periodNs) && periodNs > 0, `a tick every ${periodNs}`);
    const program = compileProgram(
      [['serve', workNs], ['lock', interruptLock(spec)], ['serve', holdNs], ['unlock']],
      false,
    );
    for (const [cpu, unit] of units.entries()) {
      this.#handler[unit] = { program, periodNs };
      // Not all at once, as with `skew_tick`.
      this.#ticks.arm(unit, this.#core.now + Math.ceil((periodNs * (cpu + 1)) / units.length));
    }
    this.#armForTick();
  }

  /**
   * The vCPUs of a domain, which have not started and have a kernel with interrupts, run threads, each with a program and
   * the seed of its lengths. Programs may compute, sleep, take locks and mark units of work.
   */
  addThreads(units: readonly number[], threads: readonly { readonly program: Program; readonly seed: number }[]): void {
    assert(
      units.every((unit) => this.#handler[unit] !== undefined),
      'threads change places at ticks',
    );
    this.#threads.add(
      units,
      threads.map(({ program, seed }) => ({ program, at: 0, leftNs: 0, random: seed >>> 0, unit: -1 })),
    );
  }

  /** Brings a vCPU up now: its program begins. */
  start(unit: number): void {
    this.#core.wokenNs[unit] = this.#core.now;
    this.#core.setUp(unit);
  }

  /** Brings a vCPU up at a time to come. */
  startAt(unit: number, timeNs: number): void {
    this.#traits[unit]! |= trait.starting;
    this.#core.timers.arm(this.#core.guestTimer[unit]!, timeNs);
  }

  running(unit: number): void {
    const traits = this.#traits[unit]!;
    if ((traits & (trait.hog | trait.kernel)) !== 0) {
      if ((traits & trait.kernel) !== 0) this.#runningWithKernel(unit);
      return;
    }
    const { timers, guestTimer } = this.#core;
    if (!timers.isArmed(guestTimer[unit]!)) this.#armForLeft(unit);
  }

  stopped(unit: number): void {
    if ((this.#traits[unit]! & trait.kernel) !== 0) {
      this.#stoppedWithKernel(unit);
      return;
    }
    const { now, timers, guestTimer } = this.#core;
    const timer = guestTimer[unit]!;
    if (!timers.isArmed(timer)) return;
    this.#leftNs[unit] = timers.dueNs[timer]! - now;
    timers.disarm(timer);
  }

  /** The timer is due when what is left is over. */
  #armForLeft(unit: number): void {
    const { now, timers, guestTimer } = this.#core;
    const timer = guestTimer[unit]!;
    timers.dueNs[timer] = now + this.#leftNs[unit]!;
    timers.armDue(timer);
  }

  /** {@link running} of a vCPU whose kernel has locks. */
  #runningWithKernel(unit: number): void {
    const { locks } = this;
    locks.arrived(unit);
    if ((this.#traits[unit]! & trait.tick) !== 0 && this.#interrupted[unit] === undefined) this.#interrupt(unit);
    else if (locks.isAtLock(unit)) locks.running(unit);
    else if ((this.#traits[unit]! & trait.hog) === 0 && !this.#runTimers.isArmed(unit)) this.#armRunForLeft(unit);
  }

  #stoppedWithKernel(unit: number): void {
    this.locks.left(unit);
    this.#setAside(unit);
  }

  /** Whatever a vCPU is at stands still. */
  #setAside(unit: number): void {
    const { locks } = this;
    const runTimers = this.#runTimers;
    if (locks.isAtLock(unit)) locks.stopped(unit);
    else if (runTimers.isArmed(unit)) {
      this.#leftNs[unit] = runTimers.dueNs(unit) - this.#core.now;
      runTimers.disarm(unit);
    }
  }

  // ---- interrupts

  #armForTick(): void {
    const unit = this.#ticks.first;
    if (unit >= 0) this.#core.timers.arm(this.#tickTimer, this.#ticks.dueNs(unit));
  }

  /** Clocks of vCPUs tick that are due. */
  #tick(): void {
    const { now } = this.#core;
    for (let unit = this.#ticks.first; this.#ticks.dueNs(unit) <= now; unit = this.#ticks.first) {
      this.#ticks.arm(unit, now + this.#handler[unit]!.periodNs);
      this.#tickOf(unit);
    }
    this.#armForTick();
  }

  /** Who is not on a pCPU, at another interrupt or outside of its guest takes it later; who sleeps has no tick. */
  #tickOf(unit: number): void {
    const core = this.#core;
    const { locks } = this;
    const state = core.state[unit]!;
    const isInside = this.#interrupted[unit] === undefined;
    if (state === runState.running && isInside && !locks.isExiting(unit)) {
      core.currentPcpu = core.pcpu[unit]!;
      this.#interrupt(unit);
      return;
    }
    const isAsleep = state === runState.blocked && locks.isAsleep(unit);
    if (state !== runState.running && state !== runState.runnable && !isAsleep) return;
    this.#traits[unit]! |= trait.tick;
    // Events that are delivered end a poll, but for one of a handler, in which they are masked.
    if (isAsleep && isInside) core.unblock(unit);
  }

  /** A vCPU on a pCPU goes aside from what it is at, and begins with its handler. */
  #interrupt(unit: number): void {
    this.#setAside(unit);
    const isHog = (this.#traits[unit]! & trait.hog) !== 0;
    const [program, at, leftNs] = [this.#program[unit]!, this.#at[unit]!, this.#leftNs[unit]!];
    this.#interrupted[unit] = { program, at, leftNs, isHog };
    this.#traits[unit]! &= ~(trait.tick | trait.hog);
    this.#program[unit] = this.#handler[unit]!.program;
    this.#at[unit] = 0;
    this.locks.enterInterrupt(unit);
    this.#goOnWithKernel(unit);
  }

  /** The handler is done: the vCPU goes on with what it was at, or with the next tick. */
  #endInterrupt(unit: number): void {
    const { locks } = this;
    const { program, at, leftNs, isHog } = this.#interrupted[unit]!;
    this.#interrupted[unit] = undefined;
    this.#program[unit] = program;
    this.#at[unit] = at;
    this.#leftNs[unit] = leftNs;
    if (isHog) this.#traits[unit]! |= trait.hog;
    locks.leaveInterrupt(unit);
    if ((this.#traits[unit]! & trait.tick) !== 0) this.#interrupt(unit);
    else if (this.#threads.isWanted(unit) && locks.isPreemptible(unit)) {
      this.#putAway(unit, leftNs);
      this.#threads.putBack(unit);
      if (this.#takeThread(unit)) this.#goOnWithKernel(unit);
    } else if (locks.isAtLock(unit)) locks.running(unit);
    else if (!isHog) this.#armRunForLeft(unit);
  }

  // ---- threads

  /** The thread of a vCPU leaves it. */
  #putAway(unit: number, leftNs: number): void {
    const thread = this.#threads.current(unit)!;
    thread.at = this.#at[unit]!;
    thread.leftNs = leftNs;
    thread.random = this.#random[unit]!;
  }

  /** The next thread comes to a vCPU that runs. @returns whether it has a step to take; if not, it computes, or there is none */
  #takeThread(unit: number): boolean {
    const isOther = this.#threads.take(unit);
    if (isOther === undefined) {
      this.#program[unit] = emptyProgram;
      this.#at[unit] = this.#leftNs[unit] = 0;
      this.#core.block(unit);
      return false;
    }
    const { program, at, leftNs, random } = this.#threads.current(unit)!;
    this.#program[unit] = program;
    this.#at[unit] = at;
    this.#leftNs[unit] = leftNs;
    this.#random[unit] = random;
    if (isOther) this.locks.switchedThread(unit);
    if (leftNs === 0) return true;
    this.#armRunForLeft(unit);
    return false;
  }

  /** A thread sleeps: the vCPU takes the next one. @returns what {@link #takeThread} does */
  #sleepThread(unit: number): boolean {
    const lengthNs = this.#leftNs[unit]!;
    this.#putAway(unit, 0);
    this.#threads.sleepUntil(unit, this.#core.now + lengthNs);
    return this.#takeThread(unit);
  }

  // ---- timers of vCPUs whose kernels have locks

  /** As {@link #armForLeft}, with what locks have cost, of a vCPU whose kernel has some. */
  #armRunForLeft(unit: number): void {
    this.#armRun(unit, this.#core.now + this.#leftNs[unit]! + this.locks.takeDebtNs(unit));
  }

  #armRun(unit: number, dueNs: number): void {
    this.#runTimers.arm(unit, dueNs);
    if (!this.#isBurst) this.#armForFirst();
  }

  /** The core's timer is due when the first of {@link #runTimers} is. */
  #armForFirst(): void {
    const { timers } = this.#core;
    const { first } = this.#runTimers;
    if (first < 0) return;
    const dueNs = this.#runTimers.dueNs(first);
    if (!timers.isArmed(this.#runTimer) || timers.dueNs[this.#runTimer]! > dueNs) timers.arm(this.#runTimer, dueNs);
  }

  /** Lets happen what is due of {@link #runTimers} before anything else of the machine is. */
  #burst(): void {
    const core = this.#core;
    const { timers } = core;
    const runTimers = this.#runTimers;
    this.#isBurst = true;
    let armings = -1;
    let untilNs = 0;
    for (;;) {
      if (armings !== timers.armings) {
        armings = timers.armings;
        untilNs = Math.min(core.untilNs, timers.nextDeadlineNs);
      }
      const unit = runTimers.first;
      if (unit < 0) break;
      const dueNs = runTimers.dueNs(unit);
      if (dueNs >= untilNs) break;
      core.now = timers.nowNs = dueNs;
      runTimers.disarm(unit);
      core.events++;
      core.currentPcpu = core.pcpu[unit]!;
      if (this.locks.isAtLock(unit)) this.locks.fire(unit);
      else this.#goOnWithKernel(unit);
      if (core.isRaised) core.drain();
    }
    this.#isBurst = false;
    this.#armForFirst();
  }

  fire(unit: number): void {
    const core = this.#core;
    if ((core.flags[unit]! & pauseFlag.blocked) !== 0) {
      // The end of a `block`.
      this.#takeUpRun(unit);
      core.unblock(unit);
      return;
    }
    if ((this.#traits[unit]! & trait.starting) !== 0) {
      this.#traits[unit]! &= ~trait.starting;
      this.start(unit);
      return;
    }
    this.#goOn(unit);
  }

  /** An event for a vCPU (`evtchn_send`): ends its wait, or is kept for it. */
  kick(unit: number): void {
    if ((this.#traits[unit]! & trait.waiting) === 0) {
      this.#traits[unit]! |= trait.pending;
      return;
    }
    this.#traits[unit]! &= ~trait.waiting;
    this.#takeUpRun(unit);
    this.#core.unblock(unit);
  }

  /** Everything in it, programs too, for {@link restore}; they are shared, for nothing changes them. */
  capture(): ProgramsState {
    return {
      program: [...this.#program],
      at: this.#at.slice(),
      leftNs: this.#leftNs.slice(),
      random: this.#random.slice(),
      traits: this.#traits.slice(),
      phaseEndNs: this.#phaseEndNs.slice(),
      jobs: this.jobs.capture(),
      locks: this.locks.capture(),
      runTimers: this.#runTimers.capture(),
      ticks: this.#ticks.capture(),
      threads: this.#threads.capture(),
      handlers: [...this.#handler],
      interrupted: [...this.#interrupted],
    };
  }

  restore(state: ProgramsState): void {
    this.#program.splice(0, Infinity, ...(state.program as readonly Program[]));
    this.#at = state.at.slice();
    this.#leftNs = state.leftNs.slice();
    this.#random = state.random.slice();
    this.#traits = state.traits.slice();
    this.#phaseEndNs = state.phaseEndNs.slice();
    this.jobs.restore(state.jobs);
    this.locks.restore(state.locks);
    this.#runTimers.restore(state.runTimers);
    this.#ticks.restore(state.ticks);
    this.#threads.restore(state.threads);
    this.#handler.splice(0, Infinity, ...(state.handlers as readonly (Handler | undefined)[]));
    this.#interrupted.splice(0, Infinity, ...(state.interrupted as readonly (Interrupted | undefined)[]));
  }

  /** A `run` is over on a vCPU that runs: takes steps up until one takes time. */
  #goOn(unit: number): void {
    const core = this.#core;
    for (let count = 0; count < instantStepsMax; count++) {
      const program = this.#program[unit]!;
      const at = this.#next(unit, program);
      if (at < 0) {
        core.block(unit);
        return;
      }
      switch (program.steps[at + ofStep.op]) {
        case op.hog:
          this.#traits[unit]! |= trait.hog;
          return;
        case op.run:
          this.#draw(unit, program, at);
          if ((this.#traits[unit]! & trait.kernel) === 0) this.#armForLeft(unit);
          else this.#armRunForLeft(unit);
          return;
        case op.block:
          this.#draw(unit, program, at);
          this.#armForLeft(unit);
          core.block(unit);
          return;
        case op.yield:
          core.yield(unit);
          this.#takeUpRun(unit);
          return;
        case op.kick:
          this.kick(core.domainEntry(program.steps[at + ofStep.from]!).units[program.steps[at + ofStep.to]!]!);
          break;
        case op.job:
          if (this.#waitForJob(unit, program, at)) return;
          break;
        case op.done:
          this.jobs.finish(unit, core.now);
          break;
        case op.mark:
          this.jobs.completed[unit]!++;
          break;
        case op.phase:
          this.#phaseEndNs[unit] = core.now + program.steps[at + ofStep.from]!;
          this.jobs.begin(unit, core.now);
          break;
        case op.lock:
        case op.unlock:
          this.#at[unit] = at;
          this.#goOnWithKernel(unit);
          return;
        case op.again:
          if (core.now < this.#phaseEndNs[unit]!) this.#at[unit] = program.steps[at + ofStep.from]! * stepNumbers;
          break;
        default:
          if ((this.#traits[unit]! & trait.pending) !== 0) {
            this.#traits[unit]! &= ~trait.pending;
            break;
          }
          this.#traits[unit]! |= trait.waiting;
          core.block(unit);
          return;
      }
    }
    assert(false, `the program of unit ${unit} lets no time pass`);
  }

  /**
   * {@link #goOn} for kernels with locks: the few steps that they take all the time are here, and that method stays as
   * small as others need it.
   */
  #goOnWithKernel(unit: number): void {
    for (let count = 0; count < instantStepsMax; count++) {
      const program = this.#program[unit]!;
      const at = this.#next(unit, program);
      switch (at < 0 ? -1 : program.steps[at + ofStep.op]! | 0) {
        case op.run:
          this.#draw(unit, program, at);
          this.#armRunForLeft(unit);
          return;
        case op.lock:
          this.#draw(unit, program, at);
          if (!this.locks.lock(unit, Math.trunc(this.#leftNs[unit]!) | 0)) return;
          break;
        case op.unlock:
          if (!this.locks.unlock(unit)) return;
          break;
        case op.mark:
          this.jobs.completed[unit]!++;
          break;
        case op.serve:
          this.#draw(unit, program, at);
          this.locks.countOverhead(unit, this.#leftNs[unit]!);
          this.#armRunForLeft(unit);
          return;
        default:
          if (at < 0 && this.#interrupted[unit] !== undefined) {
            this.#endInterrupt(unit);
            return;
          }
          if (this.#threads.has(unit)) {
            if (at >= 0) this.#draw(unit, program, at);
            if (at < 0 ? this.#takeThread(unit) : this.#sleepThread(unit)) break;
            return;
          }
          if (at >= 0) this.#at[unit] = at;
          this.#goOn(unit);
          return;
      }
    }
    assert(false, `the program of unit ${unit} lets no time pass`);
  }

  /** Takes the next job. @returns whether the vCPU blocks until it comes, or until the phase is over */
  #waitForJob(unit: number, program: Program, at: number): boolean {
    const core = this.#core;
    const releaseNs = this.jobs.take(unit, program.sources[program.steps[at + ofStep.from]!]!, core.now);
    const phaseEndNs = this.#phaseEndNs[unit]!;
    if (releaseNs >= phaseEndNs) {
      this.jobs.drop(unit);
      this.#at[unit] = program.steps[at + ofStep.to]! * stepNumbers;
      if (phaseEndNs <= core.now) return false;
    } else if (releaseNs <= core.now) return false;
    core.timers.arm(core.guestTimer[unit]!, Math.min(releaseNs, phaseEndNs));
    core.block(unit);
    return true;
  }

  /** Where the next step begins, which is the last one now; -1 when the program is over. */
  #next(unit: number, program: Program): number {
    let at = this.#at[unit]!;
    if (at === program.steps.length) {
      if (!program.repeat || at === 0) return -1;
      at = 0;
    }
    this.#at[unit] = at + stepNumbers;
    return at;
  }

  /**
   * What follows a block, a wait or a yield: a `run` is taken up there and then, anything else when the vCPU is on a
   * pCPU again.
   */
  #takeUpRun(unit: number): void {
    const program = this.#program[unit]!;
    let at = this.#at[unit]!;
    if (at === program.steps.length && program.repeat && at > 0) at = 0;
    this.#leftNs[unit] = 0;
    if (at >= program.steps.length) return;
    const what = program.steps[at + ofStep.op];
    if (what === op.hog) this.#traits[unit]! |= trait.hog;
    if (what !== op.run) return;
    this.#at[unit] = at + stepNumbers;
    this.#draw(unit, program, at);
  }

  /** All of a step is left: xorshift32 of Marsaglia, one state a vCPU, draws its length where there is a choice. */
  #draw(unit: number, program: Program, at: number): void {
    const from = program.steps[at + ofStep.from]!;
    const lengths = program.steps[at + ofStep.to]! - from + 1;
    if (lengths === 1) {
      this.#leftNs[unit] = from;
      return;
    }
    let x = this.#random[unit]!;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    this.#random[unit] = x;
    // Both `>>> 0` let V8 divide 32-bit numbers, many times faster than numbers of any size; of more lengths it takes the
    // lower ones.
    this.#leftNs[unit] = from + (lengths > 0xffffffff ? x : (x % (lengths >>> 0)) >>> 0);
  }
}

const trait = { hog: 1, starting: 2, waiting: 4, pending: 8, kernel: 16, tick: 32 } as const;

/** What the kernel of a vCPU does when its clock ticks. */
interface Handler {
  readonly program: Program;
  readonly periodNs: number;
}

/** Where a program was when an interrupt came. */
interface Interrupted {
  readonly program: Program;
  readonly at: number;
  readonly leftNs: number;
  readonly isHog: boolean;
}

/** {@link Programs} at one moment. */
export interface ProgramsState {
  /** By unit; undefined where there never was one. */
  readonly program: readonly (Program | undefined)[];
  readonly at: Int32Array;
  readonly leftNs: Float64Array;
  readonly random: Uint32Array;
  readonly traits: Uint8Array;
  readonly phaseEndNs: Float64Array;
  readonly jobs: JobsState;
  readonly locks: GuestLocksState;
  readonly runTimers: RunTimersState;
  readonly ticks: RunTimersState;
  readonly threads: GuestThreadsState;
  readonly handlers: readonly unknown[];
  readonly interrupted: readonly unknown[];
}
