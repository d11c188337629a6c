/** Plugins and extensions of hosts, as real executables of this machine: on modelled hosts, and as the xl driver runs them. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock, SeededRandom, type Ref } from '@xenolith/base';
import { MemoryStore, silentLog, Xapi, type AuditSink } from '@xenolith/xapi';
import { encodeJsonRpcRequest, encodeXmlRpcCall, type WireValue } from '@xenolith/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseHostAddress } from '../host-address.ts';
import { openHost } from '../open-host.ts';

const root = mkdtempSync(join(tmpdir(), 'xenolith-programs-'));
const audited: string[] = [];
const audit: AuditSink = { append: (line) => audited.push(line) };
let xapi: Xapi;
let session: Ref<'session'>;
let host = '';

/** A plugin in the manner of XenAPIPlugin.py: the call is the argument, the answer is printed, a failure is an answer too. */
const pythonPlugin = `#!/usr/bin/env python3
import sys, xmlrpc.client

class Failure(Exception):
    def __init__(self, code, params):
        self.params = [code] + params

def echo(session, args):
    return args["text"]

def who(session, args):
    return session

def fails(session, args):
    raise Failure("VM_IS_TEMPLATE", [args["vm"]])

def own(session, args):
    raise Failure("MY_OWN_CODE", ["a", "b"])

def crash(session, args):
    raise KeyError("gone")

def number(session, args):
    return 7

table = {"echo": echo, "who": who, "fails": fails, "own": own, "crash": crash, "number": number}
params, name = xmlrpc.client.loads(sys.argv[1])
session, args = params
try:
    answer = {"Status": "Success", "Value": table[name](session, args)}
except Failure as e:
    answer = {"Status": "Failure", "ErrorDescription": e.params}
print(xmlrpc.client.dumps((answer,), "", True))
`;

const pythonExtension = `#!/usr/bin/env python3
import sys, xmlrpc.client
assert sys.argv[1:] == ["--xmlrpc"]
params, name = xmlrpc.client.loads(sys.stdin.read())
answer = {"Status": "Success", "Value": {"name": name, "sum": str(sum(int(p) for p in params if not p.startswith("Opaque")))}}
if "-1" in params:
    answer = {"Status": "Failure", "ErrorDescription": ["NEGATIVE", "-1"]}
print(xmlrpc.client.dumps((answer,), "", True))
`;

function install(directory: 'plugins' | 'extensions', name: string, text: string, mode = 0o755): void {
  mkdirSync(join(root, directory), { recursive: true });
  writeFileSync(join(root, directory, name), text);
  chmodSync(join(root, directory, name), mode);
}

const raw = async (method: string, ...params: readonly WireValue[]): Promise<readonly [boolean, unknown]> => {
  const answer = await xapi.call({ method, params, origin: { address: '127.0.0.1' } });
  return answer.ok ? [true, answer.value] : [false, answer.error];
};
const call = (method: string, ...params: readonly WireValue[]): Promise<readonly [boolean, unknown]> =>
  raw(method, session, ...params);

beforeAll(async () => {
  if (spawnSync('python3', ['-c', '']).status !== 0) throw new Error('this test needs python3');
  install('plugins', 'echo.py', pythonPlugin);
  install('plugins', 'fails', '#!/bin/sh\necho some output\necho some words >&2\nexit 3\n');
  install('plugins', 'babbles', '#!/bin/sh\necho this is no XML\n');
  install(
    'plugins',
    'faults',
    `#!/bin/sh\ncat <<'X'\n<?xml version="1.0"?><methodResponse><fault><value><struct><member><name>faultCode</name><value><int>4</int></value></member><member><name>faultString</name><value><string>too many</string></value></member></struct></value></fault></methodResponse>\nX\n`,
  );
  install('plugins', 'plain-file', 'not executable\n', 0o644);
  install('extensions', 'Sum.of', pythonExtension);
  const clock = new ManualClock();
  xapi = new Xapi({
    store: new MemoryStore(),
    clock,
    random: new SeededRandom(1),
    secrets: new SeededRandom(2),
    passwords: { hash: (password) => Promise.resolve(password), verify: (a, b) => Promise.resolve(a === b) },
    openHost: (text) => {
      const address = parseHostAddress(text, { homeDirectory: '/' });
      if (!address.ok) throw new Error(text);
      return openHost(address.value, { clock, programDirectory: root });
    },
    log: silentLog,
    audit,
    version: '0.0.0',
  });
  await xapi.start();
  session = xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
  const adding = call('host.add', 'model:xen1?nodes=1&sockets=1&cores=2&threads=1&memory=4G&dom0=1G&seed=1', {});
  for (let n = 0; n < 20; n++) await clock.advanceAsync(0);
  host = String((await adding)[1]);
});

afterAll(async () => {
  await xapi.close();
  rmSync(root, { recursive: true, force: true });
});

describe('a plugin', () => {
  test.each([['plain'], [''], [`it's "two"\nlines & <tags> $HOME \`id\` ünïcode`], ['x'.repeat(20_000)]])(
    'gets its arguments and gives its value, whatever it is (%#)',
    async (text) => {
      expect(await call('host.call_plugin', host, 'echo.py', 'echo', { text })).toEqual([true, text]);
    },
  );

  test('gets the session of its caller', async () => {
    expect(await call('host.call_plugin', host, 'echo.py', 'who', {})).toEqual([true, session]);
  });

  test.each<[string, string, string, Readonly<Record<string, string>>, readonly unknown[]]>([
    ['is missing', 'none', 'f', {}, ['XENAPI_MISSING_PLUGIN', 'none']],
    ['is no name', '../extensions/Sum.of', 'f', {}, ['XENAPI_MISSING_PLUGIN', '../extensions/Sum.of']],
    ['is empty', '', 'f', {}, ['XENAPI_MISSING_PLUGIN', '']],
    ['is not executable', 'plain-file', 'f', {}, ['XENAPI_MISSING_PLUGIN', 'plain-file']],
    ['fails by a code of the table', 'echo.py', 'fails', { vm: 'v' }, ['VM_IS_TEMPLATE', 'v']],
    ['fails by a code of its own', 'echo.py', 'own', {}, ['MY_OWN_CODE', 'a', 'b']],
    ['ends badly', 'fails', 'f', {}, ['XENAPI_PLUGIN_FAILURE', 'non-zero exit', 'some output\n', 'some words\n']],
    [
      'crashes',
      'echo.py',
      'crash',
      {},
      ['XENAPI_PLUGIN_FAILURE', 'non-zero exit', '', expect.stringContaining("KeyError: 'gone'")],
    ],
    [
      'says nothing of sense',
      'babbles',
      'f',
      {},
      ['XENAPI_PLUGIN_FAILURE', 'failed to parse plugin output', 'this is no XML\n', expect.any(String)],
    ],
    ['answers a fault', 'faults', 'f', {}, ['XENAPI_PLUGIN_FAILURE', 'fault', '4', 'too many']],
    [
      'answers no text',
      'echo.py',
      'number',
      {},
      ['XENAPI_PLUGIN_FAILURE', 'unexpected XMLRPC result', expect.any(String), ''],
    ],
    [
      'is given more than fits',
      'echo.py',
      'echo',
      { text: 'x'.repeat(100_000) },
      ['XENAPI_PLUGIN_FAILURE', expect.stringContaining('longer than'), '', ''],
    ],
  ])('that %s', async (_what, name, fn, args, error) => {
    expect(await call('host.call_plugin', host, name, fn, args)).toEqual([false, error]);
  });

  test('that takes too long is ended, and what it started too', async () => {
    install('plugins', 'slow', '#!/bin/sh\necho begun\nexec sleep 1000\n');
    const { system } = xapi.hosts.driverOf(host as Ref<'host'>);
    const end = await system.run({ directory: 'plugins', name: 'slow', args: ['x'], timeLimitMs: 1000 });
    expect(end).toMatchObject({ timedOut: true, stdout: 'begun\n' });
  });

  test('is for pool-admin, and is in the audit log without its arguments', async () => {
    const operator = xapi.sessions.open('ann', 'test', { superuser: false, role: 'pool-operator' });
    expect(await raw('host.call_plugin', operator, host, 'echo.py', 'echo', {})).toMatchObject([
      false,
      ['RBAC_PERMISSION_DENIED', 'host.call_plugin', expect.any(String)],
    ]);
    audited.length = 0;
    await call('host.call_plugin', host, 'echo.py', 'echo', { text: 'hush' });
    expect(audited[0]).toContain("'host.call_plugin' (('host' 'xen1' ");
    expect(audited[0]).toContain("('plugin' 'echo.py' '' '') ('fn' 'echo' '' '')");
    expect(audited[0]).not.toContain('hush');
  });
});

describe('an extension', () => {
  test('is a method of its own, and is called by text too', async () => {
    const value = { name: 'Sum.of', sum: '5' };
    expect(await call('Sum.of', '2', '3')).toEqual([true, value]);
    expect(await call('host.call_extension', host, encodeJsonRpcRequest('Sum.of', ['2', '3'], 1))).toEqual([
      true,
      JSON.stringify(value),
    ]);
    const [, xml] = await call('host.call_extension', host, encodeXmlRpcCall('Sum.of', ['2', '3']));
    expect(xml).toContain('<name>sum</name><value>5</value>');
    expect(await call('Sum.of', '-1')).toEqual([false, ['NEGATIVE', '-1']]);
  });

  test('is there for who may call it, and unknown to all others', async () => {
    const [, pools] = await call('pool.get_all');
    const [pool = ''] = pools as readonly string[];
    expect(await call('pool.has_extension', pool, 'Sum.of')).toEqual([true, true]);
    expect(await call('host.has_extension', host, 'Sum.of')).toEqual([true, true]);
    expect(await call('host.has_extension', host, 'None.such')).toEqual([true, false]);
    expect(await call('host.has_extension', host, '../plugins/echo.py')).toEqual([true, false]);
    const unknown = [false, ['MESSAGE_METHOD_UNKNOWN', 'Sum.of']];
    expect(await raw('Sum.of', xapi.sessions.open('ann', 'test', { superuser: false, role: 'pool-operator' }))).toEqual(
      unknown,
    );
    expect(await raw('Sum.of', 'OpaqueRef:none', '2')).toEqual(unknown);
    expect(await raw('Sum.of')).toEqual(unknown);
    expect(await call('None.such')).toEqual([false, ['MESSAGE_METHOD_UNKNOWN', 'None.such']]);
    expect(await call('host.call_extension', host, encodeJsonRpcRequest('None.such', [], 1))).toEqual([
      false,
      ['MESSAGE_METHOD_UNKNOWN', 'None.such'],
    ]);
    expect(await call('host.call_extension', host, 'nonsense')).toMatchObject([
      false,
      ['INVALID_VALUE', 'call', expect.any(String)],
    ]);
  });
});
