/** Repositories that are there before their records, and those of discs, over the model. */
import { bytes, gibBytes, mibBytes, type Ref } from '@xenolith/base';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk } from '../testing/new-objects.ts';

let pool: ModelPool;
let host: Ref<'host'>;
beforeEach(async () => {
  pool = await ModelPool.open();
  host = pool.host();
});

const put = (path: string, size = mibBytes): void =>
  pool.machine().files.put(path, { kind: 'image', sizeBytes: bytes(size), usedBytes: bytes(size) });
const create = (type: string, location: string): Promise<Ref<'SR'>> =>
  pool.call('SR.create', host, { location }, 0, type, '', type, 'user', false, {});
const names = (sr: Ref<'SR'>): readonly string[] =>
  pool.db
    .get('SR', sr)
    .VDIs.map((vdi) => pool.db.get('VDI', vdi).name_label)
    .toSorted();

describe('a repository of discs', () => {
  let sr: Ref<'SR'>;
  beforeEach(async () => {
    put('/srv/iso/debian.iso');
    put('/srv/iso/Rescue.ISO', 2 * mibBytes);
    put('/srv/iso/readme.txt');
    sr = await create('iso', '/srv/iso');
  });

  test('has the images of its directory as disks to read, as they come and go', async () => {
    expect(names(sr)).toEqual(['Rescue.ISO', 'debian.iso']);
    const [vdi] = pool.db.get('SR', sr).VDIs;
    expect(pool.db.get('VDI', vdi!)).toMatchObject({ read_only: true, sharable: true, virtual_size: mibBytes });
    put('/srv/iso/new.img');
    pool.machine().files.remove('/srv/iso/debian.iso');
    await pool.call('SR.scan', sr);
    await pool.call('SR.scan', sr);
    expect(names(sr)).toEqual(['Rescue.ISO', 'new.img']);
  });

  test('lets a disc into drives of several VMs, and one that is in a drive is kept as missing', async () => {
    const vdi = pool.db.get('SR', sr).VDIs.find((each) => pool.db.get('VDI', each).name_label === 'debian.iso')!;
    for (const name of ['a', 'b']) {
      const vm = await pool.newVm(name);
      const drive = await pool.call(
        'VBD.create',
        newDevice(vm, 'OpaqueRef:NULL', '3', { type: 'CD', mode: 'RO', empty: true }),
      );
      await pool.call('VM.start', vm, false, false);
      await pool.call('VBD.insert', drive, vdi);
    }
    expect(pool.disagreements()).toEqual([]);
    pool.machine().files.remove('/srv/iso/debian.iso');
    await pool.call('SR.scan', sr);
    expect(pool.db.get('VDI', vdi).missing).toBe(true);
  });

  test('writes nothing, and what it allows it does', async () => {
    const [vdi] = pool.db.get('SR', sr).VDIs;
    const refusal = `SR_OPERATION_NOT_SUPPORTED ${sr}`;
    expect(await pool.refusal('VDI.create', newDisk(sr, gibBytes))).toBe(refusal);
    expect(await pool.refusal('VDI.destroy', vdi!)).toBe(refusal);
    expect(await pool.refusal('VDI.clone', vdi!, {})).toBe(refusal);
    expect(await pool.refusal('VDI.resize', vdi!, gibBytes)).toBe(refusal);
    expect(await pool.refusal('SR.destroy', sr)).toBe(refusal);
    expect(pool.db.get('VDI', vdi!).allowed_operations).toEqual(['copy', 'forget', 'update']);
    const [files] = [...pool.db.all('SR')].find(([, { type }]) => type === 'file') ?? [];
    const copy = await pool.call<Ref<'VDI'>>('VDI.copy', vdi!, files!);
    expect(pool.db.get('VDI', copy).virtual_size).toBe(mibBytes);
    expect(pool.db.get('SR', sr).allowed_operations).toEqual([
      'scan',
      'update',
      'vdi_forget',
      'pbd_create',
      'plug',
      'unplug',
      'pbd_destroy',
    ]);
    const [pbd] = pool.db.get('SR', sr).PBDs;
    await pool.call('PBD.unplug', pbd!);
    await pool.call('SR.forget', sr);
    expect(pool.machine().files.get('/srv/iso/debian.iso')).toBeDefined();
  });
});

describe('what is there before its record', () => {
  const uuid = '2f5ad1a0-7f7d-4a5e-9d0c-0d6f1a1b2c3d';

  test('a repository is probed for, introduced, plugged, and has its disks', async () => {
    const location = `/srv/${uuid}`;
    expect(await pool.call('SR.probe', host, { location }, 'file', {})).toBe('<?xml version="1.0" ?><SRlist></SRlist>');
    expect(await pool.call('SR.probe_ext', host, { location }, 'file', {})).toEqual([]);
    put(`${location}/7e2b1c9a-3c55-4d0e-8f6e-6f1f3d2a1b0c.raw`);
    expect(await pool.call('SR.probe', host, { location }, 'file', {})).toBe(
      `<?xml version="1.0" ?><SRlist><SR><UUID>${uuid}</UUID></SR></SRlist>`,
    );
    expect(await pool.call('SR.probe_ext', host, { location }, 'file', {})).toMatchObject([
      { complete: true, sr: { uuid, health: 'healthy' } },
    ]);
    const sr = await pool.call<Ref<'SR'>>('SR.introduce', uuid, 'old', '', 'file', 'user', false, {});
    const pbd = await pool.call('PBD.create', { host, SR: sr, device_config: { location }, other_config: {} });
    await pool.call('PBD.plug', pbd);
    expect(pool.db.get('SR', sr)).toMatchObject({ uuid, name_label: 'old' });
    expect(pool.db.get('SR', sr).VDIs).toHaveLength(1);
    expect(await pool.call('SR.get_live_hosts', sr)).toEqual([host]);
  });

  test('a disk is introduced under any name that is in the directory, once', async () => {
    const sr = await create('file', '/srv/files');
    put('/srv/files/database.img', 3 * mibBytes);
    const introduce = (given: string, location: string): readonly (string | boolean | object)[] => [
      given,
      'db',
      '',
      sr,
      'user',
      false,
      false,
      {},
      location,
    ];
    const vdi = await pool.call<Ref<'VDI'>>('VDI.introduce', ...(introduce(uuid, 'database.img') as never[]));
    expect(pool.db.get('VDI', vdi)).toMatchObject({
      uuid,
      location: 'database.img',
      virtual_size: 3 * mibBytes,
      managed: true,
    });
    expect(pool.db.get('SR', sr).virtual_allocation).toBe(3 * mibBytes);
    const table: readonly (readonly [string, string, string])[] = [
      ['', 'database.img', `LOCATION_NOT_UNIQUE ${sr} database.img`],
      ['', '../../etc/passwd', `VDI_LOCATION_MISSING ${sr} ../../etc/passwd`],
      ['', '', `VDI_LOCATION_MISSING ${sr} `],
      [uuid, 'other.img', `UUID_INVALID VDI ${uuid}`],
      ['no uuid', 'other.img', 'UUID_INVALID VDI no uuid'],
    ];
    for (const [given, location, refusal] of table) {
      expect(await pool.refusal('VDI.introduce', ...(introduce(given, location) as never[]))).toBe(refusal);
    }
    const vm = await pool.newVm();
    await pool.call('VBD.create', newDevice(vm, vdi, '0'));
    await pool.call('VM.start', vm, false, false);
    expect(pool.disagreements()).toEqual([]);
  });

  test('is refused what cannot be', async () => {
    const [local = '' as Ref<'SR'>] = pool.db.refs('SR');
    const vdi = await pool.call('VDI.create', newDisk(local, gibBytes));
    const unsupported = `SR_OPERATION_NOT_SUPPORTED ${local}`;
    const table: readonly (readonly [string, readonly (string | boolean | object)[], string])[] = [
      ['SR.introduce', ['', 'x', '', 'lvm', '', false, {}], 'SR_UNKNOWN_DRIVER lvm'],
      ['SR.introduce', ['x', 'x', '', 'file', '', false, {}], 'UUID_INVALID SR x'],
      [
        'SR.introduce',
        [pool.db.get('SR', local).uuid, 'x', '', 'file', '', false, {}],
        `SR_UUID_EXISTS ${pool.db.get('SR', local).uuid}`,
      ],
      ['SR.probe', [host, { location: '/srv' }, 'lvm', {}], 'SR_UNKNOWN_DRIVER lvm'],
      ['SR.probe', [host, {}, 'file', {}], 'INVALID_VALUE device_config:location '],
      ['SR.assert_can_host_ha_statefile', [local], unsupported],
      ['SR.assert_supports_database_replication', [local], unsupported],
      ['SR.enable_database_replication', [local], unsupported],
      ['VDI.enable_cbt', [vdi], unsupported],
      ['VDI.data_destroy', [vdi], unsupported],
      ['VDI.list_changed_blocks', [vdi, vdi], unsupported],
      ['VDI.set_on_boot', [vdi, 'reset'], unsupported],
      ['VDI.set_on_boot', [vdi, 'persist'], 'no refusal'],
      ['VDI.get_nbd_info', [vdi], 'no refusal'],
      ['SR.set_shared', [local, true], 'no refusal'],
    ];
    for (const [method, args, refusal] of table)
      expect(await pool.refusal(method, ...(args as never[])), method).toBe(refusal);
    expect(await pool.call('SR.get_supported_types')).toEqual(['file', 'iso']);
    expect([...pool.db.all('SM')].map(([, { type }]) => type)).toEqual(['file', 'iso']);
  });
});
