/** Snapshots, checkpoints and the way back, over modelled hosts. */
import { gibBytes, type Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import { HostError } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Mishap } from '../testing/fuse.ts';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk, newInterface } from '../testing/new-objects.ts';

type Vm = Ref<'VM'>;

let pool: ModelPool;
let vm: Vm;
let disk: string;

/** A VM with a disk and an interface. */
async function scene(): Promise<void> {
  pool = await ModelPool.open();
  vm = await pool.newVm();
  const [sr = ''] = pool.db.refs('SR');
  const [network = ''] = [...pool.db.all('network')].find(([, { bridge }]) => bridge === 'xenbr0') ?? [];
  disk = await pool.call('VDI.create', newDisk(sr, gibBytes, { name_label: 'system', sm_config: { a: 'b' } }));
  await pool.call('VBD.create', newDevice(vm, disk, '0'));
  await pool.call('VIF.create', newInterface(vm, network, '0', { MAC: '02:aa:00:00:00:01' }));
}

beforeEach(scene);

/** Brings the VM into a state, its guest up. */
async function bring(state: 'Halted' | 'Running' | 'Paused' | 'Suspended'): Promise<void> {
  if (state === 'Halted') return;
  await pool.call('VM.start', vm, false, false);
  await pool.clock.advanceAsync(10_000);
  if (state === 'Paused') await pool.call('VM.pause', vm);
  if (state === 'Suspended') await pool.call('VM.suspend', vm);
}

const snap = (name = 'before'): Promise<Vm> => pool.call<Vm>('VM.snapshot', vm, name);
const disksOf = (of: Vm): readonly Ref<'VDI'>[] => pool.vm(of).VBDs.map((vbd) => pool.db.get('VBD', vbd).VDI);
const oneDisk = (of: Vm): Ref<'VDI'> => {
  const [only, ...others] = disksOf(of);
  if (only === undefined || others.length > 0) throw new Error('not one disk');
  return only;
};
const files = (): readonly string[] => pool.machine().files.paths.filter((path) => /\.(raw|save)$/.test(path));
const deviceOps = (of: Vm): readonly string[] =>
  pool.vm(of).VBDs.flatMap((vbd) => pool.db.get('VBD', vbd).allowed_operations);

describe('the records of a snapshot', () => {
  test.each(['Halted', 'Running', 'Paused', 'Suspended'] as const)('of a VM that is %s', async (state) => {
    await bring(state);
    const mac = pool.db.get('VIF', pool.vm(vm).VIFs[0] ?? ('' as Ref<'VIF'>)).MAC;
    const snapshot = await snap();
    expect(pool.vm(snapshot)).toMatchObject({
      name_label: 'before',
      is_a_snapshot: true,
      is_a_template: true,
      is_default_template: false,
      is_vmss_snapshot: false,
      snapshot_of: vm,
      snapshot_info: { 'power-state-at-snapshot': state, 'disk-snapshot-type': 'crash_consistent' },
      transportable_snapshot_id: '',
      parent: 'OpaqueRef:NULL',
      power_state: 'Halted',
      suspend_VDI: 'OpaqueRef:NULL',
      children: [vm],
      domid: -1,
    });
    expect(pool.vm(snapshot).snapshot_time).toMatch(/^20260101T00:00/);
    expect(pool.vm(vm)).toMatchObject({ power_state: state, parent: snapshot, snapshots: [snapshot] });
    const copy = oneDisk(snapshot);
    expect(pool.db.get('VDI', copy)).toMatchObject({
      name_label: 'system',
      is_a_snapshot: true,
      snapshot_of: disk,
      sm_config: { a: 'b' },
      managed: true,
      virtual_size: gibBytes,
    });
    expect(pool.db.getAny('VDI', disk)['snapshots']).toEqual([copy]);
    expect(pool.vm(snapshot).VIFs.map((vif) => pool.db.get('VIF', vif).MAC)).toEqual([mac]);
    expect(pool.vm(snapshot).VBDs.map((vbd) => pool.db.get('VBD', vbd).other_config)).toEqual([{ owner: '' }]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('a second one has the first as its parent, and takes its place when the first goes', async () => {
    const first = await snap('first');
    const second = await snap('second');
    expect(pool.vm(second).parent).toBe(first);
    expect(pool.vm(vm).parent).toBe(second);
    await pool.call('VM.destroy', second);
    expect(pool.vm(vm)).toMatchObject({ parent: first, snapshots: [first] });
    await pool.call('VM.destroy', first);
    expect(pool.vm(vm)).toMatchObject({ parent: 'OpaqueRef:NULL', snapshots: [] });
  });

  test('outlive their VM, which they are then of no more', async () => {
    const snapshot = await snap();
    await pool.call('VM.destroy', vm);
    expect(pool.vm(snapshot)).toMatchObject({ snapshot_of: 'OpaqueRef:NULL', is_a_snapshot: true });
    expect(await pool.refusal('VM.revert', snapshot)).toBe(`VM_REVERT_FAILED OpaqueRef:NULL ${snapshot}`);
  });

  test('leave out the disks that they are told to', async () => {
    const snapshot = await pool.call<Vm>('VM.snapshot', vm, 'none', [disk]);
    expect(disksOf(snapshot)).toEqual([]);
  });

  test('a drive keeps what is in it', async () => {
    await pool.call('VBD.create', newDevice(vm, 'OpaqueRef:NULL', '3', { type: 'CD', mode: 'RO', empty: true }));
    const snapshot = await snap();
    expect(disksOf(snapshot)).toEqual([expect.not.stringMatching(disk), 'OpaqueRef:NULL']);
  });
});

describe('what a snapshot is for', () => {
  test('a VM: cloned and started', async () => {
    const snapshot = await snap();
    const clone = await pool.call<Vm>('VM.clone', snapshot, 'again');
    expect(pool.vm(clone)).toMatchObject({
      is_a_snapshot: false,
      is_a_template: true,
      snapshot_of: 'OpaqueRef:NULL',
      snapshot_info: {},
      snapshot_metadata: '',
      parent: 'OpaqueRef:NULL',
    });
    expect(pool.vm(clone).other_config['base_template_name']).toBe(pool.vm(vm).other_config['base_template_name']);
    await pool.call('VM.provision', clone);
    await pool.call('VM.start', clone, false, false);
    expect(pool.db.get('VDI', oneDisk(clone))).toMatchObject({ is_a_snapshot: false, snapshot_of: 'OpaqueRef:NULL' });
  });

  test.each([
    ['VM.start', [false, false], 'start'],
    ['VM.snapshot', ['again'], 'snapshot'],
    ['VM.provision', [], 'provision'],
    ['VM.set_is_a_template', [true], 'make_into_template'],
  ] as const)('%s is not', async (method, args, operation) => {
    const snapshot = await snap();
    expect(await pool.refusal(method, snapshot, ...args)).toBe(`VM_IS_SNAPSHOT ${snapshot} ${operation}`);
  });

  test('and what is none is neither reverted to, nor taken of a template', async () => {
    expect(await pool.refusal('VM.revert', vm)).toBe('REVERT_ONLY_ALLOWED_ON_SNAPSHOT');
    await pool.call('VM.set_is_a_template', vm, true);
    expect(await pool.refusal('VM.snapshot', vm, 'x')).toBe(`VM_IS_TEMPLATE ${vm} snapshot`);
    expect(await pool.refusal('VM.checkpoint', vm, 'x')).toBe(
      `VM_BAD_POWER_STATE ${vm} paused, running, suspended halted`,
    );
    expect(await pool.refusal('VM.snapshot', 'OpaqueRef:x', 'x')).toBe('HANDLE_INVALID VM OpaqueRef:x');
  });
});

describe('a guest that runs', () => {
  /** What is asked of the host meanwhile. */
  async function watched(): Promise<string[]> {
    const asked: string[] = [];
    const note = async (name: string, work: Promise<void>): Promise<void> => {
      asked.push(name);
      await work;
    };
    pool.wrapDriver = (driver) => ({
      ...driver,
      pause: (domain) => note('pause', driver.pause(domain)),
      unpause: (domain) => note('unpause', driver.unpause(domain)),
      files: { ...driver.files, copyImage: (from, to) => note('copy', driver.files.copyImage(from, to)) },
    });
    await pool.reopen();
    return asked;
  }

  test('stands still while its disks are copied, and only then', async () => {
    const [sr = ''] = pool.db.refs('SR');
    await pool.call('VBD.create', newDevice(vm, await pool.call('VDI.create', newDisk(sr, gibBytes)), '1'));
    await bring('Running');
    const asked = await watched();
    await snap();
    expect(asked).toEqual(['pause', 'copy', 'copy', 'unpause']);
    await pool.call('VDI.snapshot', disk);
    expect(asked.slice(4)).toEqual(['pause', 'copy', 'unpause']);
    await pool.call('VM.pause', vm);
    await snap('paused');
    expect(asked.slice(7)).toEqual(['pause', 'copy', 'copy']);
    expect(pool.vm(vm).power_state).toBe('Paused');
  });

  test('that only reads a disk does not', async () => {
    await pool.call('VBD.set_mode', pool.vm(vm).VBDs[0] ?? '', 'RO');
    await bring('Running');
    const asked = await watched();
    await snap();
    expect(asked).toEqual(['copy']);
  });

  test('goes on when its disk cannot be copied, and nothing is left', async () => {
    await bring('Running');
    const before = files();
    pool.machine().failNext('files', new HostError('no-space', 'No space left on device'));
    expect(await pool.refusal('VM.snapshot', vm, 'x')).toBe('OUT_OF_SPACE No space left on device');
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', snapshots: [], parent: 'OpaqueRef:NULL' });
    expect(pool.disagreements()).toEqual([]);
    expect([files(), pool.db.count('VDI')]).toEqual([before, 1]);
    expect(deviceOps(vm)).toEqual(['unplug', 'unplug_force']);
  });

  test('is marked while the snapshot of a disk of it is made, and is not asked for anything else', async () => {
    await bring('Running');
    const taken = pool.begin('VDI.snapshot', disk);
    expect(Object.values(pool.vm(vm).current_operations)).toEqual(['snapshot']);
    const asked = ['VM.suspend', 'VM.hard_reboot', 'VM.snapshot'].map((method) =>
      pool.begin(method, vm, ...(method === 'VM.snapshot' ? ['x'] : [])),
    );
    for (const answer of await Promise.all(asked)) {
      expect(answer).toMatchObject({
        ok: false,
        error: ['OTHER_OPERATION_IN_PROGRESS', 'VM', vm, 'snapshot', expect.anything()],
      });
    }
    expect((await taken).ok).toBe(true);
  });

  test('can be shut down hard meanwhile', async () => {
    await bring('Running');
    const taken = pool.begin('VM.snapshot', vm, 'x');
    await pool.call('VM.hard_shutdown', vm);
    await pool.settle();
    await taken;
    expect(pool.vm(vm).power_state).toBe('Halted');
    expect(pool.disagreements()).toEqual([]);
  });

  test.each(['killed', 'host lost'] satisfies Mishap[])('goes on whatever happens: %s', async (mishap) => {
    for (let step = 0; ; step++) {
      expect(step).toBeLessThan(100);
      await scene();
      await bring('Running');
      const wentWrong = await pool.befall(mishap, step, () => snap());
      await pool.xapi.hosts.driverOf(pool.host()).refresh();
      await pool.settle();
      expect([step, pool.vm(vm).power_state]).toEqual([step, 'Running']);
      expect(pool.disagreements(), `step ${step}`).toEqual([]);
      const count = pool.vm(vm).snapshots.length;
      expect([step, pool.db.count('VDI'), files().length]).toEqual([step, count + 1, count + 1]);
      if (!wentWrong) break;
    }
  });
});

describe('a checkpoint', () => {
  test.each(['Running', 'Suspended'] as const)('of a VM that is %s has its memory', async (state) => {
    await bring(state);
    const snapshot = await pool.call<Vm>('VM.checkpoint', vm, 'point');
    expect(pool.vm(vm).power_state).toBe(state);
    expect(pool.vm(snapshot)).toMatchObject({
      power_state: 'Suspended',
      is_a_snapshot: true,
      snapshot_info: { 'power-state-at-snapshot': state },
    });
    const image = pool.vm(snapshot).suspend_VDI;
    expect(pool.db.get('VDI', image)).toMatchObject({ type: 'suspend', managed: true });
    expect(await pool.refusal('VDI.destroy', image)).toBe(`VDI_IN_USE ${image} destroy`);
    expect(pool.disagreements()).toEqual([]);
    await pool.reopen();
    expect(pool.disagreements()).toEqual([]);
    const clone = await pool.call<Vm>('VM.clone', snapshot, 'again');
    await pool.call('VM.set_is_a_template', clone, false);
    await pool.call('VM.resume', clone, false, false);
    expect(pool.vm(clone).power_state).toBe('Running');
    await pool.call('VM.destroy', snapshot);
    expect(files().filter((path) => path.endsWith('.save'))).toHaveLength(state === 'Suspended' ? 1 : 0);
  });

  test('of a VM that is paused is a snapshot', async () => {
    await bring('Paused');
    const snapshot = await pool.call<Vm>('VM.checkpoint', vm, 'point');
    expect([pool.vm(vm).power_state, pool.vm(snapshot).power_state]).toEqual(['Paused', 'Halted']);
  });

  test('that cannot be made lets its VM go on', async () => {
    await bring('Running');
    let copies = 0;
    pool.wrapDriver = (driver) => ({
      ...driver,
      files: {
        ...driver.files,
        copyImage: (from, to) =>
          ++copies === 2 ? Promise.reject(new HostError('no-space', 'full')) : driver.files.copyImage(from, to),
      },
    });
    await pool.reopen();
    expect(await pool.refusal('VM.checkpoint', vm, 'x')).toBe('OUT_OF_SPACE full');
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', snapshots: [] });
    expect(pool.disagreements()).toEqual([]);
    expect(files()).toHaveLength(1);
  });

  test('whose VM cannot go on says so, and leaves it suspended', async () => {
    await bring('Running');
    pool.machine().failNext('restore', new HostError('not-enough-memory', 'full'));
    expect(await pool.refusal('VM.checkpoint', vm, 'x')).toBe(`VM_CHECKPOINT_RESUME_FAILED ${vm}`);
    expect(pool.vm(vm).power_state).toBe('Suspended');
    await pool.call('VM.resume', vm, false, false);
  });

  test.each(['killed', 'host lost'] satisfies Mishap[])('%s in the middle of it: no memory is lost', async (mishap) => {
    for (let step = 0; ; step++) {
      expect(step).toBeLessThan(200);
      await scene();
      await bring('Running');
      const wentWrong = await pool.befall(mishap, step, () => pool.call('VM.checkpoint', vm, 'x'));
      await pool.xapi.hosts.driverOf(pool.host()).refresh();
      await pool.settle();
      expect(['Running', 'Suspended']).toContain(pool.vm(vm).power_state);
      expect(pool.disagreements(), `step ${step}`).toEqual([]);
      if (!wentWrong) break;
    }
  });
});

describe('a revert', () => {
  test('gives back disks, devices and settings, and the snapshots are of the new disk', async () => {
    await pool.call('VM.set_order', vm, 3);
    await pool.call('VM.add_to_blocked_operations', vm, 'destroy', 'mine');
    const first = await snap('first');
    const second = await snap('second');
    await pool.call('VM.set_order', vm, 4);
    await pool.call('VM.set_name_label', vm, 'renamed');
    await pool.call('VM.remove_from_blocked_operations', vm, 'destroy');
    await pool.call('VM.add_tags', vm, 'kept');
    await pool.call('VIF.destroy', pool.vm(vm).VIFs[0] ?? '');
    await pool.call('VM.revert', first);
    expect(pool.vm(vm)).toMatchObject({
      name_label: 'web',
      order: 3,
      blocked_operations: { destroy: 'mine' },
      tags: ['kept'],
      parent: first,
      power_state: 'Halted',
      is_a_template: false,
      is_a_snapshot: false,
    });
    expect(pool.vm(vm).VIFs.map((vif) => pool.db.get('VIF', vif).MAC)).toEqual(['02:aa:00:00:00:01']);
    expect(pool.db.has('VDI', disk)).toBe(false);
    const now = oneDisk(vm);
    expect(pool.db.get('VDI', now)).toMatchObject({ is_a_snapshot: false, managed: true, name_label: 'system' });
    expect(new Set(pool.db.get('VDI', now).snapshots)).toEqual(new Set([oneDisk(first), oneDisk(second)]));
    expect(files()).toHaveLength(3);
    await pool.call('VM.start', vm, false, false);
    expect(pool.disagreements()).toEqual([]);
  });

  test.each(['Running', 'Paused', 'Suspended'] as const)('of a VM that is %s', async (state) => {
    await bring(state);
    const snapshot = await snap();
    await pool.call('VM.revert', snapshot);
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Halted', suspend_VDI: 'OpaqueRef:NULL' });
    expect(pool.disagreements()).toEqual([]);
    expect(files()).toHaveLength(2);
  });

  test('to a checkpoint: the VM is suspended as it was, and goes on', async () => {
    await bring('Running');
    const snapshot = await pool.call<Vm>('VM.checkpoint', vm, 'point');
    for (let round = 0; round < 2; round++) {
      await pool.call('VM.revert', snapshot);
      expect(pool.vm(vm).power_state).toBe('Suspended');
      expect(pool.disagreements()).toEqual([]);
      await pool.call('VM.resume', vm, false, false);
      expect(pool.vm(vm).power_state).toBe('Running');
    }
  });

  test('leaves disks alone that the snapshot has none of, or that another VM has too', async () => {
    const snapshot = await snap();
    const [sr = ''] = pool.db.refs('SR');
    const later = await pool.call('VDI.create', newDisk(sr, gibBytes));
    await pool.call('VBD.create', newDevice(vm, later, '1'));
    const other = await pool.newVm('other');
    await pool.call('VBD.create', newDevice(other, disk, '0'));
    await pool.call('VM.revert', snapshot);
    expect([pool.db.has('VDI', later), pool.db.has('VDI', disk)]).toEqual([true, true]);
    expect(pool.vm(vm).VBDs).toHaveLength(1);
    expect(disksOf(other)).toEqual([disk]);
  });

  test('that cannot copy the disks leaves a running VM as it is', async () => {
    await bring('Running');
    const snapshot = await snap();
    pool.machine().failNext('files', new HostError('no-space', 'full'));
    expect(await pool.refusal('VM.revert', snapshot)).toBe('OUT_OF_SPACE full');
    expect(pool.vm(vm).power_state).toBe('Running');
    expect(files()).toHaveLength(2);
  });

  test('is refused while something else is done with the VM or the snapshot', async () => {
    const snapshot = await snap();
    pool.db.update('VM', vm, { current_operations: { x: 'start' } });
    expect(await pool.refusal('VM.revert', snapshot)).toBe(`OTHER_OPERATION_IN_PROGRESS VM ${vm} start x`);
    pool.db.update('VM', vm, { current_operations: {} });
    await pool.call('VM.add_to_blocked_operations', vm, 'reverting', 'no');
    expect(await pool.refusal('VM.revert', snapshot)).toBe(`OPERATION_BLOCKED ${vm} no`);
  });
});

test('a snapshot is in the lists of what VMs accept', async () => {
  await bring('Running');
  const listed = (of: Vm): readonly WireValue[] => pool.vm(of).allowed_operations;
  expect(listed(vm)).toEqual(expect.arrayContaining(['snapshot', 'checkpoint']));
  const snapshot = await pool.call<Vm>('VM.checkpoint', vm, 'point');
  expect(new Set(listed(snapshot))).toEqual(
    new Set([
      'assert_operation_valid',
      'clone',
      'copy',
      'destroy',
      'hard_shutdown',
      'revert',
      'update_allowed_operations',
    ]),
  );
});
