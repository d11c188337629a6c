import { describe, expect, test } from 'vitest';
import { assertRetained, assertSchedule, isDue, keysFor, quarterMs, scheduleFor } from './vmss-schedule.ts';

type Schedule = Readonly<Record<string, string>>;
type Frequency = Parameters<typeof scheduleFor>[0];

/** Thursday, the first of January 2026. */
const beginMs = Date.UTC(2026, 0, 1);

/** The quarters of so many days in which a schedule is due, as `01T00:15`. */
const dueIn = (days: number, frequency: Frequency, schedule: Schedule): readonly string[] =>
  Array.from({ length: days * 96 }, (_, index) => beginMs + index * quarterMs)
    .filter((timeMs) => isDue({ frequency, schedule }, timeMs))
    .map((timeMs) => new Date(timeMs).toISOString().slice(8, 16));

describe('is due', () => {
  test.each<[Frequency, Schedule, readonly string[]]>([
    ['daily', { hour: '7', min: '30' }, ['01T07:30', '02T07:30']],
    ['daily', {}, ['01T00:00', '02T00:00']],
    ['weekly', { days: 'Friday', hour: '23', min: '45' }, ['02T23:45']],
    ['weekly', { days: 'Friday, Thursday', hour: '1' }, ['01T01:00', '02T01:00']],
    ['weekly', {}, []],
  ])('%s %j', (frequency, schedule, expected) => {
    expect(dueIn(2, frequency, schedule)).toEqual(expected);
  });

  test('each hour at its minute', () => {
    const due = dueIn(1, 'hourly', { min: '45', hour: '3' });
    expect([due.length, due[0], due[23]]).toEqual([24, '01T00:45', '01T23:45']);
  });

  test('once a week, on each day of its own', () => {
    expect(dueIn(7, 'weekly', { days: 'Monday,Sunday', hour: '0', min: '0' })).toEqual(['04T00:00', '05T00:00']);
  });
});

describe('what a schedule may have', () => {
  test.each([
    ['min', '7'],
    ['min', ''],
    ['hour', '24'],
    ['hour', '-1'],
    ['hour', '007'],
    ['days', 'Mon'],
    ['days', ''],
    ['days', 'Monday,'],
    ['year', '1'],
    ['constructor', 'x'],
    ['__proto__', 'x'],
  ])('%s %j is refused', (key, value) => {
    const schedule = Object.fromEntries([[key, value]]);
    expect(() => assertSchedule(schedule)).toThrow(`INVALID_VALUE(schedule:${key}, ${value})`);
  });

  test.each(['0', '9', '10', '19', '20', '23'])('hour %s is taken', (hour) => {
    expect(() => assertSchedule({ hour })).not.toThrow();
  });

  test('a key of another frequency is refused when it is made, and left out when the frequency changes', () => {
    expect(() => assertSchedule({ days: 'Monday' }, keysFor('daily'))).toThrow('INVALID_VALUE(schedule:days, Monday)');
    expect(scheduleFor('hourly', { days: 'Monday', min: '15' })).toEqual({ min: '15' });
    expect(scheduleFor('weekly', { min: '15' })).toEqual({ hour: '0', min: '15', days: 'Monday' });
  });

  test.each([0, 11, -1])('%s snapshots are not kept', (count) => {
    expect(() => assertRetained(count)).toThrow(`INVALID_VALUE(retained_snapshots, ${count})`);
  });
});
