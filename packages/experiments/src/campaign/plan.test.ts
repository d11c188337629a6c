import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Campaign } from './campaign.ts';
import { parseCampaign } from './parse-campaign.ts';
import { planSteps, type Step } from './plan.ts';

interface Shape {
  readonly configurations: number;
  readonly workloads: number;
  readonly threads: number;
  readonly runs: number;
  readonly warmUps: number;
  readonly seed: number | undefined;
}

function campaign({ configurations, workloads, threads, runs, warmUps, seed }: Shape): Campaign {
  const each = (count: number, text: (at: number) => string): string =>
    Array.from({ length: count }, (_, at) => text(at)).join(', ');
  const read = parseCampaign(
    `
name: plan
runs: ${runs}
warm-up: ${warmUps}
${seed === undefined ? '' : `order: shuffled\nseed: ${seed}`}
threads: [${each(threads, (at) => String(at + 1))}]
workloads: {${each(workloads, (at) => `w${at}: {kind: command, command: x}`)}}
configurations: {${each(configurations, (at) => `c${at}: `)}}
`,
    () => undefined,
  );
  if (!read.ok) throw new Error(read.error.map(({ message }) => message).join());
  return read.value;
}

const shapes = fc.record<Shape>({
  configurations: fc.integer({ min: 1, max: 6 }),
  workloads: fc.integer({ min: 1, max: 3 }),
  threads: fc.integer({ min: 1, max: 3 }),
  runs: fc.integer({ min: 1, max: 7 }),
  warmUps: fc.integer({ min: 0, max: 2 }),
  seed: fc.option(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { nil: undefined }),
});

/** The steps of each round: all configurations once. */
function rounds(steps: readonly Step[], size: number): readonly (readonly Step[])[] {
  return Array.from({ length: steps.length / size }, (_, at) => steps.slice(at * size, (at + 1) * size));
}

describe('a plan', () => {
  test('has every run once', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const ids = planSteps(campaign(shape)).map(({ id }) => id);
        const { configurations, workloads, threads, runs, warmUps } = shape;
        expect(ids).toHaveLength(configurations * workloads * threads * (runs + warmUps));
        expect(new Set(ids).size).toBe(ids.length);
      }),
    );
  });

  test('goes in rounds: all configurations once in each, the same run of the same cell, warm-ups first', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        for (const round of rounds(planSteps(campaign(shape)), shape.configurations)) {
          expect(new Set(round.map(({ configuration }) => configuration.name)).size).toBe(shape.configurations);
          const cells = round.map(({ workload, threads, run, isWarmUp }) => [workload.name, threads, run, isWarmUp]);
          expect(new Set(cells.map(String)).size).toBe(1);
        }
        const perCell = Map.groupBy(
          planSteps(campaign(shape)),
          ({ workload, threads }) => `${workload.name} ${threads}`,
        );
        for (const steps of perCell.values()) {
          expect(steps.findLastIndex(({ isWarmUp }) => isWarmUp)).toBe(shape.warmUps * shape.configurations - 1);
        }
      }),
    );
  });

  test('never lets a drift that grows with time prefer a configuration, when there are as many runs as configurations', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 6 }), (count) => {
        const shape = { configurations: count, workloads: 1, threads: 1, runs: count, warmUps: 0, seed: undefined };
        const sums = new Map<string, number>();
        for (const [at, { configuration }] of planSteps(campaign(shape)).entries()) {
          sums.set(configuration.name, (sums.get(configuration.name) ?? 0) + at);
        }
        expect(new Set(sums.values()).size).toBe(1);
      }),
    );
  });

  test('is the same for the same seed, and has every order of a round over the seeds', () => {
    const shape = { configurations: 3, workloads: 1, threads: 1, runs: 4, warmUps: 0 };
    const plan = (seed: number): readonly string[] => planSteps(campaign({ ...shape, seed })).map(({ id }) => id);
    expect(plan(3)).toEqual(plan(3));
    const firsts = Array.from({ length: 200 }, (_, seed) => plan(seed).slice(0, 3).join(' '));
    expect(new Set(firsts).size).toBe(6);
  });

  test('in full', () => {
    const shape = { configurations: 2, workloads: 1, threads: 2, runs: 2, warmUps: 1, seed: undefined };
    expect(planSteps(campaign(shape)).map(({ id }) => id)).toEqual([
      'w0/1/c0/w1',
      'w0/1/c1/w1',
      'w0/1/c1/1',
      'w0/1/c0/1',
      'w0/1/c0/2',
      'w0/1/c1/2',
      'w0/2/c0/w1',
      'w0/2/c1/w1',
      'w0/2/c1/1',
      'w0/2/c0/1',
      'w0/2/c0/2',
      'w0/2/c1/2',
    ]);
  });
});
