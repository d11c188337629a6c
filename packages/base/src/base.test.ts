import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  assert,
  AssertionError,
  delay,
  disposable,
  isUuid,
  ManualClock,
  scaledClock,
  present,
  randomUuid,
  SeededRandom,
  Signal,
} from './index.ts';

test('a scaled clock begins with the other’s time and goes so many times as fast, its timers too', () => {
  const clock = new ManualClock(1000);
  clock.advance(500);
  const scaled = scaledClock(clock, 4);
  const fired: number[] = [];
  scaled.after(100, () => fired.push(scaled.now()));
  scaled.after(60, () => fired.push(scaled.now())).dispose();
  clock.advance(24);
  expect(fired).toEqual([]);
  clock.advance(6);
  expect(fired).toEqual([1600]);
  expect(scaled.now()).toBe(1620);
});

describe('ManualClock', () => {
  test('fires by due time, then by order of asking', () => {
    const clock = new ManualClock(0);
    const fired: string[] = [];
    clock.after(20, () => fired.push('b'));
    clock.after(10, () => fired.push('a'));
    clock.after(20, () => fired.push('c'));
    clock.advance(19);
    expect(fired).toEqual(['a']);
    clock.advance(1);
    expect(fired).toEqual(['a', 'b', 'c']);
    expect(clock.now()).toBe(20);
  });

  test('runs what an action asks for when that falls due within the same advance', () => {
    const clock = new ManualClock(0);
    const at: number[] = [];
    clock.after(5, () => clock.after(5, () => at.push(clock.now())));
    clock.advance(10);
    expect(at).toEqual([10]);
  });

  test('a disposed timer does not fire', () => {
    const clock = new ManualClock(0);
    let fired = false;
    clock.after(1, () => (fired = true)).dispose();
    clock.advance(2);
    expect(fired).toBe(false);
  });

  test('advanceAsync carries a chain of awaited delays', async () => {
    const clock = new ManualClock(0);
    const at: number[] = [];
    const chain = (async () => {
      for (let i = 0; i < 3; i++) {
        await delay(clock, 10);
        at.push(clock.now());
      }
    })();
    await clock.advanceAsync(30);
    await chain;
    expect(at).toEqual([10, 20, 30]);
  });

  test('two who advance it at once do not turn it back', async () => {
    const clock = new ManualClock(0);
    const slow = clock.advanceAsync(0);
    clock.advance(10);
    await slow;
    expect(clock.now()).toBe(10);
  });
});

describe('SeededRandom', () => {
  test('the sequence of a seed never changes', () => {
    const random = new SeededRandom(7);
    expect(Array.from({ length: 4 }, () => random.nextUint32())).toMatchInlineSnapshot(`
      [
        3706068076,
        4260595074,
        2370018334,
        2949121333,
      ]
    `);
  });

  test('makes version-4 UUIDs, different from word to word', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = new SeededRandom(seed);
        const first = randomUuid(random);
        const second = randomUuid(random);
        return isUuid(first) && first[14] === '4' && '89ab'.includes(first[19] ?? '') && first !== second;
      }),
    );
  });
});

test('a disposable lets go once', () => {
  let count = 0;
  const once = disposable(() => count++);
  once.dispose();
  once.dispose();
  expect(count).toBe(1);
});

test('a signal reaches its listeners in order until they leave', () => {
  const signal = new Signal<number>();
  const heard: string[] = [];
  const first = signal.listen((value) => heard.push(`first ${value}`));
  signal.listen((value) => heard.push(`second ${value}`));
  signal.emit(1);
  first.dispose();
  signal.emit(2);
  expect(heard).toEqual(['first 1', 'second 1', 'second 2']);
});

test('assert and present say what was broken', () => {
  expect(() => assert(false, 'no such domain')).toThrow(AssertionError);
  expect(() => present(undefined, 'the domain')).toThrow('absent: the domain');
  expect(present(0, 'zero')).toBe(0);
});
