import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { WireType } from '../wire-type.ts';
import { formatDouble, parseDouble } from './double.ts';
import { encodeXmlAny, encodeXmlValue, xmlEncoder } from './encode-value.ts';
import { encodeXmlRpcCall, xmlRpcBare, xmlRpcFailure, xmlRpcFault, xmlRpcSuccess } from './envelope.ts';
import { parseXmlRpcCall, parseXmlRpcResponse, parseXmlValue } from './parse.ts';

const string: WireType = { kind: 'string' };
const int: WireType = { kind: 'int' };
const record: WireType = {
  kind: 'record',
  members: [
    { name: 'uuid', type: string },
    { name: 'size', type: int },
    { name: 'note', type: { kind: 'option', of: string } },
  ],
};

describe('xmlEncoder', () => {
  const table: readonly (readonly [string, WireType, unknown, string])[] = [
    ['string', string, 'a', '<value>a</value>'],
    ['empty string', string, '', '<value></value>'],
    ['markup', string, '<a> & "b"', '<value>&lt;a&gt; &amp; "b"</value>'],
    ['controls', string, 'a\0\u001b\t\n\r\u007fb', '<value>a\t\n&#13;\u007fb</value>'],
    ['non-characters', string, 'a\ufffe\uffffb', '<value>ab</value>'],
    ['pairs', string, '😀\ud800', '<value>😀\ufffd</value>'],
    ['int', int, 42, '<value>42</value>'],
    ['negative int', int, -1, '<value>-1</value>'],
    ['64-bit int', int, 9223372036854775807n, '<value>9223372036854775807</value>'],
    ['int as text', int, '9223372036854775807', '<value>9223372036854775807</value>'],
    ['int32', { kind: 'int32' }, 7, '<value><i4>7</i4></value>'],
    ['float', { kind: 'float' }, 0.5, '<value><double>0.5</double></value>'],
    ['not a number', { kind: 'float' }, NaN, '<value><double>nan</double></value>'],
    ['true', { kind: 'bool' }, true, '<value><boolean>1</boolean></value>'],
    ['false', { kind: 'bool' }, false, '<value><boolean>0</boolean></value>'],
    [
      'date-time',
      { kind: 'datetime' },
      '20260101T00:00:00Z',
      '<value><dateTime.iso8601>20260101T00:00:00Z</dateTime.iso8601></value>',
    ],
    ['moment', { kind: 'datetime' }, 0, '<value><dateTime.iso8601>19700101T00:00:00Z</dateTime.iso8601></value>'],
    ['void', { kind: 'void' }, undefined, '<value></value>'],
    ['any', { kind: 'any' }, null, '<value><nil/></value>'],
    [
      'set',
      { kind: 'set', of: int },
      [1, 2],
      '<value><array><data><value>1</value><value>2</value></data></array></value>',
    ],
    ['empty set', { kind: 'set', of: int }, [], '<value><array><data></data></array></value>'],
    [
      'map',
      { kind: 'map', of: int },
      { 'a<': 1 },
      '<value><struct><member><name>a&lt;</name><value>1</value></member></struct></value>',
    ],
    [
      'record',
      record,
      { size: 1, uuid: 'u', more: 'is not written' },
      '<value><struct><member><name>uuid</name><value>u</value></member><member><name>size</name><value>1</value></member></struct></value>',
    ],
    ['option alone', { kind: 'option', of: int }, undefined, '<value><nil/></value>'],
    ['option present', { kind: 'option', of: int }, 0, '<value>0</value>'],
  ];
  test.each(table)('%s', (_what, type, value, xml) => {
    expect(encodeXmlValue(type, value)).toBe(xml);
  });

  const mistakes: readonly (readonly [WireType, unknown])[] = [
    [string, 1],
    [int, 1.5],
    [int, '1.5'],
    [int, 2 ** 60],
    [{ kind: 'int32' }, 2 ** 31],
    [{ kind: 'float' }, '1'],
    [{ kind: 'bool' }, 1],
    [{ kind: 'datetime' }, null],
    [{ kind: 'set', of: int }, {}],
    [{ kind: 'map', of: int }, [1]],
    [record, null],
    [{ kind: 'any' }, undefined],
  ];
  test.each(mistakes)('%j of %j is a mistake of the program', (type, value) => {
    expect(() => encodeXmlValue(type, value)).toThrow(/^not /);
  });

  test('compiles a type once', () => {
    expect(xmlEncoder(record)).toBe(xmlEncoder(record));
  });
});

describe('formatDouble', () => {
  test.each([
    [0, '0'],
    [-0, '-0'],
    [1, '1'],
    [-3, '-3'],
    [0.1, '0.1'],
    [0.1 + 0.2, '0.3'],
    [1 / 3, '0.3333333333333333'],
    [1e15, '1000000000000000'],
    [1e16, '1e+16'],
    [123456789012345680, '1.234567890123457e+17'],
    [1e-4, '0.0001'],
    [1e-5, '1e-05'],
    [1.5e-7, '1.5e-07'],
    [1e100, '1e+100'],
    [5e-324, '4.940656458412465e-324'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    [NaN, 'nan'],
  ])('%d', (value, text) => {
    expect(formatDouble(value)).toBe(text);
  });

  test('reads back to sixteen digits', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const expected = Object.is(value, -0) ? -0 : Number(value.toPrecision(16));
        expect(parseDouble(formatDouble(value))).toBe(expected);
      }),
    );
  });
});

describe('encodeXmlAny', () => {
  test.each([
    [1, '<value><int>1</int></value>'],
    [-(2 ** 31), '<value><int>-2147483648</int></value>'],
    [2 ** 31, '<value>2147483648</value>'],
    [2 ** 60, '<value><double>1152921504606847000</double></value>'],
    [1.5, '<value><double>1.5</double></value>'],
    [60.1, '<value><double>60.1</double></value>'],
    [true, '<value><boolean>1</boolean></value>'],
    [5n, '<value>5</value>'],
    [
      { a: undefined, b: [] },
      '<value><struct><member><name>b</name><value><array><data></data></array></value></member></struct></value>',
    ],
  ])('%o', (value, xml) => {
    expect(encodeXmlAny(value)).toBe(xml);
  });
});

describe('envelopes', () => {
  test('a success is a struct of Status and Value', () => {
    expect(parseXmlRpcResponse(xmlRpcSuccess('<value>x</value>'))).toEqual({
      kind: 'value',
      value: { Status: 'Success', Value: 'x' },
    });
    expect(xmlRpcSuccess('<value></value>').startsWith('<?xml version="1.0"?><methodResponse>')).toBe(true);
  });

  test('a refusal is a struct of Status and ErrorDescription', () => {
    expect(parseXmlRpcResponse(xmlRpcFailure(['HANDLE_INVALID', 'VM', '<&']))).toEqual({
      kind: 'value',
      value: { Status: 'Failure', ErrorDescription: ['HANDLE_INVALID', 'VM', '<&'] },
    });
  });

  test('a bare answer and a fault', () => {
    expect(parseXmlRpcResponse(xmlRpcBare('<value><array><data/></array></value>'))).toEqual({
      kind: 'value',
      value: [],
    });
    expect(parseXmlRpcResponse(xmlRpcFault(7, 'no & no'))).toEqual({
      kind: 'fault',
      faultCode: 7,
      faultString: 'no & no',
    });
  });

  test('a call', () => {
    const xml = encodeXmlRpcCall('session.login_with_password', ['root', 'p<w>', '1.0', 'test']);
    expect(parseXmlRpcCall(xml)).toEqual({
      methodName: 'session.login_with_password',
      params: ['root', 'p<w>', '1.0', 'test'],
    });
  });

  test('a task result is a value standing alone', () => {
    expect(parseXmlValue('<value>OpaqueRef:1</value>')).toBe('OpaqueRef:1');
  });
});
