import { nullRef, type Ref } from '@xenolith/base';
import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryStore } from '../database/store.ts';
import { OpenPool } from '../testing/open-pool.ts';
import type { Directory } from './directory.ts';

let pool: OpenPool;
let self: string;

const roleNamed = async (name: string): Promise<string> =>
  ((await pool.call('role.get_by_name_label', name)) as readonly string[])[0] ?? '';

const enable = (authType = 'local'): Promise<unknown> =>
  pool.call('pool.enable_external_auth', self, {}, 'this pool', authType);

/** A user with a password, and the subject that lets it in. */
async function addUser(name: string, password: string, ...roles: readonly string[]): Promise<readonly string[]> {
  const user = (await pool.call('user.create', { short_name: name, fullname: `${name} Smith` })) as string;
  await pool.call('user.set_password', user, password);
  const identifier = (await pool.call('auth.get_subject_identifier', name)) as string;
  const subject = (await pool.call('subject.create', { subject_identifier: identifier })) as string;
  for (const role of roles) await pool.call('subject.add_to_roles', subject, await roleNamed(role));
  return [user, subject, identifier];
}

async function login(name: string, password: string): Promise<Ref<'session'>> {
  const answer = await pool.raw('session.login_with_password', name, password, '1.0', 'test');
  if (!answer.ok) throw new Error(answer.error.join(' '));
  return answer.value as Ref<'session'>;
}

beforeEach(async () => {
  pool = await OpenPool.start();
  self = pool.xapi.db.refs('pool')[0] ?? '';
  await pool.xapi.sessions.setRootPassword('secret');
});

describe('a local user', () => {
  test('logs in with its password, as its subject, with its role', async () => {
    await enable();
    const [, subject, identifier = ''] = await addUser('ann', 'apple', 'vm-operator');
    const session = await login('ann', 'apple');
    expect(pool.xapi.db.get('session', session)).toMatchObject({
      auth_user_name: 'ann',
      auth_user_sid: identifier,
      is_local_superuser: false,
      subject,
      originator: 'test',
    });
    expect(await pool.as(session, 'session.get_rbac_permissions', session)).toEqual(
      await pool.call('subject.get_permissions_name_label', subject ?? ''),
    );
    await pool.as(session, 'VM.get_all');
    await expect(pool.as(session, 'pool.sync_database')).rejects.toThrow('RBAC_PERMISSION_DENIED pool.sync_database ');
    expect(await pool.call('session.get_all_subject_identifiers')).toEqual([identifier]);
  });

  test.each([
    ['ann', 'wrong'],
    ['ann', ''],
    ['Ann', 'apple'],
    ['nobody', 'apple'],
    ['root', 'apple'],
    ['', 'apple'],
  ])('is not let in as %j with %j', async (name, password) => {
    await enable();
    await addUser('ann', 'apple', 'pool-admin');
    await expect(login(name, password)).rejects.toThrow(`SESSION_AUTHENTICATION_FAILED ${name} Authentication failure`);
    await login('root', 'secret');
  });

  test('is not let in without a subject, without a role, without a password, or while nobody asks the directory', async () => {
    await enable();
    const user = (await pool.call('user.create', { short_name: 'ann', fullname: '' })) as string;
    await expect(login('ann', '')).rejects.toThrow('SESSION_AUTHENTICATION_FAILED ann Authentication failure');
    expect((await pool.refusal('user.set_password', user, ''))[0]).toBe('CHANGE_PASSWORD_REJECTED');
    await pool.call('user.set_password', user, 'apple');
    await expect(login('ann', 'apple')).rejects.toThrow('has no role in this pool');
    const identifier = (await pool.call('auth.get_subject_identifier', 'ann')) as string;
    const subject = (await pool.call('subject.create', { subject_identifier: identifier })) as string;
    await expect(login('ann', 'apple')).rejects.toThrow('has no role in this pool');
    await pool.call('subject.add_to_roles', subject, await roleNamed('read-only'));
    await login('ann', 'apple');
    await pool.call('pool.disable_external_auth', self);
    await expect(login('ann', 'apple')).rejects.toThrow('SESSION_AUTHENTICATION_FAILED ann Authentication failure');
  });

  test('has new rights at once when its roles change, and none when they go', async () => {
    await enable();
    const [, subject = ''] = await addUser('ann', 'apple', 'read-only');
    const session = await login('ann', 'apple');
    await expect(pool.as(session, 'pool.sync_database')).rejects.toThrow('RBAC_PERMISSION_DENIED');
    await pool.call('subject.add_to_roles', subject, await roleNamed('pool-operator'));
    await pool.as(session, 'pool.sync_database');
    await pool.call('subject.remove_from_roles', subject, await roleNamed('pool-operator'));
    await expect(pool.as(session, 'pool.sync_database')).rejects.toThrow('RBAC_PERMISSION_DENIED');
    await pool.call('subject.remove_from_roles', subject, await roleNamed('read-only'));
    await expect(pool.as(session, 'VM.get_all')).rejects.toThrow(`SESSION_INVALID ${session}`);
  });

  test.each<[string, (user: string, subject: string, identifier: string) => readonly [string, string]]>([
    ['its subject is destroyed', (_user, subject) => ['subject.destroy', subject]],
    ['it is destroyed', (user) => ['user.destroy', user]],
    ['the directory is not asked any more', () => ['pool.disable_external_auth', self]],
    ['somebody logs it out', (_user, _subject, identifier) => ['session.logout_subject_identifier', identifier]],
  ])('is logged out when %s, and nobody else', async (_what, call) => {
    await enable();
    const [user = '', subject = '', identifier = ''] = await addUser('ann', 'apple', 'pool-admin');
    const session = await login('ann', 'apple');
    await pool.call(...call(user, subject, identifier));
    await expect(pool.as(session, 'VM.get_all')).rejects.toThrow(`SESSION_INVALID ${session}`);
    await pool.call('VM.get_all');
  });

  test('may end its other sessions and keeps the one that it does it with', async () => {
    await enable();
    const [, , identifier = ''] = await addUser('ann', 'apple', 'pool-admin');
    const [one, other] = [await login('ann', 'apple'), await login('ann', 'apple')];
    await pool.as(one, 'session.logout_subject_identifier', identifier);
    await pool.as(one, 'VM.get_all');
    await expect(pool.as(other, 'VM.get_all')).rejects.toThrow('SESSION_INVALID');
  });

  test('is another one when it is made anew: it has not the roles of the one before', async () => {
    await enable();
    const [user = ''] = await addUser('ann', 'apple', 'pool-admin');
    await pool.call('user.destroy', user);
    await expect(login('ann', 'apple')).rejects.toThrow('Authentication failure');
    const again = (await pool.call('user.create', { short_name: 'ann', fullname: '' })) as string;
    await expect(login('ann', 'apple')).rejects.toThrow('Authentication failure');
    await pool.call('user.set_password', again, 'apple');
    await expect(login('ann', 'apple')).rejects.toThrow('has no role in this pool');
  });

  test('outlasts a restart, its session does not', async () => {
    const store = new MemoryStore();
    pool = await OpenPool.start({ store });
    await enable();
    await addUser('ann', 'apple', 'vm-admin');
    const before = await login('ann', 'apple');
    await pool.xapi.close();
    pool = await OpenPool.start({ store, seed: 3 });
    await expect(pool.as(before, 'VM.get_all')).rejects.toThrow('SESSION_INVALID');
    await pool.as(await login('ann', 'apple'), 'VM.get_all');
  });

  test.each([['root'], [''], ['a b'], ['-a'], ['a\n'], ['a'.repeat(65)], ['ann']])(
    'cannot be called %j when that is no name, or taken',
    async (name) => {
      await pool.call('user.create', { short_name: 'ann', fullname: '' });
      expect(await pool.refusal('user.create', { short_name: name, fullname: '' })).toEqual([
        'INVALID_VALUE',
        'short_name',
        name,
      ]);
    },
  );
});

describe('subjects', () => {
  test('are one an identifier, and have each role once', async () => {
    const subject = (await pool.call('subject.create', { subject_identifier: 'S-1' })) as string;
    expect(await pool.call('subject.get_roles', subject)).toEqual([]);
    expect(await pool.call('subject.get_permissions_name_label', subject)).toEqual([]);
    const [reader, cert] = [await roleNamed('read-only'), await roleNamed('client-cert')];
    const [permission = ''] = (await pool.call('role.get_by_name_label', 'vm.start')) as readonly string[];
    await pool.call('subject.add_to_roles', subject, reader);
    for (const [refusal, method, ...params] of [
      [['SUBJECT_ALREADY_EXISTS'], 'subject.create', { subject_identifier: 'S-1' }],
      [['INVALID_VALUE', 'subject_identifier', ''], 'subject.create', {}],
      [['ROLE_ALREADY_EXISTS'], 'subject.add_to_roles', subject, reader],
      [['ROLE_NOT_FOUND'], 'subject.add_to_roles', subject, cert],
      [['ROLE_NOT_FOUND'], 'subject.add_to_roles', subject, permission],
      [['ROLE_NOT_FOUND'], 'subject.add_to_roles', subject, 'OpaqueRef:none'],
      [['ROLE_NOT_FOUND'], 'subject.remove_from_roles', subject, await roleNamed('pool-admin')],
      [['HANDLE_INVALID', 'subject', 'OpaqueRef:none'], 'subject.add_to_roles', 'OpaqueRef:none', reader],
      [['HANDLE_INVALID', 'subject', 'OpaqueRef:none'], 'subject.destroy', 'OpaqueRef:none'],
    ] as const) {
      expect([method, await pool.refusal(method, ...params)]).toEqual([method, refusal]);
    }
  });
});

describe('the directory', () => {
  test('that is asked is one of those that there are, one at a time', async () => {
    expect(await pool.refusal('auth.get_subject_identifier', 'ann')).toEqual(['AUTH_IS_DISABLED']);
    expect(await pool.refusal('pool.enable_external_auth', self, {}, 'x', 'AD')).toEqual(['AUTH_UNKNOWN_TYPE', 'AD']);
    await enable();
    expect(await pool.refusal('pool.enable_external_auth', self, {}, 'x', 'local')).toEqual([
      'POOL_AUTH_ALREADY_ENABLED',
      nullRef(),
    ]);
    await pool.call('pool.detect_nonhomogeneous_external_auth', self);
    for (const method of ['get_subject_identifier', 'get_subject_information_from_identifier', 'get_group_membership'])
      expect(await pool.refusal(`auth.${method}`, 'nobody')).toEqual(['SUBJECT_CANNOT_BE_RESOLVED']);
    const [, , identifier = ''] = await addUser('ann', 'apple');
    expect(await pool.call('auth.get_subject_information_from_identifier', identifier)).toMatchObject({
      'subject-name': 'ann',
      'subject-displayname': 'ann Smith',
      'subject-is-group': 'false',
      'subject-account-disabled': 'false',
    });
    expect(await pool.call('auth.get_group_membership', identifier)).toEqual([]);
  });

  test('may be another one, whose groups are subjects too: the highest role of all counts', async () => {
    const directory: Directory = {
      authType: 'memory',
      authenticate: (name, password) => Promise.resolve(password === 'pear' ? `id-${name}` : undefined),
      identifierOf: (name) => Promise.resolve(`id-${name}`),
      informationOf: (identifier) => Promise.resolve({ 'subject-name': identifier }),
      groupsOf: (identifier) => Promise.resolve(identifier === 'id-eve' ? ['id-staff', 'id-admins'] : []),
    };
    pool = await OpenPool.start({ directories: [directory] });
    self = pool.xapi.db.refs('pool')[0] ?? '';
    await enable('memory');
    for (const [identifier, role] of [
      ['id-staff', 'read-only'],
      ['id-admins', 'pool-operator'],
    ] as const) {
      const subject = (await pool.call('subject.create', { subject_identifier: identifier })) as string;
      await pool.call('subject.add_to_roles', subject, await roleNamed(role));
    }
    const session = await login('eve', 'pear');
    await pool.as(session, 'pool.sync_database');
    await expect(login('adam', 'pear')).rejects.toThrow('has no role in this pool');
    await expect(login('eve', 'plum')).rejects.toThrow('Authentication failure');
  });
});
