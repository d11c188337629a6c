import { domId, pcpuId, type PcpuId } from '@xenolith/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addPcpuRefusal,
  cpupoolNameMaxLength,
  cpupoolNameRefusal,
  createCpupoolRefusal,
  createDomainRefusal,
  destroyCpupoolRefusal,
  freePcpus,
  moveDomainRefusal,
  nextCpupoolId,
  numaSplitPlan,
  numaSplitRefusal,
  removePcpuRefusal,
  renameCpupoolRefusal,
  type CpupoolErrno,
  type CpupoolRefusal,
  type CpupoolsState,
  type CpupoolState,
} from './cpupool-rules.ts';
import type { SchedulerName } from './scheduler.ts';

const cpus = (...numbers: number[]): readonly PcpuId[] => numbers.map((number) => pcpuId(number));
const pool = (name: string, pcpus: readonly PcpuId[], domainCount: number, more = {}): CpupoolState => ({
  name,
  scheduler: 'credit2',
  pcpus,
  domainCount,
  ...more,
});

/** Two nodes of four; pCPU 6 is free and 7 offline. */
const machine: CpupoolsState = {
  pools: [pool('Pool-0', cpus(0, 1, 2), 2), pool('busy', cpus(3), 1), pool('idle', cpus(4, 5), 0), pool('bare', [], 0)],
  nodeOf: [0, 0, 0, 0, 1, 1, 1, -1],
  schedulers: ['credit', 'credit2'],
};
const moving: CpupoolsState = { ...machine, moving: { pcpu: pcpuId(6), pool: 'idle' } };
const spec = (changes: { readonly name?: string; readonly scheduler?: SchedulerName; readonly pcpus?: number[] }) => ({
  name: changes.name ?? 'new',
  scheduler: changes.scheduler ?? 'credit',
  pcpus: cpus(...(changes.pcpus ?? [])),
});
const manyPools = Array.from({ length: 16 }, (_, index) => pool(`p${index}`, index === 0 ? cpus(0) : [], 0));
const notMade = 'Could not create cpupool\nerror on creating cpupool';
const notAdded = (pcpu: number, why: string, name: string): string =>
  `Error moving cpu ${pcpu} to cpupool: ${why}\nsome cpus may not have been added to ${name}`;

describe('operations in the order of the checks', () => {
  const rows: readonly (readonly [string, CpupoolRefusal | undefined, CpupoolErrno | undefined, string?])[] = [
    ['create', createCpupoolRefusal(machine, spec({ pcpus: [6] })), undefined],
    ['create without pCPUs', createCpupoolRefusal(machine, spec({})), undefined],
    [
      'create: a name twice, before the pCPU',
      createCpupoolRefusal(machine, spec({ name: 'busy', pcpus: [0] })),
      'EEXIST',
      'Pool name "busy" already exists',
    ],
    [
      'create: a pCPU that is taken, before the scheduler',
      createCpupoolRefusal(machine, spec({ pcpus: [3], scheduler: 'arinc653' })),
      'ENODEV',
      'cpu 3 illegal or not free',
    ],
    [
      'create: an offline pCPU',
      createCpupoolRefusal(machine, spec({ pcpus: [7] })),
      'ENODEV',
      'cpu 7 illegal or not free',
    ],
    [
      'create: no such pCPU',
      createCpupoolRefusal(machine, spec({ pcpus: [8] })),
      'EINVAL',
      'cpu 8 illegal or not free',
    ],
    [
      'create: too many pools',
      createCpupoolRefusal({ ...machine, pools: manyPools }, spec({ scheduler: 'rtds' })),
      'ENOSPC',
      notMade,
    ],
    ['create: not compiled in', createCpupoolRefusal(machine, spec({ scheduler: 'rtds' })), 'ENOENT', notMade],
    ['create: a moving pCPU', createCpupoolRefusal(moving, spec({ pcpus: [6] })), 'EADDRNOTAVAIL'],
    ['create: no name', createCpupoolRefusal(machine, spec({ name: '' })), 'EINVAL', 'Missing cpupool name!'],

    ['destroy', destroyCpupoolRefusal(machine, 'idle'), undefined],
    ['destroy: no such pool', destroyCpupoolRefusal(machine, 'no'), 'ENOENT', "unknown cpupool 'no'"],
    ['destroy: domains', destroyCpupoolRefusal(machine, 'busy'), 'EBUSY', "Can't destroy cpupool 'busy'"],
    ['destroy: the first', destroyCpupoolRefusal(machine, 'Pool-0'), 'EBUSY', "Can't destroy cpupool 'Pool-0'"],

    ['rename', renameCpupoolRefusal(machine, 'idle', 'new'), undefined],
    ['rename to the same', renameCpupoolRefusal(machine, 'idle', 'idle'), undefined],
    ['rename: no such pool', renameCpupoolRefusal(machine, 'no', ''), 'ENOENT', "unknown cpupool 'no'"],
    ['rename: taken', renameCpupoolRefusal(machine, 'idle', 'busy'), 'EEXIST', 'Pool name "busy" already exists'],
    ['rename: a bad name', renameCpupoolRefusal(machine, 'idle', '7'), 'EINVAL'],

    ['add', addPcpuRefusal(machine, 'idle', pcpuId(6)), undefined],
    ['add: no such pool', addPcpuRefusal(machine, 'no', pcpuId(9)), 'ENOENT', "unknown cpupool 'no'"],
    [
      'add: no such pCPU',
      addPcpuRefusal(machine, 'idle', pcpuId(8)),
      'EINVAL',
      notAdded(8, 'Invalid argument', 'idle'),
    ],
    ['add: offline', addPcpuRefusal(machine, 'idle', pcpuId(7)), 'ENODEV', notAdded(7, 'No such device', 'idle')],
    ['add: in another pool', addPcpuRefusal(machine, 'idle', pcpuId(3)), 'ENODEV'],
    ['add: in this pool already', addPcpuRefusal(machine, 'idle', pcpuId(4)), 'ENODEV'],
    [
      'add: moving out of another pool',
      addPcpuRefusal(moving, 'busy', pcpuId(6)),
      'EADDRNOTAVAIL',
      notAdded(6, 'Cannot assign requested address', 'busy'),
    ],
    ['add: back to its own pool', addPcpuRefusal(moving, 'idle', pcpuId(6)), undefined],

    ['remove', removePcpuRefusal(machine, 'idle', pcpuId(4)), undefined],
    ['remove: no such pool', removePcpuRefusal(machine, 'no', pcpuId(4)), 'ENOENT', "unknown cpupool 'no'"],
    ['remove: no such pCPU', removePcpuRefusal(machine, 'idle', pcpuId(8)), 'EINVAL'],
    ['remove: offline', removePcpuRefusal(machine, 'idle', pcpuId(7)), 'EINVAL'],
    [
      'remove: not in it',
      removePcpuRefusal(machine, 'idle', pcpuId(6)),
      'EADDRNOTAVAIL',
      'Error removing cpu 6 from cpupool: Cannot assign requested address\n' +
        "Some cpus may have not or only partially been removed from 'idle'.\n" +
        "If a cpu can't be added to another cpupool, add it to 'idle' again and retry.",
    ],
    ['remove: another removal pending', removePcpuRefusal(moving, 'idle', pcpuId(4)), 'EADDRNOTAVAIL'],
    ['remove: the pending one again', removePcpuRefusal(moving, 'idle', pcpuId(6)), undefined],
    ['remove: the last, with a domain', removePcpuRefusal(machine, 'busy', pcpuId(3)), 'EBUSY'],
    [
      'remove: the last, all domains dying',
      removePcpuRefusal(
        { ...machine, pools: [pool('Pool-0', cpus(0), 1), pool('busy', cpus(3), 1, { dyingDomainCount: 1 })] },
        'busy',
        pcpuId(3),
      ),
      undefined,
    ],
    [
      'remove: a vCPU pinned there for a while',
      removePcpuRefusal(
        { ...machine, pools: [pool('Pool-0', cpus(0, 1), 1, { pinnedPcpus: cpus(1) })] },
        'Pool-0',
        pcpuId(1),
      ),
      'EADDRINUSE',
    ],
    ['remove: pCPU 0 of the first pool', removePcpuRefusal(machine, 'Pool-0', pcpuId(0)), undefined],
    ['remove: pCPU 0, newer trees', removePcpuRefusal({ ...machine, keepsPcpu0: true }, 'Pool-0', pcpuId(0)), 'EINVAL'],

    ['move', moveDomainRefusal(machine, { domid: domId(1), cpupool: 'Pool-0' }, 'idle'), undefined],
    ['move: no such domain', moveDomainRefusal(machine, { domid: 9 }, 'no'), 'ESRCH', "unknown domain '9'"],
    ['move: no such pool', moveDomainRefusal(machine, { domid: 0, cpupool: 'Pool-0' }, 'no'), 'ENOENT'],
    [
      'move: Domain-0',
      moveDomainRefusal(machine, { domid: 0, cpupool: 'Pool-0' }, 'Pool-0'),
      'EPERM',
      'Error moving domain to cpupool',
    ],
    ['move: to where it is', moveDomainRefusal(machine, { domid: 1, cpupool: 'bare' }, 'bare'), undefined],
    ['move: no pCPUs there', moveDomainRefusal(machine, { domid: 1, cpupool: 'busy' }, 'bare'), 'ENOENT'],
    [
      'move: pinned for a while',
      moveDomainRefusal(machine, { domid: 1, cpupool: 'busy', temporarilyPinned: true }, 'idle'),
      'EBUSY',
    ],

    ['a domain into a pool', createDomainRefusal(machine, 'idle'), undefined],
    ['a domain into no pool', createDomainRefusal(machine, 'no'), 'ESRCH'],
    ['a domain into a pool without pCPUs', createDomainRefusal(machine, 'bare'), 'ENODEV'],

    ['split', numaSplitRefusal(machine), 'EBUSY', 'splitting not possible, already cpupools in use'],
  ];
  for (const [name, refusal, errno, words] of rows) {
    test(name, () => {
      expect(refusal?.errno).toBe(errno);
      if (words !== undefined) expect(refusal?.words).toBe(words);
    });
  }

  test.each([
    ['', false],
    ['Pool-0', true],
    ['with a blank, and "quotes"', true],
    ['käse', true],
    [' x', false],
    ['x ', false],
    ['12', false],
    ['12a', true],
    ['-c', false],
    ['a\nb', false],
    ['a\u0000', false],
    ['\ud800', false],
    ['x'.repeat(cpupoolNameMaxLength), true],
    ['x'.repeat(cpupoolNameMaxLength + 1), false],
  ])('the name %j', (name, fine) => {
    expect(cpupoolNameRefusal(name)?.errno).toBe(fine ? undefined : 'EINVAL');
  });
});

test('free pCPUs are those online in no pool', () => {
  expect(freePcpus(machine)).toEqual([6]);
});

test.each([
  [[0], 1],
  [[0, 1, 2], 3],
  [[0, 2], 3],
  [[0, 1, 0xffff_fffe], 2],
])('the pool after %j has the id %i', (ids, next) => {
  expect(nextCpupoolId(ids)).toBe(next);
});

describe('numa-split', () => {
  /** Carries the steps out, each by the rules. */
  const carryOut = (state: CpupoolsState): CpupoolsState => {
    let now = state;
    const change = (name: string, change: (pool: CpupoolState) => CpupoolState): void => {
      now = { ...now, pools: now.pools.map((each) => (each.name === name ? change(each) : each)) };
    };
    for (const step of numaSplitPlan(state)) {
      if (step.kind === 'add') {
        expect(addPcpuRefusal(now, step.pool, step.pcpu)).toBeUndefined();
        change(step.pool, (each) => ({ ...each, pcpus: [...each.pcpus, step.pcpu] }));
      } else if (step.kind === 'remove') {
        expect(removePcpuRefusal(now, step.pool, step.pcpu)).toBeUndefined();
        change(step.pool, (each) => ({ ...each, pcpus: each.pcpus.filter((pcpu) => pcpu !== step.pcpu) }));
      } else if (step.kind === 'rename') {
        expect(renameCpupoolRefusal(now, step.pool, step.newName)).toBeUndefined();
        change(step.pool, (each) => ({ ...each, name: step.newName }));
      } else if (step.kind === 'create') {
        expect(createCpupoolRefusal(now, { name: step.pool, scheduler: step.scheduler, pcpus: [] })).toBeUndefined();
        now = { ...now, pools: [...now.pools, { ...pool(step.pool, [], 0), scheduler: step.scheduler }] };
      }
    }
    return now;
  };
  const one = (nodeOf: readonly number[], pcpus: readonly PcpuId[]): CpupoolsState => ({
    pools: [{ ...pool('Pool-0', pcpus, 1), scheduler: 'credit' }],
    nodeOf,
    schedulers: ['credit'],
  });

  test('16 pCPUs on two nodes', () => {
    const nodeOf = Array.from({ length: 16 }, (_, pcpu) => (pcpu < 8 ? 0 : 1));
    const state = one(nodeOf, cpus(...nodeOf.keys()));
    const { pools } = carryOut(state);
    expect(pools.map(({ name, scheduler, pcpus, domainCount }) => [name, scheduler, pcpus, domainCount])).toEqual([
      ['Pool-node0', 'credit', [0, 1, 2, 3, 4, 5, 6, 7], 1],
      ['Pool-node1', 'credit', [8, 9, 10, 11, 12, 13, 14, 15], 0],
    ]);
    expect(numaSplitPlan(state).filter(({ kind }) => kind === 'limit-domain-0')).toEqual([
      { kind: 'limit-domain-0', vcpus: 8 },
    ]);
    expect(numaSplitPlan({ ...state, pools })).toEqual([]);
  });

  test('whatever the nodes are and whatever is free: every pCPU of a node is in its pool', () => {
    const machines = fc
      .array(fc.integer({ min: -1, max: 3 }), { minLength: 1, maxLength: 12 })
      .filter(([node]) => node !== undefined && node >= 0)
      .chain((nodeOf) =>
        fc.record({ nodeOf: fc.constant(nodeOf), inPool: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }) }),
      );
    fc.assert(
      fc.property(machines, ({ nodeOf, inPool }) => {
        const online = nodeOf.flatMap((node, pcpu) => (node < 0 ? [] : [pcpu]));
        const state = one(nodeOf, cpus(...online.filter((pcpu) => inPool[pcpu])));
        const after = carryOut(state);
        expect(freePcpus(after)).toEqual([]);
        for (const { name, pcpus } of after.pools) {
          expect([...pcpus].sort((a, b) => a - b)).toEqual(
            online.filter((pcpu) => name === `Pool-node${nodeOf[pcpu]}`),
          );
        }
        expect(after.pools[0]?.name).toBe(`Pool-node${nodeOf[0]}`);
      }),
    );
  });
});
