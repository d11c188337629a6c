/** VMs whose kernels take spinlocks, on a host that may have fewer pCPUs than they have vCPUs. */
import { SeededRandom } from '@xenolith/base';
import {
  buildTopology,
  defaultInterrupts,
  Machine,
  type KernelSpec,
  type SchedulerName,
  type SchedulerOptions,
  type Workload,
} from '@xenolith/hypervisor';
import type { RunContext } from '../experiment.ts';
import { dom0Work } from '../numa/numa-machine.ts';
import { named, pcpuRange, startWithinNs, total, warmUpNs } from '../scheduling-run.ts';

export interface LockSetting {
  readonly vms: number;
  readonly vcpus: number;
  readonly pcpus: number;
  readonly kernel: KernelSpec;
  readonly workload: Workload;
  /** credit where absent. */
  readonly scheduler?: SchedulerName;
  readonly options?: SchedulerOptions;
  /** Threads of each guest, which do the work; one a vCPU, without a scheduler of the guest, where absent. */
  readonly threads?: number;
  /** No Xen: CPUs are the kernel's own, and there is no dom0. */
  readonly isNative?: true;
}

/** What came of a run. Shares are of the CPU time of the VMs. */
export interface LockValues {
  /** Units of work a second: gaps with their lock. */
  readonly throughput: number;
  readonly usefulPercent: number;
  readonly spinPercent: number;
  /** CPU time of the VMs, in pCPUs. */
  readonly pcpus: number;
  /** Acquisitions before one who had come earlier, of a thousand. */
  readonly overtaking: number;
  readonly sleepsPerSecond: number;
}

/** dom0 is not idle: its vCPUs wake now and then, as those of the NUMA experiment do. */
const dom0Vcpus = 4;

/** The machine with its VMs, before anything has happened. The vCPUs of a VM come up one by one, as its kernel starts them. */
export function lockMachine(setting: LockSetting, { seed, topology, trace, onMachine }: RunContext): Machine {
  const {
    vms,
    vcpus,
    pcpus,
    kernel,
    workload,
    scheduler = 'credit',
    options = {},
    isNative = false,
    threads,
  } = setting;
  const shape = { nodes: 1, socketsPerNode: 1, coresPerSocket: pcpus, threadsPerCore: 1 };
  const random = new SeededRandom(seed);
  const machine = new Machine({
    topology: topology ?? buildTopology(shape),
    seed,
    ...(trace === undefined ? {} : { trace }),
  });
  onMachine?.(machine);
  machine.addCpupool({
    name: 'Pool-0',
    scheduler: isNative ? 'null' : scheduler,
    options,
    pcpus: pcpuRange(0, pcpus - 1),
  });
  if (!isNative) {
    machine.addDomain({
      name: 'dom0',
      cpupool: 'Pool-0',
      vcpus: Array.from({ length: dom0Vcpus }, () => ({ workload: dom0Work })),
    });
  }
  const own: Workload = threads === undefined ? workload : { kind: 'idle' };
  for (let vm = 1; vm <= vms; vm++) {
    machine.addDomain({
      name: `vm${vm}`,
      cpupool: 'Pool-0',
      kernel: {
        ...(threads === undefined ? {} : { interrupts: defaultInterrupts }),
        ...kernel,
        ...(isNative ? { costs: { ...kernel.costs, switchNs: 0 } } : {}),
      },
      ...(threads === undefined ? {} : { threads: { count: threads, workload } }),
      vcpus: Array.from({ length: vcpus }, () => ({
        workload: own,
        startNs: 1 + (random.nextUint32() % startWithinNs),
      })),
    });
  }
  return machine;
}

/** Runs it, and measures after a warm-up: of a second, or as long as is measured if that is less and all vCPUs are up. */
export function lockRun(setting: LockSetting, context: RunContext): LockValues {
  const machine = lockMachine(setting, context);
  machine.run(Math.min(warmUpNs, Math.max(startWithinNs, context.durationNs)));
  machine.measure();
  machine.run(context.durationNs);
  const figures = machine.figures();
  const vms = named(figures, 'vm');
  const seconds = figures.durationNs / 1e9;
  const runNs = total(vms, (vm) => vm.runNs);
  const spinNs = total(vms, ({ locks }) => locks.spinNs);
  const overheadNs = total(vms, ({ locks }) => locks.overheadNs);
  const acquisitions = total(vms, ({ locks }) => locks.acquisitions);
  return {
    throughput: total(vms, ({ completed }) => completed) / seconds,
    usefulPercent: runNs === 0 ? 0 : ((runNs - spinNs - overheadNs) / runNs) * 100,
    spinPercent: runNs === 0 ? 0 : (spinNs / runNs) * 100,
    pcpus: runNs / figures.durationNs,
    overtaking: acquisitions === 0 ? 0 : (total(vms, ({ locks }) => locks.overtakings) / acquisitions) * 1000,
    sleepsPerSecond: total(vms, ({ locks }) => locks.sleeps) / seconds,
  };
}
