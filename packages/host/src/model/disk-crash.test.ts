/** Everything that makes, changes or removes disks, killed or cut off at each of its steps in turn. */
import { gibBytes, mibBytes } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import type { Mishap } from '../testing/fuse.ts';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk } from '../testing/new-objects.ts';

interface Disk {
  readonly uuid: string;
  readonly location: string;
  readonly name_label: string;
  readonly virtual_size: number;
  readonly managed: boolean;
  readonly missing: boolean;
  readonly VBDs: readonly string[];
  readonly allowed_operations: readonly string[];
}

/** A pool with a VM of two disks and a template that asks for three. */
interface Scene {
  readonly pool: ModelPool;
  readonly sr: string;
  readonly directory: string;
  readonly vm: string;
  readonly template: string;
  readonly disk: string;
}

const provisioning = `<provision>${[0, 1, 2]
  .map((device) => `<disk device="${device}" size="${(device + 1) * mibBytes}" sr="" bootable="false" type="user"/>`)
  .join('')}</provision>`;

async function scene(): Promise<Scene> {
  const pool = await ModelPool.open();
  const { db } = pool;
  const [sr = ''] = db.refs('SR');
  const [pbd = ''] = db.refs('PBD');
  const config = db.getAny('PBD', pbd)['device_config'] as Readonly<Record<string, string>>;
  const [guest = ''] = [...db.all('VM')].find(([, { is_default_template }]) => is_default_template) ?? [];
  const vm = await pool.call('VM.clone', guest, 'original');
  await pool.call('VM.provision', vm);
  const disks: string[] = [];
  for (const userdevice of ['0', '1']) {
    const disk = await pool.call('VDI.create', newDisk(sr, gibBytes));
    await pool.call('VBD.create', newDevice(vm, disk, userdevice));
    disks.push(disk);
  }
  const template = await pool.call('VM.clone', guest, 'template');
  await pool.call('VM.add_to_other_config', template, 'disks', provisioning);
  return { pool, sr, directory: config['location'] ?? '', vm, template, disk: disks[0] ?? '' };
}

const disksOf = async (pool: ModelPool): Promise<readonly Disk[]> =>
  Object.values(await pool.call<Record<string, Disk>>('VDI.get_all_records'));

/** What must hold whatever happened: records and files say the same, and every disk can be worked with. */
async function expectWhole({ pool, directory, sr }: Scene): Promise<void> {
  const disks = await disksOf(pool);
  const files = [...pool.machine().files.in(directory)].map(([name, { sizeBytes }]) => [name, sizeBytes]);
  expect(Object.fromEntries(files)).toEqual(
    Object.fromEntries(disks.map(({ location, virtual_size }) => [location, virtual_size])),
  );
  for (const disk of disks) {
    expect(disk).toMatchObject({ managed: true, missing: false });
    expect(disk.allowed_operations).toContain('clone');
  }
  const allocated = disks.reduce((sum, { virtual_size }) => sum + virtual_size, 0);
  expect(pool.db.getAny('SR', sr)['virtual_allocation']).toBe(allocated);
  for (const vbd of Object.values(await pool.call<Record<string, { VDI: string }>>('VBD.get_all_records'))) {
    expect(pool.db.has('VDI', vbd.VDI)).toBe(true);
  }
}

/** How many disks the VMs of a name have. */
const disksByVm = async (pool: ModelPool, name: string): Promise<readonly number[]> =>
  (await pool.call<readonly string[]>('VM.get_by_name_label', name)).map(
    (vm) => (pool.db.getAny('VM', vm)['VBDs'] as readonly string[]).length,
  );

interface Deed {
  readonly name: string;
  readonly prepare?: (scene: Scene) => Promise<unknown>;
  readonly act: (scene: Scene) => Promise<unknown>;
  /** Whether it was done, or not at all; anything between is for it to refuse. */
  readonly isDone: (scene: Scene) => Promise<boolean>;
}

const oneOf = (value: unknown, undone: unknown, done: unknown): boolean => {
  expect([undone, done]).toContainEqual(value);
  return JSON.stringify(value) === JSON.stringify(done);
};

const made = async ({ pool }: Scene): Promise<boolean> => oneOf((await disksOf(pool)).length, 2, 3);

const deeds: readonly Deed[] = [
  {
    name: 'VDI.create',
    act: ({ pool, sr }) => pool.call('VDI.create', newDisk(sr, mibBytes)),
    isDone: made,
  },
  { name: 'VDI.clone', act: ({ pool, disk }) => pool.call('VDI.clone', disk), isDone: made },
  { name: 'VDI.snapshot', act: ({ pool, disk }) => pool.call('VDI.snapshot', disk), isDone: made },
  { name: 'VDI.copy', act: ({ pool, disk, sr }) => pool.call('VDI.copy', disk, sr), isDone: made },
  {
    name: 'VDI.resize',
    act: ({ pool, disk }) => pool.call('VDI.resize', disk, 2 * gibBytes),
    isDone: async ({ pool, disk }) => oneOf(await pool.call('VDI.get_virtual_size', disk), gibBytes, 2 * gibBytes),
  },
  {
    name: 'VDI.destroy',
    act: ({ pool, disk }) => pool.call('VDI.destroy', disk),
    isDone: async ({ pool }) => {
      expect([[1], [2]]).toContainEqual(await disksByVm(pool, 'original'));
      return oneOf((await disksOf(pool)).length, 2, 1);
    },
  },
  {
    name: 'VM.clone',
    act: ({ pool, vm }) => pool.call('VM.clone', vm, 'copy'),
    isDone: async ({ pool }) => {
      const count = (await disksOf(pool)).length;
      return oneOf([count, await disksByVm(pool, 'copy')], [2, []], [4, [2]]);
    },
  },
  {
    name: 'VM.copy',
    act: ({ pool, vm, sr }) => pool.call('VM.copy', vm, 'copy', sr),
    isDone: async ({ pool }) => {
      const count = (await disksOf(pool)).length;
      return oneOf([count, await disksByVm(pool, 'copy')], [2, []], [4, [2]]);
    },
  },
  {
    name: 'VM.snapshot',
    act: ({ pool, vm }) => pool.call('VM.snapshot', vm, 'copy'),
    isDone: async ({ pool, vm }) => {
      const count = (await disksOf(pool)).length;
      const snapshots = (await pool.call<readonly string[]>('VM.get_snapshots', vm)).length;
      return oneOf([count, snapshots, await disksByVm(pool, 'copy')], [2, 0, []], [4, 1, [2]]);
    },
  },
  {
    name: 'VM.revert',
    prepare: async ({ pool, vm, disk }) => {
      await pool.call('VM.snapshot', vm, 'copy');
      await pool.call('VDI.set_name_label', disk, 'changed');
    },
    act: async ({ pool, vm }) => {
      const [snapshot = ''] = await pool.call<readonly string[]>('VM.get_snapshots', vm);
      await pool.call('VM.revert', snapshot);
    },
    isDone: async ({ pool }) => {
      const disks = await disksOf(pool);
      expect([await disksByVm(pool, 'original'), await disksByVm(pool, 'copy')]).toEqual([[2], [2]]);
      return oneOf([disks.length, disks.some(({ name_label }) => name_label === 'changed')], [4, true], [4, false]);
    },
  },
  {
    name: 'VM.provision',
    act: ({ pool, template }) => pool.call('VM.provision', template),
    isDone: async ({ pool, template }) => {
      const count = (await disksOf(pool)).length;
      const isTemplate = await pool.call<boolean>('VM.get_is_a_template', template);
      return oneOf([count, isTemplate, await disksByVm(pool, 'template')], [2, true, [0]], [5, false, [3]]);
    },
  },
];

/** More steps than any of them has. */
const stepsMax = 200;

describe.each(['killed', 'host lost'] satisfies Mishap[])('%s', (mishap) => {
  test.each(deeds)('in the middle of $name: all of it or nothing', async ({ name, prepare, act, isDone }) => {
    const outcomes = new Set<boolean>();
    for (let step = 0; ; step++) {
      expect(step).toBeLessThan(stepsMax);
      const here = await scene();
      await prepare?.(here);
      const wentWrong = await here.pool.befall(mishap, step, () => act(here));
      await expectWhole(here);
      const done = await isDone(here);
      if (!wentWrong) {
        expect(done).toBe(true);
        break;
      }
      outcomes.add(done);
      // What was refused or cut short can be done again.
      if (!done) await act(here);
      await expectWhole(here);
      expect(await isDone(here)).toBe(true);
    }
    expect(outcomes.size).toBeGreaterThan(0);
    // A host that is lost in the middle of a destroy is told to go on with it later.
    if (mishap === 'killed' || name !== 'VDI.destroy') expect(outcomes).toContain(false);
  });
});
