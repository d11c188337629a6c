import { ref } from '@xenolith/base';
import { beforeEach, describe, expect, test } from 'vitest';
import { OpenPool } from '../testing/open-pool.ts';

let pool: OpenPool;
let lines: string[];
let self: string;

beforeEach(async () => {
  lines = [];
  pool = await OpenPool.start({ audit: { append: (line) => lines.push(line) } });
  self = pool.xapi.db.refs('pool')[0] ?? '';
  await pool.xapi.sessions.setRootPassword('secret');
  lines.length = 0;
});

/** A line without what differs from session to session. */
const plain = (line = ''): string => line.replace(/^\[[^\]]*\] /, '').replace(/trackid=[0-9a-f]{32}/, 'trackid=T');

describe('a line', () => {
  test('has the form of XAPI: when, who, whether it might and could, and what, by the name from before', async () => {
    await pool.call('pool.set_name_label', self, 'mine');
    const { uuid } = pool.xapi.db.get('pool', ref<'pool'>(self));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^\[20260101T00:00:00\.000Z\|info\|xenolith\|0 \|pool\.set_name_label\|audit\] \('trackid=[0-9a-f]{32}' /,
    );
    expect(plain(lines[0])).toBe(
      `('trackid=T' 'LOCAL_SUPERUSER' 'root' 'ALLOWED' 'OK' 'API' 'pool.set_name_label' (('self' 'Xenolith' '${uuid}' '${self}')))`,
    );
  });

  test('tells a failure by its code, and a refusal by want of rights', async () => {
    await pool.refusal('task.destroy', 'OpaqueRef:none');
    expect(plain(lines[0])).toBe(
      "('trackid=T' 'LOCAL_SUPERUSER' 'root' 'ALLOWED' 'ERROR:HANDLE_INVALID' 'API' 'task.destroy' (('self' '' '' 'OpaqueRef:none')))",
    );
    const reader = pool.login('read-only', 'ann');
    lines.length = 0;
    await pool.raw('pool.set_name_label', reader, self, 'x');
    expect(plain(lines[0])).toContain(
      "'' 'ann' 'DENIED' 'ERROR:RBAC_PERMISSION_DENIED' 'API' 'pool.set_name_label' (('self' 'Xenolith'",
    );
  });

  test('is written once the work in the background has ended', async () => {
    await pool.call('Async.pool.sync_database');
    await pool.clock.advanceAsync(1);
    expect(lines.map(plain)).toEqual([
      "('trackid=T' 'LOCAL_SUPERUSER' 'root' 'ALLOWED' 'OK' 'API' 'pool.sync_database' ())",
    ]);
  });

  test('stays one line, whatever a name holds, and no longer than it should be', async () => {
    await pool.call('task.create', `it's\\a\n[x|y] ${'z'.repeat(1000)}`, '');
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain('\n');
    expect(lines[0]).toContain("('label' 'it\\'s\\\\a\\010[x|y] zzz");
    expect(lines[0]?.length).toBeLessThan(600);
  });
});

describe('logins', () => {
  test('are written with their end, and so is one that failed', async () => {
    const answer = await pool.raw('session.login_with_password', 'root', 'secret');
    const session = answer.ok ? String(answer.value) : '';
    await pool.raw('session.login_with_password', 'root', 'wrong');
    await pool.raw('session.logout', session);
    expect(lines.map(plain)).toEqual([
      "('trackid=T' 'LOCAL_SUPERUSER' 'root' 'ALLOWED' 'OK' 'API' 'session.create' (('uname' 'root' '' '')))",
      "('trackid=' '' 'root' 'DENIED' 'ERROR:SESSION_AUTHENTICATION_FAILED' 'API' 'session.create' (('uname' 'root' '' '')))",
      "('trackid=T' 'LOCAL_SUPERUSER' 'root' 'ALLOWED' 'OK' 'API' 'session.destroy' (('uname' 'root' '' '')))",
    ]);
    const [first, , last] = lines.map((line) => /trackid=[0-9a-f]+/.exec(line)?.[0]);
    expect(first).toBe(last);
  });
});

describe('what is not written', () => {
  test.each([
    ['VM.get_all'],
    ['pool.get_all_records'],
    ['event.from', [], '', 0],
    ['session.get_uuid', 'session'],
    ['task.get_by_name_label', 'x'],
  ] as const)('is what only reads: %s', async (method, ...params) => {
    await pool.raw(method, pool.session, ...params.map((each) => (each === 'session' ? pool.session : each)));
    expect(lines).toEqual([]);
  });

  test('are secrets', async () => {
    await pool.call('session.change_password', 'secret', 'hush-hush');
    await pool.call('secret.create', { value: 'hush-hush', other_config: {} });
    const user = (await pool.call('user.create', { short_name: 'ann', fullname: '' })) as string;
    await pool.call('user.set_password', user, 'hush-hush');
    await pool.call('session.add_to_other_config', pool.session, 'a', 'hush-hush');
    await pool.raw('session.login_with_password', 'ann', 'hush-hush');
    expect(lines).toHaveLength(6);
    expect(lines.join('\n')).not.toContain('hush');
    expect(lines.join('\n')).not.toContain(pool.session);
    expect(lines.join('\n')).not.toContain(pool.xapi.db.get('session', pool.session).uuid);
  });
});
