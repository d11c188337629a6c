/**
 * Every sequence of a few events on a very small machine: a tree of states, gone through from snapshot to snapshot, so
 * that each is reached once.
 */
import { assert } from '@xenolith/base';
import { Programs, type ProgramsState } from '../guest/workload/program.ts';
import { compileProgram } from '../guest/workload/step.ts';
import { pauseFlag, runState, SchedCore, type SchedPool } from '../schedule/core.ts';
import { captureCore, restoreCore, type CoreSnapshot } from '../schedule/core-snapshot.ts';
import { makeScheduler } from '../schedule/make-scheduler.ts';
import * as pcpuMask from '../schedule/pcpu-mask.ts';
import type { SchedulerOptions } from '../schedule/scheduler-options.ts';
import type { Scheduler } from '../schedule/scheduler.ts';
import { buildTopology, type Topology } from '../topology/topology.ts';
import type { Policy } from './random-machine.ts';

/** What can happen to a vCPU, and time that passes: until the next timer, or in the middle of a slice. */
const vcpuEvents = ['sleep', 'wake', 'yield', 'pause', 'unpause', 'down', 'up', 'pin', 'unpin'] as const;
type SmallEvent = readonly [(typeof vcpuEvents)[number], number] | readonly ['tick' | 'pass'];

export interface SmallSpace {
  readonly policy: Policy;
  readonly options?: SchedulerOptions;
  readonly pcpus: number;
  readonly vcpus: number;
  /** Events in a sequence. */
  readonly depth: number;
  /** Whether vCPUs go offline and come back among them. */
  readonly canGoDown: boolean;
  /** What is done once the pool is there, and once the domains are. */
  readonly prepare?: (core: SchedCore, scheduler: Scheduler) => void;
  readonly faultsOf: (core: SchedCore, pool: SchedPool) => readonly string[];
  /** How long a unit that can run waits at most, when nothing happens any more; none that is promised where absent. */
  readonly waitMaxNs?: number;
  /** How long a unit is let run at a time, at least and at most; where absent, for ever. */
  readonly sliceNs?: readonly [least: number, most: number];
}

export interface Explored {
  /** Sequences of events, the shorter ones among them. */
  readonly sequences: number;
  readonly longestWaitNs: number;
  /** The first sequence that went wrong, and how. */
  readonly fault: string | undefined;
}

/** Of a hog that is stopped in the middle of a slice of any policy. */
const passNs = 700_000;
/** Sequences up to this length are waited out: the longer ones end in the same few situations. */
const waitDepthMax = 3;

interface State {
  readonly core: CoreSnapshot;
  readonly programs: ProgramsState;
}

interface Place {
  readonly core: SchedCore;
  readonly programs: Programs;
  readonly pool: SchedPool;
}

export function explore(space: SmallSpace): Explored {
  return new Exploration(space).run();
}

class Exploration {
  readonly #space: SmallSpace;
  readonly #topology: Topology;
  #sequences = 0;
  #longestWaitNs = 0;
  #fault: string | undefined;
  #wrongSlice: string | undefined;

  constructor(space: SmallSpace) {
    this.#space = space;
    this.#topology = buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: space.pcpus, threadsPerCore: 1 });
  }

  run(): Explored {
    const place = this.#make();
    const { core, programs, pool } = place;
    for (let pcpu = 0; pcpu < this.#space.pcpus; pcpu++) core.addPcpu(pcpu, pool);
    core.drain();
    for (let domain = 0; domain < this.#space.vcpus; domain++) {
      core.addDomain(domain, pool);
      programs.load(core.addVcpu(domain), compileProgram([['hog']], false));
    }
    this.#space.prepare?.(core, pool.scheduler);
    for (let domain = 0; domain < this.#space.vcpus; domain++) programs.start(unitOf(core, domain));
    core.drain();
    this.#visit(place, []);
    return { sequences: this.#sequences, longestWaitNs: this.#longestWaitNs, fault: this.#fault };
  }

  #make(): Place {
    const core = this.#makeCore();
    return { core, programs: new Programs(core), pool: this.#makePool(core) };
  }

  #makeCore(): SchedCore {
    const core = new SchedCore(this.#topology, this.#space.policy.xenVersion);
    core.onDecision = (_nowNs, _pcpu, unit, sliceNs) => this.#noteSlice(core, unit, sliceNs);
    return core;
  }

  #noteSlice(core: SchedCore, unit: number, sliceNs: number): void {
    if (core.isIdle(unit)) return;
    const [least, most] = this.#space.sliceNs ?? [-1, -1];
    if (sliceNs < least || sliceNs > most) this.#wrongSlice ??= `unit ${unit} is let run for ${sliceNs} ns`;
  }

  #makePool(core: SchedCore): SchedPool {
    const valid = pcpuMask.emptyMask(core.words);
    return { valid, scheduler: makeScheduler(core, valid, this.#space.policy.scheduler, this.#space.options) };
  }

  #restored(state: State): Place {
    const core = this.#makeCore();
    const programs = new Programs(core);
    let pool: SchedPool | undefined;
    restoreCore(core, state.core, () => {
      pool = this.#makePool(core);
      return [pool];
    });
    programs.restore(state.programs);
    assert(pool !== undefined, 'a pool is made');
    return { core, programs, pool };
  }

  /** Goes on from a place in every way; it is used up afterwards. */
  #visit(place: Place, path: readonly SmallEvent[]): void {
    this.#sequences++;
    this.#expect(path, this.#space.faultsOf(place.core, place.pool));
    if (this.#wrongSlice !== undefined) this.#expect(path, [this.#wrongSlice]);
    const isLeaf = path.length === this.#space.depth;
    const isWaitedOut = this.#space.waitMaxNs !== undefined && path.length <= waitDepthMax;
    if (this.#fault !== undefined || (isLeaf && !isWaitedOut)) return;
    const state: State = { core: captureCore(place.core, [place.pool]), programs: place.programs.capture() };
    const events = isLeaf ? [] : eventsOf(place.core, this.#space);
    if (isWaitedOut) this.#waitOut(place, path);
    for (const event of events) {
      const next = this.#restored(state);
      happen(next.core, event);
      this.#visit(next, [...path, event]);
    }
  }

  /** Every unit that can run gets onto a pCPU, within the time that is promised. */
  #waitOut({ core }: Place, path: readonly SmallEvent[]): void {
    const waitMaxNs = this.#space.waitMaxNs!;
    const waiting = new Map<number, number>();
    const begin = core.now;
    for (let domain = 0; domain < this.#space.vcpus; domain++) {
      if (core.isRunnable(unitOf(core, domain))) waiting.set(unitOf(core, domain), begin);
    }
    core.onDecision = (nowNs, pcpu, unit, sliceNs) => {
      this.#noteSlice(core, unit, sliceNs);
      const previous = core.current[pcpu]!;
      if (unit === previous) return;
      const since = waiting.get(unit);
      if (since !== undefined) this.#longestWaitNs = Math.max(this.#longestWaitNs, nowNs - since);
      if (wantsToRun(core, previous)) waiting.set(previous, nowNs);
      waiting.delete(unit);
    };
    for (const unit of waiting.keys()) if (core.isRunning[unit] === 1) waiting.delete(unit);
    core.run(begin + 2 * waitMaxNs);
    for (const since of waiting.values()) this.#longestWaitNs = Math.max(this.#longestWaitNs, core.now - since);
    if (this.#wrongSlice !== undefined) this.#expect(path, [this.#wrongSlice]);
    if (this.#longestWaitNs > waitMaxNs) this.#expect(path, [`a unit waits for ${this.#longestWaitNs} ns`]);
  }

  #expect(path: readonly SmallEvent[], faults: readonly string[]): void {
    if (faults.length > 0) this.#fault ??= `${path.map((event) => event.join(' ')).join(', ')}: ${faults.join('; ')}`;
  }
}

/** Whether a vCPU runs or waits: also one that is just being moved. */
const wantsToRun = (core: SchedCore, unit: number): boolean =>
  !core.isIdle(unit) && core.pauseCount[unit] === 0 && (core.flags[unit]! & ~pauseFlag.migrating) === 0;

const unitOf = (core: SchedCore, domain: number): number => core.domainEntry(domain).units[0]!;

/** What can happen now. */
function eventsOf(core: SchedCore, { vcpus, pcpus, canGoDown }: SmallSpace): readonly SmallEvent[] {
  const events: SmallEvent[] = [['tick'], ['pass']];
  for (let domain = 0; domain < vcpus; domain++) {
    const unit = unitOf(core, domain);
    const isBlocked = (core.flags[unit]! & pauseFlag.blocked) !== 0;
    const isPinned = pcpuMask.count(core.hard[unit]!) === 1;
    if (core.state[unit] === runState.running) events.push(['sleep', domain], ['yield', domain]);
    if (isBlocked) events.push(['wake', domain]);
    events.push([core.pauseCount[unit] === 0 ? 'pause' : 'unpause', domain]);
    if (canGoDown) events.push([(core.flags[unit]! & pauseFlag.down) === 0 ? 'down' : 'up', domain]);
    if (pcpus > 1) events.push([isPinned ? 'unpin' : 'pin', domain]);
  }
  return events;
}

function happen(core: SchedCore, [what, domain]: SmallEvent): void {
  if (domain === undefined) {
    const { nextDeadlineNs } = core.timers;
    core.run(what === 'tick' && nextDeadlineNs < Infinity ? nextDeadlineNs + 1 : core.now + passNs);
    return;
  }
  const unit = unitOf(core, domain);
  core.currentPcpu = core.pcpu[unit]!;
  switch (what) {
    case 'sleep':
      core.block(unit);
      break;
    case 'wake':
      core.unblock(unit);
      break;
    case 'yield':
      core.yield(unit);
      break;
    case 'pause':
      core.pauseUnits([unit]);
      break;
    case 'unpause':
      core.unpauseUnits([unit]);
      break;
    case 'down':
      core.setDown(unit);
      break;
    case 'up':
      core.setUp(unit);
      break;
    case 'pin':
      // Where it is not, so that it has to move.
      core.setAffinity(unit, pcpuMask.maskOf(core.words, [(core.pcpu[unit]! + 1) % core.pcpuCount]), undefined);
      break;
    default:
      core.setAffinity(unit, pcpuMask.everyPcpu(core.words), undefined);
  }
  core.drain();
}
