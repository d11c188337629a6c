/** Small machines for tests of scheduling: pools with policies, and domains that run programs. */
import { Programs } from '../guest/workload/program.ts';
import { compileProgram, type Step } from '../guest/workload/step.ts';
import { SchedCore, type SchedPool } from '../schedule/core.ts';
import { makeScheduler } from '../schedule/make-scheduler.ts';
import * as pcpuMask from '../schedule/pcpu-mask.ts';
import type { PcpuMask } from '../schedule/pcpu-mask.ts';
import type { SchedulerOptions } from '../schedule/scheduler-options.ts';
import type { Scheduler, SchedulerName } from '../schedule/scheduler.ts';
import { buildTopology, type TopologyShape } from '../topology/topology.ts';

export interface TestVcpu {
  readonly program: readonly Step[];
  readonly repeat?: boolean;
  readonly hard?: readonly number[] | undefined;
  readonly seed?: number;
}

/** A core with one node of single-threaded pCPUs, or what `shape` says, and programs as its guest code. */
export class TestMachine {
  readonly core: SchedCore;
  readonly programs: Programs;
  /** Lines `time pCPU unit slice`, a decision each. */
  readonly trace: string[] = [];

  constructor(pcpus: number, options: SchedulerOptions = {}, shape: Partial<TopologyShape> = {}) {
    const topology = buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: pcpus, threadsPerCore: 1, ...shape });
    this.core = new SchedCore(topology, options.xenVersion);
    this.programs = new Programs(this.core);
    this.core.onDecision = (nowNs, pcpu, unit, sliceNs) => this.trace.push(`${nowNs} ${pcpu} ${unit} ${sliceNs}`);
  }

  mask(...pcpus: readonly number[]): PcpuMask {
    return pcpuMask.maskOf(this.core.words, pcpus);
  }

  /** A pool of the given pCPUs, with their first decisions made. */
  pool(
    name: SchedulerName,
    pcpus: readonly number[],
    options: SchedulerOptions = {},
  ): SchedPool & { readonly scheduler: Scheduler } {
    const valid = this.mask();
    const pool = { valid, scheduler: makeScheduler(this.core, valid, name, options) };
    for (const pcpu of pcpus) this.core.addPcpu(pcpu, pool);
    this.core.drain();
    return pool;
  }

  /** Adds a domain whose vCPUs are not up yet. @returns its units */
  domain(number: number, pool: SchedPool, vcpus: readonly TestVcpu[]): readonly number[] {
    const { core, programs } = this;
    core.addDomain(number, pool);
    for (const { program, repeat = true, seed = 1 } of vcpus)
      programs.load(core.addVcpu(number), compileProgram(program, repeat), seed);
    const { units } = core.domainEntry(number);
    for (const [vcpu, { hard }] of vcpus.entries())
      if (hard !== undefined) core.setAffinity(units[vcpu]!, this.mask(...hard), undefined);
    return units;
  }

  /** Brings vCPUs up at one instant. */
  start(units: readonly number[]): void {
    for (const unit of units) this.programs.start(unit);
    this.core.drain();
  }

  /** Runs to a time, and calls `check` after each instant at which something happened. */
  runTo(untilNs: number, check?: () => void): void {
    const { core } = this;
    if (check !== undefined) {
      for (let at = core.timers.nextDeadlineNs; at < untilNs; at = core.timers.nextDeadlineNs) {
        core.run(Math.max(at, core.now) + 1);
        check();
      }
    }
    core.run(untilNs);
  }
}
