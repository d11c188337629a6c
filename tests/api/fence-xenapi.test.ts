/** Debian's fence_xenapi (package fence-agents), with which a cluster switches a node off for good. */
import { Xapi } from 'xen-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requires } from '../requires.ts';
import { runProgram, startModelPool, type Finished, type ModelPool } from './model-pool.ts';

const needed = requires(['fence_xenapi']);

describe.skipIf(needed.skip)(`fence_xenapi ${needed.reason}`, () => {
  let pool: ModelPool;
  let client: Xapi;
  let vm = '';
  const name = 'node to fence';

  beforeAll(async () => {
    pool = await startModelPool();
    client = new Xapi({ url: pool.url, auth: pool, watchEvents: false });
    await client.connect();
    const templates = (await client.getAllRecords('VM')).filter(
      (record) => record['is_a_template'] === true && record['PV_kernel'] !== '',
    );
    vm = String(await client.call('VM.clone', templates[0]?.$ref, name));
    await client.call('VM.provision', vm);
    await client.call('VM.start', vm, false, false);
  });
  afterAll(async () => {
    await client.disconnect();
    await pool.close();
  });

  const fence = (action: string, ...args: readonly string[]): Promise<Finished> =>
    runProgram('/usr/sbin/fence_xenapi', [
      '-s',
      pool.url,
      '-l',
      pool.user,
      '-p',
      pool.password,
      '-o',
      action,
      '--power-timeout=20',
      ...args,
    ]);
  const powerState = (): Promise<unknown> => client.getField('VM', vm, 'power_state');

  test('monitor reaches the pool', async () => {
    expect((await fence('monitor')).code).toBe(0);
  });

  test('list names the VMs, and neither templates nor control domains', async () => {
    const { code, stdout } = await fence('list');
    const uuid = String(await client.getField('VM', vm, 'uuid'));
    expect(code).toBe(0);
    expect(stdout).toContain(`${uuid},${name}`);
    const plain = (await client.getAllRecords('VM')).filter(
      (record) => record['is_a_template'] === false && record['is_control_domain'] === false,
    );
    expect(stdout.trim().split('\n')).toHaveLength(plain.length);
  });

  test('status, off, on and reboot do what they say', async () => {
    expect(await fence('status', '-n', name)).toMatchObject({ code: 0, stdout: expect.stringContaining('ON') });
    expect(await fence('off', '-n', name)).toMatchObject({ code: 0, stdout: expect.stringContaining('Success') });
    expect(await powerState()).toBe('Halted');
    // The agent's own code for "off".
    expect(await fence('status', '-n', name)).toMatchObject({ code: 2, stdout: expect.stringContaining('OFF') });
    expect(await fence('on', '-n', name)).toMatchObject({ code: 0 });
    expect(await powerState()).toBe('Running');
    const before = await client.getField('VM', vm, 'domid');
    expect(await fence('reboot', '-n', name)).toMatchObject({ code: 0 });
    expect(await powerState()).toBe('Running');
    expect(await client.getField('VM', vm, 'domid')).not.toBe(before);
  });

  test('a wrong password and an unknown node fail', async () => {
    const wrong = await runProgram('/usr/sbin/fence_xenapi', ['-s', pool.url, '-l', 'root', '-p', 'x', '-o', 'list']);
    expect(wrong.code).not.toBe(0);
    expect(wrong.stdout + wrong.stderr).toContain('SESSION_AUTHENTICATION_FAILED');
    expect((await fence('status', '-n', 'no such node')).code).not.toBe(0);
  });
});
