import { describe, expect, test } from 'vitest';
import { hasBehaviour } from '../dispatch.ts';
import { notImplementedReason, notImplementedReasons, onlyOn, strayReasons } from './not-implemented.ts';
import { methods } from './registry.ts';

const every = [...methods().values()].filter((method) => !method.removed);

describe('the reasons for what is missing', () => {
  test('every call that does nothing has one', () => {
    const silent = every.filter((method) => !hasBehaviour(method) && !notImplementedReason(method));
    expect(silent.map(({ fullName }) => fullName)).toEqual([]);
  });

  test('no call that does something has one', () => {
    const named = every.filter(({ className, name }) => Object.hasOwn(notImplementedReasons[className] ?? {}, name));
    expect(named.filter((method) => hasBehaviour(method)).map(({ fullName }) => fullName)).toEqual([]);
  });

  test('each names a call that there is', () => {
    expect(strayReasons()).toEqual([]);
    const classes = Object.entries(notImplementedReasons).filter(([, calls]) => Object.hasOwn(calls, '*'));
    const unused = classes.filter(([name]) => !every.some((method) => method.className === name));
    expect(unused.map(([name]) => name)).toEqual([]);
  });

  test('what works on one driver alone is a call that works', () => {
    for (const name of Object.keys(onlyOn))
      expect(every.find((each) => each.fullName === name)).toSatisfy(hasBehaviour);
  });
});
