import { assert, ns, pcpuId, present, vcpuId, type Ns, type PcpuId, type VcpuId } from '@xenolith/base';
import type { TraceRing } from '../engine/trace-ring.ts';
import type { KernelSpec } from '../guest/lock/kernel.ts';
import { Programs, type ProgramsState } from '../guest/workload/program.ts';
import { compileWorkload, hogUnitNs, type Workload } from '../guest/workload/workloads.ts';
import { pauseFlag, runState, SchedCore, type SchedPool } from '../schedule/core.ts';
import { captureCore, restoreCore, type CoreSnapshot } from '../schedule/core-snapshot.ts';
import { nextCpupoolId } from '../schedule/cpupool-rules.ts';
import { makeScheduler } from '../schedule/make-scheduler.ts';
import * as pcpuMask from '../schedule/pcpu-mask.ts';
import type { SchedulerOptions } from '../schedule/scheduler-options.ts';
import type { SchedulerName, XenVersion } from '../schedule/scheduler.ts';
import type { Topology } from '../topology/topology.ts';
import { setDomainParameters, setPoolParameters, type DomainParameters, type PoolParameters } from './parameters.ts';
import type { CpupoolFigures, DomainFigures, MachineFigures, PcpuFigures } from './figures.ts';
import { Measurement, type MeasurementState } from './measurement.ts';
import { MemoryLoad, type MemoryLoadOptions, type MemoryLoadState } from './memory-load.ts';

/** A cpupool to be made, with pCPUs that are free; none for one that is empty at first. */
export interface CpupoolSpec {
  readonly name: string;
  readonly scheduler: SchedulerName;
  readonly options?: SchedulerOptions;
  readonly pcpus: readonly number[];
}

export interface VcpuSpec {
  readonly workload: Workload;
  /** pCPUs it may run on, and those it would like to; every one where absent. */
  readonly hardAffinity?: readonly number[];
  readonly softAffinity?: readonly number[];
  /** When it is brought up, from now; at once where absent. */
  readonly startNs?: number;
  /** It is not brought up, until {@link Machine.setOnline} does. */
  readonly isOffline?: boolean;
}

/** A domain to be made in a cpupool. Parameters are of the pool's scheduler; its defaults where absent. */
export interface DomainRunSpec {
  readonly name: string;
  /** Its number; the next one where absent. */
  readonly domid?: number;
  readonly cpupool: string;
  readonly parameters?: DomainParameters;
  readonly vcpus: readonly VcpuSpec[];
  /** It runs when {@link Machine.unpause} lets it. */
  readonly isPaused?: boolean;
  /** Where its memory is, in any unit, for {@link MachineOptions.memory}; the same on every node where absent. */
  readonly memoryByNode?: readonly number[];
  /** The spinlocks of its kernel; a workload that takes some needs it. */
  readonly kernel?: KernelSpec;
  /**
   * Threads that its guest runs on its vCPUs, which have then nothing else to do (`idle`), by a scheduler of its own; each
   * works with locks (`locking`). Needs a kernel with interrupts.
   */
  readonly threads?: { readonly count: number; readonly workload: Workload };
}

/** Threads of a domain. */
const threadsMax = 4096;

export interface MachineOptions {
  readonly topology: Topology;
  /** Everything that is drawn follows from it. */
  readonly seed: number;
  readonly xenVersion?: XenVersion;
  /** Is told every decision. */
  readonly trace?: TraceRing;
  /** What memory costs; where absent it costs nothing, and sibling threads do not slow each other. */
  readonly memory?: MemoryLoadOptions;
}

/** A vCPU as it is now. */
export interface MachineVcpu {
  readonly vcpu: VcpuId;
  readonly pcpu: PcpuId;
  readonly state: 'running' | 'runnable' | 'blocked' | 'offline';
  readonly cpuTimeNs: Ns;
}

/** All of a machine at one moment but its trace, as data that `structuredClone` can copy. */
export interface MachineSnapshot {
  readonly topology: Topology;
  readonly xenVersion: XenVersion;
  readonly seed: number;
  readonly cpupools: readonly PoolIdentity[];
  readonly domains: readonly (readonly [domid: number, name: string])[];
  readonly nextDomid: number;
  readonly core: CoreSnapshot;
  readonly programs: ProgramsState;
  readonly measurement: MeasurementState;
  readonly memory: MemoryLoadState | undefined;
}

/** What a cpupool was made as. */
interface PoolIdentity {
  readonly id: number;
  readonly name: string;
  readonly scheduler: SchedulerName;
  readonly options: SchedulerOptions;
}

interface Cpupool extends SchedPool {
  /** Replaced when it is renamed. */
  made: PoolIdentity;
}

const stateNames = ['running', 'runnable', 'blocked', 'offline'] as const;

/**
 * A machine on which Xen schedules: a topology, cpupools, domains that do something, and figures of what came of it.
 * The same calls with the same seed give the same figures, always. Switching between vCPUs costs no time here, and caches
 * and memory have no part in it unless asked for: then they decide what running time is worth, and not who runs. What may be asked of Xen, and what it refuses, is decided elsewhere
 * (schedule/cpupool-rules.ts, schedule/parameter-rules.ts): here it happens.
 */
export class Machine {
  readonly #trace: TraceRing | undefined;
  #core: SchedCore;
  #programs: Programs;
  #measurement: Measurement;
  #memory: MemoryLoad | undefined;
  #seed: number;
  /** In the order of their making. */
  #pools: Cpupool[] = [];
  /** Names by number, in the order of their making. */
  #domains = new Map<number, string>();
  #nextDomid = 0;

  constructor({ topology, seed, xenVersion, trace, memory }: MachineOptions) {
    this.#trace = trace;
    this.#seed = seed;
    this.#core = new SchedCore(topology, xenVersion);
    this.#programs = new Programs(this.#core);
    this.#memory = memory && new MemoryLoad(this.#core, memory);
    this.#measurement = new Measurement(this.#core, this.#programs, this.#memory);
    this.#listen();
  }

  /** What schedules; another one after {@link restore}. */
  get core(): SchedCore {
    return this.#core;
  }

  #listen(): void {
    const [core, measurement, memory, trace] = [this.#core, this.#measurement, this.#memory, this.#trace];
    core.onDecision = (nowNs, pcpu, unit, sliceNs) => {
      measurement.decided(nowNs, pcpu, unit);
      memory?.decided(pcpu, unit);
      trace?.decision(core, nowNs, pcpu, unit, sliceNs);
    };
  }

  // ---- cpupools

  /**
   * @returns the number that Xen gives it
   * @throws AssertionError for a name or pCPUs that are taken, and for options out of range
   */
  addCpupool({ name, scheduler, options = {}, pcpus }: CpupoolSpec): number {
    const core = this.#core;
    assert(!this.#pools.some(({ made }) => made.name === name), `cpupool ${name} is new`);
    const id = nextCpupoolId(this.#pools.map(({ made }) => made.id));
    const pool = this.#makePool({ id, name, scheduler, options });
    this.#pools.push(pool);
    for (const pcpu of pcpus.toSorted((a, b) => a - b)) this.#addPcpu(pool, pcpu);
    core.drain();
    return id;
  }

  /** Ends a pool without domains; its pCPUs are free. */
  removeCpupool(name: string): void {
    const pool = this.#pool(name);
    assert(!this.#core.domains.some((entry) => entry?.pool === pool), `cpupool ${name} has no domains`);
    for (const pcpu of pcpuMask.pcpusOf(pool.valid)) this.#core.removePcpu(pcpu, pool);
    this.#core.forgetPolicy(pool.scheduler);
    this.#pools = this.#pools.filter((each) => each !== pool);
  }

  renameCpupool(name: string, newName: string): void {
    const pool = this.#pool(name);
    assert(name === newName || !this.#pools.some(({ made }) => made.name === newName), `cpupool ${newName} is new`);
    pool.made = { ...pool.made, name: newName };
  }

  addPcpu(cpupool: string, pcpu: number): void {
    this.#addPcpu(this.#pool(cpupool), pcpu);
    this.#core.drain();
  }

  removePcpu(cpupool: string, pcpu: number): void {
    this.#core.removePcpu(pcpu, this.#pool(cpupool));
  }

  /** New parameters of a pool's scheduler. @throws AssertionError for what is out of range */
  setPoolParameters(cpupool: string, parameters: PoolParameters): void {
    const rc = setPoolParameters(this.#pool(cpupool).scheduler, parameters);
    assert(rc === 0, `parameters of cpupool ${cpupool}: error ${rc}`);
  }

  // ---- domains

  /**
   * Makes a domain, in the order of Xen's tool stack: vCPUs, affinity, parameters; then it is let run.
   * @returns its number
   * @throws AssertionError for a pool that is not there or empty, a number that is taken, and for affinity or parameters
   * that Xen refuses
   */
  addDomain({ domid = this.#nextDomid, ...spec }: DomainRunSpec): number {
    const { name, cpupool, parameters, vcpus, isPaused = false, memoryByNode, kernel, threads } = spec;
    const core = this.#core;
    const pool = this.#pool(cpupool);
    assert(pcpuMask.first(pool.valid) >= 0, `cpupool ${cpupool} has pCPUs`);
    core.currentPcpu = 0;
    core.addDomain(domid, pool);
    const entry = core.domainEntry(domid);
    if (isPaused) entry.pauseCount = 1;
    this.#domains.set(domid, name);
    this.#nextDomid = Math.max(this.#nextDomid, domid + 1);
    for (const [vcpu, { workload }] of vcpus.entries()) {
      const unit = core.addVcpu(domid);
      this.#memory?.addUnit(unit);
      this.#measurement.addUnit(unit, workload.kind === 'hog' ? (workload.unitNs ?? hogUnitNs) : 0);
      this.#programs.load(unit, compileWorkload(workload), this.#seedOf(domid, vcpu));
    }
    if (kernel !== undefined) this.#programs.addKernel(entry.units, kernel);
    if (threads !== undefined) this.#addThreads(domid, entry.units, spec);
    for (const [vcpu, { hardAffinity, softAffinity }] of vcpus.entries()) {
      this.#setAffinity(entry.units[vcpu]!, hardAffinity, softAffinity);
    }
    if (memoryByNode !== undefined) this.#memory?.setMemory(domid, memoryByNode);
    if (parameters !== undefined) {
      const rc = setDomainParameters(core, pool.scheduler, domid, parameters);
      assert(rc === 0, `parameters of ${name}: error ${rc}`);
    }
    for (const [vcpu, spec] of vcpus.entries()) this.#bringUp(entry.units[vcpu]!, spec);
    core.drain();
    return domid;
  }

  #addThreads(domid: number, units: readonly number[], { vcpus, threads }: Omit<DomainRunSpec, 'domid'>): void {
    const { count, workload } = threads!;
    assert(Number.isSafeInteger(count) && count > 0 && count <= threadsMax, `${count} threads`);
    assert(workload.kind === 'locking', `threads that are ${workload.kind}`);
    assert(
      vcpus.every((vcpu) => vcpu.workload.kind === 'idle'),
      'the vCPUs of threads have no other work',
    );
    const program = compileWorkload(workload);
    this.#programs.addThreads(
      units,
      Array.from({ length: count }, (_, thread) => ({ program, seed: this.#seedOf(domid, thread) })),
    );
  }

  #bringUp(unit: number, { startNs = 0, isOffline = false }: VcpuSpec): void {
    const core = this.#core;
    if (isOffline) return;
    if (startNs === 0) {
      core.currentPcpu = core.pcpu[unit]!;
      this.#programs.start(unit);
    } else this.#programs.startAt(unit, core.now + startNs);
  }

  removeDomain(domid: number): void {
    const { units } = this.#core.domainEntry(domid);
    this.#core.removeDomain(domid);
    for (const unit of units) this.#measurement.removeUnit(unit);
    this.#memory?.removeDomain(domid);
    this.#domains.delete(domid);
  }

  /** Default parameters there, and affinity to everything. */
  moveDomain(domid: number, cpupool: string): void {
    this.#core.moveDomain(domid, this.#pool(cpupool));
  }

  /** @throws AssertionError for what is out of range, and parameters of another scheduler */
  setDomainParameters(domid: number, parameters: DomainParameters): void {
    const { pool } = this.#core.domainEntry(domid);
    const rc = setDomainParameters(this.#core, pool.scheduler, domid, parameters);
    assert(rc === 0, `parameters of domain ${domid}: error ${rc}`);
    this.#core.drain();
  }

  /** New affinity of a vCPU; what is absent stays as it is. @throws AssertionError for a hard one outside of the pool */
  pinVcpu(domid: number, vcpu: number, hard?: readonly number[], soft?: readonly number[]): void {
    this.#setAffinity(present(this.#core.domainEntry(domid).units[vcpu], `vCPU ${vcpu}`), hard, soft);
    this.#core.drain();
  }

  /** Its memory is elsewhere from now on; in any unit. Nothing happens where memory costs nothing. */
  setMemoryByNode(domid: number, memoryByNode: readonly number[]): void {
    this.#core.domainEntry(domid);
    this.#memory?.setMemory(domid, memoryByNode);
  }

  /** Nothing of a domain runs until it is unpaused; nothing happens to one that is paused. */
  pause(domid: number): void {
    const entry = this.#core.domainEntry(domid);
    if (entry.pauseCount > 0) return;
    entry.pauseCount++;
    this.#core.pauseUnits(entry.units);
    this.#core.drain();
  }

  isPaused(domid: number): boolean {
    return this.#core.domainEntry(domid).pauseCount > 0;
  }

  unpause(domid: number): void {
    const entry = this.#core.domainEntry(domid);
    if (entry.pauseCount === 0) return;
    entry.pauseCount--;
    this.#core.unpauseUnits(entry.units);
    this.#core.drain();
  }

  /** So many of its vCPUs are online, the first ones (`xl vcpu-set`). */
  setOnline(domid: number, vcpus: number): void {
    const core = this.#core;
    for (const [vcpu, unit] of core.domainEntry(domid).units.entries()) {
      if (vcpu < vcpus) core.setUp(unit);
      else core.setDown(unit);
    }
    core.drain();
  }

  /** The vCPUs of a domain as they are now. */
  vcpus(domid: number): readonly MachineVcpu[] {
    const core = this.#core;
    return core.domainEntry(domid).units.map((unit, vcpu) => ({
      vcpu: vcpuId(vcpu),
      pcpu: pcpuId(core.pcpu[unit]!),
      state: (core.flags[unit]! & pauseFlag.down) === 0 ? stateNames[core.state[unit]!]! : 'offline',
      cpuTimeNs: ns(core.timeIn(unit, runState.running)),
    }));
  }

  // ---- time, and what came of it

  /** Lets so much time pass. */
  run(durationNs: number): void {
    this.#core.run(this.#core.now + durationNs);
  }

  /** How long each pCPU has run something other than its idle vCPU since the beginning. */
  pcpuBusyNs(): readonly Ns[] {
    const core = this.#core;
    return Array.from({ length: core.pcpuCount }, (_, pcpu) => ns(core.now - core.timeIn(pcpu, runState.running)));
  }

  /** Begins to measure: figures are of what comes from now on. */
  measure(): void {
    this.#measurement.begin();
  }

  /** What happened since the measuring began, to the domains that there are. */
  figures(): MachineFigures {
    const { durationNs } = this.#measurement;
    const pcpus = this.#measurement.pcpuFigures();
    return {
      durationNs,
      domains: [...this.#domains].map(([domid, name]) => this.#domainFigures(domid, name)),
      pcpus,
      cpupools: this.#pools.map((pool) => poolFigures(pool, pcpus)),
    };
  }

  /** The name of a vCPU for people. */
  nameOf(domid: number, vcpu: number): string {
    return `${this.#domains.get(domid) ?? `d${domid}`}v${vcpu}`;
  }

  #domainFigures(domid: number, name: string): DomainFigures {
    const { units } = this.#core.domainEntry(domid);
    const { durationNs } = this.#measurement;
    const all = this.#measurement.runFigures(units);
    return {
      name,
      pcpuShare: durationNs === 0 ? 0 : all.runNs / durationNs,
      vcpus: units.map((unit) => this.#measurement.runFigures([unit])),
      ...all,
    };
  }

  // ---- snapshots

  /** Everything but the trace, for {@link restore}. */
  capture(): MachineSnapshot {
    const core = this.#core;
    return {
      topology: core.topology,
      xenVersion: core.xenVersion,
      seed: this.#seed,
      cpupools: this.#pools.map(({ made }) => made),
      domains: [...this.#domains],
      nextDomid: this.#nextDomid,
      core: captureCore(core, this.#pools),
      programs: this.#programs.capture(),
      measurement: this.#measurement.capture(),
      memory: this.#memory?.capture(),
    };
  }

  /** Becomes the machine that was captured, whatever it was before, and does what that one did from there on. */
  restore(snapshot: MachineSnapshot): void {
    this.#seed = snapshot.seed;
    this.#core = new SchedCore(snapshot.topology, snapshot.xenVersion);
    this.#programs = new Programs(this.#core);
    restoreCore(this.#core, snapshot.core, () => {
      this.#pools = snapshot.cpupools.map((made) => this.#makePool(made));
      return this.#pools;
    });
    this.#programs.restore(snapshot.programs);
    this.#domains = new Map(snapshot.domains);
    this.#nextDomid = snapshot.nextDomid;
    this.#memory = snapshot.memory && MemoryLoad.restored(this.#core, snapshot.memory);
    this.#measurement = new Measurement(this.#core, this.#programs, this.#memory);
    this.#measurement.restore(snapshot.measurement);
    this.#listen();
  }

  // ---- parts

  #makePool(made: PoolIdentity): Cpupool {
    const valid = pcpuMask.emptyMask(this.#core.words);
    return { made, valid, scheduler: makeScheduler(this.#core, valid, made.scheduler, made.options) };
  }

  #pool(name: string): Cpupool {
    const pool = this.#pools.find(({ made }) => made.name === name);
    assert(pool !== undefined, `cpupool ${name} is there`);
    return pool;
  }

  #addPcpu(pool: Cpupool, pcpu: number): void {
    assert(pcpu >= 0 && pcpu < this.#core.pcpuCount, `pCPU ${pcpu} is there`);
    this.#core.addPcpu(pcpu, pool);
  }

  /** A seed of its own for each vCPU, not 0. */
  #seedOf(domid: number, vcpu: number): number {
    return (Math.imul(this.#seed + 1, 0x9e3779b1) + Math.imul(domid + 1, 0x85ebca77) + vcpu) >>> 0 || 1;
  }

  #setAffinity(unit: number, hard: readonly number[] | undefined, soft: readonly number[] | undefined): void {
    const core = this.#core;
    if (hard !== undefined) {
      const rc = core.setAffinity(unit, pcpuMask.maskOf(core.words, hard), undefined);
      assert(rc === 0, `hard affinity ${hard.join(',')}: error ${rc}`);
    }
    if (soft !== undefined) core.setAffinity(unit, undefined, pcpuMask.maskOf(core.words, soft));
  }
}

function poolFigures({ made: { id, name }, valid }: Cpupool, all: readonly PcpuFigures[]): CpupoolFigures {
  const pcpus = pcpuMask.pcpusOf(valid);
  const sum = (figure: (of: PcpuFigures) => number): number =>
    pcpus.reduce((total, pcpu) => total + figure(all[pcpu]!), 0);
  return {
    id,
    name,
    pcpus,
    utilisation: pcpus.length === 0 ? 0 : sum(({ utilisation }) => utilisation) / pcpus.length,
    contextSwitches: sum(({ contextSwitches }) => contextSwitches),
  };
}
