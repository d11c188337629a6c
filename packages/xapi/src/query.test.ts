import { describe, expect, test } from 'vitest';
import { classTable } from './datamodel/data-type.ts';
import { XapiError } from './errors.ts';
import { recordShape, type AnyRecord } from './database/record-shape.ts';
import { parseQuery } from './query.ts';

const vm: AnyRecord = {
  ...recordShape('VM').empty,
  uuid: 'u-1',
  name_label: 'web',
  is_a_template: true,
  memory_target: 5,
  power_state: 'Running',
  resident_on: 'OpaqueRef:h',
  tags: ['a', "b'c"],
  other_config: { key: 'x\\y' },
};

const matches = (expression: string): boolean => parseQuery(classTable('VM'), expression)('OpaqueRef:vm', vm);

describe('a filter is true or false', () => {
  test.each<[string, boolean]>([
    ['true', true],
    ['false', false],
    ['field "name__label" = "web"', true],
    ['"web" = field "name__label"', true],
    ['field "name__label"="Web"', false],
    ['"a" = "a"', true],
    ['field "_ref" = "OpaqueRef:vm"', true],
    ['field "uuid" = "u-1"', true],
    ['field "is_a_template" = "true"', true],
    ['field "memory__target" = "5"', true],
    ['field "power_state" = "Running"', true],
    ['field "power_state" = "running"', false],
    ['field "resident_on" = "OpaqueRef:h"', true],
    ['field "VBDs" = "()"', true],
    ['field "xenstore_data" = "()"', true],
    ['field "tags" = "()"', false],
    ['field "tags" = field "tags"', true],
    [' (\ttrue\n)\r', true],
    // Both bind alike, from the left.
    ['true or false and false', false],
    ['false and false or true', true],
    ['true or (false and false)', true],
    // Not reaches to the end.
    ['not false', true],
    ['not true or true', false],
    ['(not true) or true', true],
    ['false and not true or true', false],
    ['not not true', true],
    ['not(false)and(true)', true],
  ])('%s', (expression, expected) => {
    expect(matches(expression)).toBe(expected);
  });
});

describe('bad filters are refused', () => {
  test.each([
    '',
    ' ',
    'true false',
    'true and',
    'and true',
    'not',
    '(true',
    'true)',
    'TRUE',
    'field "name__label"',
    'field name__label = "x"',
    'field "name__label" == "x"',
    'field "name__label" = x',
    'field "name__label" = "x',
    'field "name__label" = "it\'s"',
    "field 'name__label' = 'x'",
    'field "name_label" = "x"',
    'field "nonsense" = "x"',
    'field "constructor" = "x"',
    'field "" = ""',
    '"a" = "b" = "c"',
    'true; drop',
    `${'('.repeat(5000)}true${')'.repeat(5000)}`,
    'not '.repeat(5000),
  ])('%j', (expression) => {
    expect(() => matches(expression)).toThrow(XapiError);
    expect(() => matches(expression)).toThrow('INTERNAL_ERROR');
  });
});

test('fields that clients never see cannot be asked for', () => {
  expect(() => parseQuery(classTable('task'), 'field "session" = "OpaqueRef:secret"')).toThrow('INTERNAL_ERROR');
});

test('a long chain takes no stack', () => {
  expect(matches(Array.from({ length: 20_000 }, () => 'true').join(' and '))).toBe(true);
});
