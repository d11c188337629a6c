/** Work on the interfaces of a host, cut short anywhere: afterwards the host is as the records say, and the work can be done. */
import { present, type Ref } from '@xenolith/base';
import { expect, test } from 'vitest';
import { modelAddress, ModelPool } from '../testing/model-pool.ts';

/** Steps that nothing here takes. */
const stepsMax = 100;

class Bench {
  readonly pool: ModelPool;
  readonly cards: readonly Ref<'PIF'>[];
  readonly network: Ref<'network'>;

  private constructor(pool: ModelPool, cards: readonly Ref<'PIF'>[], network: Ref<'network'>) {
    this.pool = pool;
    this.cards = cards;
    this.network = network;
  }

  /** A host with two spare cards: one with an address, both up. */
  static async open(): Promise<Bench> {
    const pool = await ModelPool.open(1, (number) => `${modelAddress(number)}&nics=3`);
    const cards = pool.db.refs('PIF').slice(1);
    await pool.call('PIF.reconfigure_ip', present(cards[1], 'eth2'), 'Static', '198.51.100.9', '255.255.255.0', '', '');
    for (const card of cards) await pool.call('PIF.plug', card);
    return new Bench(pool, cards, await pool.call('network.create', { name_label: 'bonded', other_config: {} }));
  }

  create(): Promise<unknown> {
    return this.pool.answer('Bond.create', this.network, [...this.cards], '', 'lacp', {});
  }

  /** What is up by the records, and what the host has, as text. */
  sides(): readonly (readonly string[])[] {
    const { db } = this.pool;
    const { bridges } = this.pool.machine();
    const said = [...db.all('PIF')].flatMap(([ref, pif]) => {
      if (!pif.managed || !pif.currently_attached || db.has('Bond', pif.bond_slave_of)) return [];
      const members = pif.bond_master_of.flatMap((bond) => db.get('Bond', bond).slaves);
      const devices = members.map((member) => db.get('PIF', member).device).toSorted();
      const { bridge } = db.get('network', db.get('PIF', ref).network);
      return [`${bridge} ${pif.device} ${devices.join('+')} ${pif.IP}`];
    });
    const there = bridges.interfaces().flatMap(({ name, kind, isMade, ipv4 }) => {
      const uplink = bridges.uplinkOf(name);
      if (kind !== 'bridge' || isMade !== true) return [];
      const members = uplink?.kind === 'bond' ? uplink.members.toSorted() : [];
      return [`${name} ${uplink?.device ?? ''} ${members.join('+')} ${ipv4.join().split('/')[0] ?? ''}`];
    });
    return [said.toSorted(), there.toSorted()];
  }

  /** Each card is in the bond or free, and only one interface has the address. */
  expectWhole(step: number): void {
    const { db } = this.pool;
    const [said, there] = this.sides();
    expect(there, `step ${step}`).toEqual(said);
    const isBonded = new Set(this.cards.map((card) => db.has('Bond', db.get('PIF', card).bond_slave_of)));
    expect([...isBonded], `step ${step}`).toEqual([db.count('Bond') === 1]);
    expect(
      [...db.all('PIF')].filter(([, { IP }]) => IP !== ''),
      `step ${step}`,
    ).toHaveLength(1);
    expect(db.count('PIF_metrics')).toBe(db.count('PIF'));
  }
}

test.each(['killed', 'host lost'] as const)('a bond that is made, %s at each step', async (mishap) => {
  const outcomes = new Set<string>();
  for (let step = 0; step < stepsMax; step++) {
    const bench = await Bench.open();
    const { pool } = bench;
    const isCut = await pool.befall(mishap, step, () => bench.create());
    bench.expectWhole(step);
    outcomes.add(pool.db.count('Bond') === 0 ? 'cards' : 'bond');
    if (pool.db.count('Bond') === 0) await bench.create();
    bench.expectWhole(step);
    expect(bench.sides()[1]).toEqual(['xapi0 bond0 eth1+eth2 198.51.100.9']);
    if (!isCut) break;
    expect(step).toBeLessThan(stepsMax - 1);
  }
  expect([...outcomes].toSorted()).toEqual(['bond', 'cards']);
});

test.each(['killed', 'host lost'] as const)('a bond that is taken apart, %s at each step', async (mishap) => {
  const outcomes = new Set<string>();
  for (let step = 0; step < stepsMax; step++) {
    const bench = await Bench.open();
    const { pool } = bench;
    await bench.create();
    const isCut = await pool.befall(mishap, step, () => pool.answer('Bond.destroy', ...pool.db.refs('Bond')));
    bench.expectWhole(step);
    outcomes.add(pool.db.count('Bond') === 0 ? 'cards' : 'bond');
    for (const bond of pool.db.refs('Bond')) await pool.call('Bond.destroy', bond);
    for (const card of bench.cards) await pool.call('PIF.plug', card);
    bench.expectWhole(step);
    expect(bench.sides()[1]).toEqual(['xenbr1 eth1  ', 'xenbr2 eth2  198.51.100.9']);
    if (!isCut) break;
    expect(step).toBeLessThan(stepsMax - 1);
  }
  expect([...outcomes].toSorted()).toEqual(['bond', 'cards']);
});
