/** The main job on real Xen: an unmodified client makes a guest and takes it through its whole life. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Xapi as Client } from 'xen-api';
import { GUEST_UP_MARKER } from '@xenolith/lab';
import { labNeeds, requires } from '../requires.ts';
import { consoleUntil, sshAddress, sshOptions, startRealPool, xlList, type RealPool } from './real-pool.ts';

const { skip } = requires(labNeeds);

describe.skipIf(skip)('the life of a guest on real Xen', () => {
  let pool: RealPool;
  beforeAll(async () => {
    pool = await startRealPool();
  });
  afterAll(() => pool?.close());

  const domainOf = async (name: string) => (await xlList(host())).find((row) => row.name === name);
  const host = () => {
    const [first] = pool.hosts;
    if (first === undefined) throw new Error('no host in the lab');
    return first;
  };

  async function connect(transport: 'json-rpc' | 'xml-rpc'): Promise<Client> {
    const { url, user, password } = pool.server();
    const client = new Client({
      url,
      auth: { user, password: password ?? '' },
      transport,
      allowUnauthorized: true,
      debounce: 0,
    });
    await client.connect();
    await client.objectsFetched;
    return client;
  }

  test('a host joins by its address, with its figures and templates', async () => {
    // The pool has no host yet, so the client only serves to call.
    const { xapi } = pool.server();
    await xapi.hosts.add(sshAddress(host()), sshOptions(host()));
    const client = await connect('json-rpc');
    try {
      const [record] = await client.getAllRecords('host');
      expect(record).toMatchObject({ enabled: true, hostname: host().name });
      expect(record?.['software_version']).toMatchObject({ xen: expect.stringMatching(/^4\./) });
      expect(await client.getAllRecords('host_cpu')).toHaveLength(8);
      const [metrics] = await client.getAllRecords('host_metrics');
      expect(metrics).toMatchObject({ live: true });
      const templates = (await client.getAllRecords('VM')).filter((vm) => vm['is_default_template'] === true);
      const types = templates.map((vm) => vm['domain_type']);
      expect(types).toEqual(expect.arrayContaining(['pv', 'pvh']));
    } finally {
      await client.disconnect();
    }
  });

  test.each([
    ['json-rpc', 'pvh'],
    ['xml-rpc', 'pv'],
  ] as const)('over %s: a %s guest from template to destroy', async (transport, type) => {
    const client = await connect(transport);
    const states: string[] = [];
    const watch = (vm: string) => (): void => {
      const state = client.getObject(vm, undefined)?.['power_state'];
      if (typeof state === 'string' && states.at(-1) !== state) states.push(state);
    };
    try {
      const template = (await client.getAllRecords('VM')).find(
        (vm) => vm['is_default_template'] === true && vm['domain_type'] === type,
      );
      const name = `story-${type}`;
      const vm = String(await client.callAsync('VM.clone', template?.$ref, name));
      client.objects.on('finish', watch(vm));
      await client.callAsync('VM.provision', vm);
      const [network] = await client.getAllRecords('network');
      const [sr] = await client.getAllRecords('SR');
      const vdi = await client.call('VDI.create', {
        name_label: 'disk',
        SR: sr?.$ref,
        virtual_size: 16 * 1024 * 1024,
        type: 'user',
        sharable: false,
        read_only: false,
        other_config: {},
      });
      await client.call('VBD.create', {
        VM: vm,
        VDI: vdi,
        userdevice: '0',
        bootable: false,
        mode: 'RW',
        type: 'Disk',
        empty: false,
        other_config: {},
        qos_algorithm_type: '',
        qos_algorithm_params: {},
      });
      await client.call('VIF.create', {
        VM: vm,
        network: network?.$ref,
        device: '0',
        MAC: '',
        MTU: 1500,
        other_config: {},
        qos_algorithm_type: '',
        qos_algorithm_params: {},
      });

      await client.callAsync('VM.start', vm, false, false);
      const started = await domainOf(name);
      expect(started).toBeDefined();
      expect(Number(await client.getField('VM', vm, 'domid'))).toBe(started?.domid);
      const console = await consoleUntil(pool.server().xapi, vm, GUEST_UP_MARKER, 240_000);
      expect(console).toContain('Linux version');

      await client.callAsync('VM.pause', vm);
      expect((await domainOf(name))?.state).toContain('p');
      await client.callAsync('VM.unpause', vm);
      expect((await domainOf(name))?.state).not.toContain('p');

      await client.callAsync('VM.suspend', vm);
      expect(await domainOf(name)).toBeUndefined();
      expect(await client.getField('VM', vm, 'power_state')).toBe('Suspended');
      await client.callAsync('VM.resume', vm, false, false);
      const resumed = await domainOf(name);
      expect(resumed).toBeDefined();
      expect(await client.getField('VM', vm, 'suspend_VDI')).toBe('OpaqueRef:NULL');

      await client.callAsync('VM.clean_reboot', vm);
      const rebooted = await domainOf(name);
      expect(rebooted?.domid).toBeGreaterThan(resumed?.domid ?? Number.MAX_SAFE_INTEGER);
      expect(Number(await client.getField('VM', vm, 'domid'))).toBe(rebooted?.domid);
      await consoleUntil(pool.server().xapi, vm, GUEST_UP_MARKER, 240_000);

      await client.callAsync('VM.clean_shutdown', vm);
      expect(await domainOf(name)).toBeUndefined();

      await client.callAsync('VM.start', vm, true, false);
      expect((await domainOf(name))?.state).toContain('p');
      await client.callAsync('VM.hard_shutdown', vm);
      expect(await domainOf(name)).toBeUndefined();

      await client.callAsync('VM.destroy', vm);
      await client.call('VDI.destroy', vdi);
      await client.barrier();
      expect(client.getObject(vm, undefined)).toBeUndefined();
      // What a client that only listens saw; a state shorter than a batch of events may be left out.
      expect(states).toEqual(expect.arrayContaining(['Halted', 'Running', 'Paused', 'Suspended']));
      expect(states[0]).toBe('Halted');
    } finally {
      await client.disconnect();
    }
  });

  test('what xl refuses reaches the client in its own words, and nothing is left half done', async () => {
    const client = await connect('json-rpc');
    try {
      const template = (await client.getAllRecords('VM')).find((vm) => vm['is_default_template'] === true);
      const vm = String(await client.call('VM.clone', template?.$ref, 'no "kernel"; here'));
      await client.call('VM.provision', vm);
      await client.call('VM.set_PV_kernel', vm, '/nowhere/vmlinux');
      await expect(client.call('VM.start', vm, false, false)).rejects.toThrow(/nowhere|kernel/i);
      expect(await client.getField('VM', vm, 'power_state')).toBe('Halted');
      expect(await client.getField('VM', vm, 'current_operations')).toEqual({});
      expect((await xlList(host())).map((row) => row.domid)).toEqual([0]);
      await client.call('VM.destroy', vm);
    } finally {
      await client.disconnect();
    }
  });
});
