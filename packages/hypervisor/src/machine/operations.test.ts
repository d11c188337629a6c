/** What is done to a machine while it runs: domains paused, moved, ended; pools and their pCPUs that come and go. */
import { AssertionError } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import { buildTopology } from '../topology/topology.ts';
import { Machine, type DomainRunSpec } from './machine.ts';

const ms = 1_000_000;
const topology = buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 1 });
const hog = { workload: { kind: 'hog' } } as const;

function machineOf(...domains: readonly Partial<DomainRunSpec>[]): Machine {
  const machine = new Machine({ topology, seed: 1 });
  machine.addCpupool({ name: 'a', scheduler: 'credit2', pcpus: [0, 1] });
  machine.addCpupool({ name: 'b', scheduler: 'credit', pcpus: [2] });
  for (const [index, domain] of domains.entries()) {
    machine.addDomain({ name: `d${index}`, cpupool: 'a', vcpus: [hog], ...domain });
  }
  return machine;
}

/** How long each vCPU of a domain runs in 10 ms. */
function runMs(machine: Machine, domid: number): readonly number[] {
  const before = machine.vcpus(domid);
  machine.run(10 * ms);
  return machine.vcpus(domid).map(({ cpuTimeNs }, vcpu) => (cpuTimeNs - before[vcpu]!.cpuTimeNs) / ms);
}

const statesOf = (machine: Machine, domid: number): readonly string[] => machine.vcpus(domid).map(({ state }) => state);

describe('domains', () => {
  test('have the next number, or the one that is asked for', () => {
    const machine = machineOf({}, { domid: 7 }, {});
    expect(machine.figures().domains.map(({ name }) => name)).toEqual(['d0', 'd1', 'd2']);
    expect([0, 7, 8].map((domid) => machine.nameOf(domid, 0))).toEqual(['d0v0', 'd1v0', 'd2v0']);
    machine.removeDomain(8);
    // Numbers are not given again.
    expect(machine.addDomain({ name: 'new', cpupool: 'a', vcpus: [hog] })).toBe(9);
    expect(() => machine.addDomain({ name: 'twice', domid: 7, cpupool: 'a', vcpus: [] })).toThrow(AssertionError);
  });

  test('that are made paused run once they are unpaused', () => {
    const machine = machineOf({ isPaused: true });
    expect(runMs(machine, 0)).toEqual([0]);
    expect(statesOf(machine, 0)).toEqual(['offline']);
    machine.unpause(0);
    machine.unpause(0);
    expect(runMs(machine, 0)).toEqual([10]);
    machine.pause(0);
    machine.pause(0);
    expect(runMs(machine, 0)).toEqual([0]);
    machine.unpause(0);
    expect(runMs(machine, 0)).toEqual([10]);
  });

  test('have so many vCPUs online as they are given', () => {
    const machine = machineOf({ vcpus: [hog, { ...hog, isOffline: true }] });
    expect(runMs(machine, 0)).toEqual([10, 0]);
    expect(statesOf(machine, 0)).toEqual(['running', 'offline']);
    machine.setOnline(0, 2);
    expect(runMs(machine, 0)).toEqual([10, 10]);
    machine.setOnline(0, 1);
    expect(runMs(machine, 0)).toEqual([10, 0]);
  });

  test('run where they are pinned', () => {
    const machine = machineOf({}, {});
    for (const pcpu of [1, 0]) {
      machine.pinVcpu(0, 0, [pcpu]);
      machine.pinVcpu(1, 0, [pcpu]);
      machine.run(ms);
      expect([0, 1].flatMap((domid) => machine.vcpus(domid).map((vcpu) => vcpu.pcpu))).toEqual([pcpu, pcpu]);
      const otherNs = machine.pcpuBusyNs()[1 - pcpu];
      machine.run(10 * ms);
      expect(machine.pcpuBusyNs()[1 - pcpu]).toBe(otherNs);
    }
    expect(() => machine.pinVcpu(0, 0, [2])).toThrow(AssertionError);
    expect(() => machine.pinVcpu(0, 1, [0])).toThrow(AssertionError);
  });

  test('lose their parameters and their affinity when they move', () => {
    const machine = machineOf({ parameters: { cap: 20 }, vcpus: [{ ...hog, hardAffinity: [1] }] });
    machine.run(100 * ms);
    machine.moveDomain(0, 'b');
    expect(runMs(machine, 0)).toEqual([10]);
    expect(machine.vcpus(0)[0]!.pcpu).toBe(2);
    machine.moveDomain(0, 'a');
    expect(runMs(machine, 0)).toEqual([10]);
  });

  test('are heard no more of when they have ended', () => {
    const machine = machineOf({}, {});
    machine.run(10 * ms);
    machine.removeDomain(0);
    expect(machine.figures().domains.map(({ name }) => name)).toEqual(['d1']);
    expect(machine.nameOf(0, 0)).toBe('d0v0');
    expect(() => machine.vcpus(0)).toThrow(AssertionError);
    // A new one in its place has nothing of it.
    machine.addDomain({ name: 'new', cpupool: 'a', vcpus: [hog] });
    expect(machine.figures().domains.map(({ runNs }) => runNs)).toEqual([10 * ms, 0]);
  });

  test('have weights of the scheduler they are under', () => {
    const machine = machineOf({ cpupool: 'b' }, { cpupool: 'b' });
    machine.setDomainParameters(0, { weight: 768 });
    machine.run(10_000 * ms);
    const [first, second] = machine.figures().domains;
    expect(first!.runNs / second!.runNs).toBeGreaterThan(2.8);
    expect(() => machine.setDomainParameters(0, { weight: 0x10000 })).toThrow(AssertionError);
  });
});

describe('cpupools', () => {
  test('have names that change, and numbers that do not', () => {
    const machine = machineOf({});
    machine.renameCpupool('a', 'c');
    machine.renameCpupool('c', 'c');
    expect(machine.figures().cpupools.map(({ id, name }) => [id, name])).toEqual([
      [0, 'c'],
      [1, 'b'],
    ]);
    expect(() => machine.renameCpupool('b', 'c')).toThrow(AssertionError);
    expect(() => machine.addPcpu('a', 3)).toThrow(AssertionError);
    machine.addPcpu('c', 3);
    expect(runMs(machine, 0)).toEqual([10]);
  });

  test('may be empty, and then use nothing', () => {
    const machine = machineOf();
    expect(machine.addCpupool({ name: 'empty', scheduler: 'null', pcpus: [] })).toBe(2);
    machine.run(ms);
    expect(machine.figures().cpupools[2]).toEqual({
      id: 2,
      name: 'empty',
      pcpus: [],
      utilisation: 0,
      contextSwitches: 0,
    });
  });

  test('lose pCPUs, whose work goes elsewhere, and get others', () => {
    const machine = machineOf({}, {});
    machine.run(5 * ms);
    machine.removePcpu('a', 1);
    machine.run(ms);
    expect(machine.vcpus(0)[0]!.pcpu).toBe(0);
    expect(machine.vcpus(1)[0]!.pcpu).toBe(0);
    // What the pCPU has done it has done, and it does nothing now.
    const busyNs = machine.pcpuBusyNs()[1]!;
    expect(busyNs).toBe(5 * ms);
    machine.run(10 * ms);
    expect(machine.pcpuBusyNs()).toEqual([16 * ms, busyNs, 0, 0]);
    machine.addPcpu('a', 3);
    machine.run(10 * ms);
    expect(machine.pcpuBusyNs()).toEqual([26 * ms, busyNs, 0, 10 * ms]);
  });

  test.each(['credit', 'credit2', 'rtds', 'null', 'arinc653', 'sedf'] as const)(
    'under %s go with all they had, and their numbers and pCPUs are given again',
    (scheduler) => {
      const machine = machineOf({});
      const timers = [];
      for (let round = 0; round < 3; round++) {
        expect(machine.addCpupool({ name: 'c', scheduler, pcpus: [3] })).toBe(2);
        const domid = machine.addDomain({ name: 'd', cpupool: 'c', vcpus: [hog] });
        machine.run(10 * ms);
        expect(() => machine.removeCpupool('c')).toThrow(AssertionError);
        machine.removeDomain(domid);
        machine.removeCpupool('c');
        machine.run(10 * ms);
        timers.push(machine.core.captureHidden(() => 0).timerCount);
      }
      // Its timers are used again: there are never more.
      expect(timers).toEqual([timers[0], timers[0], timers[0]]);
      expect(machine.figures().cpupools.map(({ name }) => name)).toEqual(['a', 'b']);
    },
  );

  test('have parameters that change while they run', () => {
    const switches = (tsliceMs: number): number => {
      const machine = machineOf({ cpupool: 'b' }, { cpupool: 'b' });
      machine.setPoolParameters('b', { tsliceMs });
      machine.run(1000 * ms);
      return machine.figures().cpupools[1]!.contextSwitches;
    };
    expect(switches(5) / switches(50)).toBeGreaterThan(5);
    expect(() => machineOf().setPoolParameters('b', { tsliceMs: 0 })).toThrow(AssertionError);
  });
});
