/** Runs a recorded experiment on the model (hypervisor/kat/README, sections 2 and 3). */
import { assert } from '@xenolith/base';
import { Programs, type ProgramsState } from '../guest/workload/program.ts';
import { compileProgram } from '../guest/workload/step.ts';
import { errno, runState, SchedCore, type SchedPool } from '../schedule/core.ts';
import { captureCore, restoreCore, type CoreSnapshot } from '../schedule/core-snapshot.ts';
import { makeScheduler } from '../schedule/make-scheduler.ts';
import * as pcpuMask from '../schedule/pcpu-mask.ts';
import type { SchedulerOptions } from '../schedule/scheduler-options.ts';
import { topologyOf } from '../topology/topology-of.ts';
import { actOnParameters, setInitialParameters } from './scenario-parameters.ts';
import { xenVersionOf, type Scenario, type ScenarioAction } from './scenario.ts';

/** Figures of a run, as a result has them. */
export interface ScenarioOutcome {
  readonly decisions: number;
  readonly events: number;
  readonly actionsRc: readonly number[];
  /** id, run, runnable, blocked, offline, dispatches, migrations, wakes, latency sum and maximum. */
  readonly vcpus: readonly (readonly [string, ...number[]])[];
  /** decisions, switches, idle. */
  readonly pcpus: readonly (readonly number[])[];
  readonly deadlineMisses: number | undefined;
}

/** A decision: (time, pCPU, vCPU as `d0v1` or `idle`, slice). */
export type ScenarioListener = (nowNs: number, pcpu: number, vcpu: string, sliceNs: number) => void;

/** All that a run is at one moment. */
export interface ScenarioSnapshot {
  readonly core: CoreSnapshot;
  readonly programs: ProgramsState;
}

/** Times at which a run is made a snapshot, and goes on in a new machine from a copy of that. */
export interface ScenarioInterruptions {
  readonly atNs: readonly number[];
  readonly copy: (snapshot: ScenarioSnapshot) => ScenarioSnapshot;
}

/**
 * Runs a scenario. Interruptions change nothing in the answer.
 * @throws AssertionError for one that the model does not know how to run
 */
export function runScenario(
  scenario: Scenario,
  listener?: ScenarioListener,
  interruptions?: ScenarioInterruptions,
): ScenarioOutcome {
  return new ScenarioRun(scenario, listener).run(interruptions);
}

class ScenarioRun {
  readonly #scenario: Scenario;
  readonly #listener: ScenarioListener | undefined;
  readonly #actionsRc: number[];
  readonly #names: string[] = [];
  #core: SchedCore;
  #programs: Programs;
  #pool: SchedPool;
  /** Timers of the actions, which are the first that a machine has. */
  #actionTimers: readonly number[] = [];

  constructor(scenario: Scenario, listener: ScenarioListener | undefined) {
    assert(scenario.format === 1, `format ${scenario.format}`);
    this.#scenario = scenario;
    this.#listener = listener;
    this.#actionsRc = (scenario.actions ?? []).map(() => 0);
    this.#core = this.#makeCore();
    this.#programs = new Programs(this.#core);
    this.#pool = this.#makePool();
  }

  run(interruptions?: ScenarioInterruptions): ScenarioOutcome {
    const core = this.#core;
    const { actions = [], pool, topology, domains, duration_ns } = this.#scenario;
    for (const [index, { at_ns }] of actions.entries()) core.timers.arm(this.#actionTimers[index]!, at_ns);
    for (const pcpu of pool ?? topology.node.keys()) core.addPcpu(pcpu, this.#pool);
    core.drain();
    for (const index of domains.keys()) this.#addDomain(index);
    for (const atNs of interruptions?.atNs ?? []) {
      this.#core.run(Math.min(atNs, duration_ns));
      this.#goOnFrom(interruptions!.copy(this.#capture()));
    }
    this.#core.run(duration_ns);
    return this.#outcome();
  }

  #makeCore(): SchedCore {
    const core = new SchedCore(topologyOf(this.#scenario.topology), xenVersionOf(this.#scenario));
    this.#actionTimers = (this.#scenario.actions ?? []).map((action, index) =>
      core.newActionTimer(() => {
        this.#actionsRc[index] = this.#act(action);
      }),
    );
    const listener = this.#listener;
    if (listener !== undefined) {
      core.onDecision = (nowNs, pcpu, unit, sliceNs) => listener(nowNs, pcpu, this.#names[unit] ?? 'idle', sliceNs);
    }
    return core;
  }

  #makePool(): SchedPool {
    const core = this.#core;
    const valid = pcpuMask.emptyMask(core.words);
    return { valid, scheduler: makeScheduler(core, valid, this.#scenario.scheduler, optionsOf(this.#scenario)) };
  }

  #capture(): ScenarioSnapshot {
    return { core: captureCore(this.#core, [this.#pool]), programs: this.#programs.capture() };
  }

  #goOnFrom(state: ScenarioSnapshot): void {
    this.#core = this.#makeCore();
    this.#programs = new Programs(this.#core);
    restoreCore(this.#core, state.core, () => {
      this.#pool = this.#makePool();
      return [this.#pool];
    });
    this.#programs.restore(state.programs);
  }

  #addDomain(index: number): void {
    const core = this.#core;
    const domain = this.#scenario.domains[index]!;
    core.currentPcpu = 0;
    core.addDomain(index, this.#pool);
    for (const [vcpu, { program, repeat, seed }] of domain.vcpus.entries()) {
      const unit = core.addVcpu(index);
      this.#names[unit] = `d${index}v${vcpu}`;
      this.#programs.load(unit, compileProgram(program, repeat ?? false), seed ?? 1);
    }
    const { units } = core.domainEntry(index);
    for (const [vcpu, { hard, soft }] of domain.vcpus.entries()) this.#setAffinity(units[vcpu]!, hard, soft);
    setInitialParameters(this.#pool.scheduler, index, units, domain);
    for (const [vcpu, { start_ns = 0 }] of domain.vcpus.entries()) {
      const unit = units[vcpu]!;
      if (start_ns === 0) {
        core.currentPcpu = core.pcpu[unit]!;
        this.#programs.start(unit);
      } else this.#programs.startAt(unit, start_ns);
    }
    core.drain();
  }

  #setAffinity(unit: number, hard: readonly number[] | undefined, soft: readonly number[] | undefined): number {
    const core = this.#core;
    let rc = 0;
    if (hard !== undefined) rc = core.setAffinity(unit, pcpuMask.maskOf(core.words, hard), undefined);
    if (soft !== undefined) rc = core.setAffinity(unit, undefined, pcpuMask.maskOf(core.words, soft)) || rc;
    return rc;
  }

  #unitsOf({ dom, vcpu }: ScenarioAction): readonly number[] {
    const { units } = this.#core.domainEntry(dom!);
    return vcpu === 'all' || vcpu === undefined ? units : [units[vcpu]!];
  }

  /** Does an action. @returns 0 or a negative error number */
  #act(action: ScenarioAction): number {
    const core = this.#core;
    switch (action.do) {
      case 'affinity': {
        let rc = 0;
        for (const unit of this.#unitsOf(action)) rc = this.#setAffinity(unit, action.hard, action.soft) || rc;
        return rc;
      }
      case 'pause':
        core.pauseUnits(this.#unitsOf(action));
        return 0;
      case 'unpause':
        core.unpauseUnits(this.#unitsOf(action));
        return 0;
      case 'vcpu_down':
        for (const unit of this.#unitsOf(action)) core.setDown(unit);
        return 0;
      case 'vcpu_up':
        for (const unit of this.#unitsOf(action)) core.setUp(unit);
        return 0;
      case 'kick':
        for (const unit of this.#unitsOf(action)) this.#programs.kick(unit);
        return 0;
      case 'cpu_remove': {
        const { valid } = this.#pool;
        if (core.poolOf[action.cpu!] === undefined) return errno.addressNotAvailable;
        if (pcpuMask.count(valid) === 1) return errno.busy;
        core.removePcpu(action.cpu!, this.#pool);
        return 0;
      }
      case 'cpu_add':
        if (core.poolOf[action.cpu!] !== undefined) return errno.busy;
        core.addPcpu(action.cpu!, this.#pool);
        return 0;
      default: {
        const units = action.dom === undefined ? [] : this.#unitsOf(action);
        return actOnParameters(this.#pool.scheduler, units, action);
      }
    }
  }

  #outcome(): ScenarioOutcome {
    const core = this.#core;
    const vcpus = this.#scenario.domains.flatMap((_, index) =>
      core
        .domainEntry(index)
        .units.map((unit): readonly [string, ...number[]] => [
          this.#names[unit]!,
          core.timeIn(unit, runState.running),
          core.timeIn(unit, runState.runnable),
          core.timeIn(unit, runState.blocked),
          core.timeIn(unit, runState.offline),
          core.dispatches[unit]!,
          core.migrations[unit]!,
          core.wakes[unit]!,
          core.latencySumNs[unit]!,
          core.latencyMaxNs[unit]!,
        ]),
    );
    const pcpus = Array.from({ length: core.pcpuCount }, (_, pcpu) => [
      core.decisionsOf[pcpu]!,
      core.switchesOf[pcpu]!,
      core.timeIn(pcpu, runState.running),
    ]);
    const { scheduler } = this.#pool;
    const deadlineMisses = 'deadlineMisses' in scheduler ? Number(scheduler.deadlineMisses) : undefined;
    return {
      decisions: core.decisions,
      events: core.events,
      actionsRc: this.#actionsRc,
      vcpus,
      pcpus,
      deadlineMisses,
    };
  }
}

function optionsOf(scenario: Scenario): SchedulerOptions {
  const { params = {} } = scenario;
  const number = (key: string): number | undefined => (key in params ? Number(params[key]) : undefined);
  const tsliceMs = number('tslice_ms');
  const ratelimitUs = number('ratelimit_us');
  const migrationDelayUs = number('migrate_delay_us');
  const maxCpusPerRunqueue = number('max_cpus_per_runqueue');
  const migrateResistUs = number('migrate_resist_us');
  const capPeriodMs = number('cap_period_ms');
  return {
    xenVersion: xenVersionOf(scenario),
    smtPowerSavings: params['smt_power_savings'] === true,
    ...(tsliceMs === undefined ? {} : { tsliceMs }),
    ...(ratelimitUs === undefined ? {} : { ratelimitUs }),
    ...(migrationDelayUs === undefined ? {} : { migrationDelayUs }),
    ...(maxCpusPerRunqueue === undefined ? {} : { maxCpusPerRunqueue }),
    ...(migrateResistUs === undefined ? {} : { migrateResistUs }),
    ...(capPeriodMs === undefined ? {} : { capPeriodMs }),
    ...('runqueue' in params ? { runqueue: params['runqueue'] as NonNullable<SchedulerOptions['runqueue']> } : {}),
  };
}
