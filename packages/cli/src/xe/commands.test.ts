import { expect, test } from 'vitest';
import { commands, findCommand } from './commands.ts';
import { helpText } from './help.ts';
import { objects } from './objects.ts';
import { checkKeys } from './run-command.ts';
import { readAnswer } from './rpc.ts';
import { plainResult } from './task.ts';

test('every command is found by its name, and only once', () => {
  const names = commands().map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const command of commands()) expect(findCommand(command.name)?.name).toBe(command.name);
  expect(findCommand('vm-foo')).toBeUndefined();
  expect(findCommand('foo-list')).toBeUndefined();
});

test('every object has its generic commands', () => {
  for (const { name } of objects) {
    for (const verb of ['list', 'param-list', 'param-get', 'param-set', 'param-add', 'param-remove', 'param-clear']) {
      expect(findCommand(`${name}-${verb}`), `${name}-${verb}`).toBeDefined();
    }
  }
});

test('help knows every command', () => {
  const all = helpText(['all']).split('\n');
  expect(all.map((line) => line.split(' ')[0]).filter((name) => name !== '')).toEqual(
    commands().map(({ name }) => name),
  );
  expect(helpText(['vif-create'])).toBe(
    'vif-create device= network-uuid= vm-uuid= [mac=]\n  gives a VM an interface on a network and prints its uuid\n',
  );
  expect(helpText([])).toContain('vm-start');
  expect(() => helpText(['nothing'])).toThrow('no command nothing');
});

test.each([
  ['vdi-create', { 'sr-uuid': 'x', 'name-label': 'x', 'virtual-size': '1', 'sm-config:a': 'b' }, [], undefined],
  ['vdi-create', { 'sr-uuid': 'x' }, [], 'vdi-create needs name-label='],
  ['vbd-destroy', { uuid: 'x', foo: 'y' }, [], 'vbd-destroy takes no foo='],
  ['vm-start', { vm: 'x', on: 'y' }, [], undefined],
  ['vm-list', { 'other-config:a': 'b' }, [], undefined],
  ['vm-start', {}, ['stray'], 'stray: expected key=value'],
] as const)('%s %j', (name, values, words, problem) => {
  const command = findCommand(name);
  if (command === undefined) throw new Error(name);
  const check = (): void => checkKeys(command, { values: new Map(Object.entries(values)), words });
  if (problem === undefined) check();
  else expect(check).toThrow(problem);
});

test.each([
  ['', ''],
  ['<value>OpaqueRef:1</value>', 'OpaqueRef:1'],
  ['<value><string>a &lt;b&gt; &amp;amp; "c"</string></value>', 'a <b> &amp; "c"'],
  ['OpaqueRef:2', 'OpaqueRef:2'],
])('a task that gave %s', (xml, text) => {
  expect(plainResult(xml)).toBe(text);
});

test('answers: results, refusals, integers beyond a double, and what is no answer', () => {
  expect(readAnswer('{"jsonrpc":"2.0","result":[1,"a"],"id":1}')).toEqual([1, 'a']);
  expect(readAnswer('{"result":9223372036854775807}')).toBe('9223372036854775807');
  expect(readAnswer('{"result":"9223372036854775807"}')).toBe('9223372036854775807');
  expect(readAnswer('{"result":1e300}')).toBe(1e300);
  const refused = (): unknown => readAnswer('{"error":{"code":1,"message":"UUID_INVALID","data":["VM","x"]}}');
  expect(refused).toThrow(expect.objectContaining({ code: 'UUID_INVALID', params: ['VM', 'x'] }));
  for (const text of ['', 'x', '1', '{}', 'null']) expect(() => readAnswer(text)).toThrow('the server');
});
