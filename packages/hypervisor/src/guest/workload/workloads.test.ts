import { AssertionError, present } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import { Machine } from '../../machine/machine.ts';
import type { DomainFigures } from '../../machine/figures.ts';
import { topologyOf } from '../../topology/topology-of.ts';
import { compileWorkload, type Workload } from './workloads.ts';

const ms = 1_000_000;

/** What a workload does on a pCPU that it has for itself. */
function alone(workload: Workload, durationNs: number, seed = 1): DomainFigures {
  const machine = new Machine({ topology: topologyOf({ node: [0], socket: [0], core: [0] }), seed });
  machine.addCpupool({ name: 'p', scheduler: 'null', pcpus: [0] });
  machine.addDomain({ name: 'd', cpupool: 'p', vcpus: [{ workload }] });
  machine.run(durationNs);
  return present(machine.figures().domains[0], 'the domain');
}

describe('alone on a pCPU', () => {
  test.each<[string, Workload, number, Partial<DomainFigures>]>([
    [
      'a hog runs always, and a millisecond is a unit of work',
      { kind: 'hog' },
      100 * ms,
      { runNs: 100 * ms, completed: 100 },
    ],
    ['a unit of a hog may be another', { kind: 'hog', unitNs: 30 * ms }, 100 * ms, { runNs: 100 * ms, completed: 3 }],
    ['nothing to do', { kind: 'idle' }, 100 * ms, { runNs: 0, blockedNs: 100 * ms, completed: 0 }],
    [
      'a periodic VM, first released at once',
      { kind: 'periodic', periodNs: 10 * ms, workNs: 3 * ms },
      100 * ms,
      { runNs: 30 * ms, blockedNs: 70 * ms, completed: 10, missed: 0 },
    ],
    [
      'a deadline within the period: 3 ms of work are late after 2',
      { kind: 'periodic', periodNs: 10 * ms, workNs: 3 * ms, deadlineNs: 2 * ms },
      100 * ms,
      { completed: 10, missed: 10 },
    ],
    [
      'done at the very deadline is in time',
      { kind: 'periodic', periodNs: 10 * ms, workNs: 3 * ms, deadlineNs: 3 * ms },
      100 * ms,
      { completed: 10, missed: 0 },
    ],
    [
      'done a nanosecond after it is late',
      { kind: 'periodic', periodNs: 10 * ms, workNs: 3 * ms, deadlineNs: 3 * ms - 1 },
      100 * ms,
      { completed: 10, missed: 10 },
    ],
    [
      'more work than time: jobs end at 15, 30, 45, 60 …; at 100 ms 6 are done, all late, and jobs 7 to 9 are overdue',
      { kind: 'periodic', periodNs: 10 * ms, workNs: 15 * ms },
      99 * ms,
      { runNs: 99 * ms, completed: 6, missed: 9 },
    ],
    [
      'a user: 5 ms of sleep, 2 of work',
      { kind: 'interactive', workNs: 2 * ms, sleepNs: 5 * ms },
      71 * ms,
      { runNs: 20 * ms, blockedNs: 51 * ms, completed: 10 },
    ],
    [
      'a trace, once',
      {
        kind: 'trace',
        entries: [
          { runNs: ms, blockNs: 2 * ms },
          { runNs: 3 * ms, blockNs: 4 * ms },
        ],
      },
      100 * ms,
      { runNs: 4 * ms, blockedNs: 96 * ms, completed: 2 },
    ],
    [
      'a trace, again and again',
      { kind: 'trace', entries: [{ runNs: ms, blockNs: 2 * ms }], repeat: true },
      30 * ms,
      { runNs: 10 * ms, blockedNs: 20 * ms, completed: 10 },
    ],
    [
      'phases: boot 10 ms, idle 20, controlling 50 (5 jobs)',
      {
        kind: 'phases',
        phases: [
          { durationNs: 10 * ms, workload: { kind: 'hog' } },
          { durationNs: 20 * ms, workload: { kind: 'idle' } },
          { durationNs: 50 * ms, workload: { kind: 'periodic', periodNs: 10 * ms, workNs: 2 * ms } },
        ],
      },
      200 * ms,
      { runNs: 20 * ms, blockedNs: 180 * ms, completed: 15 },
    ],
    [
      'a phase ends while its server waits',
      {
        kind: 'phases',
        repeat: true,
        phases: [
          { durationNs: 10 * ms, workload: { kind: 'server', serviceNs: ms, meanGapNs: 1e15 } },
          { durationNs: 10 * ms, workload: { kind: 'hog' } },
        ],
      },
      41 * ms,
      { runNs: 20 * ms, completed: 20 },
    ],
  ])('%s', (_, workload, durationNs, expected) => {
    expect(alone(workload, durationNs)).toMatchObject(expected);
  });

  test('a job that waits for nobody takes as long as its work', () => {
    const { responseNs, wakeNs } = alone({ kind: 'interactive', workNs: 2 * ms, sleepNs: 5 * ms }, 71 * ms);
    expect([responseNs.count, responseNs.meanNs, responseNs.maxNs]).toEqual([10, 2 * ms, 2 * ms]);
    // The start is a wake too.
    expect([wakeNs.count, wakeNs.maxNs]).toEqual([11, 0]);
  });

  test('lengths are drawn evenly from their range', () => {
    const { completed, runNs, responseNs } = alone(
      { kind: 'interactive', workNs: [ms, 3 * ms], sleepNs: [0, 2 * ms] },
      60_000 * ms,
    );
    expect(runNs / completed / ms).toBeCloseTo(2, 1);
    expect(responseNs.maxNs).toBeLessThanOrEqual(3 * ms);
    expect(responseNs.p50Ns / ms).toBeCloseTo(2, 0);
  });
});

describe('a server', () => {
  /** Mean response of M/D/1 by Pollaczek and Khinchine: service · (1 + ρ / (2 (1 - ρ))). */
  test.each([0.3, 0.5, 0.8])('with load %d has the response time of an M/D/1 queue', (load) => {
    const { responseNs, completed } = alone({ kind: 'server', serviceNs: ms, meanGapNs: ms / load }, 1_000_000 * ms);
    const expectedMs = 1 + load / (2 * (1 - load));
    expect(Math.abs(responseNs.meanNs / ms / expectedMs - 1)).toBeLessThan(0.03);
    expect(Math.abs(completed / (1_000_000 * load) - 1)).toBeLessThan(0.01);
  });

  test('gets requests only while its source is on', () => {
    const burst = { onNs: 10 * ms, offNs: 90 * ms };
    const { completed, responseNs } = alone(
      { kind: 'server', serviceNs: 10_000, meanGapNs: 100_000, burst },
      100_000 * ms,
    );
    expect(Math.abs(completed / 100_000 - 1)).toBeLessThan(0.02);
    expect(responseNs.meanNs).toBeLessThan(20_000);
  });

  test('draws other requests with another seed, and the same with the same', () => {
    const of = (seed: number): DomainFigures =>
      alone({ kind: 'server', serviceNs: ms, meanGapNs: 5 * ms }, 1000 * ms, seed);
    expect(of(1)).toEqual(of(1));
    expect(of(1).responseNs).not.toEqual(of(2).responseNs);
  });
});

test.each<[string, Workload]>([
  ['no whole length', { kind: 'interactive', workNs: 1.5, sleepNs: 1 }],
  ['a range the wrong way round', { kind: 'interactive', workNs: [2, 1], sleepNs: 1 }],
  ['no period', { kind: 'periodic', periodNs: 0, workNs: 1 }],
  ['no gap', { kind: 'server', serviceNs: 1, meanGapNs: 0 }],
  ['bursts of nothing', { kind: 'server', serviceNs: 1, meanGapNs: 1, burst: { onNs: 0, offNs: 1 } }],
  ['a phase of no time', { kind: 'phases', phases: [{ durationNs: 0, workload: { kind: 'hog' } }] }],
])('is refused: %s', (_, workload) => {
  expect(() => compileWorkload(workload)).toThrow(AssertionError);
});
