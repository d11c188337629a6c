import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cooperative, slow, type BalloonBehaviour } from './balloon.ts';
import { BallooningHost, type BallooningDomain } from './ballooning-host.ts';
import { proportion, proportionOfNew, type SqueezeDomain } from './squeeze-policy.ts';
import { Squeeze, type SqueezeRound } from './squeeze.ts';
import { Squeezed, type DomainMemoryState } from './squeezed.ts';

const mib = 1024;
const pool = 65_536;

const domain = (domid: number, min: number, max: number, actual = max): SqueezeDomain => ({
  domid,
  dynamicMinKib: min,
  dynamicMaxKib: max,
  targetKib: actual,
  actualKib: actual,
  canBalloon: true,
});

const ballooning = (of: SqueezeDomain, behaviour: BalloonBehaviour = cooperative): BallooningDomain => ({
  ...of,
  behaviour,
});

describe('the proportional policy', () => {
  const [a, b] = [domain(1, 524_288, 1_048_576), domain(2, 262_144, 1_048_576)];

  test('known answer: two domains make room for a third', () => {
    const { share, targetsKib } = proportion([a, b], pool, pool + 524_288);
    expect(share).toBeCloseTo(786_416 / 1_310_720, 12);
    expect(targetsKib).toEqual([838_854, 733_993]);
  });

  test('known answer, as the third would be given', () => {
    expect(proportionOfNew([a, b], pool, pool, { minKib: 524_288, maxKib: 524_288 })).toBe(524_288);
    // Of a range, it has the share of all.
    const kib = proportionOfNew([a, b], pool, pool, { minKib: 262_144, maxKib: 1_048_576 });
    const share = (kib - 262_144) / (1_048_576 - 262_144);
    const { targetsKib } = proportion([a, b], pool, pool + kib);
    expect((targetsKib[1]! - 262_144) / 786_432).toBeCloseTo(share, 4);
  });

  test('fixed domains have what they have', () => {
    expect(proportion([domain(1, 1000, 1000)], 0, 5000)).toEqual({ share: 0, targetsKib: [1000] });
    expect(proportion([], 0, 5000)).toEqual({ share: 0, targetsKib: [] });
  });
});

/** Runs a squeeze, and holds what must hold in each round. */
function run(host: BallooningHost, squeeze: Squeeze): SqueezeRound & { readonly rounds: number } {
  const total = (): number => host.domains.reduce((sum, { actualKib }) => sum + actualKib, host.freeKib);
  const before = total();
  let rounds = 0;
  const last = host.squeeze(squeeze, ({ actions }) => {
    rounds++;
    expect(total()).toBe(before);
    expect(host.freeKib).toBeGreaterThanOrEqual(0);
    for (const { domid, targetKib } of actions) {
      const of = host.domains.find((each) => each.domid === domid)!;
      if (targetKib === undefined) continue;
      expect(targetKib).toBeGreaterThanOrEqual(of.dynamicMinKib);
      expect(targetKib).toBeLessThanOrEqual(of.dynamicMaxKib);
    }
  });
  return { ...last, rounds };
}

describe('a squeeze', () => {
  test('frees what was wanted', () => {
    const host = new BallooningHost(pool, [
      ballooning(domain(1, 524_288, 1_048_576)),
      ballooning(domain(2, 262_144, 1_048_576)),
    ]);
    const { outcome } = run(host, new Squeeze({ wantedKib: pool + 524_288 }));
    expect(outcome).toEqual({ ok: true });
    expect(host.freeKib).toBeGreaterThanOrEqual(pool + 524_288);
    expect(host.domains.map(({ actualKib }) => actualKib)).toEqual([838_854, 733_993]);
  });

  test('gives memory only after it was freed', () => {
    const host = new BallooningHost(pool, [
      ballooning(domain(1, 100 * mib, 900 * mib, 900 * mib), slow),
      ballooning(domain(2, 100 * mib, 900 * mib, 100 * mib)),
    ]);
    const told: (readonly number[])[] = [];
    host.squeeze(new Squeeze({ wantedKib: pool }), ({ actions }) => {
      told.push(actions.filter(({ targetKib }) => targetKib !== undefined).map(({ domid }) => domid));
    });
    expect(told[0]).toEqual([1]);
    // 400 MiB at 16 MiB a second.
    expect(told.findIndex((domids) => domids.includes(2))).toBe(25);
    const [first, second] = host.domains;
    expect(Math.abs(first!.actualKib - second!.actualKib)).toBeLessThanOrEqual(16);
  });

  test('goes on without a domain that is stuck for more than five seconds, and does not let it grow', () => {
    const host = new BallooningHost(pool, [
      ballooning(domain(1, 100 * mib, 500 * mib), { kind: 'stuck', atKib: 400 * mib }),
      ballooning(domain(2, 100 * mib, 500 * mib)),
    ]);
    const limits: number[] = [];
    const { outcome } = host.squeeze(new Squeeze({ wantedKib: pool + 450 * mib }), ({ actions }) => {
      const limit = actions.find(({ domid, targetKib }) => domid === 1 && targetKib === undefined);
      if (limit !== undefined) limits.push(limit.maximumKib);
    });
    expect(outcome).toEqual({ ok: true });
    // Once, when it is given up: no more than it was told to have, though it has more.
    expect(limits).toEqual([275 * mib - 8]);
    expect(host.nowMs).toBeGreaterThan(5000);
    expect(host.nowMs).toBeLessThan(20_000);
    expect(host.domains.map(({ actualKib }) => Math.round(actualKib / mib))).toEqual([400, 150]);
  });

  test('fails with those that refused', () => {
    const host = new BallooningHost(pool, [
      ballooning(domain(1, 100 * mib, 500 * mib), { kind: 'stuck' }),
      ballooning(domain(2, 100 * mib, 500 * mib)),
    ]);
    const { outcome, uncooperative } = run(host, new Squeeze({ wantedKib: pool + 600 * mib }));
    expect(outcome).toEqual({ ok: false, failure: { kind: 'refused-to-cooperate', domids: [1] } });
    expect(uncooperative).toEqual([]);
    // The other has given all it can.
    expect(host.domains[1]!.actualKib).toBe(100 * mib);
  });

  test('fails when all have given what they can', () => {
    const host = new BallooningHost(pool, [
      ballooning(domain(1, 400 * mib, 500 * mib)),
      ballooning(domain(2, 500 * mib, 500 * mib), { kind: 'no-driver' }),
    ]);
    const { outcome } = run(host, new Squeeze({ wantedKib: pool + 200 * mib }));
    expect(outcome).toEqual({ ok: false, failure: { kind: 'cannot-free' } });
  });

  test('leaves dom0 alone unless it is to be managed', () => {
    const host = (): BallooningHost => new BallooningHost(pool, [ballooning(domain(0, 100 * mib, 500 * mib))]);
    expect(run(host(), new Squeeze({ wantedKib: pool + 200 * mib })).outcome).toMatchObject({ ok: false });
    const managed = new Squeeze({ wantedKib: pool + 200 * mib, managesDomainZero: true });
    expect(run(host(), managed).outcome).toEqual({ ok: true });
  });

  test('only dom0 stuck is no refusal', () => {
    const host = new BallooningHost(pool, [ballooning(domain(0, 100 * mib, 500 * mib), { kind: 'stuck' })]);
    const managed = new Squeeze({ wantedKib: pool + 200 * mib, managesDomainZero: true });
    expect(run(host, managed).outcome).toEqual({ ok: false, failure: { kind: 'cannot-free' } });
  });

  test('a domain that is off its target for more than twenty seconds is called uncooperative', () => {
    const host = new BallooningHost(pool, [
      ballooning(domain(1, 100 * mib, 1500 * mib), slow),
      ballooning(domain(2, 100 * mib, 1500 * mib), { kind: 'stuck' }),
    ]);
    const named = new Map<number, readonly number[]>();
    host.squeeze(new Squeeze({ wantedKib: pool + 1000 * mib }), ({ uncooperative }) => {
      named.set(host.nowMs, uncooperative);
    });
    expect(named.get(20_000)).toEqual([]);
    expect(named.get(22_000)).toContain(2);
  });
});

test('any host: memory is neither made nor lost, and cooperative domains end with one share', () => {
  const behaviour = fc.constantFrom<BalloonBehaviour>(
    cooperative,
    { kind: 'cooperative', kibPerSecond: 64 * mib },
    { kind: 'slow', kibPerSecond: 8 * mib },
    { kind: 'stuck' },
    { kind: 'no-driver' },
  );
  const any = fc.tuple(fc.nat(400), fc.nat(400), fc.double({ min: 0, max: 1, noNaN: true }), behaviour);
  fc.assert(
    fc.property(fc.array(any, { maxLength: 8 }), fc.nat(1000), fc.nat(1500), (parts, freeMib, wantedMib) => {
      const domains = parts.map(([min, range, at, how], index) => {
        const minKib = min * mib;
        const maxKib = (min + range) * mib;
        return ballooning(domain(index + 1, minKib, maxKib, minKib + Math.trunc((range * mib * at) / 4) * 4), how);
      });
      const host = new BallooningHost(freeMib * mib, domains);
      const { outcome } = run(host, new Squeeze({ wantedKib: wantedMib * mib }));
      if (parts.some(([, , , { kind }]) => kind === 'stuck')) return;
      expect(outcome).toBeDefined();
      const moving = host.domains.filter(({ canBalloon }) => canBalloon);
      const shares = moving
        .filter(({ dynamicMinKib, dynamicMaxKib }) => dynamicMaxKib > dynamicMinKib)
        .map(({ actualKib, dynamicMinKib, dynamicMaxKib }) => [
          (actualKib - dynamicMinKib - 4) / (dynamicMaxKib - dynamicMinKib),
          (actualKib - dynamicMinKib + 5) / (dynamicMaxKib - dynamicMinKib),
        ]);
      const lowest = Math.max(...shares.map(([low]) => low!));
      const highest = Math.min(...shares.map(([, high]) => high!));
      if (shares.length > 0) expect(lowest).toBeLessThanOrEqual(highest);
    }),
    { numRuns: 150 },
  );
});

describe('what squeezed knows of a host', () => {
  const state = (domid: number, changes: Partial<DomainMemoryState> = {}): DomainMemoryState => ({
    domid,
    hasBalloonDriver: true,
    hasAgent: true,
    dynamicMinKib: 100 * mib,
    dynamicMaxKib: 300 * mib,
    targetKib: 300 * mib,
    totalKib: 300 * mib,
    maximumKib: 301 * mib,
    initialReservationKib: 0,
    shadowKib: 0,
    ...changes,
  });

  test('what a domain has more than its target when it is first seen is its own for ever', () => {
    const squeezed = new Squeezed();
    expect(squeezed.view(0, [state(1, { totalKib: 302 * mib })]).domains[0]).toMatchObject({ actualKib: 300 * mib });
    expect(squeezed.view(0, [state(1, { totalKib: 202 * mib })]).domains[0]).toMatchObject({ actualKib: 200 * mib });
    expect(squeezed.offsetKib(1)).toBe(2 * mib);
    squeezed.view(0, []);
    expect(squeezed.offsetKib(1)).toBe(0);
  });

  test('a domain that is not booted does not move, and its builder has its reservation', () => {
    const unbooted = state(1, {
      hasBalloonDriver: false,
      hasAgent: false,
      totalKib: 100 * mib,
      initialReservationKib: 310 * mib,
      shadowKib: 10 * mib,
    });
    const view = new Squeezed().view(1000 * mib, [unbooted]);
    expect(view.freeKib).toBe(800 * mib);
    const kib = 301 * mib;
    expect(view.domains[0]).toMatchObject({ dynamicMinKib: kib, dynamicMaxKib: kib, actualKib: kib });
  });

  test('a reservation is not free until it is given to a domain or dropped', () => {
    const squeezed = new Squeezed(pool);
    const host = squeezed.view(pool + 500 * mib, []);
    expect(squeezed.reserve(host, 100 * mib, 200 * mib)).toEqual({ ok: true, value: { id: '1', kib: 200 * mib } });
    expect(squeezed.view(pool + 500 * mib, []).freeKib).toBe(pool + 300 * mib);
    expect(squeezed.transfer('1')).toEqual({ ok: true, value: 200 * mib });
    expect(squeezed.transfer('1')).toMatchObject({ ok: false, error: { kind: 'no-reservation' } });
    expect(squeezed.reservedKib).toBe(0);
  });

  test('the minimum is enough, less is refused', () => {
    const squeezed = new Squeezed(pool);
    const host = squeezed.view(pool + 150 * mib, []);
    expect(squeezed.reserve(host, 100 * mib, 200 * mib)).toMatchObject({ ok: true, value: { kib: 150 * mib } });
    const failure = { kind: 'refused-to-cooperate', domids: [1] } as const;
    expect(squeezed.reserve(squeezed.view(pool + 150 * mib, []), 100 * mib, 200 * mib, failure)).toEqual({
      ok: false,
      error: { kind: 'not-freed', freeKib: 0, failure },
    });
  });

  test.each([
    [2, 1],
    [-1, 1],
    [Number.NaN, 1],
    [0, Number.POSITIVE_INFINITY],
  ])('no range: %d to %d', (minKib, maxKib) => {
    const squeezed = new Squeezed();
    const host = { freeKib: 1e6, domains: [] };
    expect(squeezed.freeRange(host, minKib, maxKib)).toMatchObject({ ok: false, error: { kind: 'impossible-range' } });
    expect(squeezed.reserve(host, minKib, maxKib)).toMatchObject({ ok: false, error: { kind: 'impossible-range' } });
    expect(squeezed.reservedKib).toBe(0);
  });

  test('a start: others make room, what is free in the end is its own', () => {
    const squeezed = new Squeezed(pool);
    const host = new BallooningHost(
      pool,
      [1, 2, 3].map((domid) => ballooning(domain(domid, 100 * mib, 300 * mib))),
    );
    const squeeze = squeezed.freeRange(host, 150 * mib, 300 * mib);
    if (!squeeze.ok) throw new Error(squeeze.error.kind);
    expect(host.squeeze(squeeze.value).outcome).toEqual({ ok: true });
    const reserved = squeezed.reserve(host, 150 * mib, 300 * mib);
    if (!reserved.ok) throw new Error(reserved.error.kind);
    // 900 MiB less four minima are 450, of a range of 750: a share of 0.6.
    expect(Math.round(reserved.value.kib / mib)).toBe(240);
    expect(host.domains.map(({ actualKib }) => Math.round(actualKib / mib))).toEqual([220, 220, 220]);
  });

  test('rebalances to what is to be kept free', () => {
    const squeezed = new Squeezed(pool);
    const host = new BallooningHost(pool + 100 * mib, [ballooning(domain(1, 100 * mib, 300 * mib, 150 * mib))]);
    expect(squeezed.isBalanced(host)).toBe(false);
    expect(host.squeeze(squeezed.rebalance()).outcome).toEqual({ ok: true });
    expect(squeezed.isBalanced(host)).toBe(true);
    expect(host.domains[0]!.actualKib).toBeGreaterThan(249 * mib);
  });
});
