/** Devices that come and go while their VM runs, over the model: calls, crashes, and what they accept. */
import { gibBytes, type Ref } from '@xenolith/base';
import { HostError } from '@xenolith/xapi';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Mishap } from '../testing/fuse.ts';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk, newInterface } from '../testing/new-objects.ts';

/** A pool with a running VM that has a disk, an interface and an empty drive, and more disks and an interface to plug. */
class Bench {
  readonly pool: ModelPool;
  vm = '' as Ref<'VM'>;
  disk = '';
  spare = '';
  readonly vbds: Record<'first' | 'extra' | 'drive', string> = { first: '', extra: '', drive: '' };
  readonly vifs: Record<'first' | 'extra', string> = { first: '', extra: '' };

  private constructor(pool: ModelPool) {
    this.pool = pool;
  }

  static async open(): Promise<Bench> {
    const bench = new Bench(await ModelPool.open());
    const { pool } = bench;
    const [sr = ''] = pool.db.refs('SR');
    const network = [...pool.db.all('network')].find(([, { bridge }]) => bridge === 'xenbr0')?.[0] ?? '';
    bench.vm = await pool.newVm();
    bench.disk = await pool.call('VDI.create', newDisk(sr, gibBytes));
    bench.spare = await pool.call('VDI.create', newDisk(sr, gibBytes));
    const first = await pool.call('VDI.create', newDisk(sr, gibBytes));
    bench.vbds.first = await pool.call('VBD.create', newDevice(bench.vm, first, '0'));
    const drive = newDevice(bench.vm, '', '3', { type: 'CD', mode: 'RO', empty: true, VDI: 'OpaqueRef:NULL' });
    bench.vbds.drive = await pool.call('VBD.create', drive);
    bench.vifs.first = await pool.call('VIF.create', newInterface(bench.vm, network, '0'));
    await pool.call('VM.start', bench.vm, false, false);
    bench.vbds.extra = await pool.call('VBD.create', newDevice(bench.vm, bench.disk, '1'));
    bench.vifs.extra = await pool.call('VIF.create', newInterface(bench.vm, network, '1'));
    return bench;
  }

  allowed(className: string, ref: string): readonly string[] {
    return this.pool.db.getAny(className, ref)['allowed_operations'] as readonly string[];
  }

  attached(className: string, ref: string): boolean {
    return this.pool.db.getAny(className, ref)['currently_attached'] as boolean;
  }

  /** The devices that the domain has on its host. */
  guest(): readonly string[] {
    const { domid } = this.pool.vm(this.vm);
    const config = this.pool.machine().configOf(domid as never);
    return [
      ...(config?.disks ?? []).map(({ device }) => device),
      ...(config?.vifs ?? []).map(({ index }) => `vif${index}`),
    ];
  }
}

let bench: Bench;
let pool: ModelPool;
beforeEach(async () => {
  bench = await Bench.open();
  ({ pool } = bench);
});

describe('a running VM', () => {
  test('is given a disk and an interface, and they are taken from it', async () => {
    const { vbds, vifs } = bench;
    expect(bench.guest()).toEqual(['xvda', 'vif0']);
    expect([bench.allowed('VBD', vbds.extra), bench.allowed('VIF', vifs.extra)]).toEqual([['plug'], ['plug']]);
    await pool.call('VBD.plug', vbds.extra);
    await pool.call('VIF.plug', vifs.extra);
    expect(bench.guest()).toEqual(['xvda', 'xvdb', 'vif0', 'vif1']);
    expect([bench.attached('VBD', vbds.extra), bench.attached('VIF', vifs.extra)]).toEqual([true, true]);
    expect(bench.allowed('VBD', vbds.extra)).toEqual(['unplug', 'unplug_force']);
    expect(bench.allowed('VIF', vifs.extra)).toEqual(['unplug']);
    expect(bench.allowed('VDI', bench.disk)).toEqual(['update', 'snapshot']);
    await pool.call('VBD.unplug', vbds.first);
    await pool.call('VBD.unplug_force', vbds.extra);
    await pool.call('VIF.unplug', vifs.first);
    await pool.call('VIF.unplug_force', vifs.extra);
    expect(bench.guest()).toEqual([]);
    expect(bench.allowed('VDI', bench.disk)).toContain('destroy');
    expect(pool.disagreements()).toEqual([]);
  });

  test.each([['VM.clean_reboot'], ['VM.hard_reboot']])('keeps over %s what it has then', async (reboot) => {
    const { vbds, vifs } = bench;
    await pool.call('VBD.unplug', vbds.first);
    await pool.call('VBD.plug', vbds.extra);
    await pool.call('VIF.unplug', vifs.first);
    await pool.clock.advanceAsync(30_000);
    await pool.call(reboot, bench.vm);
    expect(bench.guest()).toEqual(['xvdb']);
    expect(pool.disagreements()).toEqual([]);
    await pool.call('VM.hard_shutdown', bench.vm);
    await pool.call('VM.start', bench.vm, false, false);
    expect(bench.guest()).toEqual(['xvda', 'xvdb', 'vif0', 'vif1']);
    expect(pool.disagreements()).toEqual([]);
  });

  test('is what it was on a host that is put back after a restart', async () => {
    await pool.call('VBD.unplug', bench.vbds.first);
    pool.machines.clear();
    pool.puttingBack = true;
    await pool.reopen();
    expect(bench.guest()).toEqual(['vif0']);
  });

  test('has a disc put into its drive and taken out', async () => {
    const { drive } = bench.vbds;
    expect(bench.allowed('VBD', drive)).toEqual(['insert']);
    expect(await pool.refusal('VBD.eject', drive)).toBe(`VBD_IS_EMPTY ${drive}`);
    expect(await pool.refusal('VBD.plug', drive)).toBe(`VBD_IS_EMPTY ${drive}`);
    await pool.call('VBD.insert', drive, bench.spare);
    expect(bench.guest()).toContain('xvdd');
    expect(pool.db.getAny('VBD', drive)).toMatchObject({ VDI: bench.spare, empty: false, currently_attached: true });
    expect(bench.allowed('VBD', drive)).toEqual(['unplug', 'unplug_force', 'eject']);
    expect(await pool.refusal('VBD.insert', drive, bench.disk)).toBe(`VBD_NOT_EMPTY ${drive}`);
    await pool.call('VBD.eject', drive);
    expect(bench.guest()).not.toContain('xvdd');
    expect(pool.db.getAny('VBD', drive)).toMatchObject({
      VDI: 'OpaqueRef:NULL',
      empty: true,
      currently_attached: false,
    });
    await pool.call('VM.hard_shutdown', bench.vm);
    await pool.call('VBD.insert', drive, bench.spare);
    await pool.call('VM.start', bench.vm, false, false);
    expect(bench.guest()).toContain('xvdd');
    expect(pool.disagreements()).toEqual([]);
  });

  test('is refused what cannot be, and nothing is changed', async () => {
    const { vbds, vifs, vm } = bench;
    const other = await pool.newVm('other');
    const taken = await pool.call(
      'VBD.create',
      newDevice(other, pool.db.getAny('VBD', vbds.first)['VDI'] as string, '0'),
    );
    const table: readonly (readonly [string, readonly string[], string])[] = [
      ['VBD.plug', [vbds.first], `DEVICE_ALREADY_ATTACHED ${vbds.first}`],
      ['VBD.unplug', [vbds.extra], `DEVICE_ALREADY_DETACHED ${vbds.extra}`],
      ['VBD.unplug_force', [vbds.extra], `DEVICE_ALREADY_DETACHED ${vbds.extra}`],
      ['VIF.plug', [vifs.first], `DEVICE_ALREADY_ATTACHED ${vifs.first}`],
      ['VIF.unplug', [vifs.extra], `DEVICE_ALREADY_DETACHED ${vifs.extra}`],
      ['VBD.plug', [taken], `VM_BAD_POWER_STATE ${other} running halted`],
      ['VBD.assert_attachable', [taken], `VDI_IN_USE ${pool.db.getAny('VBD', vbds.first)['VDI'] as string} attach`],
      ['VBD.assert_attachable', [vbds.first], `DEVICE_ALREADY_ATTACHED ${vbds.first}`],
      ['VBD.insert', [vbds.extra, bench.spare], `VBD_NOT_REMOVABLE_MEDIA ${vbds.extra}`],
      ['VBD.eject', [vbds.first], `VBD_NOT_REMOVABLE_MEDIA ${vbds.first}`],
      [
        'VBD.insert',
        [vbds.drive, pool.db.getAny('VBD', vbds.first)['VDI'] as string],
        `VDI_IN_USE ${pool.db.getAny('VBD', vbds.first)['VDI'] as string} attach`,
      ],
      ['VBD.destroy', [vbds.first], `DEVICE_ALREADY_ATTACHED ${vbds.first}`],
      ['VBD.set_mode', [vbds.extra, 'RO'], `VM_BAD_POWER_STATE ${vm} halted running`],
      ['VBD.pause', [vbds.first], 'NOT_IMPLEMENTED VBD.pause'],
    ];
    for (const [method, args, refusal] of table) expect(await pool.refusal(method, ...args), method).toBe(refusal);
    await pool.call('VBD.set_unpluggable', vbds.first, false);
    expect(await pool.refusal('VBD.unplug', vbds.first)).toBe(`VBD_NOT_UNPLUGGABLE ${vbds.first}`);
    expect(bench.allowed('VBD', vbds.first)).toEqual([]);
    await pool.call('VM.pause', vm);
    expect(await pool.refusal('VBD.plug', vbds.extra)).toBe(`VM_BAD_POWER_STATE ${vm} running paused`);
    expect(pool.disagreements()).toEqual([]);
  });

  test('keeps a disk that its guest does not let go of', async () => {
    pool.machine().failNext('devices', new HostError('device-busy', 'it is mounted'));
    const { first } = bench.vbds;
    expect(await pool.refusal('VBD.unplug', first)).toBe(`DEVICE_DETACH_REJECTED VBD ${first} it is mounted`);
    expect(bench.allowed('VBD', first)).toEqual(['unplug', 'unplug_force']);
    expect(pool.disagreements()).toEqual([]);
  });

  test('whose host fails to attach is as before, its drive too', async () => {
    const { extra, drive } = bench.vbds;
    const failure = new HostError('command-failed', 'xl block-attach failed');
    for (const [method, args] of [
      ['VBD.plug', [extra]],
      ['VBD.insert', [drive, bench.spare]],
      ['VIF.plug', [bench.vifs.extra]],
    ] as const) {
      pool.machine().failNext('devices', failure);
      expect(await pool.refusal(method, ...args)).toBe('INTERNAL_ERROR xl block-attach failed');
      expect(pool.disagreements()).toEqual([]);
    }
    expect(pool.db.getAny('VBD', drive)).toMatchObject({ VDI: 'OpaqueRef:NULL', empty: true });
    expect(bench.allowed('VBD', drive)).toEqual(['insert']);
  });

  test('that ends while it is given a disk has none', async () => {
    const [plugged, ended] = await Promise.all([
      pool.refusal('VBD.plug', bench.vbds.extra),
      pool.refusal('VM.hard_shutdown', bench.vm),
    ]);
    expect(ended).toBe('no refusal');
    expect(plugged).toMatch(/^(no refusal|VM_BAD_POWER_STATE|INTERNAL_ERROR)/);
    expect(pool.disagreements()).toEqual([]);
    await pool.call('VM.start', bench.vm, false, false);
    expect(pool.disagreements()).toEqual([]);
  });
});

describe('a change of devices that is cut short', () => {
  const acts: readonly (readonly [string, (bench: Bench) => Promise<unknown>])[] = [
    ['plug', ({ pool: own, vbds }) => own.call('VBD.plug', vbds.extra)],
    ['unplug', ({ pool: own, vbds }) => own.call('VBD.unplug', vbds.first)],
    ['insert', ({ pool: own, vbds, spare }) => own.call('VBD.insert', vbds.drive, spare)],
    ['VIF plug', ({ pool: own, vifs }) => own.call('VIF.plug', vifs.extra)],
    ['VIF unplug', ({ pool: own, vifs }) => own.call('VIF.unplug', vifs.first)],
  ];
  const mishaps: readonly Mishap[] = ['killed', 'host lost'];

  test.each(acts.flatMap(([name, act]) => mishaps.map((mishap) => [name, mishap, act] as const)))(
    '%s, %s: the records say what the guest has',
    async (_name, mishap, act) => {
      let cuts = 0;
      for (let steps = 0; ; steps++) {
        const own = await Bench.open();
        const wasCut = await own.pool.befall(mishap, steps, () => act(own));
        await own.pool.settle();
        expect(own.pool.disagreements(), `after ${steps} steps`).toEqual([]);
        if (!wasCut) break;
        cuts++;
      }
      expect(cuts).toBeGreaterThan(1);
    },
  );

  test('holds the disk until its host has told', async () => {
    const other = await pool.newVm('other');
    const second = await pool.call('VBD.create', newDevice(other, bench.disk, '0'));
    pool.machine().failNext('devices', new HostError('timeout', 'no answer'));
    const plugging = pool.begin('VBD.plug', bench.vbds.extra);
    pool.machine().failNext('devices', new HostError('timeout', 'no answer'));
    await plugging;
    expect(bench.allowed('VBD', second)).toEqual([]);
    await pool.settle();
    expect(bench.attached('VBD', bench.vbds.extra)).toBe(false);
    expect(bench.allowed('VBD', second)).toEqual(['attach']);
  });
});

/** Refusals that an operation in `allowed_operations` does not give. */
const stateErrors = new Set([
  'VM_BAD_POWER_STATE',
  'DEVICE_ALREADY_ATTACHED',
  'DEVICE_ALREADY_DETACHED',
  'OTHER_OPERATION_IN_PROGRESS',
  'VBD_IS_EMPTY',
  'VBD_NOT_EMPTY',
  'VBD_NOT_REMOVABLE_MEDIA',
  'VBD_NOT_UNPLUGGABLE',
  'VDI_IN_USE',
  'HOST_OFFLINE',
]);

test('what is listed is not refused for its state, and what is not listed is', { timeout: 60_000 }, async () => {
  const calls = [
    ['VBD', 'plug'],
    ['VBD', 'unplug'],
    ['VBD', 'unplug_force'],
    ['VBD', 'insert'],
    ['VBD', 'eject'],
    ['VIF', 'plug'],
    ['VIF', 'unplug'],
  ] as const;
  const step = fc.oneof(
    fc.record({ call: fc.constantFrom(...calls), which: fc.nat(2), wait: fc.boolean() }),
    fc.record({
      vm: fc.constantFrom('start', 'hard_shutdown', 'suspend', 'resume', 'pause', 'unpause', 'clean_reboot'),
    }),
    fc.record({ reachable: fc.boolean() }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      const own = await Bench.open();
      const going: Promise<unknown>[] = [];
      for (const each of steps) {
        if ('reachable' in each) {
          own.pool.machine().setReachable(each.reachable);
          await own.pool.settle();
        } else if ('vm' in each) {
          const extra = ['start', 'resume'].includes(each.vm) ? [false, false] : [];
          going.push(own.pool.begin(`VM.${each.vm}`, own.vm, ...extra));
          await own.pool.clock.advanceAsync(10_000);
        } else {
          const [className, operation] = each.call;
          const refs = Object.values(className === 'VBD' ? own.vbds : own.vifs);
          const ref = refs[each.which % refs.length] ?? '';
          const isListed = own.allowed(className, ref).includes(operation);
          const answering = own.pool.begin(
            `${className}.${operation}`,
            ref,
            ...(operation === 'insert' ? [own.spare] : []),
          );
          going.push(answering);
          if (!each.wait) continue;
          const answer = await answering;
          const code = answer.ok ? '' : (answer.error[0] ?? '');
          expect(stateErrors.has(code), `${className}.${operation} of ${ref}: ${code}`).toBe(!isListed);
        }
      }
      own.pool.machine().setReachable(true);
      await own.pool.clock.advanceAsync(200_000);
      await Promise.all(going);
      expect(own.pool.disagreements()).toEqual([]);
    }),
    { numRuns: 40 },
  );
});
