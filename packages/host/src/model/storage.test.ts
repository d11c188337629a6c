/** Disks, their users and their repositories over the model. */
import { bytes, gibBytes, mibBytes } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import { HostError } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk as diskFields, newInterface } from '../testing/new-objects.ts';

let pool: ModelPool;
let sr: string;
let pbd: string;
let host: string;
let network: string;
let directory: string;
let guest: string;

beforeEach(async () => {
  pool = await ModelPool.open();
  const { db } = pool;
  [sr = ''] = db.refs('SR');
  [pbd = ''] = db.refs('PBD');
  [host = ''] = db.refs('host');
  [network = ''] = [...db.all('network')].find(([, item]) => item.bridge === 'xenbr0') ?? db.refs('network');
  directory = db.all('PBD').next().value?.[1].device_config['location'] ?? '';
  [guest = ''] = [...db.all('VM')].find(([, vm]) => vm.is_default_template) ?? [];
});

async function newVm(name: string): Promise<string> {
  const vm = await pool.call('VM.clone', guest, name);
  await pool.call('VM.provision', vm);
  return vm;
}

const newDisk = (fields: Readonly<Record<string, WireValue>> = {}): Promise<string> =>
  pool.call('VDI.create', diskFields(sr, gibBytes, fields));

const attach = (vm: string, disk: string, mode: 'RW' | 'RO' = 'RW', userdevice = 'autodetect'): Promise<string> =>
  pool.call('VBD.create', newDevice(vm, disk, userdevice, { mode }));

const start = (vm: string): Promise<string> => pool.call('VM.start', vm, false, false);
const get = (className: string, ref: string, field: string): unknown => pool.db.getAny(className, ref)[field];
const text = (className: string, ref: string, field: string): string => get(className, ref, field) as string;
const allowed = (className: string, ref: string): readonly string[] =>
  get(className, ref, 'allowed_operations') as readonly string[];

/** How each of several calls ended that began together: '' or the refusal. */
const together = async (...calls: readonly Promise<unknown>[]): Promise<readonly string[]> =>
  (await Promise.allSettled(calls)).map((end) => (end.status === 'fulfilled' ? '' : (end.reason as Error).message));

describe('a disk and its users', () => {
  test('is written by one VM at a time, running, paused or suspended', async () => {
    const [a, b] = [await newVm('a'), await newVm('b')];
    const disk = await newDisk();
    await attach(a, disk);
    const second = await attach(b, disk);
    expect(allowed('VBD', second)).toEqual(['attach']);
    await start(a);
    for (const step of ['VM.pause', 'VM.unpause', 'VM.suspend']) {
      expect(allowed('VBD', second)).toEqual([]);
      expect(await pool.refusal('VM.start', b, false, false)).toBe(`VDI_IN_USE ${disk} attach`);
      await pool.call(step, a);
    }
    expect(await pool.refusal('VM.start', b, false, false)).toBe(`VDI_IN_USE ${disk} attach`);
    for (const call of ['VDI.destroy', 'VDI.forget']) {
      expect(await pool.refusal(call, disk)).toBe(`VDI_IN_USE ${disk} ${call.slice(4)}`);
    }
    expect(await pool.refusal('VDI.resize', disk, 2 * gibBytes)).toBe(`VDI_IN_USE ${disk} resize`);
    await pool.call('VM.resume', a, false, false);
    await pool.call('VM.hard_shutdown', a);
    expect(allowed('VBD', second)).toEqual(['attach']);
    await start(b);
    expect(await pool.refusal('VM.start', a, false, false)).toBe(`VDI_IN_USE ${disk} attach`);
  });

  test('that is sharable or only read may be in several', async () => {
    const [a, b] = [await newVm('a'), await newVm('b')];
    const shared = await newDisk({ sharable: true });
    const read = await newDisk();
    for (const vm of [a, b]) {
      await attach(vm, shared);
      await attach(vm, read, 'RO');
      await start(vm);
    }
    expect(await pool.refusal('VDI.set_sharable', shared, false)).toBe(`VDI_IN_USE ${shared} set_sharable`);
    expect(await pool.refusal('VDI.set_read_only', shared, true)).toBe(`VDI_IN_USE ${shared} set_read_only`);
    expect(await pool.refusal('VDI.clone', shared)).toBe(`VDI_IN_USE ${shared} clone`);
    await pool.call('VDI.clone', read);
  });

  test('twice in one VM is refused when it starts', async () => {
    const vm = await newVm('a');
    const disk = await newDisk();
    await attach(vm, disk);
    await attach(vm, disk, 'RO');
    expect(await pool.refusal('VM.start', vm, false, false)).toBe(`VDI_IN_USE ${disk} attach`);
  });

  test('two VMs that start at once with one disk: one of them has it', async () => {
    const [a, b] = [await newVm('a'), await newVm('b')];
    const disk = await newDisk();
    await attach(a, disk);
    await attach(b, disk);
    expect(await together(start(a), start(b))).toEqual(['', `VDI_IN_USE ${disk} attach`]);
  });

  test('is held while nobody knows whether its VM was started', async () => {
    const [a, b] = [await newVm('a'), await newVm('b')];
    const disk = await newDisk();
    await attach(a, disk);
    await attach(b, disk);
    const [at] = pool.db.refs('host');
    const [, promised] = [...pool.db.all('VM')].filter(([, vm]) => vm.name_label === 'a' || vm.name_label === 'b');
    expect(promised?.[1].name_label).toBe('b');
    if (at !== undefined && promised !== undefined) {
      pool.db.update('VM', promised[0], { scheduled_to_be_resident_on: at });
    }
    expect(await pool.refusal('VDI.destroy', disk)).toBe(`VDI_IN_USE ${disk} destroy`);
    expect(await pool.refusal('VM.start', a, false, false)).toBe(`VDI_IN_USE ${disk} attach`);
    expect(await pool.refusal('VM.start', b, false, false)).toBe(
      `OTHER_OPERATION_IN_PROGRESS VM ${b} start OpaqueRef:NULL`,
    );
    await pool.reopen();
    await start(a);
  });

  test.each<readonly [string, readonly WireValue[], string]>([
    ['VDI.clone', [], 'clone'],
    ['VDI.copy', [], 'copy'],
    ['VDI.resize', [2 * gibBytes], 'resize'],
    ['VDI.destroy', [], 'destroy'],
  ])('%s and the start of its VM keep each other out', async (method, args, operation) => {
    const vm = await newVm('a');
    const disk = await newDisk();
    const vbd = await attach(vm, disk);
    expect(await together(start(vm), pool.call(method, disk, ...args))).toEqual([
      '',
      `VDI_IN_USE ${disk} ${operation}`,
    ]);
    await pool.call('VM.hard_shutdown', vm);
    const work = pool.call(method, disk, ...args);
    expect(allowed('VDI', disk)).toEqual(
      operation === 'clone' || operation === 'copy' ? ['clone', 'copy', 'update', 'snapshot'] : [],
    );
    expect(allowed('VBD', vbd)).toEqual([]);
    const [done, refused] = await together(work, start(vm));
    expect([done, refused?.replace(/ OpaqueRef:[^ ]*$/, '')]).toEqual([
      '',
      `OTHER_OPERATION_IN_PROGRESS VDI ${disk} ${operation}`,
    ]);
    await start(vm);
  });

  test('that is destroyed takes its VBDs with it, and stays when its host cannot remove the file', async () => {
    const vm = await newVm('a');
    const disk = await newDisk();
    await attach(vm, disk);
    pool.machine().failNext('files', new HostError('command-failed', 'Operation not permitted'));
    expect(await pool.refusal('VDI.destroy', disk)).toBe('INTERNAL_ERROR Operation not permitted');
    expect(allowed('VDI', disk)).toContain('destroy');
    expect(get('VM', vm, 'VBDs')).toHaveLength(1);
    await pool.call('VDI.destroy', disk);
    expect(get('VM', vm, 'VBDs')).toHaveLength(0);
  });

  test('that is half made is no disk for a client', async () => {
    const disk = await newDisk();
    const vm = await newVm('a');
    const work = pool.call('VDI.clone', disk);
    const [half = ''] = [...pool.db.all('VDI')].find(([, { managed }]) => !managed) ?? [];
    expect(allowed('VDI', half)).toEqual([]);
    const refusals = [
      pool.refusal('VDI.destroy', half),
      pool.refusal('VDI.forget', half),
      pool.refusal('VBD.create', newDevice(vm, half, '0')),
    ];
    const refusal = `VDI_NOT_MANAGED ${half}`;
    expect(await Promise.all(refusals)).toEqual([refusal, refusal, refusal]);
    expect(await work).toBe(half);
    expect(allowed('VDI', half)).toContain('destroy');
  });

  test('the memory of a suspended VM is no disk to work with', async () => {
    const vm = await newVm('a');
    await start(vm);
    await pool.call('VM.suspend', vm);
    const image = text('VM', vm, 'suspend_VDI');
    const path = `${directory}/${text('VDI', image, 'location')}`;
    // What libxl writes is not as long as the memory that it was.
    const { files } = pool.machine();
    files.put(path, { ...files.existing(path), sizeBytes: bytes(4096) });
    expect(allowed('VDI', image)).toEqual(['update']);
    expect(await pool.refusal('VDI.destroy', image)).toBe(`VDI_IN_USE ${image} destroy`);
    expect(await pool.refusal('PBD.unplug', pbd)).toBe(`VDI_IN_USE ${image} unplug`);
    await pool.call('SR.scan', sr);
    expect(get('VDI', image, 'missing')).toBe(false);
    expect(get('VDI', image, 'virtual_size')).toBe(get('VM', vm, 'memory_static_max'));
    await pool.call('VM.resume', vm, false, false);
    expect(pool.db.count('VDI')).toBe(0);
  });

  test('a VM that is not halted, or about to start, keeps its devices as they are', async () => {
    const vm = await newVm('a');
    const vbd = await attach(vm, await newDisk());
    const vif = await pool.call('VIF.create', newInterface(vm, network, '0'));
    const extra = await newDisk();
    const changes = (): readonly Promise<string>[] => [
      pool.refusal('VBD.destroy', vbd),
      pool.refusal('VBD.set_mode', vbd, 'RO'),
      pool.refusal('VIF.destroy', vif),
    ];
    const additions = (): readonly Promise<string>[] => [
      pool.refusal('VBD.create', newDevice(vm, extra, '1')),
      pool.refusal('VIF.create', newInterface(vm, network, '1')),
    ];
    const starting = start(vm);
    for (const refusal of await Promise.all([...changes(), ...additions()]))
      expect(refusal).toMatch(/^OTHER_OPERATION_IN_PROGRESS (VM|VBD|VIF) /);
    await starting;
    for (const refusal of await Promise.all(changes()))
      expect(refusal).toMatch(/^(VM_BAD_POWER_STATE|DEVICE_ALREADY_ATTACHED) /);
    await pool.call('VM.suspend', vm);
    for (const refusal of await Promise.all([...changes(), ...additions()]))
      expect(refusal).toMatch(new RegExp(`^VM_BAD_POWER_STATE ${vm} halted(, running)? suspended$`));
  });
});

describe('allowed operations', () => {
  const operations = (): Readonly<Record<string, readonly string[]>> =>
    Object.fromEntries(
      ['SR', 'VDI', 'VBD', 'VIF'].flatMap((className) =>
        [...pool.db.allAny(className)].map(([ref]) => [ref, allowed(className, ref)]),
      ),
    );

  test('are after a restart what they were before, and without the host what needs none', async () => {
    const [runs, halted] = [await newVm('runs'), await newVm('halted')];
    const [busy, free] = [await newDisk(), await newDisk()];
    await attach(runs, busy);
    const vbd = await attach(halted, free);
    await pool.call('VIF.create', newInterface(runs, network, '0'));
    const vif = await pool.call('VIF.create', newInterface(halted, network, '0'));
    await start(runs);
    const before = operations();
    expect(before[sr]).toContain('vdi_create');
    expect(before[sr]).not.toContain('unplug');
    expect(before[busy]).toEqual(['update', 'snapshot']);
    expect([before[vbd], before[vif]]).toEqual([['attach'], ['attach']]);
    await pool.reopen();
    expect(operations()).toEqual(before);

    pool.machine().setReachable(false);
    await pool.settle();
    expect(operations()).toMatchObject({
      [sr]: ['vdi_forget', 'pbd_create', 'plug', 'pbd_destroy'],
      [busy]: [],
      [free]: ['forget'],
      [vbd]: [],
    });
    await pool.reopen();
    expect(operations()).toMatchObject({ [busy]: [], [free]: ['forget'], [vbd]: [], [vif]: ['attach'] });
    pool.machine().setReachable(true);
    await pool.settle();
    expect(operations()).toEqual(before);
  });

  test('follow from what is done with repository and VM', async () => {
    const disk = await newDisk();
    await pool.call('PBD.unplug', pbd);
    expect(allowed('VDI', disk)).toEqual(['forget']);
    expect(allowed('SR', sr)).toContain('forget');
    expect(await pool.refusal('VDI.clone', disk)).toBe(`SR_HAS_NO_PBDS ${sr}`);
    await pool.call('PBD.plug', pbd);
    expect(allowed('VDI', disk)).toContain('clone');
  });
});

describe('a scan', () => {
  const uuid = '01234567-89ab-4cde-8f01-23456789abcd';
  const image = (name: string, sizeBytes = gibBytes): void =>
    pool
      .machine()
      .files.put(`${directory}/${name}`, { kind: 'image', sizeBytes: bytes(sizeBytes), usedBytes: bytes(4096) });

  test('takes in images under a uuid that no record knows, and nothing else', async () => {
    for (const name of [
      `${uuid}.raw`,
      'notes.txt',
      `${uuid}.save`,
      `${uuid}.raw.copying`,
      `${uuid.toUpperCase()}.raw`,
      `x${uuid}.raw`,
    ]) {
      image(name);
    }
    image('11111111-1111-4111-8111-111111111111.raw', 0);
    await pool.call('SR.update', sr);
    expect(pool.db.count('VDI')).toBe(0);
    await pool.call('SR.scan', sr);
    const disks = [...pool.db.all('VDI')];
    expect(disks.map(([, { uuid: found }]) => found)).toEqual([uuid]);
    const [disk = ''] = disks[0] ?? [];
    expect(disks[0]?.[1]).toMatchObject({
      location: `${uuid}.raw`,
      virtual_size: gibBytes,
      physical_utilisation: 4096,
      managed: true,
      missing: false,
    });
    expect(get('SR', sr, 'virtual_allocation')).toBe(gibBytes);
    await pool.call('VDI.destroy', disk);
    expect(pool.machine().files.get(`${directory}/${uuid}.raw`)).toBeUndefined();
  });

  test('finds a forgotten disk again', async () => {
    const disk = await newDisk({ name_label: 'mine' });
    const before = text('VDI', disk, 'uuid');
    await pool.call('VDI.forget', disk);
    expect(pool.db.count('VDI')).toBe(0);
    await pool.call('SR.scan', sr);
    expect([...pool.db.all('VDI')].map(([, vdi]) => vdi.uuid)).toEqual([before]);
  });

  test('marks a disk whose file is gone, and what is back', async () => {
    const vm = await newVm('a');
    const disk = await newDisk();
    await attach(vm, disk);
    const path = `${directory}/${text('VDI', disk, 'location')}`;
    const file = pool.machine().files.existing(path);
    pool.machine().files.put(path, { ...file, usedBytes: bytes(8192) });
    await pool.call('SR.scan', sr);
    pool.machine().files.remove(path);
    await pool.call('SR.scan', sr);
    expect(pool.db.getAny('VDI', disk)).toMatchObject({ missing: true, physical_utilisation: 0 });
    expect(allowed('VDI', disk)).toEqual(['destroy', 'forget', 'update']);
    expect(await pool.refusal('VM.start', vm, false, false)).toBe(`VDI_MISSING ${sr} ${disk}`);
    expect(await pool.refusal('VDI.clone', disk)).toBe(`VDI_MISSING ${sr} ${disk}`);
    pool.machine().files.put(path, { ...file, sizeBytes: bytes(2 * gibBytes), usedBytes: bytes(4096) });
    await pool.call('VDI.update', disk);
    expect(pool.db.getAny('VDI', disk)).toMatchObject({ missing: false, physical_utilisation: 4096 });
    expect(allowed('VDI', disk)).toContain('clone');
    expect(get('SR', sr, 'virtual_allocation')).toBe(2 * gibBytes);
    expect(get('VDI', disk, 'virtual_size')).toBe(2 * gibBytes);
    await start(vm);
  });

  /** Opens the pool anew with calls that answer when the gate of their name is opened, or begin then. */
  async function gated(
    ...names: readonly ('list' | 'space' | 'remove' | 'copy' | 'save')[]
  ): Promise<(name: string) => Promise<void>> {
    const gates = new Map(names.map((name) => [name as string, Promise.withResolvers<void>()]));
    let isShut = false;
    const pass = (name: string): Promise<void> | undefined => (isShut ? gates.get(name)?.promise : undefined);
    const late = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
      const result = await work();
      await pass(name);
      return result;
    };
    pool.wrapDriver = (driver) => ({
      ...driver,
      save: async (domain, path) => {
        await pass('save');
        await driver.save(domain, path);
      },
      files: {
        ...driver.files,
        list: (path) => late('list', () => driver.files.list(path)),
        space: (path) => late('space', () => driver.files.space(path)),
        remove: (path) => late('remove', () => driver.files.remove(path)),
        copyImage: async (from, to) => {
          await pass('copy');
          await driver.files.copyImage(from, to);
        },
      },
    });
    await pool.reopen();
    isShut = true;
    return async (name) => {
      gates.get(name)?.resolve();
      await pool.settle();
    };
  }

  test('does not believe a listing about disks that were made or grown after it', async () => {
    const [source, grown] = [await newDisk(), await newDisk()];
    const open = await gated('list', 'copy');
    const cloned = pool.begin('VDI.clone', source);
    await pool.settle();
    const scanned = pool.begin('SR.scan', sr);
    await pool.settle();
    await open('copy');
    expect((await cloned).ok).toBe(true);
    await pool.call('VDI.resize', grown, 2 * gibBytes);
    await open('list');
    expect((await scanned).ok).toBe(true);
    expect(get('VDI', grown, 'virtual_size')).toBe(2 * gibBytes);
    expect([...pool.db.all('VDI')].map(([, { missing }]) => missing)).toEqual([false, false, false]);
  });

  test('does not believe a listing about an image that is being saved, nor take in what went away after it', async () => {
    const disk = await newDisk();
    const vm = await newVm('a');
    const open = await gated('list', 'save');
    await start(vm);
    const suspended = pool.begin('VM.suspend', vm);
    await pool.settle();
    const scanned = pool.begin('SR.scan', sr);
    await pool.settle();
    await pool.call('VDI.destroy', disk);
    await open('list');
    expect((await scanned).ok).toBe(true);
    const image = text('VM', vm, 'suspend_VDI');
    expect(pool.db.refs('VDI')).toEqual([image]);
    expect(get('VDI', image, 'missing')).toBe(false);
    await open('save');
    expect((await suspended).ok).toBe(true);
  });

  test('takes an image in once, though two scans find it', async () => {
    image(`${uuid}.raw`);
    expect(await together(pool.call('SR.scan', sr), pool.call('SR.scan', sr))).toEqual(['', '']);
    expect(pool.db.count('VDI')).toBe(1);
  });

  test('does not believe a listing about a disk that is being removed', async () => {
    const disk = await newDisk();
    const open = await gated('space', 'remove');
    const scanned = pool.begin('SR.scan', sr);
    await pool.settle();
    const destroyed = pool.begin('VDI.destroy', disk);
    await pool.settle();
    await open('space');
    expect((await scanned).ok).toBe(true);
    expect(get('VDI', disk, 'missing')).toBe(false);
    await open('remove');
    expect((await destroyed).ok).toBe(true);
    expect(pool.db.count('VDI')).toBe(0);
  });

  test('does not believe what it saw of a disk that is being made or removed', async () => {
    const disk = await newDisk();
    for (let round = 0; round < 40; round++) {
      const scanned = pool.call('SR.scan', sr);
      for (let turn = 0; turn < round; turn++) await Promise.resolve();
      const [scan, cloned] = await Promise.allSettled([scanned, pool.call('VDI.clone', disk)]);
      expect([scan.status, cloned.status]).toEqual(['fulfilled', 'fulfilled']);
      if (cloned.status !== 'fulfilled') continue;
      expect(get('VDI', cloned.value, 'missing')).toBe(false);
      const again = pool.call('SR.scan', sr);
      for (let turn = 0; turn < round; turn++) await Promise.resolve();
      await Promise.all([again, pool.call('VDI.destroy', cloned.value)]);
      expect(pool.db.refs('VDI')).toEqual([disk]);
    }
  });
});

describe('bad input', () => {
  test.each<readonly [string, WireValue, string]>([
    ['negative', -1, 'INVALID_VALUE virtual_size -1'],
    ['zero', 0, 'INVALID_VALUE virtual_size 0'],
    ['above the limit', 2 ** 46 + 1, `INVALID_VALUE virtual_size ${2 ** 46 + 1}`],
    ['no safe integer', '18446744073709551616', 'FIELD_TYPE_ERROR'],
    ['a fraction', 1.5, 'FIELD_TYPE_ERROR'],
    ['no number', 'big', 'FIELD_TYPE_ERROR'],
  ])('a size that is %s is refused', async (_name, size, expected) => {
    expect(await pool.refusal('VDI.create', diskFields(sr, gibBytes, { virtual_size: size }))).toContain(expected);
    const disk = await newDisk();
    const refusal = await pool.refusal('VDI.resize', disk, size);
    expect(refusal).toMatch(/^(INVALID_VALUE|FIELD_TYPE_ERROR) /);
    expect(get('VDI', disk, 'virtual_size')).toBe(gibBytes);
  });

  test('sizes are whole mebibytes, the largest is taken, and a disk does not shrink', async () => {
    expect(get('VDI', await newDisk({ virtual_size: 1 }), 'virtual_size')).toBe(mibBytes);
    expect(get('VDI', await newDisk({ virtual_size: 2 ** 46 }), 'virtual_size')).toBe(2 ** 46);
    const disk = await newDisk();
    expect(await pool.refusal('VDI.resize', disk, mibBytes)).toMatch(/^INVALID_VALUE size /);
    await pool.call('VDI.resize', disk, gibBytes + 1);
    expect(get('VDI', disk, 'virtual_size')).toBe(gibBytes + mibBytes);
  });

  test('what only the server says of a disk or device is not taken from a client', async () => {
    const vm = await newVm('a');
    const odd = 'it\'s "odd"; $(reboot) \n 🧀';
    const disk = await newDisk({
      uuid: '../../../etc/passwd',
      location: '/etc/passwd',
      missing: true,
      managed: false,
      name_label: odd,
    });
    const record = pool.db.getAny('VDI', disk);
    expect(record).toMatchObject({ missing: false, managed: true, name_label: odd });
    expect(record['location']).toBe(`${text('VDI', disk, 'uuid')}.raw`);
    const forged = { uuid: 'x', currently_attached: true, current_operations: { a: 'attach' } };
    const vbd = await pool.call('VBD.create', newDevice(vm, disk, '0', forged));
    const vif = await pool.call('VIF.create', newInterface(vm, network, '0', forged));
    for (const [className, ref] of [
      ['VBD', vbd],
      ['VIF', vif],
    ] as const) {
      expect(get(className, ref, 'uuid')).not.toBe('x');
      expect(pool.db.getAny(className, ref)).toMatchObject({ currently_attached: false, current_operations: {} });
    }
  });

  test.each<readonly [string, string]>([
    ['00', 'INVALID_DEVICE'],
    ['26', 'INVALID_DEVICE'],
    ['-1', 'INVALID_DEVICE'],
    ['xvda1', 'INVALID_DEVICE'],
    ['xvda; reboot', 'INVALID_DEVICE'],
    ['1.0', 'INVALID_DEVICE'],
    ['0', 'DEVICE_ALREADY_EXISTS'],
    ['hda', 'DEVICE_ALREADY_EXISTS'],
  ])('userdevice %s is refused', async (userdevice, expected) => {
    const vm = await newVm('a');
    await attach(vm, await newDisk(), 'RW', '0');
    const disk = await newDisk();
    expect(await pool.refusal('VBD.create', newDevice(vm, disk, userdevice))).toMatch(new RegExp(`^${expected} `));
  });

  test('a VBD has a disk that it can have', async () => {
    const vm = await newVm('a');
    const disk = await newDisk({ read_only: true });
    const create = (fields: Readonly<Record<string, WireValue>>): Promise<string> =>
      pool.refusal('VBD.create', newDevice(vm, disk, '0', fields));
    expect(await create({})).toBe(`VDI_READONLY ${disk}`);
    expect(await create({ type: 'CD' })).toMatch(/^(VBD_CDS_MUST_BE_READONLY|VDI_READONLY)/);
    expect(await create({ VDI: 'OpaqueRef:NULL' })).toBe('HANDLE_INVALID VDI OpaqueRef:NULL');
    expect(await create({ empty: true })).toMatch(/^INVALID_VALUE empty/);
    const vbd = await attach(vm, disk, 'RO');
    expect(await pool.refusal('VBD.set_mode', vbd, 'RW')).toBe(`VDI_READONLY ${disk}`);
  });

  test.each<readonly [string, Readonly<Record<string, WireValue>>, string]>([
    ['no address', { MAC: 'zz:00:00:00:00:00' }, 'MAC_INVALID zz:00:00:00:00:00'],
    ['an address too short', { MAC: '02:00:00:00:00' }, 'MAC_INVALID 02:00:00:00:00'],
    ['an address with more behind', { MAC: '02:00:00:00:00:01\n' }, 'MAC_INVALID 02:00:00:00:00:01\n'],
    ['the multicast bit', { MAC: '03:00:00:00:00:01' }, 'MAC_INVALID 03:00:00:00:00:01'],
    ['broadcast', { MAC: 'FF:FF:FF:FF:FF:FF' }, 'MAC_INVALID FF:FF:FF:FF:FF:FF'],
    ['all zeros', { MAC: '00:00:00:00:00:00' }, 'MAC_INVALID 00:00:00:00:00:00'],
    [
      'an address of its VM',
      { MAC: '02:AA:00:00:00:01' },
      'INVALID_VALUE MAC 02:aa:00:00:00:01 is the address of another of its interfaces',
    ],
    ['an MTU below IPv4', { MTU: 67 }, 'INVALID_VALUE MTU 67'],
    ['a negative MTU', { MTU: -1500 }, 'INVALID_VALUE MTU -1500'],
    ['an MTU above what netback takes', { MTU: 65_518 }, 'INVALID_VALUE MTU 65518'],
    ['a place with a zero before it', { device: '01' }, 'INVALID_DEVICE 01'],
    ['a place too high', { device: '16' }, 'INVALID_DEVICE 16'],
    ['a place that is taken', { device: '0' }, 'DEVICE_ALREADY_EXISTS 0'],
    ['no network', { network: 'OpaqueRef:NULL' }, 'HANDLE_INVALID network OpaqueRef:NULL'],
  ])('an interface with %s is refused', async (_name, fields, expected) => {
    const vm = await newVm('a');
    await pool.call('VIF.create', newInterface(vm, network, '0', { MAC: '02:aa:00:00:00:01' }));
    expect(await pool.refusal('VIF.create', newInterface(vm, network, '1', fields))).toBe(expected);
  });

  test.each(['two words', 'a/b', 'x'.repeat(16), 'br0;reboot', '..', '.', 'brücke', 'a\n'])(
    'bridge %j is refused',
    async (bridge) => {
      expect(await pool.refusal('network.create', { name_label: 'n', other_config: {}, bridge })).toMatch(
        /^INVALID_VALUE bridge/,
      );
    },
  );

  test.each([-1, 67, 65_518])('an MTU of %s is none for a network', async (MTU) => {
    expect(await pool.refusal('network.create', { name_label: 'n', other_config: {}, MTU })).toBe(
      `INVALID_VALUE MTU ${MTU}`,
    );
    expect(await pool.refusal('network.set_MTU', network, MTU)).toBe(`INVALID_VALUE MTU ${MTU}`);
  });
});

describe('the directory of a repository', () => {
  const create = (location: string): readonly [string, ...WireValue[]] => [
    'SR.create',
    host,
    { location },
    0,
    'second',
    '',
    'file',
    'user',
    false,
    {},
  ];

  test('is no other’s, nor in another’s, nor around it', async () => {
    await pool.call(...create('/srv/disks/'));
    for (const location of [
      '/srv/disks',
      '/srv//disks',
      '/srv/disks/below',
      '/srv',
      directory,
      `${directory}/x`,
      '/var/lib',
    ]) {
      expect(await pool.refusal(...create(location))).toMatch(/^INVALID_VALUE device_config:location /);
    }
    expect(await together(pool.call(...create('/srv/a')), pool.call(...create('/srv/a/b')))).toEqual([
      '',
      expect.stringMatching(/^INVALID_VALUE /),
    ]);
    await pool.call(...create('/srv/disks2'));
    expect(pool.db.count('SR')).toBe(4);
    expect(await pool.refusal('PBD.set_device_config', pbd, { location: '/x' })).toBe(`DEVICE_ALREADY_ATTACHED ${pbd}`);
    await pool.call('PBD.unplug', pbd);
    expect(await pool.refusal('PBD.set_device_config', pbd, { location: '/srv/disks2' })).toMatch(/^INVALID_VALUE /);
    expect(await pool.refusal('PBD.create', { host, SR: sr, device_config: { location: '/y' } })).toBe(
      `PBD_EXISTS ${sr} ${host} ${pbd}`,
    );
  });

  test('may have odd characters, and is plain otherwise', async () => {
    const odd = `/srv/it's "odd"; $(reboot) \\, 🧀`;
    const second = await pool.call(...create(odd));
    const disk = await newDisk({ SR: second });
    expect(pool.machine().files.get(`${odd}/${text('VDI', disk, 'location')}`)).toBeDefined();
    for (const location of ['', 'srv', '/', '/srv/../etc', '/srv\0', '/srv\n']) {
      expect(await pool.refusal(...create(location))).toMatch(/^INVALID_VALUE device_config:location/);
    }
  });

  test('a disk is copied into another repository of its host', async () => {
    const second = await pool.call(...create('/srv/second'));
    const disk = await newDisk({ name_label: 'mine' });
    const copy = await pool.call('VDI.copy', disk, second);
    expect(pool.db.getAny('VDI', copy)).toMatchObject({ SR: second, name_label: 'mine', virtual_size: gibBytes });
    expect([...pool.machine().files.in('/srv/second')]).toHaveLength(1);
    const vm = await newVm('a');
    await attach(vm, disk);
    const clone = await pool.call('VM.copy', vm, 'b', second);
    const [vbd = ''] = get('VM', clone, 'VBDs') as readonly string[];
    expect(get('VDI', text('VBD', vbd, 'VDI'), 'SR')).toBe(second);
  });

  test('a disk becomes what another one is, while nobody has it', async () => {
    const second = await pool.call(...create('/srv/second'));
    const source = await newDisk();
    const into = await newDisk({ SR: second, virtual_size: 2 * gibBytes });
    const copy = (base = 'OpaqueRef:NULL', to = into): Promise<string> =>
      pool.refusal('VDI.copy', source, sr, base, to);
    expect(await pool.call('VDI.copy', source, sr, 'OpaqueRef:NULL', into)).toBe(into);
    expect(await copy(source)).toBe('no refusal');
    expect(pool.machine().files.get(`/srv/second/${text('VDI', into, 'location')}`)?.sizeBytes).toBe(2 * gibBytes);
    expect(pool.db.getAny('VDI', into)).toMatchObject({ virtual_size: 2 * gibBytes, current_operations: {} });
    expect(allowed('VDI', into)).not.toContain('blocked');
    expect(await copy('OpaqueRef:NULL', source)).toMatch(/^OTHER_OPERATION_IN_PROGRESS /);
    const small = await newDisk({ virtual_size: 1 });
    expect(await copy('OpaqueRef:NULL', small)).toBe(`VDI_TOO_SMALL ${small} ${gibBytes}`);
    await pool.call('VDI.set_read_only', into, true);
    expect(await copy()).toBe(`VDI_READONLY ${into}`);
    await pool.call('VDI.set_read_only', into, false);
    const vm = await newVm('a');
    await attach(vm, into);
    await start(vm);
    expect(await copy()).toBe(`VDI_IN_USE ${into} resize`);
    expect(await copy('OpaqueRef:x')).toBe('HANDLE_INVALID VDI OpaqueRef:x');
    expect(await pool.refusal('VDI.copy', source, sr, small)).toMatch(/^NOT_IMPLEMENTED/);
  });

  test('is not taken away while a disk is made in it', async () => {
    expect(await together(newDisk(), pool.call('PBD.unplug', pbd))).toEqual([
      '',
      expect.stringMatching(new RegExp(`^OTHER_OPERATION_IN_PROGRESS SR ${sr} vdi_create `)),
    ]);
  });

  test('forgotten repositories leave no VBD without a disk', async () => {
    const vm = await newVm('a');
    await attach(vm, await newDisk());
    await pool.call('PBD.unplug', pbd);
    await pool.call('SR.forget', sr);
    expect(pool.db.count('VBD')).toBe(0);
  });
});
