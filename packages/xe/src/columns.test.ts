import { classTables } from '@xenolith/xapi';
import { describe, expect, test } from 'vitest';
import { columnsOf, findColumn, loadClass } from './columns.ts';
import { objects } from './objects.ts';

describe('every object', () => {
  test.each(objects.map(({ name, className, shown }) => [name, className, shown] as const))(
    '%s has the fields that its list shows',
    async (_, className, shown) => {
      const table = await loadClass(className);
      expect(table.name).toBe(className);
      const columns = columnsOf(table);
      for (const name of shown.split(' ')) expect(findColumn(columns, name), name).toBeDefined();
      expect(new Set(columns.map(({ name }) => name)).size, 'names that are two').toBe(columns.length);
    },
  );
});

test('every class that can be listed has an object', () => {
  const listed = Object.values(classTables)
    .filter((table) => table.getAll || Object.hasOwn(table.messages, 'get_all_records'))
    .filter(({ lifecycle }) => !Object.hasOwn(lifecycle, 'removed'))
    .map(({ name }) => name);
  const named = new Set(objects.map(({ className }) => className));
  expect(listed.filter((name) => !named.has(name))).toEqual([]);
  expect(new Set(objects.map(({ name }) => name)).size).toBe(objects.length);
});

test.each([
  ['VM', 'name-label', 'RW', 'name_label'],
  ['VM', 'power-state', 'RO', 'power_state'],
  ['VM', 'is-a-template', 'RW', 'is_a_template'],
  ['VM', 'memory-static-max', 'RW', 'memory_static_max'],
  ['VM', 'tags', 'SRW', 'tags'],
  ['VM', 'other-config', 'MRW', 'other_config'],
  ['VM', 'allowed-operations', 'SRO', 'allowed_operations'],
  ['VM', 'dom-id', 'RO', 'domid'],
  ['VM', 'domid', 'RO', 'domid'],
  ['VM', 'memory-actual', 'RO', 'memory_actual'],
  ['VM', 'resident-on', 'RO', 'uuid'],
  ['VBD', 'vm-uuid', 'RO', 'uuid'],
  ['VBD', 'vm-name-label', 'RO', 'name_label'],
  ['VBD', 'qos_algorithm_type', 'RW', 'qos_algorithm_type'],
  ['host', 'cpu_info', 'MRO', 'cpu_info'],
  ['host', 'memory-free', 'RO', 'memory_free'],
  ['PBD', 'host-uuid', 'RO', 'uuid'],
  ['VM', 'cpupool', 'RW', 'uuid'],
  ['VM', 'cpupool-name-label', 'RO', 'name_label'],
  ['cpupool', 'cpu-numbers', 'RO', 'number'],
  ['cpupool', 'parameters', 'MRW', 'parameters'],
  ['VDI', 'virtual-size', 'RO', 'virtual_size'],
] as const)('%s %s', (className, name, tag, field) => {
  const column = findColumn(columnsOf(classTables[className]), name);
  expect(column).toMatchObject({ tag, field });
});

test('a column that is not there is not found', () => {
  expect(findColumn(columnsOf(classTables.VM), 'nothing')).toBeUndefined();
});
