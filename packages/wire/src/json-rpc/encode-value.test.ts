import { describe, expect, test } from 'vitest';
import type { WireType } from '../wire-type.ts';
import { encodeJsonValue } from './encode-value.ts';

const string: WireType = { kind: 'string' };
const int: WireType = { kind: 'int' };

describe('jsonEncoder', () => {
  const table: readonly (readonly [string, WireType, unknown, string])[] = [
    ['string', string, 'a"\n', '"a\\"\\n"'],
    ['int', int, 42, '42'],
    ['minus zero', int, -0, '0'],
    ['64-bit int', int, 9223372036854775807n, '9223372036854775807'],
    ['int as text', int, '-007', '-7'],
    ['int32', { kind: 'int32' }, 1, '1'],
    ['float', { kind: 'float' }, 0.1, '0.1'],
    ['no number', { kind: 'float' }, NaN, 'null'],
    ['bool', { kind: 'bool' }, false, 'false'],
    ['date-time', { kind: 'datetime' }, '20260101T00:00:00Z', '"20260101T00:00:00Z"'],
    ['moment', { kind: 'datetime' }, 0, '"19700101T00:00:00Z"'],
    ['void', { kind: 'void' }, undefined, '""'],
    ['any', { kind: 'any' }, { a: [null] }, '{"a":[null]}'],
    ['set', { kind: 'set', of: int }, [1, 2], '[1,2]'],
    ['empty set', { kind: 'set', of: string }, [], '[]'],
    ['set of empty strings', { kind: 'set', of: string }, ['', ''], '["",""]'],
    ['map', { kind: 'map', of: int }, { a: 1, '"': 2 }, '{"a":1,"\\"":2}'],
    ['empty map', { kind: 'map', of: int }, {}, '{}'],
    [
      'record',
      {
        kind: 'record',
        members: [
          { name: 'a', type: int },
          { name: 'b', type: { kind: 'option', of: int } },
          { name: 'c', type: string },
        ],
      },
      { c: 'x', a: 1 },
      '{"a":1,"c":"x"}',
    ],
    ['option alone', { kind: 'option', of: int }, undefined, 'null'],
  ];
  test.each(table)('%s', (_what, type, value, json) => {
    expect(encodeJsonValue(type, value)).toBe(json);
  });

  const mistakes: readonly (readonly [WireType, unknown])[] = [
    [string, 1],
    [int, 1.5],
    [int, 'x'],
    [{ kind: 'float' }, '1'],
    [{ kind: 'bool' }, 'true'],
    [{ kind: 'datetime' }, null],
    [{ kind: 'set', of: int }, {}],
    [{ kind: 'map', of: int }, []],
    [{ kind: 'record', members: [] }, null],
    [{ kind: 'any' }, undefined],
  ];
  test.each(mistakes)('%j of %j is a mistake of the program', (type, value) => {
    expect(() => encodeJsonValue(type, value)).toThrow(/^not /);
  });
});
