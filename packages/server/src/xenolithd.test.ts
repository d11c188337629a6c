/** xenolithd as a process: what it leaves on disk, what it says, and what a kill leaves behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SeededRandom } from '@xenolith/base';
import { encodeJsonRpcRequest, parseJsonRpcResponse, type WireValue } from '@xenolith/wire';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StartError } from './start/start-error.ts';
import { startXenolithd, type Xenolithd } from './xenolithd.ts';

let directory = '';
let data = '';
let envFile = '';
const children = new Set<ChildProcess>();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-server-'));
  data = join(directory, 'data');
  envFile = join(directory, 'env');
});

afterEach(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
  children.clear();
  rmSync(directory, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
}

interface Running {
  readonly child: ChildProcess;
  /** Standard output so far. */
  output(): string;
  errors(): string;
  readonly ended: Promise<Ended>;
}

const program = new URL('./main.ts', import.meta.url).pathname;

function run(...args: readonly string[]): Running {
  const child = spawn(process.execPath, ['--', program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  child.stderr.on('data', (chunk) => (errors += String(chunk)));
  const ended = once(child, 'close').then(([code, signal]): Ended => ({ code, signal }));
  return { child, output: () => output, errors: () => errors, ended };
}

const standard = (): readonly string[] => ['--listen', '127.0.0.1:0', '--data', data, '--env-file', envFile, '--empty'];

/** Starts and waits until it says that it is ready. */
async function ready(...args: readonly string[]): Promise<Running> {
  const running = run(...args);
  await new Promise<void>((resolve, reject) => {
    running.child.stdout?.on('data', () => {
      if (running.output().includes('python3 -c')) resolve();
    });
    running.ended.then(
      ({ code }) => reject(new Error(`ended with ${code}: ${running.errors()}`)),
      () => undefined,
    );
  });
  return running;
}

const readEnv = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readFileSync(envFile, 'utf8')
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );

/** One call over JSON-RPC. @throws Error with the XenAPI error's words */
async function call(url: string, method: string, ...params: readonly unknown[]): Promise<WireValue> {
  const body = encodeJsonRpcRequest(method, params, 1);
  const response = await fetch(`${url}/jsonrpc`, { method: 'POST', body });
  const answer = parseJsonRpcResponse(await response.text());
  if (answer.kind === 'error') throw new Error(answer.errorDescription.join(' '));
  return answer.result;
}

const login = (url: string, password: string): Promise<WireValue> =>
  call(url, 'session.login_with_password', 'root', password);

describe('starting', () => {
  test('a first start makes everything, says how to log in, and a second one finds it again', async () => {
    const first = await ready(...standard());
    const { XENOLITH_URL: url = '', XENOLITH_USER: user, XENOLITH_PASSWORD: password = '' } = readEnv();
    expect(user).toBe('root');
    expect(first.output()).toContain(`listens on  ${url} `);
    expect(first.output()).toContain(`password ${password} `);
    const exported = [...first.output().matchAll(/^ {2}export (.*)$/gm)].map(([, line]) => line);
    expect(exported).toEqual(readFileSync(envFile, 'utf8').trim().split('\n'));
    expect(readFileSync(join(data, 'root-password'), 'utf8')).toBe(`${password}\n`);
    expect(statSync(data).mode & 0o777).toBe(0o700);
    for (const file of ['root-password', 'state.db', 'tls-key.pem']) {
      expect(statSync(join(data, file)).mode & 0o077, file).toBe(0);
    }
    await login(url, password);
    first.child.kill('SIGTERM');
    expect(await first.ended).toEqual({ code: 0, signal: null });

    await ready(...standard());
    const again = readEnv();
    expect(again['XENOLITH_PASSWORD']).toBe(password);
    await login(again['XENOLITH_URL'] ?? '', password);
  });

  test('--help is the usage', async () => {
    const help = run('--help');
    expect(await help.ended).toEqual({ code: 0, signal: null });
    expect(help.output()).toContain('--env-file FILE');
  });

  test.each([
    ['an unknown option', ['--nonsense'], 64, '--nonsense'],
    ['an address that is none', ['--listen', 'x'], 64, 'HOST:PORT'],
    ['a name that is nowhere', ['--listen', 'no-such-host.invalid:0'], 1, 'no address of this machine'],
  ])('%s ends it with words', async (_what, args, code, words) => {
    const refused = run('--data', data, '--empty', ...args);
    expect(await refused.ended).toEqual({ code, signal: null });
    expect(refused.errors()).toMatch(/^xenolithd: /m);
    expect(refused.errors()).toContain(words);
    expect(refused.errors()).not.toContain('    at ');
  });

  test.each([
    ['in a directory that is not there', () => join(directory, 'missing', 'env')],
    ['that is a directory', () => directory],
    ['beside a file', () => join(program, 'env')],
  ])('an env file %s ends it before anything is made', async (_what, path) => {
    const refused = run(...standard(), '--env-file', path());
    expect(await refused.ended).toEqual({ code: 1, signal: null });
    expect(refused.errors()).toContain(`${path()} cannot be written: `);
    expect(existsSync(data)).toBe(false);
  });
});

test('consoles are under the address of the server that runs, those of its first pool too', async () => {
  for (let start = 0; start < 2; start++) {
    const server = await startXenolithd({ data });
    const { db } = server.xapi;
    const locations = [...db.all('console')].map(([, { location }]) => location);
    expect(locations.length).toBeGreaterThan(0);
    for (const location of locations)
      expect(location).toContain(`${server.url.replace('http:', 'https:')}/console?uuid=`);
    await server.close();
  }
});

describe('what is in the way', () => {
  const problem = async (options: Partial<Parameters<typeof startXenolithd>[0]> = {}): Promise<string> => {
    const error: unknown = await startXenolithd({ data, modelPool: false, ...options }).then(
      (server) => server.close(),
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(StartError);
    return (error as StartError).message;
  };

  test('a port in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    expect(await problem({ port })).toBe(
      `127.0.0.1:${port} is in use by another program; --listen HOST:0 takes a free port`,
    );
    other.close();
  });

  test('another xenolithd on the same data', async () => {
    const server = await startXenolithd({ data, modelPool: false });
    expect(await problem()).toContain('in use by another xenolithd');
    // It is not disturbed.
    await login(server.url, server.password ?? '');
    await server.close();
  });

  test('a file where the directory should be', async () => {
    writeFileSync(data, '');
    expect(await problem()).toContain(`the data directory ${data} cannot be made`);
  });

  test('a database that is none', async () => {
    mkdirSync(data);
    writeFileSync(join(data, 'state.db'), 'x'.repeat(10_000));
    expect(await problem()).toContain('damaged');
  });

  test('a key without its certificate', async () => {
    mkdirSync(data);
    writeFileSync(join(data, 'tls-key.pem'), 'x');
    expect(await problem()).toContain('no TLS');
  });

  test('nothing is held after a failure', async () => {
    await problem({ host: 'no-such-host.invalid' });
    const server = await startXenolithd({ data, modelPool: false });
    await server.close();
  });
});

describe('root', () => {
  const started = (): Promise<Xenolithd> => startXenolithd({ data, modelPool: false });

  test('a password that was changed is no longer shown, and its file is gone', async () => {
    const first = await started();
    await first.xapi.sessions.setRootPassword('another');
    await first.xapi.db.durable();
    await first.close();
    const second = await started();
    expect(second.password).toBeUndefined();
    expect(() => statSync(join(data, 'root-password'))).toThrow('ENOENT');
    await expect(login(second.url, first.password ?? '')).rejects.toThrow('SESSION_AUTHENTICATION_FAILED');
    await login(second.url, 'another');
    await second.close();
  });

  test('sessions end with the process', async () => {
    const first = await started();
    const session = await login(first.url, first.password ?? '');
    await first.close();
    const second = await started();
    await expect(call(second.url, 'pool.get_all', session)).rejects.toThrow('SESSION_INVALID OpaqueRef:');
    await second.close();
  });
});

describe('ending', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it cleanly while clients wait', async (signal) => {
    const server = await ready(...standard());
    const { XENOLITH_URL: url = '', XENOLITH_PASSWORD: password = '' } = readEnv();
    const session = await login(url, password);
    const waiting = call(url, 'event.from', session, ['*'], '', 3600)
      .then((batch) => call(url, 'event.from', session, ['secret'], (batch as { readonly token: string }).token, 3600))
      .catch((error: unknown) => error);
    // The same signal twice, as a terminal and npm send it, is one.
    server.child.kill(signal);
    server.child.kill(signal);
    expect(await server.ended).toEqual({ code: 0, signal: null });
    expect(await waiting).toBeInstanceOf(Error);
  });
});

describe('kill -9', () => {
  test('what was acknowledged is there after the restart', { timeout: 120_000 }, async () => {
    const seed = Date.now() >>> 0;
    const random = new SeededRandom(seed);
    const acknowledged = new Map<string, string>();
    for (let round = 0; round < 4; round++) {
      const server = await ready(...standard());
      const { XENOLITH_URL: url = '', XENOLITH_PASSWORD: password = '' } = readEnv();
      const session = await login(url, password);
      const [pool] = (await call(url, 'pool.get_all', session)) as readonly string[];
      const config = (await call(url, 'pool.get_other_config', session, pool)) as Readonly<Record<string, string>>;
      for (const [key, value] of acknowledged) expect(config[key], `seed ${seed}, ${key}`).toBe(value);

      const enough = 20 + (random.nextUint32() % 300);
      let written = 0;
      const write = async (writer: number): Promise<void> => {
        for (let i = 0; ; i++) {
          const [key, value] = [`${round}-${writer}-${i}`, `"'; ${random.nextUint32()}\n`];
          await call(url, 'pool.add_to_other_config', session, pool, key, value);
          acknowledged.set(key, value);
          if (++written === enough) server.child.kill('SIGKILL');
        }
      };
      await Promise.allSettled(Array.from({ length: 8 }, (_, writer) => write(writer)));
      expect(await server.ended).toEqual({ code: null, signal: 'SIGKILL' });
      expect(written).toBeGreaterThanOrEqual(enough);
    }
  });

  test('a first start that was cut short begins anew', async () => {
    const first = await startXenolithd({ data, modelPool: false });
    first.xapi.db.create('secret', { value: 'of the start that was cut short' });
    await first.close();
    // As if it had been killed before its last step.
    const database = new DatabaseSync(join(data, 'state.db'));
    database.exec("DELETE FROM setting WHERE key = 'started'");
    database.close();
    const second = await startXenolithd({ data, modelPool: false });
    expect(second.xapi.db.count('secret')).toBe(0);
    expect(second.xapi.db.count('pool')).toBe(1);
    expect(second.password).not.toBe(first.password);
    await login(second.url, second.password ?? '');
    await second.close();
  });
});
