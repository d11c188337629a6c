/** `xe` and `xenolith` as programs, against a model pool. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requires } from '../requires.ts';
import { startModelPool, type Finished, type ModelPool } from './model-pool.ts';

const bin = new URL('../../packages/cli/bin/', import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), 'xenolith-xe-'));
let pool: ModelPool;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  pool = await startModelPool();
  const { XENOLITH_URL: _url, XENOLITH_USER: _user, XENOLITH_PASSWORD: _password, ...rest } = process.env;
  environment = { ...rest, XENOLITH_URL: pool.url, XENOLITH_USER: pool.user, XENOLITH_PASSWORD: pool.password };
});
afterAll(async () => {
  await pool.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Runs a program to its end with this text as its input. */
function run(program: string, args: readonly string[], input = '', env = environment): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { env, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => (stdout += String(data)));
    child.stderr.on('data', (data) => (stderr += String(data)));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
    child.stdin.end(input);
  });
}

const program = (name: string, args: readonly string[], input?: string): Promise<Finished> =>
  run(process.execPath, [join(bin, `${name}.js`), ...args], input);

const xe = (...args: readonly string[]): Promise<Finished> => program('xe', args);

/** What a command prints when all is well, without the end of the line. */
async function said(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await xe(...args);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return stdout.replace(/\n$/, '');
}

describe('reading', () => {
  test('a list has blocks of fields, uuid first', async () => {
    expect(await said('vm-list', 'name-label=scratch')).toMatch(
      /^uuid \( RO\) {11}: [0-9a-f-]{36}\n {5}name-label \( RW\): scratch\n {4}power-state \( RO\): halted\n\n$/,
    );
  });

  test('templates are no VMs', async () => {
    const vms = await said('vm-list', 'params=is-a-template', '--minimal');
    expect(new Set(vms.split(','))).toEqual(new Set(['false']));
    const templates = await said('template-list', 'params=is-a-template', '--minimal');
    expect(new Set(templates.split(','))).toEqual(new Set(['true']));
  });

  test('references are shown as uuid and name, and can be chosen by', async () => {
    const uuid = await said('vm-list', 'name-label=web', '--minimal');
    expect(await said('vif-list', 'vm-name-label=web', 'params=vm-uuid', '--minimal')).toBe(uuid);
    const host = await said('vm-list', 'name-label=web', 'params=resident-on', '--minimal');
    expect(await said('host-list', `uuid=${host}`, 'params=name-label', '--minimal')).toMatch(/^xen[12]$/);
    expect(await said('sr-list', 'host=xen1', 'params=host', '--minimal')).toBe('xen1');
  });

  test('fields of metrics stand in the object that they are about', async () => {
    expect(await said('host-list', 'name-label=xen1', 'params=memory-total', '--minimal')).toBe(String(16 * 2 ** 30));
    expect(Number(await said('host-list', 'name-label=xen1', 'params=memory-free', '--minimal'))).toBeGreaterThan(0);
  });

  test('as JSON, with the values of the XenAPI', async () => {
    const hosts: unknown = JSON.parse(await said('host-list', 'params=name-label,enabled,tags,other-config', '--json'));
    expect(hosts).toHaveLength(2);
    expect(hosts).toContainEqual(
      expect.objectContaining({ 'name-label': 'xen1', enabled: true, tags: [], 'other-config': expect.any(Object) }),
    );
  });

  test('a class that is never used by hand is listed all the same', async () => {
    expect(await said('role-list', 'name-label=read-only', 'params=name-label', '--minimal')).toBe('read-only');
    expect(await said('secret-list')).toBe('');
  });

  test('over TLS, with the password from a file', async () => {
    const file = join(directory, 'password');
    writeFileSync(file, `root\n${pool.password}\n`);
    const { XENOLITH_PASSWORD: _password, ...rest } = environment;
    const args = [join(bin, 'xe.js'), '-s', pool.tlsUrl, '-u', 'root', '-pwf', file, 'pool-list', '--minimal'];
    expect(await run(process.execPath, args, '', rest)).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('fields', () => {
  let uuid: string;
  beforeAll(async () => {
    uuid = `uuid=${await said('pool-list', '--minimal')}`;
  });

  test('set, read, added to, removed from and cleared', async () => {
    const odd = 'a "b"; c\n$(d) = é';
    await said('pool-param-set', uuid, `name-label=${odd}`, 'other-config:key=a=b');
    expect(await said('pool-param-get', uuid, 'param-name=name-label')).toBe(odd);
    expect(await said('pool-param-get', uuid, 'param-name=other-config', 'param-key=key')).toBe('a=b');
    expect(await said('pool-list', 'other-config:key=a=b', '--minimal')).toBe(uuid.slice(5));
    expect(await said('pool-list', 'other-config:key=a', '--minimal')).toBe('');
    await said('pool-param-add', uuid, 'param-name=other-config', 'more=1');
    await said('pool-param-remove', uuid, 'param-name=other-config', 'param-key=key');
    expect(await said('pool-param-get', uuid, 'param-name=other-config')).toContain('more: 1');
    for (const tag of ['x', 'y']) await said('pool-param-add', uuid, 'param-name=tags', `param-key=${tag}`);
    expect(await said('pool-list', 'tags=y', '--minimal')).toBe(uuid.slice(5));
    await said('pool-param-clear', uuid, 'param-name=tags');
    expect(await said('pool-param-get', uuid, 'param-name=tags')).toBe('');
  });

  test('references are set by uuid, numbers and words by what they are', async () => {
    const sr = (await said('sr-list', '--minimal')).split(',')[1];
    await said('pool-param-set', uuid, `default-SR=${sr}`);
    expect(await said('pool-param-get', uuid, 'param-name=default-SR')).toBe(sr);
    const vm = `uuid=${await said('vm-list', 'name-label=scratch', '--minimal')}`;
    await said('vm-param-set', vm, 'user-version=7', 'actions-after-shutdown=RESTART');
    expect(await said('vm-param-get', vm, 'param-name=user-version', '--json')).toBe('7');
    expect(await said('vm-param-get', vm, 'param-name=actions-after-shutdown')).toBe('restart');
  });

  test('nothing is changed when one word is wrong', async () => {
    await said('pool-param-set', uuid, 'name-label=before');
    for (const wrong of ['nothing=1', 'uuid-x=1', 'name-label:key=1', 'master=x']) {
      expect(await xe('pool-param-set', uuid, 'name-label=after', wrong)).toMatchObject({ code: 2 });
    }
    expect(await said('pool-param-get', uuid, 'param-name=name-label')).toBe('before');
  });
});

describe('the life of a VM', () => {
  test('from a template to its end', async () => {
    const name = 'x"; reboot';
    const vm = await said('vm-install', 'template=Xenolith guest (PVH)', `new-name-label=${name}`);
    const state = (): Promise<string> => said('vm-param-get', `uuid=${vm}`, 'param-name=power-state');
    const steps = [
      [['vm-start', `vm=${name}`, 'on=xen2', 'paused=true'], 'paused'],
      [['vm-unpause', `uuid=${vm}`], 'running'],
      [['vm-suspend', `vm=${vm}`], 'suspended'],
      [['vm-resume', `name-label=${name}`], 'running'],
      [['vm-pause', `uuid=${vm}`], 'paused'],
      [['vm-unpause', `uuid=${vm}`], 'running'],
      [['vm-reboot', `uuid=${vm}`], 'running'],
      [['vm-shutdown', `uuid=${vm}`, '--force'], 'halted'],
    ] as const;
    for (const [step, after] of steps) {
      expect(await said(...step), step[0]).toBe('');
      expect(await state(), step[0]).toBe(after);
    }
    const copy = await said('vm-clone', `uuid=${vm}`, 'new-name-label=copy', 'new-name-description=of x');
    expect(await said('vm-list', 'name-description=of x', '--minimal')).toBe(copy);
    await said('vm-destroy', `uuid=${copy}`);
    await said('vm-uninstall', `uuid=${vm}`, 'force=true');
    expect(await said('vm-list', `name-label=${name}`, '--minimal')).toBe('');
    expect(await said('task-list', '--minimal'), 'no task is left over').toBe('');
  });

  test('disks and interfaces', async () => {
    const vm = await said('vm-list', 'name-label=scratch', '--minimal');
    const sr = await said('sr-list', 'host=xen1', '--minimal');
    const vdi = await said('vdi-create', `sr-uuid=${sr}`, 'name-label=data', 'virtual-size=64MiB');
    expect(await said('vdi-param-get', `uuid=${vdi}`, 'param-name=virtual-size')).toBe(String(64 * 2 ** 20));
    await said('vdi-resize', `uuid=${vdi}`, 'disk-size=128MiB');
    expect(await said('vdi-param-get', `uuid=${vdi}`, 'param-name=virtual-size')).toBe(String(128 * 2 ** 20));
    const vbd = await said('vbd-create', `vm-uuid=${vm}`, `vdi-uuid=${vdi}`, 'device=3');
    expect(await said('vm-disk-list', `uuid=${vm}`)).toContain(vdi);
    await said('vbd-destroy', `uuid=${vbd}`);
    await said('vdi-destroy', `uuid=${vdi}`);
    const network = await said('network-create', 'name-label=inner');
    const vif = await said('vif-create', `vm-uuid=${vm}`, `network-uuid=${network}`, 'device=4');
    expect(await said('vm-vif-list', `uuid=${vm}`, '--minimal')).toContain(vif);
    await said('vif-destroy', `uuid=${vif}`);
    await said('network-destroy', `uuid=${network}`);
  });

  test('event-wait ends when it is so', async () => {
    await said('event-wait', 'class=vm', 'name-label=web', 'power-state=running');
    const vm = await said('vm-list', 'name-label=scratch', '--minimal');
    const waiting = said('event-wait', 'class=vm', `uuid=${vm}`, 'name-description=now');
    await said('vm-param-set', `uuid=${vm}`, 'name-description=now');
    await waiting;
  });

  test('the console', async () => {
    const { code, stdout, stderr } = await program('xe', ['console', 'vm=web'], 'hello\n');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('web: up');
    const refused = await program('xe', ['console', 'vm=scratch']);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('VM_BAD_POWER_STATE') });
  });
});

describe('the layouts', () => {
  test('fields of one object', async () => {
    const uuid = await said('host-list', 'name-label=xen1', '--minimal');
    expect(await said('host-param-list', `uuid=${uuid}`, 'params=tags,name-label,enabled,cpu_info,uuid')).toMatch(
      new RegExp(
        [
          `uuid \\( RO\\)          : ${uuid}`,
          '    name-label \\( RW\\): xen1',
          '       enabled \\( RO\\): true',
          '      cpu_info \\(MRO\\): cpu_count: 8; .*',
          '          tags \\(SRW\\): \n\n$',
        ].join('\n'),
      ),
    );
  });

  test('disks under headings, as values, and as JSON', async () => {
    const sr = await said('sr-list', 'host=xen1', '--minimal');
    const vbd = await said('vm-disk-add', 'vm=scratch', 'disk-size=1MiB', 'device=7', `sr-uuid=${sr}`);
    const vdi = await said('vbd-param-get', `uuid=${vbd}`, 'param-name=vdi-uuid');
    const [srName] = [await said('sr-param-get', `uuid=${sr}`, 'param-name=name-label')];
    const shown = await said('vm-disk-list', 'vm=scratch');
    const tail = shown.slice(shown.indexOf(vbd) - 'Disk 0 VBD:\nuuid ( RO)             : '.length);
    expect(tail.replace(/^Disk \d/, 'Disk 0').replace(/\nDisk \d/, '\nDisk 0')).toBe(
      [
        'Disk 0 VBD:',
        `uuid ( RO)             : ${vbd}`,
        '    vm-name-label ( RO): scratch',
        '       userdevice ( RW): 7',
        '',
        '',
        'Disk 0 VDI:',
        `uuid ( RO)             : ${vdi}`,
        '       name-label ( RW): Disk',
        `    sr-name-label ( RO): ${srName}`,
        '     virtual-size ( RO): 1048576',
        '',
        '',
      ].join('\n'),
    );
    const json: unknown = JSON.parse(await said('vm-disk-list', 'vm=scratch', 'vbd-params=uuid', '--json'));
    expect(json).toContainEqual({ vbd: { uuid: vbd }, vdi: expect.objectContaining({ uuid: vdi }) });
    await said('vm-disk-remove', 'vm=scratch', 'device=7');
    expect(await said('vdi-list', `uuid=${vdi}`)).toBe('');
  });

  test('one JSON value from every command', async () => {
    const value = async (...args: readonly string[]): Promise<unknown> => JSON.parse(await said(...args, '--json'));
    expect(await value('pool-sync-database')).toBe(null);
    const uuid = await value('vm-clone', 'vm=Xenolith guest (PVH)', 'new-name-label=json');
    expect(uuid).toEqual(expect.stringMatching(/^[0-9a-f-]{36}$/));
    expect(await value('template-param-list', `uuid=${String(uuid)}`, 'params=name-label,affinity,VIFs')).toEqual({
      'name-label': 'json',
      affinity: null,
      VIFs: expect.any(Array),
    });
    expect(await value('template-uninstall', `template-uuid=${String(uuid)}`, 'force=true')).toBe(null);
    expect(await value('session-subject-identifier-list')).toEqual([]);
    const { code, stdout, stderr } = await xe('vm-param-list', 'uuid=x', '--json');
    expect([code, stdout, JSON.parse(stderr)]).toEqual([
      1,
      '',
      { error: { code: 'UUID_INVALID', params: ['VM', 'x'], message: 'There is no such object.' } },
    ]);
  });
});

describe('what fewer commands do', () => {
  test('messages, secrets and memory', async () => {
    const pool = await said('pool-list', '--minimal');
    const message = await said('message-create', 'name=X', 'priority=3', 'body=a b', `pool-uuid=${pool}`);
    expect(await said('message-list', 'class=Pool', 'params=body', '--minimal')).toBe('a b');
    await said('message-destroy', `uuids=${message}`);
    await said('message-create', 'name=X', 'priority=5', 'body=c', `pool-uuid=${pool}`);
    await said('message-destroy-all', 'priority=4');
    expect(await said('message-list', 'name=X', 'params=body', '--minimal')).toBe('c');
    await said('message-destroy-all', 'after=20200101T00:00:00Z', 'priority=5');
    expect(await said('message-list', 'name=X')).toBe('');
    const secret = await said('secret-create', 'value=s');
    expect(await said('secret-list', '--minimal')).toBe(secret);
    await said('secret-destroy', `uuid=${secret}`);
    const vm = await said('vm-create', 'name-label=bare');
    await said(
      'vm-memory-limits-set',
      'vm=bare',
      'static-min=1MiB',
      'dynamic-min=2MiB',
      'dynamic-max=3MiB',
      'static-max=4MiB',
    );
    expect(await said('vm-list', 'name-label=bare', 'params=memory-dynamic-max', '--minimal')).toBe(
      String(3 * 2 ** 20),
    );
    expect(await said('vm-compute-memory-overhead', 'vm=bare')).toBe(String(4 * 2 ** 20));
    expect(await said('vm-compute-maximum-memory', 'vm=bare', 'total=261MiB')).toBe(String(256 * 2 ** 20));
    expect(await said('vm-compute-maximum-memory', 'vm=bare', 'total=1MiB', 'approximate=true')).toBe('0');
    expect(await xe('vm-memory-target-set', 'vm=bare', 'target=3MiB')).toMatchObject({ code: 1 });
    expect(await xe('vm-memory-target-wait', 'vm=bare')).toMatchObject({ code: 1 });
    const host = await said('host-list', 'name-label=xen1', '--minimal');
    const overhead = await said('host-compute-memory-overhead', `uuid=${host}`);
    expect(overhead).toBe(String(72 * 2 ** 20));
    expect(await said('host-numa-info', `uuid=${host}`)).toContain('NUMA nodes, ');
    expect(Number(await said('host-compute-free-memory', `uuid=${host}`))).toBeLessThan(
      16 * 2 ** 30 - Number(overhead),
    );
    expect(await xe('vm-reset-powerstate', 'vm=bare')).toMatchObject({ code: 2 });
    await said('vm-destroy', `uuid=${vm}`);
  });

  test('what is to be done to all VMs is not done to control domains, and goes on after a refusal', async () => {
    const { code, stdout, stderr } = await xe('vm-unpause', '--multiple');
    expect([code, stdout]).toEqual([1, '']);
    const vms = (await said('vm-list', 'is-control-domain=false', '--minimal')).split(',');
    expect(
      stderr
        .split('\n')
        .flatMap((line) => /^([0-9a-f-]{36}): /.exec(line)?.[1] ?? [])
        .sort(),
    ).toEqual(vms.sort());
  });

  test('a certificate that is checked', async () => {
    const file = join(directory, 'ca.pem');
    writeFileSync(file, pool.certificate);
    await said('-s', pool.tlsUrl, '--ca', file, 'pool-list');
    expect(await xe('-s', pool.tlsUrl, '--verify', 'pool-list')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Error: .* has a certificate that is not trusted: .*\n$/),
    });
  });
});

describe('what is refused', () => {
  test.each([
    ['an unknown command', ['vm-fly'], 2, /there is no command vm-fly/],
    ['an unknown option', ['--fly', 'vm-list'], 2, /unknown option --fly/],
    ['an unknown field', ['vm-list', 'wings=2'], 2, /vm has no field wings/],
    ['a key that is missing', ['vdi-create', 'sr-uuid=x'], 2, /vdi-create needs name-label=/],
    ['a word without =', ['vm-start', 'web'], 2, /web: expected key=value/],
    ['nothing chosen', ['vm-start'], 2, /which vm\?/],
    ['more than one', ['vm-start', 'is-a-template=false'], 2, /vms match/],
    ['no vm that matches', ['vm-start', 'name-label=nobody'], 1, /^Error: no vm matches\n$/],
    ['a key that a map has not', ['pool-list', 'name-label:x=1'], 2, /has no keys/],
    ['destroying without force', ['vm-uninstall', 'vm=web'], 2, /force=true/],
    ['nothing', [], 2, /^$/],
    ['a uuid of nobody', ['vm-param-list', 'uuid=x'], 1, /Error code: UUID_INVALID\ntype: VM\nuuid: x/],
    ['a name of nobody', ['vm-start', 'vm=nobody'], 1, /UUID_INVALID/],
    [
      'a wrong state',
      ['vm-resume', 'vm=web'],
      1,
      /Error code: VM_BAD_POWER_STATE\nvm: .*\nexpected: suspended\nactual: running/,
    ],
    ['a wrong password', ['-pw', 'x', 'vm-list'], 1, /SESSION_AUTHENTICATION_FAILED/],
    [
      'a server that is not there',
      ['-s', 'http://127.0.0.1:1', 'vm-list'],
      1,
      /nobody listens at http:\/\/127.0.0.1:1/,
    ],
  ] as const)('%s', async (_, args, code, message) => {
    const finished = await xe(...args);
    expect(finished.stderr).toMatch(message);
    expect(finished.code).toBe(code);
  });

  test('no password at all', async () => {
    const { XENOLITH_PASSWORD: _password, ...rest } = environment;
    const finished = await run(process.execPath, [join(bin, 'xe.js'), 'vm-list'], '', rest);
    expect(finished).toMatchObject({ code: 2, stderr: expect.stringContaining('no password') });
  });
});

const bash = requires(['bash']);

describe.skipIf(bash.skip)(`completion in bash ${bash.reason}`, () => {
  /** What bash has to offer after a line. */
  async function offered(name: string, line: string): Promise<readonly string[]> {
    const script = `
      ${name}() { "$NODE" "$BIN/${name}.js" "$@"; }
      eval "$(${name} completion bash)"
      COMP_LINE=$LINE COMP_POINT=\${#LINE}
      read -ra COMP_WORDS <<< "$LINE"
      [[ $LINE == *' ' ]] && COMP_WORDS+=('')
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      _${name}
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { code, stdout, stderr } = await run('bash', ['-c', script], '', {
      ...environment,
      NODE: process.execPath,
      BIN: bin,
      LINE: line,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout.split('\n').filter((word) => word !== '');
  }

  test.each([
    ['xe', 'xe vm-unp', ['vm-unpause']],
    ['xe', 'xe --min', ['--minimal']],
    ['xe', 'xe vm-disk-add d', ['disk-size=', 'device=']],
    ['xe', 'xe vdi-create sr-uuid=x virt', ['virtual-size=']],
    ['xe', 'xe vm-list params=power', ['power-state']],
    ['xe', 'xe vm-start vm=scr', ['scratch']],
    ['xe', 'xe vm-start on=xen', ['xen1', 'xen2']],
    ['xe', 'xe vm-list params=uuid,power-', ['uuid,power-state']],
    ['xe', 'xe vm-list power-state=ha', ['halted']],
    ['xe', 'xe vm-install template=Xenolith\\ guest\\ \\(PVH', [String.raw`Xenolith\ guest\ \(PVH\)`]],
    ['xe', 'xe vm-install template="Xenolith guest (PVH', ['Xenolith guest (PVH)']],
    ['xe', 'xe vm-list name-label=Control\\ domain\\ on\\ host:', [String.raw`\ xen1`, String.raw`\ xen2`]],
    ['xe', 'xe fly ', []],
    ['xenolith', 'xenolith la', ['lab']],
    ['xenolith', 'xenolith lab ', ['up', 'status', 'ssh', 'console', 'validate', 'down']],
    ['xenolith', 'xenolith lab up --n', ['--nodes']],
  ] as const)('%s: %s', async (name, line, words) => {
    expect(await offered(name, line)).toEqual(words);
  });
});

describe('xenolith', () => {
  test('host list and host forget speak to the server', async () => {
    const { code, stdout } = await program('xenolith', ['host', 'list']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/name-label \( RW\): xen1/);
    expect(await program('xenolith', ['host', 'forget', 'x'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('UUID_INVALID'),
    });
  });

  test('a wrong command line is told from a failure', async () => {
    expect(await program('xenolith', ['fly'])).toMatchObject({ code: 2 });
    expect(await program('xenolith', ['lab', 'up', '--hosts', 'x'])).toMatchObject({ code: 2 });
    expect(await program('xenolith', ['lab', 'up', '--memory', 'x'])).toMatchObject({ code: 2 });
    expect(await program('xenolith', ['lab', 'up', '--nodes', '3', '--cpus', '8'])).toMatchObject({ code: 2 });
    expect(await program('xenolith', ['--help'])).toMatchObject({ code: 0 });
  });

  test('up is the server, with its own options and ends', async () => {
    const envFile = join(directory, 'env');
    const quiet = ['--log-level', 'silent'];
    const args = [
      'up',
      ...quiet,
      '--empty',
      '--listen',
      '127.0.0.1:0',
      '--data',
      join(directory, 'data'),
      '--env-file',
      envFile,
    ];
    const child = spawn(join(bin, 'xenolith.js'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.once('close', resolve));
    let stdout = '';
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => reject(new Error(`ended with ${code}: ${stdout}`)));
      child.stdout.on('data', (data) => {
        stdout += String(data);
        if (stdout.includes('Try:')) resolve();
      });
    });
    const own = { ...process.env, ...parseEnv(readFileSync(envFile, 'utf8')) };
    const listed = await run(process.execPath, [join(bin, 'xe.js'), 'vm-list', '--json'], '', own);
    expect(listed).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});
