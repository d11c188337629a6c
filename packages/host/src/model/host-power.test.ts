/** Hosts in and out of service, on the model. */
import type { Ref } from '@xenolith/base';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';
import { modelBootMs } from './model-system.ts';

let pool: ModelPool;
let host: Ref<'host'>;

beforeEach(async () => {
  pool = await ModelPool.open(2);
  host = pool.host(2);
});

const isLive = (): boolean => pool.xapi.hosts.isLive(host);
const enabled = (): boolean => pool.db.get('host', host).enabled;

/** A VM that runs on the host. */
async function startVm(): Promise<Ref<'VM'>> {
  const [template] = [...pool.db.all('VM')].find(([, vm]) => vm.is_default_template) ?? [];
  const vm = await pool.call<Ref<'VM'>>('VM.clone', template ?? '', 'web');
  await pool.call('VM.provision', vm);
  await pool.call('VM.start_on', vm, host, false, false);
  await pool.settle();
  return vm;
}

async function bootTime(): Promise<void> {
  await pool.clock.advanceAsync(modelBootMs);
  await pool.settle();
}

describe('a reboot', () => {
  test('is for a disabled host without VMs; the host comes back enabled, with its cpupools and files', async () => {
    await pool.call('host.disable', host);
    await pool.call('host.reboot', host);
    await pool.settle();
    expect(isLive()).toBe(false);
    await bootTime();
    expect([isLive(), enabled()]).toEqual([true, true]);
    await startVm();
  });

  test('leaves a host disabled that is to stay so', async () => {
    await pool.call('host.disable', host, false);
    await pool.call('host.reboot', host);
    await bootTime();
    expect([isLive(), enabled()]).toEqual([true, false]);
    await pool.call('host.enable', host);
    expect(pool.db.get('host', host).other_config).not.toHaveProperty('xenolith:disabled');
  });

  test.each(['host.reboot', 'host.shutdown'])(
    '%s is refused on a host in service, and while a VM is there',
    async (method) => {
      const vm = await startVm();
      expect(await pool.refusal(method, host)).toBe('HOST_NOT_DISABLED');
      await pool.call('host.disable', host);
      expect(await pool.refusal(method, host)).toBe(`HOST_IN_USE ${host} VM ${vm}`);
      expect(await pool.refusal(method, 'OpaqueRef:none')).toBe('HANDLE_INVALID host OpaqueRef:none');
      expect(isLive()).toBe(true);
    },
  );
});

describe('a host that is off', () => {
  beforeEach(async () => {
    await pool.call('host.disable', host);
    await pool.call('host.shutdown', host);
    await pool.settle();
  });

  test('does not answer, and is powered on when that is set up', async () => {
    expect(isLive()).toBe(false);
    expect(pool.db.get('host', host).allowed_operations).toEqual(['enable']);
    for (const method of ['host.reboot', 'host.shutdown', 'host.dmesg']) {
      expect(await pool.refusal(method, host)).toBe(`HOST_OFFLINE ${host}`);
    }
    expect(await pool.refusal('host.power_on', host)).toBe('HOST_POWER_ON_MODE_DISABLED');
    await pool.call('host.set_power_on_mode', host, 'wake-on-lan', { key: 'value' });
    expect(pool.db.get('host', host)).toMatchObject({
      power_on_mode: 'wake-on-lan',
      power_on_config: { key: 'value' },
    });
    expect(pool.db.get('host', host).allowed_operations).toEqual(['power_on', 'enable']);
    await pool.call('host.power_on', host);
    await bootTime();
    expect([isLive(), enabled()]).toEqual([true, true]);
    expect(await pool.refusal('host.power_on', host)).toBe(`HOST_IS_LIVE ${host}`);
  });

  test('stays off when its network is mended', async () => {
    pool.machine(2).setReachable(true);
    await bootTime();
    expect(isLive()).toBe(false);
  });
});

test('a disabled host takes no VM, and says so', async () => {
  const operations = (): readonly string[] => pool.db.get('host', host).allowed_operations;
  expect(operations()).toEqual(['provision', 'evacuate', 'vm_start', 'vm_resume', 'vm_migrate', 'enable']);
  await pool.call('host.disable', host);
  expect(operations()).toEqual(['evacuate', 'shutdown', 'reboot', 'enable']);
  await expect(startVm()).rejects.toThrow(`HOST_DISABLED ${host}`);
});

describe('evacuation', () => {
  test('of an empty host is nothing', async () => {
    await pool.call('host.assert_can_evacuate', host);
    await pool.call('host.evacuate', host);
    expect(await pool.call('host.get_vms_which_prevent_evacuation', host)).toEqual({});
  });

  test('says why a VM would stay, and moves none then', async () => {
    const vm = await startVm();
    await pool.call('host.disable', pool.host(1));
    const stays = await pool.call<Readonly<Record<string, readonly string[]>>>(
      'host.get_vms_which_prevent_evacuation',
      host,
    );
    const expected = ['HOST_DISABLED', pool.host(1)];
    expect(stays).toEqual({ [vm]: expected });
    for (const method of ['host.assert_can_evacuate', 'host.evacuate']) {
      expect(await pool.refusal(method, host)).toBe(`CANNOT_EVACUATE_HOST ${expected.join(',')}`);
    }
    expect(pool.vm(vm).resident_on).toBe(host);
  });
});

test('a host that is gone can be declared dead, and its VMs are halted then', async () => {
  const vm = await startVm();
  expect(await pool.refusal('host.declare_dead', host)).toBe(`HOST_IS_LIVE ${host}`);
  pool.machine(2).setReachable(false);
  await pool.settle();
  expect(pool.vm(vm).power_state).toBe('Running');
  await pool.call('host.declare_dead', host);
  expect(pool.vm(vm).power_state).toBe('Halted');
});

test("Xen's messages are read, cleared, and debug keys sent", async () => {
  expect(await pool.call('host.dmesg', host)).toContain('(XEN) Xen version ');
  expect(await pool.call('host.dmesg_clear', host)).toContain('(XEN) Xen version ');
  expect(await pool.call('host.dmesg', host)).toBe('');
  await pool.call('host.send_debug_keys', host, 'u');
  expect(await pool.refusal('host.send_debug_keys', host, '; reboot')).toBe('INVALID_VALUE keys ; reboot');
});

test('there is one edition, without an end, and no old TLS', async () => {
  const [self = ''] = pool.db.refs('pool');
  expect(await pool.call('pool.get_license_state', self)).toEqual({ edition: 'free', expiry: 'never' });
  await pool.call('pool.apply_edition', self, 'free');
  await pool.call('host.apply_edition', host, 'free');
  expect(await pool.refusal('pool.apply_edition', self, 'enterprise')).toBe('INVALID_EDITION enterprise');
  expect(await pool.refusal('host.apply_edition', host, 'enterprise', true)).toBe('INVALID_EDITION enterprise');
  await pool.call('host.set_ssl_legacy', host, false);
  await pool.call('pool.disable_ssl_legacy', self);
  expect(await pool.refusal('host.set_ssl_legacy', host, true)).toMatch(/^VALUE_NOT_SUPPORTED value true /);
  expect(await pool.call('host.is_in_emergency_mode')).toBe(false);
  expect(await pool.call<readonly string[]>('host.list_methods')).toContain('VM.start');
});
