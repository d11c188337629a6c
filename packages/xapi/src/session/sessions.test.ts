import type { Ref } from '@xenolith/base';
import { beforeEach, describe, expect, test } from 'vitest';
import { OpenPool } from '../testing/open-pool.ts';
import { sessionIdleMs, sessionsMax } from './sessions.ts';

let pool: OpenPool;

beforeEach(async () => {
  pool = await OpenPool.start();
  await pool.xapi.sessions.setRootPassword('secret');
});

const login = async (userName: string, password: string, ...more: readonly string[]): Promise<Ref<'session'>> => {
  const answer = await pool.raw('session.login_with_password', userName, password, ...more);
  if (!answer.ok) throw new Error(answer.error.join(' '));
  return answer.value as Ref<'session'>;
};

describe('logging in', () => {
  test('as root with the password, in each of its forms', async () => {
    for (const more of [[], ['1.0'], ['2.21', 'xen-api']]) {
      const session = await login('root', 'secret', ...more);
      expect(session).toMatch(/^OpaqueRef:[0-9a-f-]{36}$/);
      expect(await pool.as(session, 'session.get_originator', session)).toBe(more[1] ?? '');
      expect(await pool.as(session, 'session.get_is_local_superuser', session)).toBe(true);
      expect(await pool.as(session, 'session.get_auth_user_name', session)).toBe('root');
      await pool.as(session, 'VM.get_all');
    }
    const local = await pool.raw('session.slave_local_login_with_password', 'root', 'secret');
    expect(local.ok).toBe(true);
  });

  test.each([
    ['root', 'wrong'],
    ['root', ''],
    ['', 'secret'],
    ['Root', 'secret'],
    ['somebody', 'secret'],
  ])('not as %j with %j', async (userName, password) => {
    await expect(login(userName, password)).rejects.toThrow(
      `SESSION_AUTHENTICATION_FAILED ${userName} Authentication failure`,
    );
  });

  test('not at all while there is no password', async () => {
    pool = await OpenPool.start();
    expect(pool.xapi.sessions.hasRootPassword).toBe(false);
    await expect(login('root', '')).rejects.toThrow('SESSION_AUTHENTICATION_FAILED');
  });

  test('many at once take turns, and more than many are refused', async () => {
    const attempts = Array.from({ length: 300 }, () => pool.raw('session.login_with_password', 'root', 'secret'));
    const answers = await Promise.all(attempts);
    const refused = answers.flatMap((answer) => (answer.ok ? [] : [answer.error]));
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.every((error) => error[0] === 'TOO_BUSY')).toBe(true);
    expect((await pool.raw('session.login_with_password', 'root', 'secret')).ok).toBe(true);
  });
});

describe('a session', () => {
  test.each(['session.logout', 'session.local_logout'])('ends with %s', async (method) => {
    const session = await login('root', 'secret');
    await pool.as(session, method);
    await expect(pool.as(session, 'VM.get_all')).rejects.toThrow(`SESSION_INVALID ${session}`);
    await expect(pool.as(session, method)).rejects.toThrow(`SESSION_INVALID ${session}`);
  });

  test('ends when nobody used it for a day, and its row goes with it', async () => {
    const idle = await login('root', 'secret');
    const busy = await login('root', 'secret');
    await pool.clock.advanceAsync(sessionIdleMs - 1000);
    await pool.as(busy, 'VM.get_all');
    expect(pool.xapi.db.get('session', busy).last_active).toBe('20260101T23:59:59Z');
    await pool.clock.advanceAsync(2000);
    await expect(pool.as(idle, 'VM.get_all')).rejects.toThrow(`SESSION_INVALID ${idle}`);
    await pool.as(busy, 'VM.get_all');
    await pool.clock.advanceAsync(sessionIdleMs + 1);
    await login('root', 'secret');
    expect(pool.xapi.db.count('session')).toBe(1);
  });

  test('writes when it was last used every ten minutes only', async () => {
    const session = await login('root', 'secret');
    const { modified = 0 } = pool.xapi.db.history(session) ?? {};
    for (let n = 0; n < 10; n++) {
      await pool.clock.advanceAsync(60_000);
      await pool.as(session, 'VM.get_all');
    }
    expect(pool.xapi.db.history(session)?.modified).toBe(modified);
    await pool.clock.advanceAsync(60_000);
    await pool.as(session, 'VM.get_all');
    expect(pool.xapi.db.history(session)?.modified).toBeGreaterThan(modified);
  });

  test.each<[string, (n: number) => readonly [userName: string, originator: string]]>([
    ['an originator', (n) => [`user ${n}`, 'same']],
    ['a user', (n) => ['same', `originator ${n}`]],
  ])('makes room for the next when %s has too many: the one unused for longest', async (_, of) => {
    const rights = { superuser: false, role: 'read-only' } as const;
    const opened = Array.from({ length: sessionsMax }, (__, n) => pool.xapi.sessions.open(...of(n), rights));
    await pool.clock.advanceAsync(1000);
    const [first, second] = opened as [Ref<'session'>, Ref<'session'>];
    pool.xapi.sessions.use(first);
    const next = pool.xapi.sessions.open(...of(sessionsMax), rights);
    expect(() => pool.xapi.sessions.use(second)).toThrow('SESSION_INVALID');
    pool.xapi.sessions.use(first);
    pool.xapi.sessions.use(next);
    pool.xapi.sessions.use(pool.session);
    expect(pool.xapi.db.count('session')).toBe(sessionsMax + 1);
  });

  test('is a secret, and so is its uuid: a pool of the same seed has others', async () => {
    const other = await OpenPool.start({ seed: 1 });
    const open = (of: OpenPool): readonly string[] => {
      const session = of.login('read-only');
      return [session, of.xapi.db.get('session', session).uuid];
    };
    const [mine, theirs] = [open(pool), open(other)];
    expect(mine).toEqual(theirs);
    const seeded = await OpenPool.start({ seed: 1, secretSeed: 5 });
    expect(open(seeded)).not.toContain(mine[0]);
    expect(open(seeded)).not.toContain(mine[1]);
  });
});

describe('the password', () => {
  test('is changed by who knows it', async () => {
    expect(await pool.refusal('session.change_password', 'wrong', 'new')).toEqual([
      'SESSION_AUTHENTICATION_FAILED',
      'root',
      expect.any(String),
    ]);
    expect((await pool.refusal('session.change_password', 'secret', ''))[0]).toBe('CHANGE_PASSWORD_REJECTED');
    await pool.call('session.change_password', 'secret', 'new');
    await login('root', 'new');
    await expect(login('root', 'secret')).rejects.toThrow('SESSION_AUTHENTICATION_FAILED');
  });

  test('is root’s own: no role is enough', async () => {
    const admin = pool.login('pool-admin');
    await expect(pool.as(admin, 'session.change_password', 'secret', 'new')).rejects.toThrow('RBAC_PERMISSION_DENIED');
  });
});

test('there are no sessions of an external directory', async () => {
  expect(await pool.call('session.get_all_subject_identifiers')).toEqual([]);
  await pool.call('session.logout_subject_identifier', 'S-1-5');
});
