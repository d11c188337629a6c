export * from './domain/domain.ts';
export * from './domain/domid-allocator.ts';
export { type LockCounts } from './guest/lock/locker.ts';
export { defaultInterrupts, defaultSpinThresholds, type Interrupts, type KernelSpec } from './guest/lock/kernel.ts';
export * from './guest/lock/lock-costs.ts';
export { lockKinds, type LockKind } from './guest/lock/lock-machine.ts';
export { guestTimesMs, type ControlRequest } from './guest/modelled-guest.ts';
export * from './hypervisor.ts';
export * from './memory/balloon.ts';
export * from './memory/ballooning-host.ts';
export * from './memory/dom0-boot.ts';
export * from './memory/dom0-mem.ts';
export * from './memory/dom0-overhead.ts';
export * from './memory/e820.ts';
export * from './memory/heap.ts';
export * from './memory/linux-release.ts';
export * from './memory/memory-overhead.ts';
export * from './memory/node-order.ts';
export * from './memory/memory-overhead.ts';
export * from './memory/page.ts';
export * from './memory/page-heap.ts';
export * from './memory/reservation.ts';
export * from './memory/squeeze.ts';
export * from './memory/squeeze-policy.ts';
export * from './memory/squeezed.ts';
export * from './numa/home-nodes.ts';
export * from './numa/memory-cost.ts';
export * from './numa/node-affinity.ts';
export * from './numa/place-automatically.ts';
export * from './numa/place-by-policy.ts';
export * from './numa/stripe-memory.ts';
export { ConsoleRing, consoleBacklogBytes } from './ring/console-ring.ts';
export * from './topology/topology.ts';
export {
  runScenario,
  type ScenarioInterruptions,
  type ScenarioListener,
  type ScenarioOutcome,
} from './kat/run-scenario.ts';
export type { Scenario } from './kat/scenario.ts';
export { isNumaPlacementCases, numaPlacementDifference, type NumaPlacementCase } from './kat/numa-placement-case.ts';
export * from './schedule/cpupool-rules.ts';
export * from './schedule/parameter-rules.ts';
export { schedulerIds, type SchedulerName, type XenVersion } from './schedule/scheduler.ts';
export {
  Machine,
  type CpupoolSpec,
  type DomainRunSpec,
  type MachineOptions,
  type MachineSnapshot,
  type MachineVcpu,
  type VcpuSpec,
} from './machine/machine.ts';
export type { MemoryLoadOptions, MemoryLoadState } from './machine/memory-load.ts';
export type { DomainParameters, PoolParameters } from './machine/parameters.ts';
export type * from './machine/figures.ts';
export type { Length, PhasedWorkload, SimpleWorkload, Workload } from './guest/workload/workloads.ts';
export type { SchedulerOptions } from './schedule/scheduler-options.ts';
export { topologyPresets, type TopologyPreset } from './topology/presets.ts';
export { topologyOf, type PcpuPlaces } from './topology/topology-of.ts';
export { TimerHeap } from './engine/timer-heap.ts';
export { machineV8Flags } from './engine/v8-flags.ts';
export { TraceRing } from './engine/trace-ring.ts';
export { chromeTrace, xentraceBytes, type TraceNames } from './engine/trace-export.ts';
export { guestWorkload, guestWorks, type GuestWork } from './guest/workload/guest-work.ts';
export { PacedMachine, type Pace } from './machine/paced-machine.ts';
