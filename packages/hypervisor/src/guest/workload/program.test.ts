import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runState, type SchedPool } from '../../schedule/core.ts';
import { TestMachine, type TestVcpu } from '../../testing/test-machine.ts';
import { compileProgram, type Step } from './step.ts';

interface Setup {
  readonly machine: TestMachine;
  readonly pool: SchedPool;
  readonly units: readonly number[];
}

/** A domain 0 whose vCPUs have a pCPU each, and begin at 0. */
function setUp(...vcpus: readonly TestVcpu[]): Setup {
  const machine = new TestMachine(vcpus.length);
  const pool = machine.pool('null', [...vcpus.keys()]);
  const units = machine.domain(0, pool, vcpus);
  machine.start(units);
  return { machine, pool, units };
}

const timesOf = ({ machine: { core }, units }: Setup, index = 0): readonly number[] =>
  Object.values(runState).map((state) => core.timeIn(units[index]!, state));

/** When the only vCPU came onto its pCPU and left it. */
const switchTimes = ({ machine }: Setup): readonly number[] => {
  const times: number[] = [];
  let on = 0;
  for (const line of machine.trace) {
    const [nowNs, , unit] = line.split(' ').map(Number);
    if (unit !== on) times.push(nowNs!);
    on = unit!;
  }
  return times;
};

describe('steps of programs', () => {
  test('run is running time and block wall time, round and round', () => {
    const setup = setUp({
      program: [
        ['run', 30],
        ['block', 70],
      ],
    });
    setup.machine.runTo(1000);
    expect(switchTimes(setup).slice(0, 5)).toEqual([0, 30, 100, 130, 200]);
    expect(timesOf(setup)).toEqual([300, 0, 700, 0]);
    expect(setup.machine.core.wakes[setup.units[0]!]).toBe(10);
  });

  test('a hog computes for ever, and needs no timer for it', () => {
    const setup = setUp({ program: [['run', 10], ['hog'], ['block', 5]] });
    setup.machine.runTo(1000);
    expect(timesOf(setup)).toEqual([1000, 0, 0, 0]);
    expect(setup.machine.core.timers.size).toBe(0);
  });

  test.each<[string, readonly Step[], readonly number[]]>([
    ['nothing at all', [], [0, 0, 1000, 0]],
    ['one run', [['run', 40]], [40, 0, 960, 0]],
    [
      'a block at the end',
      [
        ['run', 40],
        ['block', 7],
      ],
      [40, 0, 960, 0],
    ],
  ])('a program that is over leaves its vCPU blocked: %s', (_, program, expected) => {
    const setup = setUp({ program, repeat: false });
    setup.machine.runTo(1000);
    expect(timesOf(setup)).toEqual(expected);
    expect(setup.machine.core.timers.size).toBe(0);
  });

  test('an event ends a wait, and one that came before is remembered once', () => {
    const sender: TestVcpu = {
      program: [
        ['run', 10],
        ['kick', 0, 1],
        ['kick', 0, 1],
        ['run', 90],
        ['kick', 0, 1],
        ['run', 100],
      ],
      repeat: false,
    };
    const receiver: TestVcpu = { program: [['run', 50], ['wait'], ['run', 20], ['wait'], ['run', 5]], repeat: false };
    const setup = setUp(sender, receiver);
    setup.machine.runTo(99);
    // The wait at 50 was none; the one at 70 is one.
    expect(timesOf(setup, 1)).toEqual([70, 0, 29, 0]);
    setup.machine.runTo(200);
    expect(timesOf(setup, 1)).toEqual([75, 0, 125, 0]);
  });

  test('an event does not end a block, but the wait after it', () => {
    const setup = setUp({ program: [['run', 10], ['block', 20], ['wait'], ['run', 5]], repeat: false });
    setup.machine.runTo(15);
    setup.machine.programs.kick(setup.units[0]!);
    setup.machine.core.drain();
    setup.machine.runTo(100);
    expect(timesOf(setup)).toEqual([15, 0, 85, 0]);
  });

  test('a yield costs a decision and no time', () => {
    const setup = setUp({ program: [['run', 10], ['yield'], ['yield'], ['run', 10]], repeat: false });
    const before = setup.machine.core.decisions;
    setup.machine.runTo(100);
    expect(timesOf(setup)).toEqual([20, 0, 80, 0]);
    // Two yields and the end.
    expect(setup.machine.core.decisions - before).toBe(3);
  });

  test('what is left of a run is kept while the vCPU is off its pCPU', () => {
    const setup = setUp({ program: [['run', 10]], repeat: false });
    const { core } = setup.machine;
    setup.machine.runTo(4);
    core.pauseUnits(setup.units);
    core.drain();
    setup.machine.runTo(20);
    core.unpauseUnits(setup.units);
    core.drain();
    setup.machine.runTo(100);
    expect(switchTimes(setup)).toEqual([0, 4, 20, 26]);
  });

  test('a run that ends as its vCPU is put off ends when the vCPU is back', () => {
    const setup = setUp({ program: [['run', 20]], repeat: false });
    const { core } = setup.machine;
    // The pause at 5 arms the end of the run anew, behind this one of the same time.
    core.timers.arm(
      core.newActionTimer(() => core.pauseUnits(setup.units)),
      20,
    );
    setup.machine.runTo(5);
    core.pauseUnits(setup.units);
    core.drain();
    core.unpauseUnits(setup.units);
    core.drain();
    setup.machine.runTo(50);
    expect(timesOf(setup)).toEqual([20, 0, 0, 30]);
    core.unpauseUnits(setup.units);
    core.drain();
    setup.machine.runTo(60);
    expect(switchTimes(setup)).toEqual([0, 5, 5, 20, 50, 50]);
    expect(timesOf(setup)).toEqual([20, 0, 10, 30]);
  });

  test('a vCPU starts when it is told to', () => {
    const machine = new TestMachine(1);
    const units = machine.domain(0, machine.pool('null', [0]), [{ program: [['run', 10]], repeat: false }]);
    machine.programs.startAt(units[0]!, 500);
    machine.runTo(600);
    expect(switchTimes({ machine, pool: machine.core.poolOf[0]!, units })).toEqual([500, 510]);
  });

  test('programs go on as they were when there come to be more vCPUs than there was room for', () => {
    const run = (more: number): readonly number[] => {
      const setup = setUp({
        program: [
          ['run', 100, 199],
          ['block', 10, 99],
        ],
        seed: 7,
      });
      const { machine, pool, units } = setup;
      machine.runTo(270);
      machine.core.pauseUnits(units);
      machine.core.drain();
      machine.domain(
        1,
        pool,
        Array.from({ length: more }, () => ({ program: [['hog']] })),
      );
      machine.core.unpauseUnits(units);
      machine.core.drain();
      machine.runTo(5000);
      return switchTimes(setup);
    };
    // At 270 it has used up a part of its run.
    expect(run(0)).toContain(270);
    expect(run(100)).toEqual(run(0));
  });
});

describe('lengths by chance', () => {
  /** The draws of a seed. */
  function* draws(seed: number): Generator<number> {
    let x = BigInt(seed);
    const mask = 0xffff_ffffn;
    for (;;) {
      x = (x ^ (x << 13n)) & mask;
      x ^= x >> 17n;
      x = (x ^ (x << 5n)) & mask;
      yield Number(x);
    }
  }

  test('are drawn evenly when a step is taken up, from a state of each vCPU', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0xffff_ffff }), (seed) => {
        const setup = setUp({
          program: [
            ['run', 100, 199],
            ['run', 50, 50],
            ['block', 1, 0x1_0000_0000],
          ],
          seed,
        });
        setup.machine.runTo(2e10);
        const random = draws(seed);
        const draw = (): number => random.next().value as number;
        const expected = [0];
        for (let at = 0; at < 2e10;) {
          expected.push((at += 150 + (draw() % 100)), (at += 1 + draw()));
        }
        expect(switchTimes(setup)).toEqual(expected.filter((at) => at < 2e10));
      }),
      { numRuns: 30 },
    );
  });
});

describe('what is no program', () => {
  test.each<[string, Step]>([
    ['a part of a nanosecond', ['run', 1.5]],
    ['a time before', ['block', -1]],
    ['a range the wrong way round', ['run', 5, 4]],
    ['a time beyond exact numbers', ['block', 2 ** 53]],
  ])('%s', (_, step) => {
    expect(() => compileProgram([step], false)).toThrow('a step');
  });

  test('one that never lets time pass', () => {
    expect(() => setUp({ program: [['kick', 0, 0]] }).machine.runTo(10)).toThrow('lets no time pass');
  });
});
