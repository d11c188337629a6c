/** Consoles of modelled domains, over real connections. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  bytes,
  domId,
  gibBytes,
  ManualClock,
  mibBytes,
  SeededRandom,
  uuid,
  type DomId,
  type Ref,
} from '@xenolith/base';
import { defaultModelShape, guestFiles, ModelDriver, ModelHost } from '@xenolith/host';
import { HostError, MemoryStore, silentLog, Xapi, XapiError } from '@xenolith/xapi';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { systemRandom } from '../start/system-clock.ts';
import { serverCertificate } from '../tls/certificate.ts';
import type { Listener } from './listener.ts';
import { exchange, RawConnection } from './raw-exchange.ts';
import { serveXapi } from './serve.ts';

const vmUuid = uuid('11111111-2222-4333-8444-555555555555');
const password = 'p:ss word';

let directory = '';
let clock: ManualClock;
let xapi: Xapi;
let driver: ModelDriver;
let listener: Listener;
let vm: Ref<'VM'>;
let consoleUuid = '';
let session = '';
let domid: DomId;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-console-'));
  clock = new ManualClock();
  driver = new ModelDriver(new ModelHost({ ...defaultModelShape, memoryBytes: bytes(4 * gibBytes) }, 1, clock));
  await driver.connect();
  xapi = new Xapi({
    store: new MemoryStore(),
    clock,
    random: new SeededRandom(1),
    secrets: systemRandom(),
    passwords: { hash: (text) => Promise.resolve(text), verify: (text, hash) => Promise.resolve(text === hash) },
    openHost: () => {
      throw new HostError('unreachable', 'the test has its own');
    },
    log: silentLog,
    version: '0.0.0',
  });
  await xapi.start();
  await xapi.sessions.setRootPassword(password);
  session = xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
  const memoryBytes = bytes(128 * mibBytes);
  domid = await driver.create(
    {
      uuid: vmUuid,
      nameLabel: 'talker',
      type: 'pv',
      ...guestFiles,
      cmdline: 'console=hvc0',
      vcpusMax: 1,
      vcpusAtStartup: 1,
      memoryMaxBytes: memoryBytes,
      memoryTargetBytes: memoryBytes,
      disks: [],
      vifs: [],
      onPoweroff: 'preserve',
      onReboot: 'restart',
      onCrash: 'preserve',
    },
    { paused: false },
  );
  vm = xapi.db.create('VM', { uuid: vmUuid, name_label: 'talker', power_state: 'Running', domid });
  const consoleRef = xapi.db.create('console', { protocol: 'vt100', VM: vm });
  consoleUuid = xapi.db.get('console', consoleRef).uuid;
  listener = await serveXapi({
    xapi,
    openConsole: (self) => driver.openConsole({ domid: domId(xapi.db.get('VM', self).domid), uuid: vmUuid }),
    host: '127.0.0.1',
    port: 0,
    tls: await serverCertificate(directory, '127.0.0.1'),
    log: silentLog,
  });
});

afterEach(async () => {
  await listener.close();
  await xapi.close();
  rmSync(directory, { recursive: true, force: true });
});

const connectRequest = (query: string, ...headers: readonly string[]): string =>
  ['CONNECT /console?'.concat(query, ' HTTP/1.1'), 'Host: test', ...headers, '', ''].join('\r\n');
const basic = (user: string, word: string): string =>
  `Authorization: Basic ${Buffer.from(`${user}:${word}`).toString('base64')}`;

describe('CONNECT', () => {
  const ways = (): readonly (readonly [string, string, readonly string[]])[] => [
    ['the uuid of the console', `uuid=${consoleUuid}&session_id=${session}`, []],
    ['the uuid of the VM', `uuid=${vmUuid}&session_id=${session}`, []],
    ['the reference of the VM', `ref=${vm}&session_id=${session}`, []],
    ['a cookie', `uuid=${consoleUuid}`, [`Cookie: a=b; session_id=${encodeURIComponent(session)}; c=d`]],
    ['a user and password', `uuid=${consoleUuid}`, [basic('root', password)]],
  ];

  test('streams what the domain prints, and takes what is typed, however the console and the caller are named', async () => {
    for (const [what, query, headers] of ways()) {
      const connection = await RawConnection.open(listener.port);
      connection.write(connectRequest(query, ...headers));
      const answer = await connection.answer();
      expect(answer.status, what).toBe(200);
      expect(await connection.until('console=hvc0'), what).toContain('[model]');
      connection.close();
    }
  });

  test('HTTP/1.0 will do', async () => {
    const connection = await RawConnection.open(listener.port);
    connection.write(`CONNECT /console?uuid=${consoleUuid}&session_id=${session} HTTP/1.0\r\n\r\n`);
    expect((await connection.answer()).status).toBe(200);
    await connection.until('[model]');
    connection.close();
  });

  test('what is typed is answered', async () => {
    await clock.advanceAsync(5000);
    const connection = await RawConnection.open(listener.port);
    // Typed before the answer came: nothing of it may be lost.
    connection.write(`${connectRequest(`uuid=${consoleUuid}&session_id=${session}`)}hello\r`);
    await connection.until(': up');
    await connection.until('hello');
    connection.close();
  });

  test('a client that leaves while it is being looked at leaves nothing behind', async () => {
    const connection = await RawConnection.open(listener.port);
    const ended = new Promise((resolve) => xapi.sessions.ended.listen(resolve));
    connection.socket.write(connectRequest(`uuid=${consoleUuid}`, basic('root', password)), () => connection.close());
    await ended;
    expect(xapi.db.count('session')).toBe(1);
  });

  test('it ends with the domain', async () => {
    const connection = await RawConnection.open(listener.port);
    connection.write(connectRequest(`uuid=${consoleUuid}&session_id=${session}`));
    await connection.until('[model]');
    await driver.destroy({ domid, uuid: vmUuid });
    await connection.end();
  });

  test('it ends with the session, and a session made for it ends with it', async () => {
    const connection = await RawConnection.open(listener.port);
    connection.write(connectRequest(`uuid=${consoleUuid}&session_id=${session}`));
    await connection.until('[model]');
    xapi.sessions.close(session as Ref<'session'>);
    await connection.end();

    const other = await RawConnection.open(listener.port);
    other.write(connectRequest(`uuid=${consoleUuid}`, basic('root', password)));
    await other.until('[model]');
    expect(xapi.db.count('session')).toBe(1);
    const ended = new Promise((resolve) => xapi.sessions.ended.listen(resolve));
    other.close();
    await ended;
    expect(xapi.db.count('session')).toBe(0);
  });

  test.each([
    ['no credentials', () => `uuid=${consoleUuid}`, [], 401],
    ['a session that is none', () => `uuid=${consoleUuid}&session_id=OpaqueRef:x`, [], 401],
    ['a wrong password', () => `uuid=${consoleUuid}`, [basic('root', 'wrong')], 401],
    ['credentials that are none', () => `uuid=${consoleUuid}`, ['Authorization: Basic !'], 401],
    ['no console', () => `session_id=${session}`, [], 404],
    ['a console that is none', () => `uuid=x&session_id=${session}`, [], 404],
    [
      'a page of another origin',
      () => `uuid=${consoleUuid}`,
      [basic('root', password), 'Origin: http://evil.example'],
      403,
    ],
  ])('%s is refused', async (_what, query, headers, status) => {
    const answer = await exchange(listener.port, connectRequest(query(), ...headers));
    expect(answer.status).toBe(status);
    expect(answer.headers['www-authenticate'] !== undefined).toBe(status === 401);
    expect(xapi.db.count('session')).toBe(1);
  });

  test('a VM that does not run has no console', async () => {
    xapi.db.update('VM', vm, { power_state: 'Halted' });
    const answer = await exchange(listener.port, connectRequest(`uuid=${consoleUuid}&session_id=${session}`));
    expect(answer).toMatchObject({ status: 409, body: expect.stringContaining('VM_BAD_POWER_STATE') });
  });

  test('a domain that is gone meanwhile is no mistake', async () => {
    await driver.destroy({ domid, uuid: vmUuid });
    const answer = await exchange(listener.port, connectRequest(`uuid=${consoleUuid}&session_id=${session}`));
    expect(answer.status).toBe(503);
  });

  test('roles count', async () => {
    const reader = xapi.sessions.open('reader', 'test', { superuser: false, role: 'read-only' });
    const operator = xapi.sessions.open('operator', 'test', { superuser: false, role: 'vm-operator' });
    const status = async (who: string): Promise<number> =>
      (await exchange(listener.port, connectRequest(`uuid=${consoleUuid}&session_id=${who}`))).status;
    expect(await status(reader)).toBe(403);
    expect(await status(operator)).toBe(200);
    xapi.db.update('VM', vm, { is_control_domain: true });
    expect(await status(operator)).toBe(403);
    expect(await status(session)).toBe(200);
  });

  test('a pool may allow one session a VM', async () => {
    const [pool] = xapi.db.refs('pool');
    if (pool === undefined) throw new XapiError('INTERNAL_ERROR', 'no pool');
    xapi.db.update('pool', pool, { limit_console_sessions: true });
    const first = await RawConnection.open(listener.port);
    first.write(connectRequest(`uuid=${consoleUuid}&session_id=${session}`));
    await first.until('[model]');
    const again = connectRequest(`uuid=${consoleUuid}&session_id=${session}`);
    expect((await exchange(listener.port, again)).status).toBe(503);
    first.close();
  });
});

describe('WebSocket', () => {
  const open = (query: string, protocols: readonly string[] = ['binary'], headers = {}): WebSocket =>
    new WebSocket(`ws://127.0.0.1:${listener.port}/console?${query}`, [...protocols], { headers });

  async function readUntil(socket: WebSocket, text: string): Promise<string> {
    let read = '';
    while (!read.includes(text)) {
      const [data, isBinary] = (await once(socket, 'message')) as [Buffer, boolean];
      expect(isBinary).toBe(true);
      read += data.toString();
    }
    return read;
  }

  test.each([
    [['binary'], 'binary'],
    [['base64', 'binary'], 'binary'],
    [[], ''],
  ])('streams both ways with the sub-protocols %j', async (protocols, chosen) => {
    await clock.advanceAsync(5000);
    const socket = open(`uuid=${consoleUuid}&session_id=${session}`, protocols);
    const read = readUntil(socket, 'typed');
    await once(socket, 'open');
    expect(socket.protocol).toBe(chosen);
    socket.send(Buffer.from('typed\r'));
    expect(await read).toContain(': up');
    const closed = once(socket, 'close');
    await driver.destroy({ domid, uuid: vmUuid });
    expect(((await closed) as [number])[0]).toBe(1000);
  });

  test.each([
    ['no credentials', 'uuid=x', {}, 401],
    ['no console', 'uuid=x', { authorization: basic('root', password).slice(15) }, 404],
    [
      'another origin',
      'uuid=x',
      { authorization: basic('root', password).slice(15), origin: 'http://evil.example' },
      403,
    ],
  ])('%s is refused', async (_what, query, headers, status) => {
    const socket = open(query, ['binary'], headers);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { readonly statusCode: number }];
    expect(response.statusCode).toBe(status);
    // The library calls it an error when a connection ends before it is one.
    socket.on('error', () => undefined);
    socket.terminate();
  });
});
