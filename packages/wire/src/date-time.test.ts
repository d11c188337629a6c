import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDateTime, parseDateTime } from './date-time.ts';

describe('formatDateTime', () => {
  test.each([
    [0, '19700101T00:00:00Z'],
    [Date.UTC(2026, 0, 1), '20260101T00:00:00Z'],
    [Date.UTC(2024, 1, 29, 23, 59, 59) + 999, '20240229T23:59:59Z'],
    [-1, '19691231T23:59:59Z'],
    [Date.UTC(9999, 11, 31, 23, 59, 59), '99991231T23:59:59Z'],
  ])('%d', (epochMs, text) => {
    expect(formatDateTime(epochMs)).toBe(text);
  });

  test('a moment that the form cannot hold is a mistake of the program', () => {
    expect(() => formatDateTime(NaN)).toThrow('outside');
    expect(() => formatDateTime(Date.UTC(10_000, 0, 1))).toThrow('outside');
  });
});

describe('parseDateTime', () => {
  const newYear = Date.UTC(2026, 0, 1);
  test.each([
    ['20260101T00:00:00Z', newYear],
    ['2026-01-01T00:00:00Z', newYear],
    ['20260101T000000Z', newYear],
    ['20260101T00:00:00', newYear],
    ['20260101T02:00:00+02:00', newYear],
    ['20260101T02:00:00+02', newYear],
    ['20251231T18:30:00-0530', newYear],
    ['20260101T00:00:00.25Z', newYear + 250],
    ['00010101T00:00:00Z', -62_135_596_800_000],
  ])('%s', (text, epochMs) => {
    expect(parseDateTime(text)).toBe(epochMs);
  });

  test.each([
    '',
    'now',
    '20260101',
    '20261301T00:00:00Z',
    '20260230T00:00:00Z',
    '20260100T00:00:00Z',
    '20260199T00:00:00Z',
    '20251232T00:00:00Z',
    '20260101T24:00:00Z',
    '20260101T00:60:00Z',
    '20260101T00:00:00+25:00',
    ' 20260101T00:00:00Z',
    '20260101T00:00:00Zjunk',
  ])('%j is none', (text) => {
    expect(parseDateTime(text)).toBeUndefined();
  });

  test('reads what formatDateTime writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_167_219_200, max: 253_402_300_799 }), (seconds) => {
        expect(parseDateTime(formatDateTime(seconds * 1000))).toBe(seconds * 1000);
      }),
    );
  });
});
