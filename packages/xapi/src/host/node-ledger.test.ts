import type { Ref } from '@xenolith/base';
import { expect, test } from 'vitest';
import { NodeLedger } from './node-ledger.ts';

const [a, b] = ['OpaqueRef:a', 'OpaqueRef:b'] as unknown as readonly [Ref<'VM'>, Ref<'VM'>];
const taking = (...kibByNode: readonly number[]) => ({ cpupool: '', vcpus: 1, nodes: [0], kibByNode });

test('what is promised is not free, and what has been taken of it is not taken off again', () => {
  const ledger = new NodeLedger();
  expect(ledger.unpromisedKib([1000, 1000])).toEqual([1000, 1000]);
  ledger.reserve(a, taking(400, 0), [1000, 1000]);
  expect(ledger.unpromisedKib([1000, 1000])).toEqual([600, 1000]);
  // Half of it is there.
  expect(ledger.unpromisedKib([800, 1000])).toEqual([600, 1000]);
  ledger.reserve(b, taking(100, 100), [800, 1000]);
  expect(ledger.unpromisedKib([800, 1000])).toEqual([500, 900]);
  ledger.taken(a, 5);
  ledger.seen(4);
  expect(ledger.unpromisedKib([600, 1000])).toEqual([500, 900]);
  ledger.seen(5);
  expect(ledger.unpromisedKib([600, 1000])).toEqual([500, 900]);
  ledger.taken(b, 6);
  ledger.seen(6);
  expect(ledger.unpromisedKib([500, 900])).toEqual([500, 900]);
});

test('where a VM is is known until it runs here no longer', () => {
  const ledger = new NodeLedger();
  ledger.reserve(a, taking(400), [1000]);
  ledger.taken(a, 1);
  ledger.keepHomesOf([]);
  expect(ledger.homeOf(a)).toEqual([0]);
  ledger.seen(1);
  ledger.keepHomesOf([a]);
  expect(ledger.homeOf(a)).toEqual([0]);
  ledger.keepHomesOf([b]);
  expect(ledger.homeOf(a)).toBeUndefined();
});

test('a start that came to nothing takes nothing', () => {
  const ledger = new NodeLedger();
  ledger.reserve(a, taking(400), [1000]);
  ledger.drop(a);
  expect(ledger.unpromisedKib([1000])).toEqual([1000]);
  expect(ledger.homeOf(a)).toBeUndefined();
  expect(ledger.isReserved(a)).toBe(false);
});

test('memory that others give back meanwhile is not counted as what is promised', () => {
  const ledger = new NodeLedger();
  ledger.reserve(a, taking(400), [1000]);
  expect(ledger.unpromisedKib([1500])).toEqual([1100]);
});
