import { beforeAll, describe, expect, test } from 'vitest';
import { methods, type Method } from '../datamodel/registry.ts';
import { roleNames } from '../datamodel/schema.ts';
import { OpenPool } from '../testing/open-pool.ts';
import { allows, assertPermitted } from './rbac.ts';

let pool: OpenPool;

beforeAll(async () => {
  pool = await OpenPool.start();
});

const callable = [...methods().values()].filter((method) => method.session && !method.removed);

/** Whether a role covers what needs another, by their order in the table alone. */
const covers = (has: (typeof roleNames)[number], needed: Method['role']): boolean =>
  needed !== 'local-root' && roleNames.indexOf(has) <= roleNames.indexOf(needed);

describe.each(roleNames)('%s', (role) => {
  test('may call what its role covers, and nothing else', () => {
    for (const method of callable) {
      let refusal: readonly string[] | undefined;
      try {
        assertPermitted({ superuser: false, role }, method);
      } catch (error) {
        refusal = (error as { description?: readonly string[] }).description;
      }
      const expected = covers(role, method.role)
        ? undefined
        : ['RBAC_PERMISSION_DENIED', method.fullName.toLowerCase(), expect.any(String)];
      expect([method.fullName, refusal]).toEqual([method.fullName, expected]);
    }
  });

  test('is refused on the way in, before anything happens', async () => {
    const session = pool.login(role);
    for (const method of callable) {
      if (covers(role, method.role)) continue;
      const params = method.params.map(({ type }) => {
        if (type.kind === 'set') return [];
        if (type.kind === 'map' || type.kind === 'record') return {};
        if (type.kind === 'enum') return [...type.words][0] ?? '';
        if (type.kind === 'datetime') return '20260101T00:00:00Z';
        return type.kind === 'bool' ? false : '1';
      });
      const answer = await pool.raw(method.fullName, session, ...params);
      expect([method.fullName, answer.ok ? 'ok' : answer.error[0]]).toEqual([
        method.fullName,
        'RBAC_PERMISSION_DENIED',
      ]);
    }
  });
});

test('the local superuser may do everything', () => {
  for (const method of callable) {
    expect(() => {
      assertPermitted({ superuser: true, role: 'read-only' }, method);
    }).not.toThrow();
  }
});

test('a key of a map may need less than the map', async () => {
  const [self = ''] = pool.xapi.db.refs('pool');
  const operator = pool.login('vm-operator');
  await pool.as(operator, 'pool.add_to_other_config', self, 'folder', '/x');
  await pool.as(operator, 'pool.add_to_other_config', self, 'XenCenter.CustomFields.colour', 'red');
  await pool.as(operator, 'pool.remove_from_other_config', self, 'folder');
  await expect(pool.as(operator, 'pool.add_to_other_config', self, 'other', 'x')).rejects.toThrow(
    'RBAC_PERMISSION_DENIED pool.add_to_other_config ',
  );
  await expect(pool.as(operator, 'pool.set_other_config', self, {})).rejects.toThrow('RBAC_PERMISSION_DENIED');
  const reader = pool.login('read-only');
  await expect(pool.as(reader, 'pool.add_to_other_config', self, 'folder', 'x')).rejects.toThrow(
    'RBAC_PERMISSION_DENIED pool.add_to_other_config/key:folder ',
  );
  await expect(pool.as(reader, 'pool.add_to_other_config', self, 'XenCenter.CustomFields.a', 'x')).rejects.toThrow(
    'RBAC_PERMISSION_DENIED pool.add_to_other_config/key:xencenter.customfields.* ',
  );
});

test('only the superuser is root', () => {
  for (const role of roleNames) expect(allows({ superuser: false, role }, 'local-root')).toBe(false);
});
