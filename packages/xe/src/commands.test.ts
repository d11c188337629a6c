import { expect, test } from 'vitest';
import { commands, findCommand } from './commands.ts';
import { helpJson, helpText } from './help.ts';
import { objects } from './objects.ts';
import { checkKeys } from './run.ts';
import { plainResult } from './task.ts';

test('every command is found by its name, and only once', async () => {
  const all = await commands();
  const names = all.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const command of all) expect((await findCommand(command.name))?.name).toBe(command.name);
  expect(await findCommand('vm-foo')).toBeUndefined();
  expect(await findCommand('foo-list')).toBeUndefined();
});

test('every object has its generic commands', async () => {
  for (const { name } of objects) {
    for (const verb of ['list', 'param-list', 'param-get', 'param-set', 'param-add', 'param-remove', 'param-clear']) {
      expect(await findCommand(`${name}-${verb}`), `${name}-${verb}`).toBeDefined();
    }
  }
});

test('help knows every command', async () => {
  const all = (await helpText(['all'])).split('\n');
  const names = (await commands()).map(({ name }) => name);
  expect(all.map((line) => line.split(' ')[0]).filter((name) => name !== '')).toEqual(names);
  const json: unknown = JSON.parse(await helpJson([]));
  expect(json).toEqual(names.map((name): unknown => expect.objectContaining({ name })));
  expect(await helpText([])).toContain('vm-start');
  await expect(helpText(['nothing'])).rejects.toThrow('no command nothing');
});

test('help for one command has the lines of xe', async () => {
  expect(await helpText(['vif-create'])).toBe(`command name            : vif-create
        reqd params     : device, network-uuid, vm-uuid
        optional params : mac
        description     : gives a VM an interface on a network and prints its uuid
`);
  expect(await helpText(['cpupool-create'])).toBe(`command name            : cpupool-create
        reqd params     : name-label
        optional params : host-uuid, scheduler, cpus, parameters:
        description     : makes a cpupool of free CPUs (cpus=0-3,5) and prints its uuid; on the coordinator when no host is given
`);
  expect(await helpText(['vm-suspend'])).toBe(`command name            : vm-suspend
        reqd params     :
        optional params : <vm-selectors>
        description     : writes its memory to disk and ends its domain

<vm-selectors>: uuid=, vm=NAME-OR-UUID, or FIELD=VALUE …; --multiple for several
`);
});

test.each([
  ['vdi-create', { 'sr-uuid': 'x', 'name-label': 'x', 'virtual-size': '1', 'sm-config:a': 'b' }, [], undefined],
  ['vdi-create', { 'sr-uuid': 'x' }, [], 'vdi-create needs name-label= virtual-size='],
  ['vbd-destroy', { uuid: 'x', foo: 'y' }, [], 'vbd-destroy takes no foo='],
  ['vm-start', { vm: 'x', on: 'y' }, [], undefined],
  ['vm-list', { 'other-config:a': 'b' }, [], undefined],
  ['cpupool-create', { 'name-label': 'x', cpus: '0', 'parameters:ratelimit_us': '500' }, [], undefined],
  ['cpupool-cpu-add', { uuid: 'x' }, [], 'cpupool-cpu-add needs cpus='],
  ['cpupool-vm-move', { uuid: 'x', vm: 'y', host: 'z' }, [], 'cpupool-vm-move takes no host='],
  ['vm-start', {}, ['stray'], 'stray: expected key=value'],
] as const)('%s %j', async (name, values, words, problem) => {
  const command = await findCommand(name);
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
