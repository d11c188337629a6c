/** A recorded experiment with schedulers, as its file has it (hypervisor/kat/README, section 1), and its answer. */
import type { Step } from '../guest/workload/step.ts';
import type { SchedulerName, XenVersion } from '../schedule/scheduler.ts';

export interface ScenarioVcpu {
  readonly hard?: readonly number[];
  readonly soft?: readonly number[];
  readonly start_ns?: number;
  readonly seed?: number;
  readonly rtds?: ScenarioRtds;
  readonly program: readonly Step[];
  readonly repeat?: boolean;
}

export interface ScenarioRtds {
  readonly period_us: number;
  readonly budget_us: number;
  readonly extratime: boolean | number;
}

export interface ScenarioSedf {
  readonly period_ns?: number;
  readonly slice_ns?: number;
  readonly latency_ns?: number;
  readonly extratime?: boolean | number;
  readonly weight?: number;
}

export interface ScenarioDomain {
  readonly weight?: number;
  readonly cap?: number;
  readonly rtds?: ScenarioRtds;
  readonly sedf?: ScenarioSedf;
  readonly vcpus: readonly ScenarioVcpu[];
}

export interface ScenarioAction {
  readonly at_ns: number;
  readonly do: string;
  readonly dom?: number;
  readonly vcpu?: number | 'all';
  readonly cpu?: number;
  readonly weight?: number;
  readonly cap?: number;
  readonly hard?: readonly number[];
  readonly soft?: readonly number[];
  readonly tslice_ms?: number;
  readonly ratelimit_us?: number;
  readonly migrate_delay_us?: number;
  readonly period_us?: number;
  readonly budget_us?: number;
  readonly period_ns?: number;
  readonly slice_ns?: number;
  readonly latency_ns?: number;
  readonly extratime?: boolean | number;
}

export interface ScenarioResult {
  readonly decisions: number;
  readonly decisions_sha256: string;
  readonly switches: number;
  readonly switches_sha256: string;
  readonly checkpoints: readonly (readonly [number, string])[];
  readonly first?: readonly (readonly [number, number, string, number])[];
  readonly actions_rc?: readonly number[];
  readonly vcpus: readonly (readonly [string, ...number[]])[];
  readonly pcpus: readonly (readonly number[])[];
  readonly deadline_misses?: number;
}

export interface Scenario {
  readonly format: number;
  readonly name: string;
  readonly note: string;
  readonly release: string;
  readonly scheduler: SchedulerName;
  readonly params?: Readonly<Record<string, number | boolean | string>>;
  readonly topology: {
    readonly nodes: number;
    readonly node: readonly number[];
    readonly socket: readonly number[];
    readonly core: readonly number[];
  };
  readonly pool?: readonly number[];
  readonly domains: readonly ScenarioDomain[];
  readonly actions?: readonly ScenarioAction[];
  readonly duration_ns: number;
  readonly result: ScenarioResult;
}

/** The release that a scenario was recorded from, as the model's switch. */
export const xenVersionOf = ({ release }: Scenario): XenVersion => (release.startsWith('4.23') ? '4.23' : '4.2');
