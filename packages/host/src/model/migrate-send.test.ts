/** VMs and disks that go to other repositories and hosts of the pool, over modelled hosts. */
import { mibBytes, type Ref } from '@xenolith/base';
import { HostError } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk, newInterface } from '../testing/new-objects.ts';

let pool: ModelPool;
let vm: Ref<'VM'>;
let disk: Ref<'VDI'>;
let vbd: Ref<'VBD'>;
let one: Ref<'host'>;
let two: Ref<'host'>;
/** The own repositories of the hosts. */
let srOne: Ref<'SR'>;
let srTwo: Ref<'SR'>;

const localSr = (host: Ref<'host'>): Ref<'SR'> =>
  pool.db.get('PBD', pool.db.get('host', host).PBDs[0] as Ref<'PBD'>).SR;

/** A repository that both hosts reach. */
async function share(): Promise<Ref<'SR'>> {
  const location = '/shared/pool';
  const sr = await pool.call<Ref<'SR'>>('SR.create', one, { location }, 0, 'shared', '', 'file', 'user', true, {});
  const pbd = await pool.call('PBD.create', { host: two, SR: sr, device_config: { location }, other_config: {} });
  await pool.call('PBD.plug', pbd);
  return sr;
}

async function open(): Promise<void> {
  pool = await ModelPool.open(2);
  [one, two] = [pool.host(1), pool.host(2)];
  [srOne, srTwo] = [localSr(one), localSr(two)];
  vm = await pool.newVm();
  disk = await pool.call('VDI.create', newDisk(srOne, mibBytes, { name_label: 'root' }));
  vbd = await pool.call('VBD.create', newDevice(vm, disk, '0'));
}

async function start(): Promise<void> {
  await pool.call('VM.start_on', vm, one, false, false);
  await pool.clock.advanceAsync(10_000);
}

async function send(method: string, to: Ref<'host'>, vdis = {}, vifs = {}, options = {}): Promise<string> {
  const [network = ''] = pool.db.refs('network');
  const dest = await pool.call<Record<string, string>>('host.migrate_receive', to, network, {});
  return await pool.refusal(method, vm, dest, true, vdis, vifs, options);
}

const diskNow = (): Ref<'VDI'> => pool.db.get('VBD', vbd).VDI;
/** Files of disks, by the host or the directory that both share. */
const files = (): readonly string[] =>
  [
    ...new Set(
      [1, 2].flatMap((number) =>
        pool.machine(number).files.paths.flatMap((path) => {
          if (!path.endsWith('.raw')) return [];
          return [path.startsWith('/shared/') ? 'shared' : `xen${number}`];
        }),
      ),
    ),
  ].toSorted();

beforeEach(open);

describe('VM.migrate_send', () => {
  test('takes a running VM and its disk to another host', async () => {
    await share();
    await start();
    expect(await send('VM.assert_can_migrate', two, { [disk]: srTwo })).toBe('no refusal');
    expect(files()).toEqual(['xen1']);
    expect(await send('VM.migrate_send', two, { [disk]: srTwo })).toBe('no refusal');
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', resident_on: two });
    expect(pool.db.has('VDI', disk)).toBe(false);
    expect(pool.db.get('VDI', diskNow())).toMatchObject({ SR: srTwo, name_label: 'root', managed: true });
    expect(files()).toEqual(['xen2']);
    expect(pool.disagreements()).toEqual([]);
  });

  test('takes it there too when the hosts share nothing, with its memory', async () => {
    await start();
    expect(await send('VM.migrate_send', two, { [disk]: srTwo })).toBe('no refusal');
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', resident_on: two });
    expect([pool.db.get('VDI', diskNow()).SR, files()]).toEqual([srTwo, ['xen2']]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('takes the pool’s default repository for a disk that has no place of its own there', async () => {
    await start();
    expect(await send('VM.migrate_send', two)).toBe(`VDI_NOT_IN_MAP ${disk}`);
    const shared = await share();
    await pool.call('pool.set_default_SR', pool.db.refs('pool')[0] ?? '', shared);
    expect(await send('VM.migrate_send', two)).toBe('no refusal');
    expect(pool.db.get('VDI', diskNow()).SR).toBe(shared);
  });

  test('gives a VM that is halted or suspended new disks and networks where it is', async () => {
    const shared = await share();
    const [here = ''] = pool.db.refs('network');
    const there = await pool.call('network.create', { name_label: 'inside', MTU: 1500, other_config: {} });
    const vif = await pool.call<Ref<'VIF'>>('VIF.create', newInterface(vm, here, '0'));
    expect(await send('VM.migrate_send', one, { [disk]: shared }, { [vif]: there })).toBe('no refusal');
    expect(pool.db.get('VDI', diskNow()).SR).toBe(shared);
    expect(pool.db.get('VIF', vif).network).toBe(there);
    await start();
    await pool.call('VM.suspend', vm);
    expect(await send('VM.migrate_send', one, { [diskNow()]: srOne }, { [vif]: here })).toBe('no refusal');
    expect(pool.vm(vm).power_state).toBe('Suspended');
    await pool.call('VM.resume_on', vm, one, false, false);
    expect(pool.disagreements()).toEqual([]);
  });

  test('takes disks of snapshots along when they are named', async () => {
    const shared = await share();
    const snapshot = await pool.call<Ref<'VM'>>('VM.snapshot', vm, 'before');
    const [kept = ''] = pool.vm(snapshot).VBDs.map((ref) => pool.db.get('VBD', ref).VDI);
    expect(await send('VM.migrate_send', two, { [disk]: shared, [kept]: shared })).toBe('no refusal');
    const moved = pool.vm(snapshot).VBDs.map((ref) => pool.db.get('VBD', ref).VDI);
    expect(moved.map((ref) => pool.db.get('VDI', ref))).toMatchObject([
      { SR: shared, is_a_snapshot: true, snapshot_of: diskNow() },
    ]);
    expect(files()).toEqual(['shared']);
  });

  test('goes on where it was when it cannot go on there, or a disk cannot be copied', async () => {
    const shared = await share();
    await start();
    pool.machine(2).failNext('restore', new HostError('command-failed', 'no'));
    expect(await send('VM.migrate_send', two, { [disk]: shared })).toMatch(
      /^VM_MIGRATE_FAILED .*it goes on where it was$/,
    );
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', resident_on: one });
    expect(pool.disagreements()).toEqual([]);
  });

  test('is refused before anything is done', async () => {
    await start();
    const [network = ''] = pool.db.refs('network');
    const dest = await pool.call<Record<string, string>>('host.migrate_receive', two, network, {});
    const refusal = (given: Record<string, string>, vdis = {}): Promise<string> =>
      pool.refusal('VM.migrate_send', vm, given, true, vdis, {}, {});
    expect(await refusal({ ...dest, session_id: 'OpaqueRef:x' })).toBe('SESSION_INVALID OpaqueRef:x');
    expect(await refusal({ ...dest, host: 'OpaqueRef:x' })).toBe('NOT_IMPLEMENTED VM.migrate_send to another pool');
    expect(await refusal({})).toBe('INVALID_VALUE dest it has no host');
    expect(await refusal(dest, { [disk]: srOne })).toBe(`VM_REQUIRES_SR ${vm} ${srOne}`);
    const other = await pool.call('VDI.create', newDisk(srOne, mibBytes));
    expect(await refusal({ ...dest, host: one }, { [other]: srTwo })).toBe(`INVALID_VALUE vdi_map ${other}`);
    expect(await send('VM.migrate_send', two, {}, {}, { copy: 'true' })).toMatch(/^OPERATION_NOT_ALLOWED/);
    await pool.call('VM.pause', vm);
    expect(pool.vm(vm).allowed_operations).not.toContain('migrate_send');
    expect(await send('VM.migrate_send', two)).toBe(`VM_BAD_POWER_STATE ${vm} halted, running, suspended paused`);
    expect(files()).toEqual(['xen1']);
  });

  test.each(['killed', 'host lost'] as const)('loses neither disk nor memory, nor leaves any: %s', async (mishap) => {
    for (let step = 0; ; step++) {
      expect(step).toBeLessThan(200);
      await open();
      await share();
      await start();
      const wentWrong = await pool.befall(mishap, step, () => send('VM.migrate_send', two, { [disk]: srTwo }));
      for (const host of [one, two]) await pool.xapi.hosts.driverOf(host).refresh();
      await pool.settle();
      expect(pool.disagreements(), `step ${step}`).toEqual([]);
      expect(['Running', 'Suspended'], `step ${step}`).toContain(pool.vm(vm).power_state);
      const disks = [...pool.db.all('VDI')].filter(([, { type }]) => type !== 'suspend');
      expect(disks.length, `step ${step}`).toBe(1);
      expect(files(), `step ${step}`).toEqual([disks[0]?.[1].SR === srTwo ? 'xen2' : 'xen1']);
      if (!wentWrong) break;
    }
  });
});

test('what a disk holds goes along to a host that reaches nothing of the other', async () => {
  const write = async (data: string): Promise<void> => {
    const path = `${pool.db.get('PBD', pool.db.get('host', one).PBDs[0] as Ref<'PBD'>).device_config['location']}/${pool.db.get('VDI', disk).location}`;
    const piece = { offset: mibBytes / 2 + 5, data: Buffer.from(data) };
    await pool.xapi.hosts.driverOf(one).files.writeImage(
      path,
      (async function* () {
        yield piece;
      })(),
    );
  };
  const held = async (vdi: string, host: Ref<'host'>, number: number): Promise<string> => {
    const path =
      pool.machine(number).files.paths.find((each) => each.endsWith(pool.db.get('VDI', vdi as Ref<'VDI'>).location)) ??
      '';
    const parts: Uint8Array[] = [];
    for await (const part of pool.xapi.hosts.driverOf(host).files.readImage(path)) parts.push(part);
    const image = Buffer.concat(parts);
    return `${image.length} ${image.toString('latin1').replaceAll('\0', '')}`;
  };
  await write('words');
  const copy = await pool.call('VDI.copy', disk, srTwo);
  expect(await held(copy, two, 2)).toBe(`${mibBytes} words`);
  await write('other');
  const into = await pool.call<Ref<'VDI'>>('VDI.create', newDisk(srTwo, 2 * mibBytes));
  await pool.call('VDI.copy', disk, srTwo, 'OpaqueRef:NULL', into);
  expect(await held(into, two, 2)).toBe(`${2 * mibBytes} other`);
  expect(files()).toEqual(['xen1', 'xen2']);
  const moved = await pool.call('VDI.pool_migrate', disk, srTwo, {});
  expect(await held(moved, two, 2)).toBe(`${mibBytes} other`);
  expect([files(), pool.db.count('VDI')]).toEqual([['xen2'], 3]);
  pool.machine(1).setReachable(false);
  await pool.settle();
  expect(await pool.refusal('VDI.copy', moved, srOne)).toBe(`HOST_OFFLINE ${one}`);
});

describe('VDI.pool_migrate', () => {
  test('moves a disk that no guest has, and one whose guest runs', async () => {
    const shared = await share();
    const first = await pool.call<Ref<'VDI'>>('VDI.pool_migrate', disk, shared, {});
    expect(diskNow()).toBe(first);
    await start();
    const second = await pool.call<Ref<'VDI'>>('VDI.pool_migrate', first, srOne, {});
    expect(diskNow()).toBe(second);
    expect(await pool.call('VDI.pool_migrate', second, srOne, {})).toBe(second);
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', resident_on: one, suspend_VDI: 'OpaqueRef:NULL' });
    expect(files()).toEqual(['xen1']);
    expect(pool.disagreements()).toEqual([]);
  });

  test('leaves a disk alone that another VM has, or whose guest could not reach it', async () => {
    await start();
    expect(await pool.refusal('VDI.pool_migrate', disk, srTwo, {})).toBe(`VM_REQUIRES_SR ${vm} ${srTwo}`);
    const other = await pool.newVm('other');
    const shared = await share();
    const sharable = await pool.call<Ref<'VDI'>>('VDI.create', newDisk(srOne, mibBytes, { sharable: true }));
    for (const each of [vm, other]) {
      const device = await pool.call('VBD.create', newDevice(each, sharable, '3'));
      if (each === vm) await pool.call('VBD.plug', device);
    }
    await pool.call('VM.start_on', other, one, false, false);
    expect(await pool.refusal('VDI.pool_migrate', sharable, shared, {})).toBe(`VDI_IN_USE ${sharable} mirror`);
    expect(pool.vm(vm).power_state).toBe('Running');
  });
});
