import { describe, expect, test } from 'vitest';
import { recordShape } from '../database/record-shape.ts';
import { MemoryStore } from '../database/store.ts';
import { methods } from '../datamodel/registry.ts';
import { roleNames } from '../datamodel/schema.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { OpenPool } from '../testing/open-pool.ts';

describe('the first start', () => {
  test('makes one pool with every field', async () => {
    const pool = await OpenPool.start();
    const records = Object.values((await pool.call('pool.get_all_records')) as Record<string, RecordOf<'pool'>>);
    expect(records).toHaveLength(1);
    expect(Object.keys(records[0] ?? {}).sort()).toEqual(Object.keys(recordShape('pool').empty).sort());
    expect(records[0]?.uuid).toMatch(/^[0-9a-f-]{36}$/);
    expect(records[0]?.name_label).toBe('Xenolith');
    expect(records[0]?.restrictions).toEqual({
      restrict_ad: 'true',
      restrict_ha: 'true',
      restrict_storage_xenmotion: 'false',
      restrict_wlb: 'true',
      restrict_xen_motion: 'false',
    });
  });

  test('is followed by others that change nothing', async () => {
    const store = new MemoryStore();
    const first = await OpenPool.start({ store });
    const [self = ''] = first.xapi.db.refs('pool');
    await first.call('pool.set_name_label', self, 'mine');
    const before = [first.xapi.db.getAny('pool', self), ...first.xapi.db.allAny('role')];
    const { generation } = store.load();
    await first.xapi.close();
    const again = await OpenPool.start({ store, seed: 2 });
    expect([again.xapi.db.getAny('pool', self), ...again.xapi.db.allAny('role')]).toEqual(before);
    expect(again.xapi.db.count('pool')).toBe(1);
    expect(store.load().generation).toBeGreaterThan(generation);
  });
});

describe('roles', () => {
  test('are the seven of XAPI, pool-admin under the uuid that clients know', async () => {
    const pool = await OpenPool.start();
    const records = (await pool.call('role.get_all_records')) as Readonly<Record<string, RecordOf<'role'>>>;
    expect(Object.values(records).map((role) => role.name_label)).toEqual([...roleNames]);
    expect(records['OpaqueRef:0165f154-ba3e-034e-6b27-5d271af109ba']?.name_label).toBe('pool-admin');
    for (const [ref, role] of Object.entries(records)) expect(ref).toBe(`OpaqueRef:${role.uuid}`);
    expect(new Set(Object.keys(records)).size).toBe(roleNames.length);
  });

  test('have the permissions of the methods that they may call', async () => {
    const pool = await OpenPool.start();
    for (const role of roleNames) {
      const [ref = ''] = (await pool.call('role.get_by_name_label', role)) as readonly string[];
      const names = (await pool.call('role.get_permissions_name_label', ref)) as readonly string[];
      const held = new Set(names);
      expect(held.size).toBe(names.length);
      for (const method of methods().values()) {
        if (!method.session || method.removed) continue;
        const expected = method.role !== 'local-root' && roleNames.indexOf(role) <= roleNames.indexOf(method.role);
        expect([method.fullName, held.has(method.fullName.toLowerCase())]).toEqual([method.fullName, expected]);
      }
      expect(held.has('task.destroy/any')).toBe(['pool-admin', 'pool-operator'].includes(role));
    }
  });

  test('and permissions can be read like roles, and asked for theirs', async () => {
    const pool = await OpenPool.start();
    const [operator = ''] = (await pool.call('role.get_by_name_label', 'vm-operator')) as readonly string[];
    const permissions = (await pool.call('role.get_permissions', operator)) as readonly string[];
    expect(new Set(permissions).size).toBe(permissions.length);
    const [start = ''] = (await pool.call('role.get_by_name_label', 'vm.start')) as readonly string[];
    expect(permissions).toContain(start);
    const record = (await pool.call('role.get_record', start)) as RecordOf<'role'>;
    expect(record).toMatchObject({ name_label: 'vm.start', subroles: [] });
    expect(await pool.call('role.get_name_label', start)).toBe('vm.start');
    expect(await pool.call('role.get_by_uuid', record.uuid)).toBe(start);
    expect(await pool.call('role.get_permissions_name_label', start)).toEqual(['vm.start']);
    const holders = ['pool-admin', 'pool-operator', 'vm-power-admin', 'vm-admin', 'vm-operator'];
    for (const refs of [
      await pool.call('role.get_by_permission', start),
      await pool.call('role.get_by_permission_name_label', 'vm.start'),
    ]) {
      const labels = (refs as readonly string[]).map((ref) => pool.xapi.db.getAny('role', ref)['name_label']);
      expect(labels).toEqual(holders);
    }
    expect(await pool.call('role.get_by_permission', 'OpaqueRef:nobody')).toEqual([]);
    expect(await pool.call('role.get_by_permission_name_label', 'nonsense')).toEqual([]);
    expect(await pool.refusal('role.get_permissions', 'OpaqueRef:x')).toEqual([
      'HANDLE_INVALID',
      'role',
      'OpaqueRef:x',
    ]);
  });

  test('list as subroles the role below them and what it lacks, so that each of them leads to all it may do', async () => {
    const pool = await OpenPool.start();
    const records = (await pool.call('role.get_all_records')) as Readonly<Record<string, RecordOf<'role'>>>;
    const expand = (ref: string): readonly string[] => {
      const role = records[ref];
      return role === undefined ? [ref] : role.subroles.flatMap(expand);
    };
    for (const ref of Object.keys(records)) {
      const permissions = (await pool.call('role.get_permissions', ref)) as readonly string[];
      expect(expand(ref).toSorted()).toEqual(permissions.toSorted());
    }
  });
});

test('a secret can come with its uuid, once', async () => {
  const pool = await OpenPool.start();
  const uuid = '00000000-0000-4000-8000-000000000001';
  const secret = (await pool.call('secret.introduce', uuid, 'v')) as string;
  expect(await pool.call('secret.get_value', secret)).toBe('v');
  expect(await pool.refusal('secret.introduce', uuid, 'v')).toEqual([
    'DB_UNIQUENESS_CONSTRAINT_VIOLATION',
    'secret',
    'uuid',
    uuid,
  ]);
  expect(await pool.refusal('secret.introduce', 'x', 'v')).toEqual(['INVALID_VALUE', 'uuid', 'x']);
  const reader = pool.login('vm-admin');
  await expect(pool.as(reader, 'secret.get_value', secret)).rejects.toThrow('RBAC_PERMISSION_DENIED');
  await expect(pool.as(reader, 'secret.get_all_records')).rejects.toThrow('RBAC_PERMISSION_DENIED');
});
