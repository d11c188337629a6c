/** The thin CLI protocol, spoken to a model pool as the stock `xe` speaks it. */
import { createPool } from '@xenolith/server/sim';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startModelPool, type ModelPool } from './model-pool.ts';
import { cliRequest, rawCli, thinCli, type ThinCliAsk, type ThinCliEnd } from './thin-cli-client.ts';

let pool: ModelPool;
beforeAll(async () => {
  pool = await startModelPool();
});
afterAll(() => pool.close());

/** Runs a command as root. */
const xe = (lines: readonly string[], more: Partial<ThinCliAsk> = {}): Promise<ThinCliEnd> =>
  thinCli({ url: pool.url, ...more, lines: [...lines, `username=${pool.user}`, `password=${pool.password}`] });

/** What a command prints that is well. */
async function said(...lines: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await xe(lines);
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  return stdout;
}

const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const uuidOf = async (name: string): Promise<string> =>
  (await said('vm-list', `name-label=${name}`, 'minimal=true')).trim();

describe('transcripts', () => {
  test('vm-list: blocks of fields, uuid first', async () => {
    expect(await said('vm-list', 'name-label=web')).toMatch(
      /^uuid \( RO\) {11}: [0-9a-f-]{36}\n {5}name-label \( RW\): web\n {4}power-state \( RO\): running\n\n\n$/,
    );
  });

  test.each([{ pieceBytes: 1 }, { pieceBytes: 7 }, { tls: true }])(
    'the same in pieces and over TLS: %j',
    async (how) => {
      const url = 'tls' in how ? pool.tlsUrl : pool.url;
      const { stdout, code } = await xe(['pool-list', 'params=name-label'], {
        url,
        pieceBytes: how.pieceBytes ?? 1000,
      });
      expect({ stdout, code }).toEqual({ stdout: 'name-label ( RW)    : Xenolith\n\n\n', code: 0 });
    },
  );

  test('--minimal as the program sends it, and as it was typed', async () => {
    for (const word of ['minimal=true', '--minimal']) {
      expect(await said('host-list', 'params=name-label', word)).toBe('xen1,xen2\n');
    }
  });

  test('params, filters, and a map with its keys', async () => {
    const uuid = await uuidOf('scratch');
    expect(uuid).toMatch(uuidForm);
    await said('vm-param-set', `uuid=${uuid}`, 'name-description=ä = b', 'other-config:key=1');
    expect(await said('vm-param-get', `uuid=${uuid}`, 'param-name=name-description')).toBe('ä = b\n');
    expect(await said('vm-list', 'other-config:key=1', 'minimal=true')).toBe(`${uuid}\n`);
    expect(await said('vm-param-list', `uuid=${uuid}`)).toContain('name-description ( RW): ä = b\n');
  });

  test('a command that works prints nothing, or the uuid of what it made', async () => {
    expect(await said('vm-start', 'vm=scratch')).toBe('');
    expect((await said('vm-list', 'name-label=scratch', 'params=power-state', '--minimal')).trim()).toBe('running');
    expect(await said('vm-shutdown', 'vm=scratch', 'force=true')).toBe('');
    expect((await said('network-create', 'name-label=n')).trim()).toMatch(uuidForm);
  });

  test('refusals are told on stderr, with exit code 1', async () => {
    const uuid = await uuidOf('web');
    expect(await xe(['vm-start', `uuid=${uuid}`])).toMatchObject({
      stdout: '',
      stderr: expect.stringMatching(/\nvm: OpaqueRef:\S+\nexpected: Halted\nactual: Running\n$/i) as string,
      code: 1,
    });
    expect((await xe(['vm-start', 'vm=nobody'])).stderr).toBe(
      'There is no such object.\nError code: UUID_INVALID\ntype: VM\nuuid: nobody\n',
    );
  });

  test.each([
    [['vm-foo'], 'xe: there is no command vm-foo\n'],
    [['vdi-create', 'sr-uuid=x'], 'xe: vdi-create needs name-label= virtual-size=\n'],
    [['vbd-destroy', 'uuid=x', 'foo=y'], 'xe: vbd-destroy takes no foo=\n'],
    [['vm-list', 'foo=y'], 'xe: vm has no field foo\n'],
    [[], 'xe: no command; xe help lists them\n'],
  ])('a wrong command line: %j', async (lines, stderr) => {
    expect(await xe(lines)).toEqual({ stdout: '', stderr, code: 1, asked: [] });
  });

  test('help needs no password', async () => {
    const help = await thinCli({ url: pool.url, lines: ['help', 'vif-create', 'username=', 'password='] });
    expect(help.stdout).toMatch(/^command name {12}: vif-create\n {8}reqd params {5}: device, network-uuid, vm-uuid\n/);
    const all = await thinCli({ url: pool.url, lines: ['help', 'all=true'] });
    expect(all.stdout).toContain('\nvm-start ');
  });
});

describe('who asks', () => {
  test('a wrong password is refused in the words of the XenAPI', async () => {
    const end = await thinCli({ url: pool.url, lines: ['vm-list', 'username=root', 'password=wrong'] });
    expect(end).toMatchObject({ stdout: '', code: 1 });
    expect(end.stderr).toMatch(/^Authentication failed: .*\nError code: SESSION_AUTHENTICATION_FAILED\n/);
    expect((await thinCli({ url: pool.url, lines: ['vm-list'] })).code).toBe(1);
  });

  test('a session in the first line is used, and outlasts the command', async () => {
    const answer = await fetch(`${pool.url}/jsonrpc`, {
      method: 'POST',
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'session.login_with_password',
        params: [pool.user, pool.password],
      }),
      headers: { 'content-type': 'application/json' },
    });
    const { result } = (await answer.json()) as { readonly result: string };
    for (let i = 0; i < 2; i++) {
      const { stdout } = await thinCli({ url: pool.url, lines: [`session_id=${result}`, 'host-list', '--minimal'] });
      expect(stdout.trim().split(',')).toHaveLength(2);
    }
    const stranger = await thinCli({ url: pool.url, lines: ['session_id=OpaqueRef:none', 'host-list'] });
    expect(stranger.stderr).toContain('SESSION_INVALID');
  });

  test('in a simulated pool its calls are in the log as every client’s', async () => {
    await using sim = await createPool({ hosts: 1, vms: 1, seed: 1 });
    const login = [`username=${sim.username}`, `password=${sim.password}`];
    expect(await thinCli({ url: sim.url, lines: ['host-list', '--minimal', ...login] })).toMatchObject({ code: 0 });
    const calls = (await (await fetch(`${sim.url}/_sim/calls`)).json()) as readonly { readonly method: string }[];
    expect(calls.map(({ method }) => method)).toEqual(
      expect.arrayContaining(['session.login_with_password', 'host.get_all_records']),
    );
  });

  test('a key of the command that is called as the login is the command’s', async () => {
    const { stderr } = await xe(['vbd-destroy', 'password=x']);
    expect(stderr).toBe('xe: vbd-destroy needs uuid=\n');
  });
});

describe('what a command asks of its client', () => {
  test('before a VM is destroyed, a yes; nothing without it', async () => {
    const uuid = (await said('vm-install', 'template=Xenolith guest (PVH)', 'new-name-label=gone')).trim();
    const no = await xe(['vm-uninstall', `uuid=${uuid}`], { typed: 'no' });
    expect(no).toMatchObject({ asked: ['prompt'], code: 1, stderr: 'xe: nothing was destroyed\n' });
    expect(no.stdout).toContain(`VM : ${uuid} (gone)\n`);
    expect(await xe(['vm-uninstall', `uuid=${uuid}`], { typed: 'yes' })).toMatchObject({ asked: ['prompt'], code: 0 });
    expect(await said('vm-list', `uuid=${uuid}`, '--minimal')).toBe('\n');
  });

  test('a console is joined over a connection of the client’s own', async () => {
    let joined = '';
    const joins = (url: string): Promise<boolean> => {
      joined = url;
      return Promise.resolve(true);
    };
    const end = await xe(['console', 'vm=web'], { joins });
    expect(end).toEqual({ stdout: '', stderr: '', code: 0, asked: ['connect /console?ref=…&session_id=…'] });
    expect(joined).toMatch(/^\/console\?ref=OpaqueRef%3A[0-9a-f-]{36}&session_id=OpaqueRef%3A/);
    expect((await xe(['console', 'vm=web'])).code).toBe(1);
  });
});

describe('what is no thin CLI', () => {
  test.each([
    ['a body without its length', 'POST /cli HTTP/1.0\r\n\r\n', 'HTTP/1.1 411 '],
    ['a body that is too long', 'POST /cli HTTP/1.0\r\ncontent-length: 999999999\r\n\r\n', 'HTTP/1.1 413 '],
  ])('%s is refused by HTTP', async (_name, text, answer) => {
    expect(await rawCli(pool.url, text)).toMatch(new RegExp(`^${answer}`));
  });

  test('a client with another greeting is let go', async () => {
    expect(await rawCli(pool.url, cliRequest(['vm-list']), 'something else')).toMatch(/^XenSource thin CLI protocol/);
    const other = Buffer.concat([Buffer.from('XenSource thin CLI protocol'), Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])]);
    expect(await rawCli(pool.url, cliRequest(['vm-list']), other)).toMatch(/^XenSource thin CLI protocol/);
  });

  test('a request on a connection that had another one before is refused', async () => {
    const first = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
    expect(await rawCli(pool.url, first, cliRequest(['vm-list']))).toContain('HTTP/1.1 400 ');
  });

  test('the paths beside it are what they were', async () => {
    const body = '<methodCall><methodName>system.listMethods</methodName></methodCall>';
    for (const path of ['/clients', '/clx', '/']) {
      const answer = await fetch(`${pool.url}${path}`, { method: 'POST', body });
      expect(answer.status).toBe(200);
      expect(await answer.text()).toContain('<methodResponse>');
    }
  });
});
