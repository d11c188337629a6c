import { describe, expect, test } from 'vitest';
import { TestMachine, type TestVcpu } from '../testing/test-machine.ts';
import { Arinc653, type Arinc653Schedule } from './arinc653.ts';
import { errno, runState, type SchedPool } from './core.ts';

const ms = (value: number): number => value * 1_000_000;
const hog: TestVcpu = { program: [['hog']] };

interface Setup {
  readonly machine: TestMachine;
  readonly pool: SchedPool;
  readonly policy: Arinc653;
}

function setUp(pcpus = 1): Setup {
  const machine = new TestMachine(pcpus);
  const pool = machine.pool(
    'arinc653',
    Array.from({ length: pcpus }, (_, pcpu) => pcpu),
  );
  if (!(pool.scheduler instanceof Arinc653)) throw new Error('another policy');
  return { machine, pool, policy: pool.scheduler };
}

/** A schedule of (domain, vCPU, runtime in ms). */
const scheduleOf = (frameMs: number, ...entries: readonly (readonly [number, number, number])[]): Arinc653Schedule => ({
  majorFrameNs: ms(frameMs),
  entries: entries.map(([domain, vcpu, runtimeMs]) => ({ domain, vcpu, runtimeNs: ms(runtimeMs) })),
});

const entriesOf = (count: number): [number, number, number][] => Array.from({ length: count }, () => [1, 0, 1]);

/** What runs on a pCPU and from when, in ms: units, -1 for idle. */
function switchesOf({ machine }: Setup, pcpu = 0): readonly (readonly [number, number])[] {
  const switches: [number, number][] = [];
  for (const line of machine.trace) {
    const [nowNs, where, unit] = line.split(' ').map(Number);
    if (where !== pcpu) continue;
    const runs = unit! < machine.core.pcpuCount ? -1 : unit!;
    if (switches.at(-1)?.[0] === nowNs! / ms(1)) switches.pop();
    if (switches.at(-1)?.[1] !== runs) switches.push([nowNs! / ms(1), runs]);
  }
  return switches;
}

describe('ARINC 653', () => {
  test('goes through the table in each major frame, and idles for what is left of it', () => {
    const setup = setUp();
    const { machine, pool, policy } = setup;
    const [a] = machine.domain(1, pool, [hog]);
    const [b] = machine.domain(2, pool, [hog]);
    expect(policy.setSchedule(scheduleOf(20, [1, 0, 5], [2, 0, 3], [1, 0, 2]))).toBe(0);
    machine.start([a!, b!]);
    machine.runTo(ms(41));
    expect(switchesOf(setup)).toEqual([
      [0, a],
      [5, b],
      [8, a],
      [10, -1],
      [20, a],
      [25, b],
      [28, a],
      [30, -1],
      [40, a],
    ]);
    // Slices are what is left of an entry, or of the frame.
    expect(machine.trace.slice(-5)).toEqual([
      `${ms(20)} 0 ${a!} ${ms(5)}`,
      `${ms(25)} 0 ${b!} ${ms(3)}`,
      `${ms(28)} 0 ${a!} ${ms(2)}`,
      `${ms(30)} 0 0 ${ms(10)}`,
      `${ms(40)} 0 ${a!} ${ms(5)}`,
    ]);
  });

  test('the time of a vCPU that blocks, or is not there, goes to nobody', () => {
    const setup = setUp();
    const { machine, pool, policy } = setup;
    const [waker] = machine.domain(1, pool, [
      {
        program: [
          ['run', ms(1)],
          ['block', ms(2)],
        ],
      },
    ]);
    const [greedy] = machine.domain(2, pool, [hog]);
    expect(policy.setSchedule(scheduleOf(12, [1, 0, 5], [7, 0, 2], [2, 0, 4]))).toBe(0);
    machine.start([waker!, greedy!]);
    machine.runTo(ms(12));
    expect(switchesOf(setup)).toEqual([
      [0, waker],
      [1, -1],
      [3, waker],
      [4, -1],
      [7, greedy],
      [11, -1],
    ]);
    // The one that was missing is found when it comes.
    const [late] = machine.domain(7, pool, [hog]);
    machine.start([late!]);
    machine.runTo(ms(24));
    expect(machine.core.timeIn(late!, runState.running)).toBe(ms(2));
    machine.core.removeDomain(7);
    machine.runTo(ms(36));
    expect(switchesOf(setup).filter(([at]) => at > 24)).not.toContainEqual([expect.anything(), late]);
  });

  test('each vCPU of domain 0 has 10 ms, and the frame is their sum', () => {
    const setup = setUp();
    const { machine, pool, policy } = setup;
    expect(policy.currentSchedule()).toEqual({ majorFrameNs: ms(10), entries: [] });
    const units = machine.domain(0, pool, [hog, hog]);
    machine.domain(1, pool, [hog]);
    expect(policy.currentSchedule()).toEqual(scheduleOf(20, [0, 0, 10], [0, 1, 10]));
    machine.start([...units, machine.core.domainEntry(1).units[0]!]);
    machine.runTo(ms(45));
    // The frame of 10 ms that began without entries has the first one from then on; the next one has both.
    expect(switchesOf(setup)).toEqual([
      [0, units[0]],
      [20, units[1]],
      [30, units[0]],
      [40, units[1]],
    ]);
  });

  test('domain 0 gets entries as long as there are any', () => {
    const { machine, pool, policy } = setUp();
    machine.domain(
      0,
      pool,
      Array.from({ length: 70 }, () => hog),
    );
    const { entries, majorFrameNs } = policy.currentSchedule();
    expect([entries.length, entries.at(-1)?.vcpu, majorFrameNs]).toEqual([64, 63, ms(640)]);
  });

  test('a vCPU runs only on its own pCPU, in its time on all of them', () => {
    const setup = setUp(2);
    const { machine, pool, policy } = setup;
    const units = machine.domain(1, pool, [hog, hog]);
    expect(policy.setSchedule(scheduleOf(10, [1, 0, 4], [1, 1, 6]))).toBe(0);
    machine.start(units);
    machine.runTo(ms(14));
    expect(switchesOf(setup, 0)).toEqual([
      [0, units[0]],
      [4, -1],
      [10, units[0]],
    ]);
    expect(switchesOf(setup, 1)).toEqual([
      [0, -1],
      [4, units[1]],
      [10, -1],
    ]);
    // Affinity says nothing; only a pCPU that leaves makes it move.
    machine.core.setAffinity(units[1]!, machine.mask(0), undefined);
    machine.core.drain();
    expect(machine.core.pcpu[units[1]!]).toBe(1);
    machine.core.removePcpu(1, pool);
    machine.runTo(ms(15));
    expect(machine.core.pcpu[units[1]!]).toBe(0);
    expect(machine.core.current[0]).toBe(units[1]);
  });

  test('a new schedule begins a frame now, and shows at the next decision', () => {
    const setup = setUp();
    const { machine, pool, policy } = setup;
    const [a] = machine.domain(1, pool, [hog]);
    const [b] = machine.domain(2, pool, [hog]);
    policy.setSchedule(scheduleOf(20, [1, 0, 10], [2, 0, 10]));
    machine.start([a!, b!]);
    machine.runTo(ms(4));
    expect(policy.setSchedule(scheduleOf(10, [2, 0, 3], [1, 0, 7]))).toBe(0);
    machine.core.drain();
    // Decided at 10 ms, 6 ms into the frame that began at 4.
    machine.runTo(ms(25));
    expect(switchesOf(setup)).toEqual([
      [0, a],
      [14, b],
      [17, a],
      [24, b],
    ]);
  });

  test('a decision that is late finds its place in the frame, and the next frame begins on time', () => {
    const setup = setUp();
    const { machine, pool, policy } = setup;
    const [a] = machine.domain(1, pool, [hog]);
    policy.setSchedule(scheduleOf(10, [1, 0, 3], [2, 0, 7]));
    machine.start([a!]);
    machine.core.timers.disarm(0);
    machine.runTo(ms(34));
    machine.core.raise(0);
    machine.core.drain();
    expect(machine.trace.at(-1)).toBe(`${ms(34)} 0 0 ${ms(6)}`);
    machine.runTo(ms(41));
    expect(machine.trace.at(-1)).toBe(`${ms(40)} 0 ${a!} ${ms(3)}`);
  });

  test.each<[string, Arinc653Schedule, number]>([
    ['no entry', { majorFrameNs: ms(10), entries: [] }, errno.invalid],
    ['65 entries', scheduleOf(100, ...entriesOf(65)), errno.invalid],
    ['64 entries', scheduleOf(64, ...entriesOf(64)), 0],
    ['no frame', scheduleOf(0, [1, 0, 1]), errno.invalid],
    ['a frame below 0', scheduleOf(-1, [1, 0, 1]), errno.invalid],
    ['no runtime', scheduleOf(10, [1, 0, 5], [1, 0, 0]), errno.invalid],
    ['a runtime below 0', scheduleOf(10, [1, 0, -5]), errno.invalid],
    ['a frame too short for all', scheduleOf(10, [1, 0, 5], [1, 0, 5.000001]), errno.invalid],
    ['a frame that is full', scheduleOf(10, [1, 0, 5], [1, 0, 5]), 0],
    ['parts of a nanosecond', { majorFrameNs: 10.5, entries: [{ domain: 1, vcpu: 0, runtimeNs: 1 }] }, errno.invalid],
  ])('of a schedule with %s', (_, given, rc) => {
    const { policy } = setUp();
    const before = policy.currentSchedule();
    expect(policy.setSchedule(given)).toBe(rc);
    expect(policy.currentSchedule()).toEqual(rc === 0 ? given : before);
  });

  test('its state comes back as it was captured, and what follows is the same', () => {
    const made = (): Setup => {
      const setup = setUp();
      const { machine, pool, policy } = setup;
      const units = [1, 2].flatMap((domain) => machine.domain(domain, pool, [hog]));
      policy.setSchedule(scheduleOf(20, [1, 0, 5], [2, 0, 3], [1, 0, 2]));
      machine.start(units);
      return setup;
    };
    const [plain, restored] = [made(), made()];
    plain.machine.runTo(ms(100));
    restored.machine.runTo(ms(27));
    const state = restored.policy.capture();
    expect(restored.policy.setSchedule(scheduleOf(7, [2, 0, 7]))).toBe(0);
    restored.policy.restore(state);
    expect(restored.policy.capture()).toEqual(state);
    restored.machine.runTo(ms(100));
    expect(restored.machine.trace).toEqual(plain.machine.trace);
  });

  test('a domain that moves away and back is found again', () => {
    const setup = setUp(2);
    const { machine, pool, policy } = setup;
    const { core } = machine;
    core.removePcpu(1, pool);
    const other = machine.pool('null', [1]);
    const [unit] = machine.domain(1, pool, [hog]);
    policy.setSchedule(scheduleOf(10, [1, 0, 10]));
    machine.start([unit!]);
    core.moveDomain(1, other);
    machine.runTo(ms(15));
    expect([core.current[0], core.current[1]]).toEqual([0, unit]);
    core.moveDomain(1, pool);
    machine.runTo(ms(30));
    expect([core.current[0], core.current[1]]).toEqual([unit, 1]);
  });
});
