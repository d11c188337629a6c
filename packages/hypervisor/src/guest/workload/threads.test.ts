/** More threads than vCPUs: the scheduler of a guest. */
import { AssertionError } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import type { DomainFigures } from '../../machine/figures.ts';
import { Machine, type DomainRunSpec } from '../../machine/machine.ts';
import { buildTopology } from '../../topology/topology.ts';
import { defaultInterrupts, type KernelSpec } from '../lock/kernel.ts';
import { lockKinds } from '../lock/lock-machine.ts';
import type { Workload } from './workloads.ts';

const ms = 1_000_000;
const plain: KernelSpec = { lock: 'ticket', interrupts: defaultInterrupts };

interface Setting {
  readonly vcpus?: number;
  readonly pcpus?: number;
  readonly vms?: number;
  readonly kernel?: KernelSpec;
  readonly seed?: number;
}

function machineOf(
  threads: DomainRunSpec['threads'],
  { vcpus = 1, pcpus = vcpus, vms = 1, kernel = plain, seed = 1 }: Setting = {},
): Machine {
  const topology = buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: pcpus, threadsPerCore: 1 });
  const machine = new Machine({ topology, seed });
  machine.addCpupool({ name: 'p', scheduler: 'credit', pcpus: topology.pcpus.map(({ pcpu }) => pcpu) });
  for (let vm = 0; vm < vms; vm++) {
    machine.addDomain({
      name: `vm${vm}`,
      cpupool: 'p',
      kernel,
      ...(threads && { threads }),
      vcpus: Array.from({ length: vcpus }, (_, vcpu) => ({
        workload: { kind: 'idle' as const },
        startNs: 1 + vm * 1_300_417 + vcpu * 170_003,
      })),
    });
  }
  return machine;
}

const after = (machine: Machine, durationNs: number): readonly DomainFigures[] => {
  machine.run(durationNs);
  return machine.figures().domains;
};

const work: Workload = { kind: 'locking', gapNs: 990_000, holdNs: 10_000 };
const sleepy: Workload = { ...work, sleepNs: 3 * ms };

test.each<[string, number, number, Workload, number, number]>([
  ['one that computes has one vCPU', 1, 4, work, 990, 1000],
  ['three have three', 3, 4, work, 2950, 3000],
  ['eight have all four', 8, 4, work, 3900, 4000],
  ['one that sleeps three quarters of its time', 1, 1, sleepy, 245, 251],
  ['four of them fill a vCPU', 4, 1, sleepy, 900, 1000],
  ['sixteen too, and no more', 16, 1, sleepy, 980, 1000],
  ['sixteen fill four', 16, 4, sleepy, 3500, 4000],
])('threads share the vCPUs: %s', (_, count, vcpus, workload, least, most) => {
  const [vm] = after(machineOf({ count, workload }, { vcpus }), 1000 * ms);
  expect(vm!.completed).toBeGreaterThanOrEqual(least);
  expect(vm!.completed).toBeLessThanOrEqual(most);
});

test('a thread keeps its vCPU from tick to tick: ten seconds of two are 2500 switches, of one none', () => {
  const overheadNs = (count: number, threadNs: number): number =>
    after(machineOf({ count, workload: work }, { kernel: { ...plain, costs: { threadNs } } }), 10_000 * ms)[0]!.locks
      .overheadNs;
  expect(overheadNs(1, 5000) - overheadNs(1, 0)).toBe(5000);
  const switches = (overheadNs(2, 5000) - overheadNs(2, 0)) / 5000;
  expect(switches).toBeGreaterThan(2400);
  expect(switches).toBeLessThanOrEqual(2500);
});

test('a vCPU with nothing to run is blocked, and uses no CPU', () => {
  const [vm] = after(machineOf({ count: 2, workload: sleepy }, { vcpus: 4 }), 1000 * ms);
  expect(vm!.runNs / ms).toBeGreaterThan(480);
  expect(vm!.runNs / ms).toBeLessThan(530);
});

describe.each(lockKinds)('%s', (lock) => {
  // Neither ticks nor steps are multiples of a pause.
  const kernel: KernelSpec = {
    lock,
    spinThreshold: 60,
    costs: { pauseNs: 1009, pollNs: 617, sendNs: 503, threadNs: 1511, refillNs: 2003 },
    interrupts: { periodNs: 1_401_003, workNs: 5001, holdNs: 3001 },
  };
  const threads = {
    count: 7,
    workload: { kind: 'locking', gapNs: [50_000, 300_000], holdNs: [20_000, 90_000], sleepNs: 400_000, perSleep: 6 },
  } as const;

  test('comes to the same with and without an event for each test', () => {
    const fast = machineOf(threads, { vcpus: 3, pcpus: 2, vms: 2, kernel, seed: 5 });
    const stepwise = machineOf(threads, {
      vcpus: 3,
      pcpus: 2,
      vms: 2,
      kernel: { ...kernel, isStepwise: true },
      seed: 5,
    });
    for (let time = 0; time < 4; time++) expect(after(stepwise, 50 * ms)).toEqual(after(fast, 50 * ms));
    expect(fast.figures().domains[0]!.completed).toBeGreaterThan(20);
  });

  test('goes on from a snapshot as it went on from itself', () => {
    for (const atNs of [2_345_678, 61_000_003]) {
      const machine = machineOf(threads, { vcpus: 3, pcpus: 2, vms: 2, kernel });
      machine.run(atNs);
      const snapshot = structuredClone(machine.capture());
      const first = after(machine, 60 * ms);
      machine.restore(snapshot);
      expect(after(machine, 60 * ms)).toEqual(first);
    }
  });
});

describe('is refused', () => {
  test.each<[string, DomainRunSpec['threads'], KernelSpec]>([
    ['no thread', { count: 0, workload: work }, plain],
    ['more than there is room for', { count: 5000, workload: work }, plain],
    ['half a thread', { count: 1.5, workload: work }, plain],
    ['threads without a clock that ticks', { count: 2, workload: work }, { lock: 'ticket' }],
    ['threads that do something else', { count: 2, workload: { kind: 'hog' } }, plain],
  ])('%s', (_, threads, kernel) => {
    expect(() => machineOf(threads, { kernel })).toThrow(AssertionError);
  });
});
