/** What a pool asks of a real host beside the life of a guest: snapshots, checkpoints, plugins, and to power off. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GUEST_UP_MARKER, hostStatus, labRun } from '@xenolith/lab';
import { labNeeds, requires } from '../requires.ts';
import { startJoinedPool, xlList, type JoinedPool } from './real-pool.ts';
import { WireConsole } from './wire-console.ts';

const { skip } = requires(labNeeds);

/** For a guest of the lab to boot. */
const upMs = 240_000;
const inDom0 = { timeoutMs: 60_000 };
/** How often a condition is looked at that nothing tells of. */
const lookMs = 200;

const failingPlugin = `#!/bin/sh
echo it broke >&2
exit 3
`;
/** Answers with what it was called with: the name of its function. */
const echoPlugin = `#!/bin/sh
name=$(printf %s "$1" | sed -n 's/.*<methodName>\\([a-z]*\\)<.*/\\1/p')
printf '<?xml version="1.0"?><methodResponse><params><param><value><struct>'
printf '<member><name>Status</name><value>Success</value></member>'
printf '<member><name>Value</name><value>%s in %s</value></member>' "$name" "$(uname -n)"
printf '</struct></value></param></params></methodResponse>'
`;

describe.skipIf(skip)('operations on real Xen', () => {
  let pool: JoinedPool;
  let vm: string;
  let vdi: string;
  beforeAll(async () => {
    pool = await startJoinedPool();
    const templates = await pool.client.getAllRecords('VM');
    const template = templates.find(
      ({ is_default_template, domain_type }) => is_default_template && domain_type === 'pv',
    );
    vm = String(await call('VM.clone', template?.$ref, 'original'));
    await call('VM.provision', vm);
    const [sr] = await pool.client.getAllRecords('SR');
    vdi = String(
      await call('VDI.create', {
        name_label: 'disk',
        SR: sr?.$ref,
        virtual_size: 4 * 1024 * 1024,
        type: 'user',
        sharable: false,
        read_only: false,
        other_config: {},
      }),
    );
    await call('VBD.create', {
      VM: vm,
      VDI: vdi,
      userdevice: '0',
      bootable: false,
      mode: 'RW',
      type: 'Disk',
      empty: false,
      qos_algorithm_type: '',
      qos_algorithm_params: {},
      other_config: {},
    });
  });
  afterAll(() => pool?.close());

  const call = (method: string, ...params: readonly unknown[]): Promise<unknown> =>
    pool.client.callAsync(method, ...params);
  const dom0 = (script: string, ...words: readonly string[]): Promise<string> =>
    labRun(pool.machine, ['bash', '-s', '--', ...words], { ...inDom0, input: script });
  const stateOf = (ref: string): Promise<unknown> => pool.client.getField('VM', ref, 'power_state');
  /** The file in dom0 that holds a disk. */
  const imageOf = async (disk: unknown): Promise<string> => {
    const uuid = String(await pool.client.getField('VDI', String(disk), 'uuid'));
    return (await dom0('find /srv /var -name "*$1*" -type f', uuid)).trim();
  };
  const write = async (text: string): Promise<void> => {
    await dom0('printf %s "$2" | dd of="$1" conv=notrunc status=none', await imageOf(await diskOf(vm)), text);
  };
  const read = async (disk: unknown): Promise<string> => dom0('head -c 5 "$1"', await imageOf(disk));
  const diskOf = async (ref: string): Promise<unknown> => {
    const [vbd] = (await pool.client.getField('VM', ref, 'VBDs')) as readonly string[];
    return pool.client.getField('VBD', String(vbd), 'VDI');
  };
  const domains = async (): Promise<number> => (await xlList(pool.machine)).length - 1;
  const isUp = async (): Promise<void> => {
    const [ref] = (await pool.client.getField('VM', vm, 'consoles')) as readonly string[];
    const location = String(await pool.client.getField('console', String(ref), 'location'));
    const console = await WireConsole.connect(location, pool.client.sessionId);
    await console.until(GUEST_UP_MARKER, upMs);
    console.close();
  };

  test('a snapshot keeps a disk as it was, and revert brings it back', async () => {
    await write('first');
    const snapshot = String(await call('VM.snapshot', vm, 'kept'));
    await write('later');
    expect(await read(await diskOf(snapshot))).toBe('first');
    await call('VM.revert', snapshot);
    expect(await read(await diskOf(vm))).toBe('first');
    expect(await stateOf(vm)).toBe('Halted');
    await call('VM.destroy', snapshot);
  });

  test('a checkpoint of a running guest leaves it running, and revert and resume go on from it', async () => {
    await call('VM.start', vm, false, false);
    await isUp();
    const checkpoint = String(await call('VM.checkpoint', vm, 'with memory'));
    expect(await stateOf(vm)).toBe('Running');
    expect(await stateOf(checkpoint)).toBe('Suspended');
    expect(await domains()).toBe(1);
    await call('VM.revert', checkpoint);
    expect(await stateOf(vm)).toBe('Suspended');
    await call('VM.resume', vm, false, false);
    expect(await stateOf(vm)).toBe('Running');
    expect(await domains()).toBe(1);
    // It answers, so it goes on: one that booted anew would have had to come up first.
    await call('VM.clean_shutdown', vm);
    expect(await domains()).toBe(0);
    await call('VM.destroy', checkpoint);
  });

  test('a plugin of dom0 is called, and one that fails is told of with what it said', async () => {
    const install = 'install -D -m 755 /dev/stdin "/etc/xapi.d/plugins/$1"';
    for (const [name, text] of [
      ['echo', echoPlugin],
      ['broken', failingPlugin],
    ] as const)
      await labRun(pool.machine, ['sh', '-c', install, 'sh', name], { ...inDom0, input: text });
    const plugin = (name: string): Promise<unknown> => call('host.call_plugin', pool.host, name, 'hello', { a: 'b' });
    expect(await plugin('echo')).toBe('hello in lab1');
    await expect(plugin('broken')).rejects.toMatchObject({
      code: 'XENAPI_PLUGIN_FAILURE',
      params: ['non-zero exit', '', expect.stringContaining('it broke')],
    });
    await expect(plugin('absent')).rejects.toMatchObject({ code: 'XENAPI_MISSING_PLUGIN' });
  });

  test('what Xen has said is read, and a host that is out of service powers off when it is asked to', async () => {
    expect(await call('host.dmesg', pool.host)).toContain('Xen version 4.17');
    await expect(call('host.shutdown', pool.host)).rejects.toMatchObject({ code: 'HOST_NOT_DISABLED' });
    await call('host.disable', pool.host);
    await call('host.shutdown', pool.host);
    const isOff = async (): Promise<boolean> => (await hostStatus(pool.machine)).condition !== 'running';
    await expect.poll(isOff, { timeout: 120_000, interval: lookMs }).toBe(true);
    const metrics = String(await pool.client.getField('host', pool.host, 'metrics'));
    expect(await pool.client.call('host_metrics.get_live', metrics)).toBe(false);
  });
});
