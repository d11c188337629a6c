import type { WireValue } from '@xenolith/wire';
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

/** Arguments of the right types that mean nothing. */
const argumentsOf = (method: Method): readonly WireValue[] =>
  method.params.map(({ type }) => {
    if (type.kind === 'set') return [];
    if (type.kind === 'map' || type.kind === 'record') return {};
    if (type.kind === 'enum') return [...type.words][0] ?? '';
    if (type.kind === 'datetime') return '20260101T00:00:00Z';
    if (type.kind === 'float') return 0;
    return type.kind === 'bool' ? false : '1';
  });

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

  test('calls everything: what its role does not cover is refused on the way in, and only that', async () => {
    pool = await OpenPool.start();
    for (const method of callable) {
      const session = pool.login(role);
      const answer = await pool.raw(method.fullName, session, ...argumentsOf(method));
      const isDenied = !answer.ok && answer.error[0] === 'RBAC_PERMISSION_DENIED';
      expect([method.fullName, isDenied]).toEqual([method.fullName, !covers(role, method.role)]);
      if (isDenied) expect(answer.error[1]).toBe(method.fullName.toLowerCase());
      if (pool.xapi.db.has('session', session)) pool.xapi.sessions.close(session);
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
