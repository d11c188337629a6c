/** A machine that was captured and restored does what it would have done. */
import { AssertionError } from '@xenolith/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coreFaults } from '../check/core-invariants.ts';
import { doAction, machineAction, makeMachine, policies, randomMachine, stir } from '../testing/random-machine.ts';
import type { MachineAction } from '../testing/random-machine.ts';
import { buildTopology } from '../topology/topology.ts';
import { Machine } from './machine.ts';

const ms = 1_000_000;

/** Something else than any machine that is captured. */
function otherMachine(): Machine {
  const machine = new Machine({
    topology: buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: 3, threadsPerCore: 1 }),
    seed: 4711,
    xenVersion: '4.17',
  });
  machine.addCpupool({ name: 'first', scheduler: 'credit', pcpus: [2] });
  machine.addDomain({ name: 'x', domid: 5, cpupool: 'first', vcpus: [{ workload: { kind: 'hog' } }] });
  machine.run(33 * ms);
  return machine;
}

/** What a machine does from now on: its decisions, then its figures, counts and clock. */
function future(machine: Machine, actions: readonly MachineAction[], durationNs: number): readonly unknown[] {
  const lines: unknown[] = [];
  const { core } = machine;
  const { onDecision } = core;
  core.onDecision = (nowNs, pcpu, unit, sliceNs) => {
    lines.push(`${nowNs} ${pcpu} ${unit} ${sliceNs}`);
    onDecision?.(nowNs, pcpu, unit, sliceNs);
  };
  for (const action of actions) doAction(machine, action);
  machine.run(durationNs);
  stir(machine);
  core.onDecision = onDecision;
  lines.push(machine.figures(), core.now, core.events, core.decisions, machine.pcpuBusyNs(), machine.nameOf(0, 0));
  for (const [domid, entry] of core.domains.entries()) {
    if (entry === undefined) continue;
    lines.push(machine.vcpus(domid));
    for (const unit of entry.units) lines.push([core.wakes[unit], core.latencySumNs[unit], core.latencyMaxNs[unit]]);
  }
  return lines;
}

describe.each(Object.entries(policies))('%s', (_, policy) => {
  test('goes on from a snapshot as it went on from itself, in a new machine and in the same', () => {
    fc.assert(
      fc.property(
        randomMachine(policy),
        fc.array(machineAction, { maxLength: 6 }),
        fc.integer({ min: 0, max: 60 * ms }),
        fc.array(machineAction, { maxLength: 6 }),
        (random, before, atNs, after) => {
          const machine = makeMachine(random);
          for (const action of before) doAction(machine, action);
          machine.run(atNs);
          const snapshot = structuredClone(machine.capture());
          const faults = coreFaults(machine.core);
          const first = future(machine, after, 30 * ms);
          const other = otherMachine();
          other.restore(snapshot);
          expect(coreFaults(other.core)).toEqual(faults);
          expect(future(other, after, 30 * ms)).toEqual(first);
          machine.restore(snapshot);
          expect(future(machine, after, 30 * ms)).toEqual(first);
        },
      ),
      { numRuns: 25 },
    );
  });
});

test('what happens after a capture does not reach the snapshot, nor what happens after a restore', () => {
  const machine = otherMachine();
  const snapshot = machine.capture();
  const copy = structuredClone(snapshot);
  machine.run(50 * ms);
  machine.restore(snapshot);
  machine.addPcpu('first', 0);
  machine.renameCpupool('first', 'renamed');
  machine.removeDomain(5);
  machine.run(50 * ms);
  expect(snapshot).toEqual(copy);
});

test('a snapshot has all its room: domains and units that came after the machine was made', () => {
  const machine = otherMachine();
  for (let count = 0; count < 70; count++) {
    machine.addDomain({ name: `d${count}`, cpupool: 'first', vcpus: [{ workload: { kind: 'hog' } }] });
  }
  machine.addDomain({ name: 'far', domid: 300, cpupool: 'first', vcpus: [{ workload: { kind: 'hog' } }] });
  machine.addDomain({ name: 'next', cpupool: 'first', vcpus: [{ workload: { kind: 'hog' } }] });
  machine.run(40 * ms);
  const snapshot = structuredClone(machine.capture());
  const first = future(machine, [], 3000 * ms);
  const other = otherMachine();
  other.restore(snapshot);
  expect(future(other, [], 3000 * ms)).toEqual(first);
});

test('a deadline in the past is one of now, also after a restore', () => {
  const machine = otherMachine();
  machine.restore(machine.capture());
  const { core } = machine;
  const timer = core.newActionTimer(() => {});
  core.timers.arm(timer, 0);
  expect(core.timers.dueNs[timer]).toBe(33 * ms);
});

test('timers of actions are not captured: a machine that has some cannot be restored', () => {
  const machine = otherMachine();
  machine.core.timers.arm(
    machine.core.newActionTimer(() => {}),
    40 * ms,
  );
  expect(() => otherMachine().restore(machine.capture())).toThrow(AssertionError);
});
