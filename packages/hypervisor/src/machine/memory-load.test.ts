import { AssertionError } from '@xenolith/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { calibratedMemoryCost, workRates } from '../numa/memory-cost.ts';
import { doAction, machineAction, makeMachine, policies, randomMachine } from '../testing/random-machine.ts';
import { buildTopology } from '../topology/topology.ts';
import type { DomainFigures } from './figures.ts';
import { Machine } from './machine.ts';
import type { MemoryLoadOptions } from './memory-load.ts';

const ms = 1_000_000;
const second = 1000 * ms;
/** Two nodes of 4 cores with 2 threads: pCPUs 0 and 1 share a core, 8 begins the second node. */
const topology = buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 2 });
const distances = topology.nodes.map((node) => node.distances);
const hog = { kind: 'hog' } as const;

/** A machine whose VMs compute, one vCPU on each of the pCPUs. */
function machineOf(
  vms: readonly { readonly pcpus: readonly number[]; readonly memoryByNode?: readonly number[] }[],
  memory: MemoryLoadOptions = {},
): Machine {
  const machine = new Machine({ topology, seed: 1, memory });
  machine.addCpupool({ name: 'Pool-0', scheduler: 'credit', pcpus: topology.pcpus.map(({ pcpu }) => pcpu) });
  for (const [index, { pcpus, ...where }] of vms.entries()) {
    const vcpus = pcpus.map((pcpu) => ({ workload: hog, hardAffinity: [pcpu] }));
    machine.addDomain({ name: `vm${index}`, cpupool: 'Pool-0', vcpus, ...where });
  }
  return machine;
}

const rateOf = ({ workNs, runNs }: DomainFigures): number => workNs / runNs;

test('rates are those of the cost of memory: of where it is, of siblings, and of what others do', () => {
  const machine = machineOf([
    { pcpus: [0, 1, 2], memoryByNode: [1, 0] },
    { pcpus: [8, 10, 12, 14], memoryByNode: [7] },
    { pcpus: [4] },
  ]);
  machine.run(second);
  const [sibling, remote] = [calibratedMemoryCost.siblingSpeed, { node: 1, memoryShares: [1, 0] }];
  const rates = workRates(calibratedMemoryCost, distances, 3, [
    { threads: 2, node: 0, speed: sibling, memoryShares: [1, 0] },
    { threads: 1, node: 0, speed: 1, memoryShares: [1, 0] },
    { threads: 4, speed: 1, ...remote },
    { threads: 1, node: 0, speed: 1, memoryShares: [0.5, 0.5] },
  ]);
  const [first, second_, third] = machine.figures().domains;
  expect(first!.vcpus.map((vcpu) => vcpu.workNs / vcpu.runNs)).toEqual(
    [rates[0], rates[0], rates[1]].map((rate) => expect.closeTo(rate!, 9)),
  );
  expect(rateOf(second_!)).toBeCloseTo(rates[2]!, 9);
  expect(rateOf(third!)).toBeCloseTo(rates[3]!, 9);
});

test('units of work of what computes come as slowly; on a machine without memory, with the running time', () => {
  const machine = machineOf([{ pcpus: [0], memoryByNode: [0, 1] }]);
  machine.run(second);
  const [figures] = machine.figures().domains;
  expect(figures!.completed).toBe(Math.floor(figures!.workNs / ms));
  expect(figures!.completed).toBeLessThan(900);
  const plain = new Machine({ topology, seed: 1 });
  plain.addCpupool({ name: 'Pool-0', scheduler: 'credit', pcpus: [0] });
  plain.addDomain({ name: 'vm', cpupool: 'Pool-0', vcpus: [{ workload: hog }], memoryByNode: [0, 1] });
  plain.run(second);
  expect(plain.figures().domains[0]).toMatchObject({ completed: 1000, workNs: second, runNs: second });
});

test('memory that moves changes the rate from then on', () => {
  const machine = machineOf([{ pcpus: [0], memoryByNode: [1, 0] }]);
  machine.run(second);
  const local = machine.figures().domains[0]!.workNs;
  machine.setMemoryByNode(0, [0, 5]);
  machine.measure();
  machine.run(second);
  const remote = machine.figures().domains[0]!.workNs;
  const [near, far] = [0, 1].map(
    (node) =>
      workRates(calibratedMemoryCost, distances, 1, [
        { threads: 1, node: 0, speed: 1, memoryShares: node === 0 ? [1, 0] : [0, 1] },
      ])[0]!,
  );
  expect([local / second, remote / second]).toEqual([expect.closeTo(near!, 9), expect.closeTo(far!, 9)]);
});

test('memory may move a thousand times, and a snapshot goes on as it would have done', () => {
  const machine = machineOf([{ pcpus: [0, 1] }, { pcpus: [8], memoryByNode: [1, 2] }]);
  for (let step = 1; step <= 1000; step++) {
    machine.setMemoryByNode(0, [step, 1000]);
    machine.run(ms);
  }
  const other = machineOf([]);
  other.restore(structuredClone(machine.capture()));
  for (const each of [machine, other]) {
    each.setMemoryByNode(1, [7, 1]);
    each.run(second);
  }
  expect(other.figures()).toEqual(machine.figures());
  const rates = workRates(calibratedMemoryCost, distances, 2, [
    { threads: 2, node: 0, speed: calibratedMemoryCost.siblingSpeed, memoryShares: [0.5, 0.5] },
    { threads: 1, node: 1, speed: 1, memoryShares: [7 / 8, 1 / 8] },
  ]);
  machine.measure();
  machine.run(second);
  expect(machine.figures().domains.map(rateOf)).toEqual(rates.map((rate) => expect.closeTo(rate, 9)));
});

test('a vCPU that comes to another node fills its caches first; not one that stays on its own', () => {
  const costless = { ...calibratedMemoryCost, memoryShare: 0 };
  const machine = machineOf([{ pcpus: [0] }], { cost: costless, refillNs: 3 * ms });
  const workAfter = (pcpu: number): number => {
    machine.pinVcpu(0, 0, [pcpu]);
    machine.run(10 * ms);
    machine.measure();
    machine.pinVcpu(0, 0, [pcpu ^ 8]);
    machine.run(second);
    return machine.figures().domains[0]!.workNs;
  };
  expect(workAfter(2)).toBe(second - 3 * ms);
  machine.pinVcpu(0, 0, [2]);
  machine.run(10 * ms);
  machine.measure();
  machine.pinVcpu(0, 0, [4]);
  machine.run(second);
  expect(machine.figures().domains[0]!.workNs).toBe(second);
});

test('a new domain under an old number has nothing of the old one', () => {
  const machine = machineOf([{ pcpus: [0], memoryByNode: [0, 1] }], { refillNs: 10 * second });
  machine.run(second);
  machine.pinVcpu(0, 0, [10]);
  machine.run(second);
  machine.removeDomain(0);
  machine.addDomain({ name: 'new', domid: 0, cpupool: 'Pool-0', vcpus: [{ workload: hog, hardAffinity: [8] }] });
  machine.run(second);
  const [even] = workRates(calibratedMemoryCost, distances, 1, [
    { threads: 1, node: 1, speed: 1, memoryShares: [0.5, 0.5] },
  ]);
  expect(rateOf(machine.figures().domains[0]!)).toBeCloseTo(even!, 9);
});

test.each([[[]], [[0, 0]], [[1, 1, 1]], [[2, -1]]])('memory of %j on two nodes is refused', (memoryByNode) => {
  expect(() => machineOf([{ pcpus: [0], memoryByNode }])).toThrow(AssertionError);
  expect(() => machineOf([{ pcpus: [0] }]).setMemoryByNode(0, memoryByNode)).toThrow(AssertionError);
});

describe.each(['credit', 'credit2', 'sedf'])('%s', (name) => {
  const policy = policies[name]!;
  const actions = fc.array(machineAction, { maxLength: 6 });
  const end = 50 * ms;

  test('nothing is scheduled otherwise, and where memory costs nothing all running time is work', () => {
    fc.assert(
      fc.property(randomMachine(policy), actions, (random, todo) => {
        const run = (hasMemory: boolean): readonly unknown[] => {
          const cost = { ...calibratedMemoryCost, memoryShare: 0, siblingSpeed: 1 };
          const machine = makeMachine({ ...random, hasMemory }, { cost, refillNs: 0 });
          for (const action of todo) doAction(machine, action);
          machine.run(end);
          const domains = machine.figures().domains.map((domain) => {
            expect(domain.workNs / Math.max(1, domain.runNs)).toBeCloseTo(Number(domain.runNs > 0), 6);
            return { ...domain, workNs: 0, completed: 0, vcpus: [] };
          });
          return [domains, machine.core.decisions, machine.core.events, machine.pcpuBusyNs()];
        };
        expect(run(true)).toEqual(run(false));
      }),
      { numRuns: 15 },
    );
  });

  test('work is never more than running time, and looking at it changes nothing', () => {
    fc.assert(
      fc.property(randomMachine(policy), actions, (random, todo) => {
        const run = (looks: boolean): unknown => {
          const machine = makeMachine({ ...random, hasMemory: true });
          for (const action of todo) {
            doAction(machine, action);
            if (looks) machine.figures();
            if (looks) machine.capture();
          }
          machine.run(end);
          return machine.figures();
        };
        const figures = run(true) as ReturnType<Machine['figures']>;
        for (const { workNs, runNs } of figures.domains) expect(workNs).toBeLessThanOrEqual(runNs + 1e-3);
        expect(figures).toEqual(run(false));
      }),
      { numRuns: 15 },
    );
  });
});
