/** The protocol as a client without any library sees it: bytes in, bytes out, over real connections. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ref } from '@xenolith/base';
import { encodeJsonRpcRequest, encodeXmlRpcCall, parseJsonRpcResponse, parseXmlRpcResponse } from '@xenolith/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startXenolithd, type Xenolithd } from '../xenolithd.ts';
import { exchange, post, RawConnection } from './raw-exchange.ts';

let server: Xenolithd;
let port = 0;
let session = '';
const data = mkdtempSync(join(tmpdir(), 'xenolith-protocol-'));

beforeAll(async () => {
  server = await startXenolithd({
    data,
    modelPool: false,
    limits: {
      firstByteMs: 300,
      headersMs: 300,
      requestMs: 600,
      lingerMs: 2000,
      answerMs: 100,
      answerBytesPerSecondMin: 2 ** 30,
    },
  });
  port = Number(new URL(server.url).port);
  session = server.xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
});

afterAll(async () => {
  await server.close();
  rmSync(data, { recursive: true, force: true });
});

const xml = (method: string, ...params: readonly unknown[]): string => encodeXmlRpcCall(method, params);
const json = (method: string, ...params: readonly unknown[]): string => encodeJsonRpcRequest(method, params, 7);

async function xmlAnswer(body: string | Uint8Array): Promise<unknown> {
  const { status, headers, body: text } = await exchange(port, post('/', body));
  expect([status, headers['content-type']]).toEqual([200, 'text/xml']);
  const answer = parseXmlRpcResponse(text);
  return answer.kind === 'value' ? answer.value : answer;
}

async function jsonAnswer(body: string | Uint8Array): Promise<unknown> {
  const { status, headers, body: text } = await exchange(port, post('/jsonrpc', body));
  expect([status, headers['content-type']]).toEqual([200, 'application/json']);
  return JSON.parse(text);
}

describe('routes', () => {
  const hello = encodeXmlRpcCall('system.isAlive:x', ['hello']);
  const alive = 'hello';

  test.each([
    ['POST', '/', 'text/xml'],
    ['POST', '/RPC2', 'text/xml'],
    ['POST', '/xmlrpc', 'text/xml'],
    ['POST', '/json', 'text/xml'],
    ['POST', '/anything/at/all?a=b', 'text/xml'],
    ['POST', 'http://test/RPC2', 'text/xml'],
  ])('%s %s reaches XML-RPC', async (_method, path, type) => {
    const answer = await exchange(port, post(path, hello));
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': type, 'access-control-allow-origin': '*' },
    });
    expect(parseXmlRpcResponse(answer.body)).toEqual({ kind: 'value', value: { Status: 'Success', Value: alive } });
  });

  test.each(['/jsonrpc', '/jsonrpc?x', '/jsonrpc/'])('POST %s reaches JSON-RPC', async (path) => {
    const answer = await exchange(port, post(path, json('system.isAlive:x', alive), ['Content-Type: text/plain']));
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(answer.body)).toEqual({ jsonrpc: '2.0', result: alive, id: 7 });
  });

  test.each([
    ['GET / HTTP/1.1', 200, 'text/html; charset=utf-8', 'xenolithd'],
    ['HEAD / HTTP/1.1', 200, 'text/html; charset=utf-8', undefined],
    ['GET /healthz HTTP/1.1', 200, 'text/plain', 'ok\n'],
    ['GET /nothing HTTP/1.1', 404, 'text/html', 'no such page'],
    ['GET /console HTTP/1.1', 400, 'text/html', 'WebSocket'],
    ['OPTIONS / HTTP/1.1', 200, undefined, ''],
    ['OPTIONS /jsonrpc HTTP/1.1', 200, undefined, ''],
    ['OPTIONS * HTTP/1.1', 200, undefined, ''],
    ['PUT / HTTP/1.1', 404, 'text/html', 'no such page'],
    ['DELETE /x HTTP/1.1', 501, 'text/html', 'no DELETE'],
    ['CONNECT /elsewhere HTTP/1.1', 404, 'text/html', ''],
    ['CONNECT /console?uuid=x HTTP/1.1', 401, 'text/html', 'session_id'],
  ])('%s is answered with %d', async (line, status, type, content) => {
    const connection = await RawConnection.open(port);
    connection.write(`${line}\r\nHost: test\r\n\r\n`);
    if (content === undefined) {
      expect(await connection.until('\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
    } else {
      const answer = await connection.answer();
      expect([answer.status, answer.headers['content-type']]).toEqual([status, type]);
      expect(answer.body).toContain(content);
      expect(answer.headers['www-authenticate']).toBe(status === 401 ? 'Basic realm="xenolith"' : undefined);
    }
    connection.close();
  });

  test.each([
    ['Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABk'],
    ['Upgrade: websocket', 'Connection: Upgrade'],
  ])('an offer of another protocol (%s) is not taken, and the request is answered', async (...headers) => {
    const answer = await exchange(port, post('/jsonrpc', json('system.isAlive:x', alive), headers));
    expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { jsonrpc: '2.0', result: alive, id: 7 }]);
    const console = `GET /console?uuid=x HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n`;
    expect((await exchange(port, console)).status).toBe(400);
  });

  test('OPTIONS tells a page of another origin what it may send', async () => {
    const answer = await exchange(port, 'OPTIONS /jsonrpc HTTP/1.1\r\nHost: test\r\n\r\n');
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'X-Requested-With',
    });
  });
});

describe('connections', () => {
  test('one connection serves many requests, also those sent ahead', async () => {
    const connection = await RawConnection.open(port);
    for (let i = 0; i < 3; i++) connection.write(post('/jsonrpc', json('system.isAlive:x', String(i))));
    for (let i = 0; i < 3; i++) {
      expect(JSON.parse((await connection.answer()).body)).toMatchObject({ result: String(i) });
    }
    connection.close();
  });

  test('HTTP/1.0 is answered and its connection ended', async () => {
    const connection = await RawConnection.open(port);
    const body = xml('system.isAlive:x', 'old');
    connection.write(`POST /RPC2 HTTP/1.0\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    expect((await connection.answer()).body).toContain('old');
    await connection.end();
  });

  test('TLS is spoken on the same port, by the certificate of the data directory', async () => {
    const connection = await RawConnection.openTls(port);
    connection.write(post('/jsonrpc', json('system.isAlive:x', 'tls')));
    expect(JSON.parse((await connection.answer()).body)).toMatchObject({ result: 'tls' });
    connection.write(post('/', xml('system.isAlive:x', 'again')));
    expect((await connection.answer()).body).toContain('again');
    connection.close();
  });

  test('clients that leave while they wait for events leave their places', async () => {
    const token = await server.xapi.events.from(
      { session: ref<'session'>(session), onClientGone: () => ({ dispose() {} }) },
      [],
      '',
      0,
    );
    const waits = post('/jsonrpc', json('event.from', session, ['VM'], token.token, 60.5));
    for (const secure of [false, true]) {
      const connection = await (secure ? RawConnection.openTls(port) : RawConnection.open(port));
      for (let i = 0; i < 32; i++) connection.write(waits);
      while (server.xapi.events.waiting < 32) await nextTurn();
      connection.close();
      while (server.xapi.events.waiting > 0) await nextTurn();
    }
  });

  test.each([
    ['says nothing', ''],
    ['sends half a line', 'POST /json'],
    ['sends headers without end', 'POST / HTTP/1.1\r\nHost: test\r\nX-A: b\r\n'],
    ['sends half a body', 'POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345'],
  ])('a client that %s is let go', async (_what, bytes) => {
    const connection = await RawConnection.open(port);
    if (bytes !== '') connection.write(bytes);
    await connection.end();
  });

  test('a TLS client that does not finish its handshake is let go', async () => {
    const connection = await RawConnection.open(port);
    connection.write(new Uint8Array([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
    await connection.end();
  });

  test.each([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n', 400],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['a length that is none', 'POST / HTTP/1.1\r\nHost: t\r\nContent-Length: -5\r\n\r\n', 400],
    ['headers too large', `GET / HTTP/1.1\r\nHost: t\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`, 431],
    ['an expectation of something else', 'POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: tea\r\n\r\n', 417],
  ])('%s is refused', async (_what, bytes, status) => {
    const answer = await exchange(port, bytes);
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'text/html']);
    expect(answer.body).toContain(`<h1>${status} `);
  });
});

test('a client that takes nothing of a large answer is let go', async () => {
  const secret = server.xapi.db.create('secret', { value: 'x'.repeat(64 * 1024 * 1024) });
  const connection = await RawConnection.open(port);
  connection.socket.pause();
  connection.write(post('/jsonrpc', json('secret.get_value', session, secret)));
  // Who reads nothing hears of the end only by writing.
  const closed = new Promise((resolve) => connection.socket.once('close', () => resolve(true)));
  while ((await Promise.race([closed, nextTurn()])) !== true) connection.write('\r\n');
  server.xapi.db.destroy('secret', secret);
});

test('connections beyond the limit are closed at once, and those that are open stay', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'xenolith-crowd-'));
  const small = await startXenolithd({ data: directory, modelPool: false, limits: { connectionsMax: 3 } });
  const smallPort = Number(new URL(small.url).port);
  const open: RawConnection[] = [];
  for (let i = 0; i < 3; i++) {
    const connection = await RawConnection.open(smallPort);
    connection.write(post('/', xml('system.isAlive:x', String(i))));
    expect((await connection.answer()).status).toBe(200);
    open.push(connection);
  }
  const excess = await RawConnection.open(smallPort);
  await excess.end();
  open[0]?.write(post('/', xml('system.isAlive:x', 'still')));
  expect((await open[0]?.answer())?.body).toContain('still');
  for (const connection of open) connection.close();
  await small.close();
  rmSync(directory, { recursive: true, force: true });
});

test('a connection that its client gives up before the first byte makes room at once', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'xenolith-crowd-'));
  const limits = { connectionsMax: 1, firstByteMs: 3_600_000 };
  const small = await startXenolithd({ data: directory, modelPool: false, limits });
  const smallPort = Number(new URL(small.url).port);
  const silent = await RawConnection.open(smallPort);
  silent.socket.end();
  await silent.end();
  expect((await exchange(smallPort, post('/', xml('system.isAlive:x', 'room')))).body).toContain('room');
  await small.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('bodies', () => {
  test('a call without a length is refused', async () => {
    const chunked = 'POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
    expect(await exchange(port, chunked)).toMatchObject({ status: 411, headers: { connection: 'close' } });
  });

  test('300 KiB are taken', async () => {
    const text = 'x'.repeat(300 * 1024 - xml('system.isAlive:x', '').length);
    const body = xml('system.isAlive:x', text);
    expect(body.length).toBe(300 * 1024);
    expect(await xmlAnswer(body)).toEqual({ Status: 'Success', Value: text });
  });

  test('one byte more is refused, whether it comes or not', async () => {
    const announced = `POST /jsonrpc HTTP/1.1\r\nHost: t\r\nContent-Length: ${300 * 1024 + 1}\r\n\r\n`;
    expect((await exchange(port, announced)).status).toBe(413);
    expect((await exchange(port, post('/', new Uint8Array(300 * 1024 + 1)))).status).toBe(413);
  });

  test('a client that asks before it sends is told before it sends', async () => {
    const large = 'POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n';
    expect((await exchange(port, large)).status).toBe(413);
    const connection = await RawConnection.open(port);
    const body = xml('system.isAlive:x', 'asked');
    connection.write(`POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`);
    expect((await connection.answer()).status).toBe(100);
    connection.write(body);
    expect((await connection.answer()).body).toContain('asked');
    connection.close();
  });

  test(
    '1 GiB is neither kept nor cut off under the client, who reads the refusal after sending',
    { timeout: 120_000 },
    async () => {
      // With the limits of a real server, but for how long it listens after a refusal: a busy machine needs its time for 1 GiB.
      const directory = mkdtempSync(join(tmpdir(), 'xenolith-huge-'));
      const patient = await startXenolithd({ data: directory, modelPool: false, limits: { lingerMs: 120_000 } });
      const connection = await RawConnection.open(Number(new URL(patient.url).port));
      const piece = new Uint8Array(1024 * 1024);
      const before = process.memoryUsage();
      let most = 0;
      // It does not look before it has sent everything, like a client with blocking calls.
      connection.socket.pause();
      connection.write('POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1073741824\r\n\r\n');
      for (let sent = 0; sent < 1024; sent++) {
        await new Promise<void>((resolve, reject) => {
          connection.socket.write(piece, (error) => (error ? reject(error) : resolve()));
        });
        const { external, heapUsed } = process.memoryUsage();
        most = Math.max(most, external + heapUsed - before.external - before.heapUsed);
      }
      connection.socket.resume();
      expect(await connection.answer()).toMatchObject({ status: 413, headers: { connection: 'close' } });
      await connection.end();
      connection.close();
      expect(most).toBeLessThan(128 * 1024 * 1024);
      expect((await fetch(`${patient.url}/healthz`)).status).toBe(200);
      await patient.close();
      rmSync(directory, { recursive: true, force: true });
    },
  );
});

describe('bad input', () => {
  test.each([
    ['nothing', ''],
    ['no XML', 'hello'],
    ['XML cut off', xml('system.isAlive:x', 'a').slice(0, -20)],
    ['XML of something else', '<html></html>'],
    ['an answer', '<methodResponse><params></params></methodResponse>'],
    [
      'an entity bomb',
      '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><methodCall><methodName>&b;</methodName></methodCall>',
    ],
    [
      'an outside entity',
      '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><methodCall><methodName>&a;</methodName></methodCall>',
    ],
    ['too deep a nest', `<methodCall><methodName>a</methodName><params><param>${'<value><array><data>'.repeat(5000)}`],
    [
      'a number that is none',
      '<methodCall><methodName>a</methodName><params><param><value><int>x</int></value></param></params></methodCall>',
    ],
  ])('XML-RPC: %s', async (_what, body) => {
    const answer = await exchange(port, post('/RPC2', body));
    expect(answer).toMatchObject({
      status: 400,
      headers: { 'content-type': 'text/html', 'access-control-allow-origin': '*' },
    });
    expect(answer.body).toContain('The body is no XML-RPC call: ');
    expect(answer.body).not.toContain('root:');
  });

  test('XML-RPC: text that is not UTF-8', async () => {
    const body = Buffer.concat([
      Buffer.from('<methodCall><methodName>'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('</methodName></methodCall>'),
    ]);
    expect(await xmlAnswer(body)).toMatchObject({
      Status: 'Failure',
      ErrorDescription: ['INVALID_VALUE', 'request', expect.stringContaining('UTF-8')],
    });
  });

  test.each([
    ['nothing', '', -32700],
    ['no JSON', 'hello', -32700],
    ['JSON cut off', '{"method":"a","params":[', -32700],
    ['text that is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), -32700],
    ['too deep a nest', '['.repeat(10_000), -32700],
    ['a batch', '[{"method":"a","params":[],"id":1}]', -32600],
    ['no id', '{"jsonrpc":"2.0","method":"a","params":[]}', -32600],
    ['a null id', '{"jsonrpc":"2.0","method":"a","params":[],"id":null}', -32600],
  ])('JSON-RPC: %s', async (_what, body, code) => {
    expect(await jsonAnswer(body)).toMatchObject({ error: { code }, id: null });
  });

  test('JSON-RPC: half a surrogate pair is no text, and is named', async () => {
    const body = json('secret.create', session, { value: 'SPLIT' }).replace('SPLIT', String.raw`\ud800`);
    expect(await jsonAnswer(body)).toMatchObject({
      error: { message: 'INVALID_VALUE', data: ['value', '\ufffd'] },
      id: 7,
    });
  });

  test('both: a number that cannot be held is refused by the digits that were sent', async () => {
    const [digits, vm] = ['9007199254740993', 'OpaqueRef:x'];
    const jsonCall = (method: string, number: string): string => json(method, session, vm, 'N').replace('"N"', number);
    expect(await jsonAnswer(jsonCall('VM.set_user_version', digits))).toMatchObject({
      error: { data: ['value', digits] },
    });
    expect(await xmlAnswer(xml('VM.set_user_version', session, vm, digits))).toMatchObject({
      ErrorDescription: ['INVALID_VALUE', 'value', digits],
    });
    expect(await jsonAnswer(jsonCall('task.set_progress', '1e400'))).toMatchObject({
      error: { message: 'INVALID_VALUE', data: ['value', '1e400'] },
    });
  });

  test.each([
    ['an unknown method', 'VM.nonsense', [], ['MESSAGE_METHOD_UNKNOWN', 'VM.nonsense']],
    ['a session that is none', 'VM.get_all', ['OpaqueRef:x'], ['SESSION_INVALID', 'OpaqueRef:x']],
    ['a session of another type', 'VM.get_all', [7], ['SESSION_INVALID', '7']],
    [
      'a wrong password',
      'session.login_with_password',
      ['root', 'x'],
      ['SESSION_AUTHENTICATION_FAILED', 'root', 'Authentication failure'],
    ],
    [
      'another user',
      'session.login_with_password',
      ['"; drop', "'"],
      ['SESSION_AUTHENTICATION_FAILED', '"; drop', 'Authentication failure'],
    ],
  ])('both: %s', async (_what, method, params, description) => {
    expect(await xmlAnswer(xml(method, ...params))).toEqual({ Status: 'Failure', ErrorDescription: description });
    const [message, ...rest] = description;
    expect(await jsonAnswer(json(method, ...params))).toMatchObject({ error: { code: 1, message, data: rest } });
  });

  test.each([
    ['too few', [], 0],
    ['too many', ['OpaqueRef:x', 'y', 'z'], 3],
  ])('both: %s parameters', async (_what, params, received) => {
    const description = ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'VM.get_record', '1', String(received)];
    expect(await xmlAnswer(xml('VM.get_record', session, ...params))).toEqual({
      Status: 'Failure',
      ErrorDescription: description,
    });
    expect(await jsonAnswer(json('VM.get_record', session, ...params))).toMatchObject({
      error: { data: description.slice(1) },
    });
  });

  test('both: an unknown reference', async () => {
    const description = ['HANDLE_INVALID', 'VM', 'OpaqueRef:"; drop'];
    expect(await xmlAnswer(xml('VM.get_record', session, 'OpaqueRef:"; drop'))).toEqual({
      Status: 'Failure',
      ErrorDescription: description,
    });
    expect(await jsonAnswer(json('VM.get_record', session, 'OpaqueRef:"; drop'))).toMatchObject({
      error: { message: 'HANDLE_INVALID', data: description.slice(1) },
    });
  });
});

describe('logging in', () => {
  test('over XML-RPC, in the forms that clients use', async () => {
    for (const rest of [[], ['1.0'], ['2.11', 'test']]) {
      const answer = await xmlAnswer(xml('session.login_with_password', 'root', server.password, ...rest));
      expect(answer).toMatchObject({ Status: 'Success', Value: expect.stringMatching(/^OpaqueRef:[0-9a-f-]{36}$/) });
    }
  });

  test('over JSON-RPC 1.0 and 2.0', async () => {
    for (const version of ['1.0', '2.0'] as const) {
      const body = encodeJsonRpcRequest('session.login_with_password', ['root', server.password], 'id', version);
      const { body: text } = await exchange(port, post('/jsonrpc', body));
      const answer = parseJsonRpcResponse(text);
      expect(answer).toMatchObject({ kind: 'result', id: 'id', result: expect.stringMatching(/^OpaqueRef:/) });
      expect(Object.keys(JSON.parse(text) as object)).toEqual(
        version === '1.0' ? ['result', 'error', 'id'] : ['jsonrpc', 'result', 'id'],
      );
    }
  });

  test('system.listMethods needs no session and has no envelope', async () => {
    const names = await xmlAnswer(xml('system.listMethods'));
    expect(names).toContain('VM.get_all_records');
    expect(await jsonAnswer(json('system.listMethods'))).toMatchObject({ result: names });
  });
});
