import { describe, expect, test } from 'vitest';
import { hog, hogs, ms, setUp, shares, us, waker, type Setup } from '../../testing/credit-setup.ts';
import { errno, runState } from '../core.ts';
import * as pcpuMask from '../pcpu-mask.ts';

const rounded = (values: readonly number[], digits: number): readonly string[] =>
  values.map((value) => value.toFixed(digits));

describe('shares', () => {
  const table: readonly (readonly [name: string, setup: () => Setup, expected: string, digits: number])[] = [
    ['weights 256 and 512', () => setUp(1, [{ vcpus: [hog] }, { weight: 512, vcpus: [hog] }]), '33.37 66.63', 2],
    ['a cap of 50', () => setUp(1, [{ cap: 50, vcpus: [hog] }]), '50.000', 3],
    [
      'weights 256, 512, 1024, 2048',
      () =>
        setUp(
          1,
          [256, 512, 1024, 2048].map((weight) => ({ weight, vcpus: [hog] })),
        ),
      '6.7 13.3 26.7 53.3',
      1,
    ],
    [
      'three hogs on two pCPUs',
      () =>
        setUp(
          2,
          [1, 2, 3].map(() => ({ vcpus: [hog] })),
        ),
      '66.70 66.67 66.63',
      2,
    ],
    ['a cap of 40 beside none', () => setUp(1, [{ cap: 40, vcpus: [hog] }, { vcpus: [hog] }]), '40 60', 0],
    ['a cap of 200 on four pCPUs', () => setUp(4, [{ cap: 200, vcpus: hogs(4) }, { vcpus: hogs(4) }]), '200 200', 0],
    ['a cap of 150 alone', () => setUp(4, [{ cap: 150, vcpus: hogs(4) }]), '150.4', 1],
    [
      'domains of 1, 2 and 4 vCPUs',
      () => setUp(4, [{ vcpus: hogs(1) }, { vcpus: hogs(2) }, { weight: 512, vcpus: hogs(4) }]),
      '36.7 73.5 289.8',
      1,
    ],
  ];
  test.each(table)('%s', (_, setup, expected, digits) => {
    expect(rounded(shares(setup()), digits).join(' ')).toBe(expected);
  });

  test('four domains of four hogs on two sockets get two pCPUs each', () => {
    const setup = setUp(
      4,
      [1, 2, 3, 4].map(() => ({ vcpus: hogs(4) })),
      {},
      { nodes: 2 },
    );
    expect(rounded(shares(setup), 0)).toEqual(['200', '200', '200', '200']);
  });

  test('soft affinity to alternate nodes leaves shares even', () => {
    const domains = [0, 1, 0, 1, 0, 1].map((node) => ({
      vcpus: hogs(4),
      soft: [0, 1, 2, 3].map((core) => node * 4 + core),
    }));
    for (const share of shares(setUp(4, domains, {}, { nodes: 2 }))) {
      expect(share).toBeGreaterThan(133.1);
      expect(share).toBeLessThan(133.7);
    }
  });
});

/**
 * Runs for 30 s after 2 s. @returns share of the last domain's one vCPU in percent, and from its wakes to its
 * dispatches in µs the mean and the most
 */
function wakeUps(setup: Setup): { readonly share: number; readonly meanUs: number; readonly mostUs: number } {
  const { core } = setup.machine;
  const unit = setup.units.at(-1)![0]!;
  setup.machine.runTo(ms(2_000));
  const ranNs = core.timeIn(unit, runState.running);
  core.wakes[unit] = 0;
  core.latencySumNs[unit] = 0;
  core.latencyMaxNs[unit] = 0;
  setup.machine.runTo(ms(32_000));
  return {
    share: (core.timeIn(unit, runState.running) - ranNs) / ms(300),
    meanUs: core.latencySumNs[unit]! / core.wakes[unit]! / 1000,
    mostUs: core.latencyMaxNs[unit]! / 1000,
  };
}

describe('a unit that wakes beside a hog', () => {
  test('runs at once', () => {
    expect(wakeUps(setUp(1, [{ vcpus: [hog] }, { vcpus: [waker(100, 10_000)] }]))).toMatchObject({
      meanUs: 0,
      mostUs: 0,
    });
  });

  test.each([
    // The hog is kept for what is left of its millisecond; 4.2 gives it a whole one from the wake on.
    ['4.23', 1000, 667, '9.091'],
    ['4.17', 1000, 667, '9.091'],
    ['4.2', 1000, 1000, '6.978'],
    ['4.23', 0, 0, '23.095'],
  ] as const)('waits for the rate limit: %s, %i µs', (xenVersion, ratelimitUs, waitUs, share) => {
    const setup = setUp(1, [{ vcpus: [hog] }, { vcpus: [waker(100, 333)] }], { xenVersion, ratelimitUs });
    const seen = wakeUps(setup);
    expect([seen.meanUs, seen.mostUs, seen.share.toFixed(3)]).toEqual([waitUs, waitUs, share]);
  });

  test('loses its boost when ticks find it running, and waits behind whole slices', () => {
    const setup = setUp(1, [{ vcpus: [hog] }, { vcpus: [hog] }, { vcpus: [hog] }, { vcpus: [waker(2000, 4000)] }]);
    const { share, meanUs, mostUs } = wakeUps(setup);
    expect([share.toFixed(0), (meanUs / 1000).toFixed(3), mostUs]).toEqual(['25', '1.996', 86_000]);
  });
});

describe('limits', () => {
  test.each([
    // Only what ran for less than 100 ns is given more than the rest of the limit.
    [50, 100],
    [99, 100],
    [100, 999_900],
    [150, 999_850],
  ])('who ran for %i ns when another one wakes goes on for %i ns', (ranNs, sliceNs) => {
    const program = [
      ['run', us(100)],
      ['block', ranNs],
    ] as const;
    const { machine, units } = setUp(1, [{ vcpus: [hog] }, { vcpus: [{ program }] }]);
    machine.runTo(ms(31));
    expect(machine.trace).toContain(`${ms(30) + us(100) + ranNs} 0 ${units[0]![0]!} ${sliceNs}`);
  });

  test.each([
    [0, true],
    [10_000, false],
  ])('with a migration delay of %i µs, whether one that ran 5 ms ago is taken: %s', (migrationDelayUs, isTaken) => {
    // The unit runs on pCPU 0 from 30 to 60 ms; at 65 ms pCPU 1 has nothing to do.
    const busy = { ...waker(65_000, 100_000), hard: [1] };
    const domains = [{ vcpus: [{ ...hog, hard: [0] }] }, { vcpus: [busy] }, { vcpus: [hog] }];
    const { machine, units } = setUp(2, domains, { migrationDelayUs });
    machine.runTo(ms(65));
    const unit = units[2]![0]!;
    expect([machine.core.pcpu[unit], machine.core.current[0] === unit]).toEqual([0, false]);
    machine.runTo(ms(65) + 1);
    expect(machine.core.current[1] === unit).toBe(isTaken);
  });
});

test('a domain that cannot use its share goes before those that can', () => {
  const { machine, credit } = setUp(1, [{ cap: 20, vcpus: [hog] }, { vcpus: [hog] }]);
  machine.runTo(ms(45));
  expect([credit.state.firstDomain, credit.state.domainNext[1]]).toEqual([1, 0]);
  machine.runTo(ms(61));
  expect([credit.state.firstDomain, credit.state.domainNext[0]]).toEqual([0, 1]);
});

test.each([
  ['4.2', true],
  ['4.23', false],
] as const)('whether a pCPU that was asked to look still counts as idle in %s: %s', (xenVersion, isIdler) => {
  const { machine, credit, units } = setUp(2, [{ vcpus: [waker(100, 1000)] }], { xenVersion });
  machine.runTo(us(500));
  machine.core.unblock(units[0]![0]!);
  expect(pcpuMask.has(credit.state.idlers, 0)).toBe(isIdler);
});

describe('exact traces', () => {
  /** Times in ms at which another unit comes onto pCPU 0, and the domain it is of. */
  function switches({ machine }: Setup, untilMs: number): readonly string[] {
    machine.runTo(ms(untilMs));
    const seen: string[] = [];
    let before = '';
    for (const [at, pcpu, unit] of machine.trace.map((line) => line.split(' '))) {
      const domain = machine.core.domain[Number(unit)]!;
      if (pcpu !== '0' || unit === before || (at === '0' && domain < 0)) continue;
      before = unit!;
      seen.push(`${Number(at) / 1e6} ${domain < 0 ? 'idle' : `d${domain}`}`);
    }
    return seen;
  }

  test.each([
    ['equal hogs', [{ vcpus: [hog] }, { vcpus: [hog] }], '0 d0, 30 d1, 60 d0, 90 d1, 120 d0, 150 d1, 180 d0'],
    [
      'weights 256 and 512',
      [{ vcpus: [hog] }, { weight: 512, vcpus: [hog] }],
      '0 d0, 30 d1, 60 d0, 90 d1, 120 d0, 150 d1, 210 d0, 240 d1, 300 d0, 330 d1, 390 d0',
    ],
    ['a cap of 50', [{ cap: 50, vcpus: [hog] }], '0 d0, 60 idle, 120 d0, 180 idle, 240 d0, 300 idle'],
  ] as const)('%s', (_, domains, expected) => {
    const lastMs = Number(/(\d+) \w+$/.exec(expected)![1]);
    expect(switches(setUp(1, domains), lastMs + 1).join(', ')).toBe(expected);
  });
});

describe('parameters', () => {
  test('of a domain: 16-bit numbers, with those that mean to leave things as they are', () => {
    const { credit } = setUp(1, [{ vcpus: [hog] }]);
    expect(credit.domainParameters(0)).toEqual({ weight: 256, cap: 0 });
    expect(credit.setDomain(0, { weight: 65535, cap: 65534 })).toBe(0);
    expect(credit.domainParameters(0)).toEqual({ weight: 65535, cap: 65534 });
    expect(credit.setDomain(0, { weight: 0, cap: 65535 })).toBe(0);
    expect(credit.setDomain(0, {})).toBe(0);
    for (const refused of [{ weight: -1 }, { weight: 65536 }, { cap: 65536, weight: 1 }, { cap: 1.5 }])
      expect(credit.setDomain(0, refused)).toBe(errno.invalid);
    expect(credit.domainParameters(0)).toEqual({ weight: 65535, cap: 65534 });
  });

  test('of a pool: ranges, and nothing is changed by a refusal', () => {
    const { credit } = setUp(1, []);
    expect(credit.poolParameters()).toEqual({ tsliceMs: 30, ratelimitUs: 1000, migrationDelayUs: 0 });
    const refused = [
      { tsliceMs: 0 },
      { tsliceMs: 1001 },
      { tsliceMs: 2.5 },
      { ratelimitUs: 99 },
      { ratelimitUs: -100 },
      { ratelimitUs: 500_001, tsliceMs: 1000 },
      { ratelimitUs: 30_001 },
      { tsliceMs: 5, ratelimitUs: 5001 },
      { migrationDelayUs: 100_001 },
      { migrationDelayUs: -1 },
      { tsliceMs: 10, migrationDelayUs: 100_001 },
    ];
    for (const parameters of refused)
      expect(credit.setPool(parameters), JSON.stringify(parameters)).toBe(errno.invalid);
    expect(credit.poolParameters()).toEqual({ tsliceMs: 30, ratelimitUs: 1000, migrationDelayUs: 0 });
    const accepted = [
      { tsliceMs: 1000, ratelimitUs: 500_000, migrationDelayUs: 100_000 },
      { tsliceMs: 1, ratelimitUs: 1000, migrationDelayUs: 0 },
      { tsliceMs: 1, ratelimitUs: 100, migrationDelayUs: 1 },
      { tsliceMs: 1, ratelimitUs: 0, migrationDelayUs: 1 },
    ];
    for (const parameters of accepted) {
      expect(credit.setPool(parameters)).toBe(0);
      expect(credit.poolParameters()).toEqual(parameters);
    }
  });

  test.each([
    [{}, { tsliceMs: 30, ratelimitUs: 1000, migrationDelayUs: 0 }],
    [
      { tsliceMs: 1001, ratelimitUs: 99, migrationDelayUs: 100_001 },
      { tsliceMs: 30, ratelimitUs: 1000, migrationDelayUs: 0 },
    ],
    [
      { tsliceMs: 2, ratelimitUs: 5000 },
      { tsliceMs: 2, ratelimitUs: 2000, migrationDelayUs: 0 },
    ],
    [
      { ratelimitUs: 0, migrationDelayUs: 500 },
      { tsliceMs: 30, ratelimitUs: 0, migrationDelayUs: 500 },
    ],
  ])('of the command line: %j', (options, expected) => {
    expect(setUp(1, [], options).credit.poolParameters()).toEqual(expected);
  });

  test('a slice of less than 3 ms has one tick, and credit follows the slice', () => {
    const { credit } = setUp(2, []);
    const { state } = credit;
    expect([state.parameters.tickNs, state.credit]).toEqual([ms(10), 600]);
    credit.setPool({ tsliceMs: 2, ratelimitUs: 0 });
    expect([state.parameters.tickNs, state.credit]).toEqual([ms(2), 40]);
    credit.setPool({ tsliceMs: 10 });
    expect([state.parameters.tickNs, state.credit]).toEqual([us(3333), 200]);
  });

  test('weight and cap count while it runs', () => {
    const { machine, credit, units } = setUp(1, [{ vcpus: [hog] }, { vcpus: [hog] }]);
    machine.runTo(ms(3000));
    expect(credit.setDomain(0, { weight: 768 })).toBe(0);
    expect(credit.state.weight).toBe(1024);
    const ran = (): number => machine.core.timeIn(units[0]![0]!, runState.running);
    let before = ran();
    machine.runTo(ms(33_000));
    expect(((ran() - before) / ms(300)).toFixed(0)).toBe('75');
    credit.setDomain(0, { cap: 25 });
    machine.runTo(ms(34_000));
    before = ran();
    machine.runTo(ms(64_000));
    expect(((ran() - before) / ms(300)).toFixed(0)).toBe('25');
  });
});
