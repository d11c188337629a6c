/** The npm client `xen-api`, which Xen Orchestra is built on, unmodified, over each of its transports. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Xapi, type CachedObject } from 'xen-api';
import { startModelPool, type ModelPool } from './model-pool.ts';

let pool: ModelPool;
beforeAll(async () => {
  pool = await startModelPool();
});
afterAll(() => pool.close());

/** Waits until the client has heard by events that an object is as it should be, or is gone. */
function heard(client: Xapi, ref: string, test: (object: CachedObject | undefined) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!test(client.getObject(ref, undefined))) return;
      client.objects.off('finish', look);
      resolve();
    };
    client.objects.on('finish', look);
    look();
  });
}

const isTemplate = (vm: CachedObject): boolean => vm['is_a_template'] === true && vm['is_a_snapshot'] !== true;
const isPlain = (vm: CachedObject): boolean =>
  vm['is_a_template'] === false && vm['is_control_domain'] === false && vm['is_a_snapshot'] === false;

describe.each([
  ['JSON-RPC', 'json-rpc', 'url'],
  ['XML-RPC', 'xml-rpc', 'url'],
  ['whichever it finds, over TLS', 'auto', 'tlsUrl'],
] as const)('over %s', (_name, transport, address) => {
  let client: Xapi;

  const makeClient = (password = pool.password): Xapi =>
    new Xapi({
      url: pool[address],
      auth: { user: pool.user, password },
      transport,
      allowUnauthorized: true,
      debounce: 0,
    });

  beforeEach(async () => {
    client = makeClient();
    await client.connect();
    await client.objectsFetched;
  });
  afterEach(() => client.disconnect());

  test('a wrong password is refused in the words of the XenAPI', async () => {
    const stranger = makeClient('wrong');
    await expect(stranger.connect()).rejects.toMatchObject({
      code: 'SESSION_AUTHENTICATION_FAILED',
      params: ['root', expect.any(String)],
    });
  });

  test('the pool, its hosts and VMs are listed with the types of their fields', async () => {
    const hosts = await client.getAllRecords('host');
    expect(hosts).toHaveLength(2);
    for (const host of hosts) {
      expect(host).toMatchObject({ enabled: true, API_version_vendor: 'XenSource' });
      expect(Number(host['API_version_major'])).toBe(2);
    }
    expect(hosts.map((host) => host.$ref)).toContain(client.pool['master']);
    const vms = await client.getAllRecords('VM');
    expect(vms.filter(isTemplate).length).toBeGreaterThan(0);
    expect(vms.filter(isPlain).length).toBeGreaterThan(0);
    expect(vms.filter((vm) => vm['is_control_domain'] === true)).toHaveLength(2);
  });

  test('every class that can be listed is fetched, and events follow', async () => {
    const types = new Set(Object.values(client.objects.all).map((object) => object.$type));
    for (const type of ['pool', 'host', 'VM', 'SR', 'network', 'PIF', 'role']) expect(types).toContain(type);
    await client.call('pool.add_to_other_config', client.pool.$ref, `key ${transport}`, '"\n;');
    const fresh = await client.barrier(client.pool.$ref);
    expect(fresh['other_config']).toMatchObject({ [`key ${transport}`]: '"\n;' });
    await client.call('pool.remove_from_other_config', client.pool.$ref, `key ${transport}`);
    expect(client.watchEventsError).toBeUndefined();
  });

  test('a template becomes a VM, which starts, pauses, ends and is destroyed, each step seen by events', async () => {
    const name = `"; from ${transport}\n'`;
    const template = (await client.getAllRecords('VM')).filter(isTemplate).find((vm) => vm['PV_kernel'] !== '');
    const vm = String(await client.call('VM.clone', template?.$ref, name));
    await heard(client, vm, (object) => object?.['name_label'] === name && object['is_a_template'] === true);
    await client.callAsync('VM.provision', vm);
    await heard(client, vm, (object) => object?.['is_a_template'] === false);

    const steps = [
      ['VM.start', [false, false], 'Running'],
      ['VM.pause', [], 'Paused'],
      ['VM.unpause', [], 'Running'],
      ['VM.suspend', [], 'Suspended'],
      ['VM.resume', [false, false], 'Running'],
      ['VM.clean_reboot', [], 'Running'],
      ['VM.clean_shutdown', [], 'Halted'],
      ['VM.start', [false, false], 'Running'],
      ['VM.hard_shutdown', [], 'Halted'],
    ] as const;
    for (const [method, params, state] of steps) {
      await client.callAsync(method, vm, ...params);
      expect(await client.getField('VM', vm, 'power_state'), method).toBe(state);
      await heard(client, vm, (object) => object?.['power_state'] === state);
    }
    await expect(client.callAsync('VM.pause', vm)).rejects.toMatchObject({
      code: 'VM_BAD_POWER_STATE',
      params: [vm, 'running', 'halted'],
    });
    await client.callAsync('VM.destroy', vm);
    await heard(client, vm, (object) => object === undefined);
    await expect(client.getRecord('VM', vm)).rejects.toMatchObject({ code: 'HANDLE_INVALID', params: ['VM', vm] });
  });
});
