import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TimerHeap } from './timer-heap.ts';

const timers = 40;

/** Timers in a list that is sorted whenever somebody looks. */
class SortedTimers {
  entries: { readonly timer: number; readonly deadlineNs: number; readonly armNumber: number }[] = [];
  #armings = 0;

  arm(timer: number, deadlineNs: number): void {
    this.disarm(timer);
    this.entries.push({ timer, deadlineNs, armNumber: this.#armings++ });
    this.entries.sort((a, b) => a.deadlineNs - b.deadlineNs || a.armNumber - b.armNumber);
  }

  disarm(timer: number): void {
    this.entries = this.entries.filter((entry) => entry.timer !== timer);
  }
}

/** Few deadlines, so that many timers have the same. */
const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ what: fc.constant('arm'), timer: fc.nat(timers - 1), at: fc.nat(12) }) },
    { weight: 2, arbitrary: fc.record({ what: fc.constant('disarm'), timer: fc.nat(timers - 1), at: fc.constant(0) }) },
    { weight: 2, arbitrary: fc.record({ what: fc.constant('pop'), timer: fc.constant(0), at: fc.constant(0) }) },
  ),
  { maxLength: 300, size: 'max' },
);
type Steps = typeof steps extends fc.Arbitrary<infer T> ? T : never;

function play(heap: TimerHeap, naive: SortedTimers, list: Steps): void {
  for (const { what, timer, at } of list) {
    if (what === 'arm') {
      heap.arm(timer, at);
      naive.arm(timer, at);
    } else if (what === 'disarm') {
      heap.disarm(timer);
      naive.disarm(timer);
    } else if (naive.entries.length > 0) {
      expect(heap.pop()).toBe(naive.entries.shift()!.timer);
    }
    expect(heap.size).toBe(naive.entries.length);
    expect(heap.nextDeadlineNs).toBe(naive.entries[0]?.deadlineNs ?? Infinity);
  }
}

function popAll(heap: TimerHeap): readonly number[] {
  const order: number[] = [];
  while (heap.size > 0) order.push(heap.pop());
  return order;
}

describe('the heap of timers', () => {
  test('gives timers by deadline, and by when they were armed, as a sorted list does', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const heap = new TimerHeap(timers);
        const naive = new SortedTimers();
        play(heap, naive, list);
        for (let timer = 0; timer < timers; timer++) {
          const entry = naive.entries.find((one) => one.timer === timer);
          expect(heap.isArmed(timer)).toBe(entry !== undefined);
          if (entry !== undefined) expect(heap.dueNs[timer]).toBe(entry.deadlineNs);
        }
        expect(popAll(heap)).toEqual(naive.entries.map(({ timer }) => timer));
      }),
    );
  });

  test('gives them in that order also as time goes on, the near ones and those of far away', () => {
    const away = fc.oneof(fc.nat(3), fc.nat(60_000), fc.nat(40_000_000), fc.constantFrom(16_760_832, 16_777_216, 1e12));
    const moves = fc.array(
      fc.record({ what: fc.constantFrom('arm', 'arm', 'disarm', 'pop', 'copy'), timer: fc.nat(timers - 1), away }),
      { maxLength: 400, size: 'max' },
    );
    fc.assert(
      fc.property(moves, (list) => {
        let heap = new TimerHeap(timers);
        const naive = new SortedTimers();
        for (const { what, timer, away: awayNs } of list) {
          if (what === 'arm') {
            const dueNs = heap.nowNs + awayNs;
            heap.arm(timer, dueNs);
            naive.arm(timer, dueNs);
          } else if (what === 'disarm') {
            heap.disarm(timer);
            naive.disarm(timer);
          } else if (what === 'copy') {
            const { nowNs } = heap;
            const state = heap.capture();
            heap = new TimerHeap(timers);
            heap.restore(state);
            heap.nowNs = nowNs;
          } else if (naive.entries.length > 0) {
            const { timer: first, deadlineNs } = naive.entries.shift()!;
            expect([heap.popBefore(deadlineNs), heap.popBefore(deadlineNs + 1)]).toEqual([-1, first]);
            heap.nowNs = deadlineNs;
          }
          expect(heap.size).toBe(naive.entries.length);
        }
        expect(popAll(heap)).toEqual(naive.entries.map(({ timer }) => timer));
      }),
    );
  });

  test('keeps the place of one that was near, and was armed for far away before another was for the same time', () => {
    const heap = new TimerHeap(timers);
    heap.arm(0, 5);
    heap.arm(0, 1e12);
    heap.arm(1, 1e12);
    expect(popAll(heap)).toEqual([0, 1]);
  });

  test('goes on from a captured state as it did the first time, whatever came between', () => {
    fc.assert(
      fc.property(steps, steps, steps, (before, between, after) => {
        const heap = new TimerHeap(timers);
        const naive = new SortedTimers();
        play(heap, naive, before);
        const state = heap.capture();
        for (const { what, timer, at } of between) {
          if (what === 'arm') heap.arm(timer, at);
          else heap.disarm(timer);
        }
        heap.restore(state);
        expect(heap.capture()).toEqual(state);
        play(heap, naive, after);
        expect(popAll(heap)).toEqual(naive.entries.map(({ timer }) => timer));
      }),
    );
  });

  test('arming an armed timer puts it behind those of the same deadline', () => {
    const heap = new TimerHeap();
    for (const timer of [3, 1, 2]) heap.arm(timer, 10);
    heap.arm(3, 10);
    expect(popAll(heap)).toEqual([1, 2, 3]);
  });

  test('grows with its timers armed', () => {
    const heap = new TimerHeap(2);
    heap.arm(0, 7);
    heap.arm(1, 5);
    heap.reserve(100);
    expect(heap.isArmed(99)).toBe(false);
    heap.arm(99, 6);
    expect(popAll(heap)).toEqual([1, 99, 0]);
  });

  test('has no timer to give when none is armed', () => {
    const heap = new TimerHeap();
    heap.disarm(5);
    expect(heap.nextDeadlineNs).toBe(Infinity);
    expect(() => heap.pop()).toThrow('a timer is armed');
  });
});
