/** VMs that go to another host of the pool, over modelled hosts that share a directory. */
import { mibBytes, type Ref } from '@xenolith/base';
import { HostError } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk } from '../testing/new-objects.ts';

type Vm = Ref<'VM'>;

let pool: ModelPool;
let vm: Vm;
let one: Ref<'host'>;
let two: Ref<'host'>;

/** A repository that both hosts reach, with a disk of the VM in it. */
async function share(): Promise<void> {
  const location = '/shared/pool';
  const sr = await pool.call('SR.create', one, { location }, 0, 'shared', '', 'file', 'user', true, {});
  const pbds = pool.db.getAny('SR', sr)['PBDs'] as readonly Ref<'PBD'>[];
  if (!pbds.some((pbd) => pool.db.get('PBD', pbd).host === two)) {
    const pbd = await pool.call('PBD.create', { host: two, SR: sr, device_config: { location }, other_config: {} });
    await pool.call('PBD.plug', pbd);
  }
  const disk = await pool.call('VDI.create', newDisk(sr, mibBytes));
  await pool.call('VBD.create', newDevice(vm, disk, '0'));
}

async function start(): Promise<void> {
  await pool.call('VM.start_on', vm, one, false, false);
  await pool.clock.advanceAsync(10_000);
}

beforeEach(async () => {
  pool = await ModelPool.open(2);
  [one, two] = [pool.host(1), pool.host(2)];
  vm = await pool.newVm();
});

const migrate = (to: Ref<'host'>): Promise<string> => pool.refusal('VM.pool_migrate', vm, to, { live: 'true' });
const domains = (): readonly number[] => [1, 2].map((number) => pool.machine(number).hypervisor.domains().length - 1);

describe('a VM whose disks and memory both hosts reach', () => {
  beforeEach(share);

  test('goes there, and back', async () => {
    await start();
    for (const [to, where] of [
      [two, [0, 1]],
      [two, [0, 1]],
      [one, [1, 0]],
    ] as const) {
      expect(await migrate(to)).toBe('no refusal');
      expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', resident_on: to, suspend_VDI: 'OpaqueRef:NULL' });
      expect(domains()).toEqual(where);
      expect(pool.disagreements()).toEqual([]);
    }
  });

  test('goes on where it was when it cannot go on there', async () => {
    await start();
    pool.machine(2).failNext('restore', new HostError('command-failed', 'no'));
    expect(await migrate(two)).toMatch(
      new RegExp(`^VM_MIGRATE_FAILED ${vm} ${one} ${two} .*no.*it goes on where it was$`),
    );
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', resident_on: one });
    expect(pool.disagreements()).toEqual([]);
  });

  test('that is suspended goes on on either, and on the one that it prefers', async () => {
    await start();
    await pool.call('VM.set_suspend_SR', vm, [...pool.db.all('SR')].find(([, { shared }]) => shared)?.[0] ?? '');
    for (const [host, method, ...args] of [
      [two, 'VM.resume_on', two],
      [one, 'VM.resume_on', one],
      [two, 'VM.resume'],
    ] as const) {
      await pool.call('VM.suspend', vm);
      await pool.call('VM.set_affinity', vm, host);
      await pool.call(method, vm, ...args, false, false);
      expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', resident_on: host });
      await pool.clock.advanceAsync(10_000);
    }
  });

  test.each(['killed', 'host lost'] as const)('is never on both, nor loses its memory: %s', async (mishap) => {
    for (let step = 0; ; step++) {
      expect(step).toBeLessThan(100);
      pool = await ModelPool.open(2);
      [one, two] = [pool.host(1), pool.host(2)];
      vm = await pool.newVm();
      await share();
      await start();
      const wentWrong = await pool.befall(mishap, step, () => pool.call('VM.pool_migrate', vm, two, {}));
      for (const host of [one, two]) await pool.xapi.hosts.driverOf(host).refresh();
      await pool.settle();
      expect(pool.disagreements(), `step ${step}`).toEqual([]);
      expect(['Running', 'Suspended'], `step ${step}`).toContain(pool.vm(vm).power_state);
      if (!wentWrong) break;
    }
  });
});

const little = 16 * mibBytes;

describe('a VM between hosts that share nothing', () => {
  test('has its memory carried, and goes on there', async () => {
    await start();
    for (const [to, where] of [
      [two, [0, 1]],
      [one, [1, 0]],
    ] as const) {
      expect(await migrate(to)).toBe('no refusal');
      expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', resident_on: to, suspend_VDI: 'OpaqueRef:NULL' });
      expect(domains()).toEqual(where);
      expect(pool.disagreements()).toEqual([]);
    }
  });

  test('goes on where it was when its memory could not be carried', async () => {
    await start();
    pool.machine(2).failNext('files', new HostError('no-space', 'full'));
    expect(await migrate(two)).toMatch(/^VM_MIGRATE_FAILED .*full.*it goes on where it was$/);
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', resident_on: one });
    expect(pool.disagreements()).toEqual([]);
  });

  test('stays suspended where it was sent when it cannot go on there, and goes on when it can', async () => {
    await start();
    pool.machine(2).failNext('restore', new HostError('command-failed', 'no'));
    expect(await migrate(two)).toMatch(/^VM_MIGRATE_FAILED .*no.*it stays suspended: .*SR_NOT_ATTACHED/);
    expect(pool.vm(vm).power_state).toBe('Suspended');
    expect(pool.disagreements()).toEqual([]);
    await pool.call('VM.resume', vm, false, false);
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', resident_on: two });
  });

  test.each(['killed', 'host lost'] as const)('is never on both, nor loses its memory: %s', async (mishap) => {
    for (let step = 0; ; step++) {
      expect(step).toBeLessThan(100);
      pool = await ModelPool.open(2);
      [one, two] = [pool.host(1), pool.host(2)];
      vm = await pool.newVm();
      // So little that there are not many blocks to carry.
      await pool.call('VM.set_memory_limits', vm, little, little, little, little);
      await start();
      const wentWrong = await pool.befall(mishap, step, () => pool.call('VM.pool_migrate', vm, two, {}));
      for (const host of [one, two]) await pool.xapi.hosts.driverOf(host).refresh();
      await pool.settle();
      expect(pool.disagreements(), `step ${step}`).toEqual([]);
      expect(['Running', 'Suspended'], `step ${step}`).toContain(pool.vm(vm).power_state);
      if (!wentWrong) break;
    }
  });
});

describe('is refused before anything is done', () => {
  test('when a disk is on one host alone', async () => {
    const [sr = ''] = pool.db.get('host', one).PBDs.map((pbd) => pool.db.get('PBD', pbd).SR);
    await pool.call('VBD.create', newDevice(vm, await pool.call('VDI.create', newDisk(sr, mibBytes)), '0'));
    await start();
    expect(await migrate(two)).toBe(`VM_REQUIRES_SR ${vm} ${sr}`);
    expect(pool.vm(vm).power_state).toBe('Running');
  });

  test('when its memory has no place', async () => {
    await start();
    const [sr = ''] = pool.db.get('host', two).PBDs;
    await pool.call('PBD.unplug', sr);
    expect(await migrate(two)).toBe(
      `VM_MIGRATE_FAILED ${vm} ${one} ${two} there is no repository for its memory on xen2`,
    );
    expect(pool.vm(vm).power_state).toBe('Running');
  });

  test('when the host does not take VMs, has no room, or is none', async () => {
    await share();
    expect(await migrate(two)).toBe(`VM_BAD_POWER_STATE ${vm} running halted`);
    await start();
    await pool.call('host.disable', two);
    expect(await migrate(two)).toBe(`HOST_DISABLED ${two}`);
    await pool.call('host.enable', two);
    pool.machine(2).setReachable(false);
    await pool.settle();
    expect(await migrate(two)).toBe(`HOST_OFFLINE ${two}`);
    expect(await pool.refusal('VM.pool_migrate', vm, 'OpaqueRef:x', {})).toBe('HANDLE_INVALID host OpaqueRef:x');
    expect(pool.vm(vm).power_state).toBe('Running');
  });
});

test('a shutdown ends a VM that its host would make anew', async () => {
  await pool.call('VM.set_actions_after_shutdown', vm, 'restart');
  await start();
  await pool.call('VM.clean_shutdown', vm);
  expect(pool.vm(vm).power_state).toBe('Halted');
  expect(pool.disagreements()).toEqual([]);
});
