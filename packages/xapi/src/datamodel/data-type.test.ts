import { encodeJsonValue, encodeXmlValue, parseXmlValue, type WireValue } from '@xenolith/wire';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyWireValue, valueOf } from '../testing/arbitrary-value.ts';
import { classTables } from './classes.ts';
import { decodeValue, emptyValue, parseDataType, toWireType } from './data-type.ts';
import { methods } from './registry.ts';
import type { ClassTable } from './schema.ts';

const types = [
  ...new Set(
    (Object.values(classTables) as readonly ClassTable[]).flatMap((table) =>
      Object.values(table.fields)
        .map((field) => field.type)
        .filter((type) => !type.startsWith('record') && !type.startsWith('option')),
    ),
  ),
];

const noRefs = (): readonly string[] => [];

describe.each(types)('%s', (name) => {
  const type = parseDataType(name);

  test('takes its own values as they are, and its empty one', () => {
    expect(decodeValue(type, emptyValue(type), 'x')).toEqual(emptyValue(type));
    fc.assert(
      fc.property(valueOf(type, noRefs), (value) => {
        expect(decodeValue(type, value, 'x')).toEqual(value);
      }),
      { numRuns: 20 },
    );
  });

  test('takes them back from both encodings', () => {
    fc.assert(
      fc.property(valueOf(type, noRefs), (value) => {
        const wire = toWireType(type);
        expect(decodeValue(type, JSON.parse(encodeJsonValue(wire, value)) as WireValue, 'x')).toEqual(value);
        const xml = parseXmlValue(encodeXmlValue(wire, value));
        if (!/[\p{Cc}\ufffe\uffff]/u.test(deepText(value))) {
          expect(plain(decodeValue(type, xml, 'x'))).toEqual(plain(value));
        }
      }),
      { numRuns: 20 },
    );
  });

  test('refuses everything else with a code for it', () => {
    fc.assert(
      fc.property(anyWireValue, (value) => {
        try {
          const decoded = decodeValue(type, value, 'x');
          expect(() => encodeXmlValue(toWireType(type), decoded)).not.toThrow();
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(FIELD_TYPE_ERROR|INVALID_VALUE)$/) });
        }
      }),
      { numRuns: 100 },
    );
  });
});

/** All text of a value: control characters are dropped in XML. */
const deepText = (value: WireValue): string =>
  typeof value === 'string'
    ? value
    : Array.isArray(value)
      ? (value as readonly WireValue[]).map(deepText).join('')
      : typeof value === 'object' && value !== null
        ? Object.entries(value)
            .map(([key, item]) => key + deepText(item))
            .join('')
        : '';

const plain = (value: WireValue): unknown => JSON.parse(JSON.stringify(value));

describe('values off the wire', () => {
  test.each<[string, WireValue, WireValue]>([
    ['int', '42', 42],
    ['int', ' -7 ', -7],
    ['int', '-0', 0],
    ['int', '+1', 1],
    ['float', '1.5', 1.5],
    ['float', 60, 60],
    ['float', '60', 60],
    ['bool', 'true', true],
    ['bool', '0', false],
    ['ref(VM)', '', 'OpaqueRef:NULL'],
    ['datetime', '2026-01-02T03:04:05Z', '20260102T03:04:05Z'],
    ['datetime', '20260102T03:04:05', '20260102T03:04:05Z'],
    ['datetime', '20260102T03:04:05+01:00', '20260102T02:04:05Z'],
    ['set(int)', ['1', 2], [1, 2]],
    ['map(string,bool)', { a: '1' }, { a: true }],
  ])('%s takes %j for %j', (name, value, expected) => {
    expect(decodeValue(parseDataType(name), value, 'x')).toEqual(expected);
  });

  test.each<[string, WireValue, string]>([
    ['string', 1, 'FIELD_TYPE_ERROR'],
    ['string', null, 'FIELD_TYPE_ERROR'],
    ['string', 'half \ud800', 'INVALID_VALUE'],
    ['int', 1.5, 'FIELD_TYPE_ERROR'],
    ['int', '', 'FIELD_TYPE_ERROR'],
    ['int', 'x', 'FIELD_TYPE_ERROR'],
    ['int', true, 'FIELD_TYPE_ERROR'],
    ['float', '1e400', 'INVALID_VALUE'],
    ['float', Infinity, 'INVALID_VALUE'],
    ['int', '9007199254740993', 'INVALID_VALUE'],
    ['float', '', 'FIELD_TYPE_ERROR'],
    ['float', 'one', 'FIELD_TYPE_ERROR'],
    ['bool', 1, 'FIELD_TYPE_ERROR'],
    ['bool', 'yes', 'FIELD_TYPE_ERROR'],
    ['datetime', '2026', 'INVALID_VALUE'],
    ['datetime', '20261302T03:04:05Z', 'INVALID_VALUE'],
    ['datetime', '99991231T23:59:59-01:00', 'INVALID_VALUE'],
    ['datetime', 0, 'FIELD_TYPE_ERROR'],
    ['enum(vm_power_state)', 'running', 'INVALID_VALUE'],
    ['enum(vm_power_state)', 'constructor', 'INVALID_VALUE'],
    ['enum(vm_power_state)', 0, 'FIELD_TYPE_ERROR'],
    ['ref(VM)', {}, 'FIELD_TYPE_ERROR'],
    ['set(string)', 'a', 'FIELD_TYPE_ERROR'],
    ['set(string)', { 0: 'a' }, 'FIELD_TYPE_ERROR'],
    ['set(string)', ['a', 1], 'FIELD_TYPE_ERROR'],
    ['map(string,string)', [], 'FIELD_TYPE_ERROR'],
    ['map(string,string)', { a: 1 }, 'FIELD_TYPE_ERROR'],
    ['map(int,string)', { a: 'x' }, 'FIELD_TYPE_ERROR'],
    ['record(VM)', 'x', 'FIELD_TYPE_ERROR'],
    ['record(VM)', { name_label: 1 }, 'FIELD_TYPE_ERROR'],
  ])('%s refuses %j with %s', (name, value, code) => {
    expect(() => decodeValue(parseDataType(name), value, 'x')).toThrow(code);
  });

  test('a record keeps the members of its class and ignores others', () => {
    const record = decodeValue(parseDataType('record(VM)'), { name_label: 'x', constructor: 'y', nonsense: 1 }, 'args');
    expect(record).toEqual({ name_label: 'x' });
  });
});

test('every parameter and result of every method has a type that can be encoded', () => {
  for (const method of methods().values()) {
    expect(() => toWireType(method.result), method.fullName).not.toThrow();
    for (const param of method.params) expect(() => toWireType(param.type), method.fullName).not.toThrow();
  }
});
