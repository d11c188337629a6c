import { pcpuId, type Ref } from '@xenolith/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CpupoolInfo } from '../host-scheduling.ts';
import { reconcileCpupools, restoreSteps, wasRebooted, type KnownCpupool } from './cpupool-reconcile.ts';

const info = (name: string, pcpus: readonly number[], is: Partial<CpupoolInfo> = {}): CpupoolInfo => ({
  name,
  scheduler: 'credit2',
  parameters: { ratelimitUs: 1000 },
  pcpus: pcpus.map(pcpuId),
  domainCount: 0,
  ...is,
});
const known = (name: string, pcpus: readonly number[], is: Partial<KnownCpupool> = {}): KnownCpupool => ({
  ref: name as Ref<'cpupool'>,
  name,
  isDefault: name === 'Pool-0',
  scheduler: 'credit2',
  parameters: { ratelimitUs: 1000 },
  pcpus: pcpus.map(pcpuId),
  ...is,
});
const told = (records: readonly KnownCpupool[], pools: readonly CpupoolInfo[]): readonly string[] =>
  reconcileCpupools(records, pools).map((decision) =>
    decision.kind === 'found'
      ? `found ${decision.pool.name}`
      : decision.kind === 'gone'
        ? `gone ${decision.ref}`
        : `${decision.ref} is ${decision.pool.name}`,
  );

describe('the records follow the host', () => {
  test.each([
    ['a first look', [], [info('Pool-0', [0, 1])], ['found Pool-0']],
    ['nothing new', [known('Pool-0', [0])], [info('Pool-0', [0, 1])], ['Pool-0 is Pool-0']],
    [
      'a split',
      [known('Pool-0', [0, 1])],
      [info('Pool-node0', [0]), info('Pool-node1', [1])],
      ['Pool-0 is Pool-node0', 'found Pool-node1'],
    ],
    [
      'a pool that went',
      [known('Pool-0', [0]), known('a', [1])],
      [info('Pool-0', [0, 1])],
      ['gone a', 'Pool-0 is Pool-0'],
    ],
    [
      'a new name',
      [known('Pool-0', [0]), known('a', [1])],
      [info('Pool-0', [0]), info('b', [1])],
      ['Pool-0 is Pool-0', 'a is b'],
    ],
    [
      'another scheduler is another pool',
      [known('Pool-0', [0]), known('a', [1])],
      [info('Pool-0', [0]), info('b', [1], { scheduler: 'credit' })],
      ['gone a', 'Pool-0 is Pool-0', 'found b'],
    ],
    [
      'empty pools have nothing to be known by',
      [known('Pool-0', [0]), known('a', [])],
      [info('Pool-0', [0]), info('b', [])],
      ['gone a', 'Pool-0 is Pool-0', 'found b'],
    ],
    [
      'a pool named as the first one was',
      [known('Pool-0', [0]), known('a', [1])],
      [info('a', [0]), info('x', [1])],
      ['Pool-0 is a', 'a is x'],
    ],
  ] as const)('%s', (_what, records, pools, expected) => {
    expect(told(records, pools)).toEqual(expected);
  });
});

describe('a reboot and changes by hand', () => {
  const booted = [info('Pool-0', [0, 1, 2, 3])];
  const evidence = {
    bootId: { before: undefined, now: undefined },
    expected: ['a'],
    present: [],
    pools: booted,
    pcpuCount: 4,
  };
  test.each([
    ['no guest is left and one pool has all', {}, true],
    ['a guest is still there', { present: ['a'] }, false],
    ['there is a second pool', { pools: [info('Pool-0', [0, 1, 2]), info('b', [])] }, false],
    ['a CPU is free', { pools: [info('Pool-0', [0, 1, 2])] }, false],
    ['the first pool has a name of its own', { pools: [info('Pool-node0', [0, 1, 2, 3])] }, false],
    ['the host says that it is the same boot', { bootId: { before: 'x', now: 'x' } }, false],
    ['the host says that it is another boot', { bootId: { before: 'x', now: 'y' }, present: ['a'] }, true],
    ['what it was before is not known', { bootId: { before: undefined, now: 'y' }, present: ['a'] }, false],
  ] as const)('%s', (_what, is, expected) => {
    expect(wasRebooted({ ...evidence, ...is })).toBe(expected);
  });
});

/** What a host is after the steps; throws where Xen would refuse. */
function after(pools: readonly CpupoolInfo[], records: readonly KnownCpupool[], online: readonly number[]): string {
  let host = pools.map((pool) => ({ ...pool, pcpus: [...pool.pcpus] }));
  const named = (name: string): (typeof host)[number] => {
    const pool = host.find((each) => each.name === name);
    if (pool === undefined) throw new Error(`no pool ${name}`);
    return pool;
  };
  const take = (pcpu: number): void => {
    if (host.some((pool) => pool.pcpus.some((each) => each === pcpu))) throw new Error(`${pcpu} is not free`);
  };
  for (const step of restoreSteps(records, pools, online.map(pcpuId))) {
    if (step.kind === 'rename') named(step.name).name = step.newName;
    else if (step.kind === 'remove') {
      const pool = named(step.name);
      pool.pcpus = pool.pcpus.filter((pcpu) => pcpu !== step.pcpu);
      if (pool === host[0] && pool.pcpus.length === 0) throw new Error('the first pool is empty');
    } else if (step.kind === 'add') {
      take(step.pcpu);
      named(step.name).pcpus.push(step.pcpu);
    } else if (step.kind === 'parameters') named(step.name).parameters = step.parameters;
    else {
      step.pcpus.forEach(take);
      host = [...host, info(step.name, step.pcpus, { scheduler: step.scheduler })].map((pool) => ({
        ...pool,
        pcpus: [...pool.pcpus],
      }));
    }
  }
  return host
    .map(
      ({ name, scheduler, parameters, pcpus }) =>
        `${name} ${scheduler} ${parameters.ratelimitUs} [${pcpus.toSorted((a, b) => a - b).join()}]`,
    )
    .join('; ');
}

describe('what a reboot took is put back', () => {
  const booted = [info('Pool-0', [0, 1, 2, 3])];
  test.each([
    [
      'a pool',
      [known('Pool-0', [0, 1]), known('a', [2, 3], { scheduler: 'credit', parameters: { ratelimitUs: 500 } })],
      'Pool-0 credit2 1000 [0,1]; a credit 500 [2,3]',
    ],
    ['a free CPU', [known('Pool-0', [0, 1, 2])], 'Pool-0 credit2 1000 [0,1,2]'],
    [
      'the name of the first pool',
      [known('Pool-node0', [0, 1], { isDefault: true }), known('Pool-node1', [2, 3])],
      'Pool-node0 credit2 1000 [0,1]; Pool-node1 credit2 1000 [2,3]',
    ],
    [
      'parameters',
      [known('Pool-0', [0, 1, 2, 3], { parameters: { ratelimitUs: 700 } })],
      'Pool-0 credit2 700 [0,1,2,3]',
    ],
    [
      'an empty pool',
      [known('Pool-0', [0, 1, 2, 3]), known('a', [])],
      'Pool-0 credit2 1000 [0,1,2,3]; a credit2 1000 []',
    ],
    [
      'not a CPU that is no longer there',
      [known('Pool-0', [0, 1]), known('a', [2, 3, 9])],
      'Pool-0 credit2 1000 [0,1]; a credit2 1000 [2,3]',
    ],
    [
      'the first pool keeps a CPU',
      [known('Pool-0', [9]), known('a', [0, 1, 2, 3])],
      'Pool-0 credit2 1000 [0]; a credit2 1000 [1,2,3]',
    ],
  ] as const)('%s', (_what, records, expected) => {
    expect(after(booted, records, [0, 1, 2, 3])).toBe(expected);
  });

  test('pools that a script at boot has made keep what they have', () => {
    const pools = [info('Pool-0', [0, 1, 2]), info('script', [3])];
    expect(after(pools, [known('Pool-0', [0]), known('a', [2, 3])], [0, 1, 2, 3])).toBe(
      'Pool-0 credit2 1000 [0]; script credit2 1000 [3]; a credit2 1000 [2]',
    );
  });

  test('every arrangement comes back, and nothing is left to do then', () => {
    const arrangement = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(arrangement, (poolOf) => {
        const of = (pool: number): readonly number[] => poolOf.flatMap((each, pcpu) => (each === pool ? [pcpu] : []));
        // A first pool without a CPU is none that a host can have.
        fc.pre(of(0).length > 0);
        const records = [known('Pool-0', of(0)), known('a', of(1)), known('b', of(2))];
        const all = poolOf.map((_, pcpu) => pcpu);
        expect(after([info('Pool-0', all)], records, all)).toBe(
          records.map(({ name, pcpus }) => `${name} credit2 1000 [${pcpus.join()}]`).join('; '),
        );
        const there = records.map(({ name, pcpus }) => info(name, pcpus));
        expect(restoreSteps(records, there, all.map(pcpuId))).toEqual([]);
      }),
    );
  });
});
