import { epochMs, ManualClock, type Clock } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import { buildTopology } from '../topology/topology.ts';
import { Machine } from './machine.ts';
import { PacedMachine } from './paced-machine.ts';

const topology = buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: 1, threadsPerCore: 1 });
const ms = 1_000_000;

/** One pCPU that a hog keeps busy from the beginning. */
function busyMachine(): Machine {
  const machine = new Machine({ topology, seed: 1 });
  machine.addCpupool({ name: 'p', scheduler: 'credit', pcpus: [0] });
  machine.addDomain({ name: 'd', cpupool: 'p', vcpus: [{ workload: { kind: 'hog' } }] });
  return machine;
}

const runNs = (paced: PacedMachine): number => paced.caughtUp().vcpus(0)[0]!.cpuTimeNs;

test('what is asked for has run as long as the clock has', () => {
  const clock = new ManualClock();
  const paced = new PacedMachine(busyMachine(), { clock, speed: 1 });
  expect(runNs(paced)).toBe(0);
  clock.advance(250);
  expect(runNs(paced)).toBe(250 * ms);
  expect(runNs(paced)).toBe(250 * ms);
  clock.advance(0.5);
  expect(runNs(paced)).toBe(250.5 * ms);
});

test('a machine that has run before goes on from there', () => {
  const machine = busyMachine();
  machine.run(70 * ms);
  const clock = new ManualClock();
  const paced = new PacedMachine(machine, { clock, speed: 1 });
  expect(runNs(paced)).toBe(70 * ms);
  clock.advance(30);
  expect(runNs(paced)).toBe(100 * ms);
});

test('of a long sleep ten seconds are made up for, and the rest never happened', () => {
  const clock = new ManualClock();
  const paced = new PacedMachine(busyMachine(), { clock, speed: 1 });
  clock.advance(3_600_000);
  expect(runNs(paced)).toBe(10_000 * ms);
  expect(runNs(paced)).toBe(10_000 * ms);
  clock.advance(1);
  expect(runNs(paced)).toBe(10_001 * ms);
});

test('a clock that is put back stops the machine until it has come so far again', () => {
  const clock = new ManualClock();
  let now = clock.now();
  const paced = new PacedMachine(busyMachine(), {
    clock: { now: () => now, after: clock.after.bind(clock) },
    speed: 1,
  });
  const set = (to: number): void => {
    now = (clock.now() + to) as typeof now;
  };
  set(100);
  expect(runNs(paced)).toBe(100 * ms);
  set(40);
  expect(runNs(paced)).toBe(100 * ms);
  set(110);
  expect(runNs(paced)).toBe(110 * ms);
});

test.each([0.25, 1, 2, 10, 1000])('at speed %d', (speed) => {
  const clock = new ManualClock();
  const paced = new PacedMachine(busyMachine(), { clock, speed });
  clock.advance(8);
  expect(runNs(paced)).toBe(8 * speed * ms);
  clock.advance(0.5);
  expect(runNs(paced)).toBe(8.5 * speed * ms);
  clock.advance(3_600_000);
  expect(runNs(paced)).toBe(8.5 * speed * ms + Math.min(3_600_000 * speed, 10_000) * ms);
});

test('another machine in its place begins now', () => {
  const clock = new ManualClock();
  const paced = new PacedMachine(busyMachine(), { clock, speed: 2 });
  clock.advance(100);
  paced.replace(busyMachine());
  clock.advance(30);
  expect(runNs(paced)).toBe(60 * ms);
});

describe('a machine that keeps up', () => {
  test.each([
    [2, 20],
    [50, 20],
    [100, 10],
    [1000, 1],
  ])('at speed %i has a turn every %i ms, and is between them as the last one left it', (speed, everyMs) => {
    const clock = new ManualClock();
    const paced = new PacedMachine(busyMachine(), { clock, speed });
    const kept = paced.keepUp();
    clock.advance(everyMs * 7);
    expect(runNs(paced)).toBe(7 * everyMs * speed * ms);
    clock.advance(everyMs / 2);
    expect(runNs(paced)).toBe(7 * everyMs * speed * ms);
    kept.dispose();
    expect(runNs(paced)).toBe(7.5 * everyMs * speed * ms);
    clock.advance(everyMs);
    expect(runNs(paced)).toBe(8.5 * everyMs * speed * ms);
  });

  test.each([0.5, 1])('at speed %d needs no turns', (speed) => {
    const clock: Clock = { now: () => epochMs(0), after: () => expect.fail('a timer') };
    new PacedMachine(busyMachine(), { clock, speed }).keepUp().dispose();
  });

  /** A clock whose timer is called by hand, and that goes on by so much each time that it is looked at. */
  function slowProcessor(lookMs: number): {
    readonly clock: Clock;
    nowMs: number;
    lookMs: number;
    turn: () => void;
  } {
    const slow = {
      nowMs: 0,
      lookMs,
      turn: (): void => expect.fail('no timer'),
      clock: {
        now: () => epochMs((slow.nowMs += slow.lookMs)),
        after: (_delayMs: number, action: () => void) => {
          slow.turn = action;
          return { dispose: () => undefined };
        },
      },
    };
    return slow;
  }

  test('makes up for ten seconds at most when its process was stopped', () => {
    const slow = slowProcessor(0);
    const paced = new PacedMachine(busyMachine(), { clock: slow.clock, speed: 50 });
    paced.keepUp();
    slow.nowMs = 3_600_000;
    slow.turn();
    expect(runNs(paced)).toBe(10_000 * ms);
    slow.turn();
    expect(runNs(paced)).toBe(10_000 * ms);
    slow.nowMs += 20;
    slow.turn();
    expect(runNs(paced)).toBe(11_000 * ms);
  });

  test('stops its turns early when the processor is slow, and leaves out what it cannot keep up with', () => {
    const slow = slowProcessor(2);
    const paced = new PacedMachine(busyMachine(), { clock: slow.clock, speed: 1000 });
    paced.keepUp();
    const first = runNs(paced);
    slow.turn();
    // One look at what is due, and one after each step of 100 ms.
    expect(runNs(paced) - first).toBe(200 * ms);
    for (let turn = 0; turn < 9; turn++) slow.turn();
    expect(runNs(paced) - first).toBe(2000 * ms);
    // A fast processor from now on: the second that was kept due.
    slow.lookMs = 0;
    slow.turn();
    expect(runNs(paced) - first).toBe(3000 * ms);
  });
});
