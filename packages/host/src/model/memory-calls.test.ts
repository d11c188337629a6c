/** The memory of VMs and hosts, as clients see it and as it is on a modelled host: 4 GiB, of which dom0 has one. */
import { bytes, domId, fromMib, gibBytes, mibBytes, ref, uuid, type DomId, type Ref } from '@xenolith/base';
import { memoryOf } from '@xenolith/hypervisor';
import { HostError, type HostDriver } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';

let pool: ModelPool;
beforeEach(async () => {
  pool = await ModelPool.open();
});

/** What is kept free: 64 MiB for emergencies and 8 for Xen. */
const reserved = fromMib(72);
/** Of a PV guest with one vCPU: a MiB for it, one for the vCPU, one for its shadow of a vCPU, and one for each 128 MiB. */
const overhead = (staticMaxMib: number): number => fromMib(1 + 1 + Math.ceil(1 + (2 * staticMaxMib) / 256));
const forGuests = 3 * gibBytes - reserved;

interface Shape {
  readonly min: number;
  readonly max: number;
  readonly staticMax?: number;
  readonly balloon?: string;
}

/** A halted VM; sizes in MiB. */
async function newVm(name: string, { min, max, staticMax = max, balloon }: Shape): Promise<Ref<'VM'>> {
  const vm = await pool.newVm(name);
  await pool.call('VM.set_memory_limits', vm, fromMib(64), fromMib(staticMax), fromMib(min), fromMib(max));
  if (balloon !== undefined) await pool.call('VM.add_to_other_config', vm, 'xenolith:balloon', balloon);
  return vm;
}
const start = (vm: Ref<'VM'>): Promise<unknown> => pool.call('VM.start', vm, false, false);
async function running(name: string, shape: Shape): Promise<Ref<'VM'>> {
  const vm = await newVm(name, shape);
  await start(vm);
  await pass(5000);
  return vm;
}
/** Lets guests boot and balloons be balanced. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) await pool.clock.advanceAsync(500);
}
const domidOf = (vm: Ref<'VM'>): DomId => domId(pool.vm(vm).domid);
/** What a VM has in Xen, in MiB. */
const mibOf = (vm: Ref<'VM'>): number => {
  const domain = pool.machine().hypervisor.domain(domidOf(vm));
  return domain === undefined ? 0 : memoryOf(domain) / mibBytes;
};
const freeMib = (): number => pool.machine().hypervisor.memoryFreeBytes / mibBytes;
const recordMib = (vm: Ref<'VM'>): readonly number[] => {
  const { memory_static_min, memory_dynamic_min, memory_dynamic_max, memory_static_max } = pool.vm(vm);
  return [memory_static_min, memory_dynamic_min, memory_dynamic_max, memory_static_max].map((size) => size / mibBytes);
};
const setRange = (vm: Ref<'VM'>, min: number, max: number): Promise<string> =>
  pool.refusal('VM.set_memory_dynamic_range', vm, fromMib(min), fromMib(max));

describe('overhead', () => {
  test.each([
    ['pv', 12],
    ['pvh', 13],
    ['hvm', 13],
    ['pv_in_pvh', 13 + 23 + 11],
  ])('of a %s VM of 1024 MiB with two vCPUs: %i MiB', async (type, mib) => {
    const vm = await newVm('vm', { min: 1024, max: 1024 });
    await pool.call('VM.set_VCPUs_max', vm, 2);
    await pool.call('VM.set_domain_type', vm, type);
    expect(await pool.call('VM.compute_memory_overhead', vm)).toBe(fromMib(mib));
    expect(await pool.call('VM.get_memory_overhead', vm)).toBe(fromMib(mib));
  });

  test('is in the record whatever it followed from', async () => {
    const vm = await newVm('vm', { min: 256, max: 256 });
    const said = async (): Promise<number> => {
      expect(await pool.call('VM.compute_memory_overhead', vm)).toBe(pool.vm(vm).memory_overhead);
      return pool.vm(vm).memory_overhead / mibBytes;
    };
    expect(await said()).toBe(5);
    await pool.call('VM.set_VCPUs_max', vm, 16);
    expect(await said()).toBe(1 + 3 + 18);
    await pool.call('VM.set_memory_static_max', vm, fromMib(1024));
    expect(await said()).toBe(1 + 3 + 24);
    await pool.call('VM.set_HVM_boot_policy', vm, 'BIOS order');
    expect(await said()).toBe(2 + 3 + 24);
    const clone = await pool.call<Ref<'VM'>>('VM.clone', vm, 'clone');
    expect(pool.vm(clone).memory_overhead).toBe(pool.vm(vm).memory_overhead);
    const { uuid: _, ...record } = pool.vm(vm);
    const made = await pool.call<Ref<'VM'>>('VM.create', { ...record, memory_target: 5 });
    expect(pool.vm(made)).toMatchObject({ memory_overhead: record.memory_overhead, memory_target: 0 });
  });

  test('and the most memory within a total', async () => {
    const vm = await newVm('vm', { min: 256, max: 256 });
    for (const approximate of [false, true]) {
      const most = await pool.call<number>('VM.maximise_memory', vm, 1000 * mibBytes + 5, approximate);
      if (approximate) await pool.call('VM.set_VCPUs_max', vm, 64);
      const takes = async (size: number): Promise<number> => {
        await pool.call('VM.set_memory_static_max', vm, size);
        return size + (await pool.call<number>('VM.compute_memory_overhead', vm));
      };
      expect(await takes(most)).toBeLessThanOrEqual(1000 * mibBytes);
      expect(await takes(most + mibBytes)).toBeGreaterThan(1000 * mibBytes + 5);
    }
    expect(await pool.call('VM.maximise_memory', vm, 0, false)).toBe(0);
    expect(await pool.refusal('VM.maximise_memory', 'OpaqueRef:x', 1, false)).toBe('HANDLE_INVALID VM OpaqueRef:x');
  });
});

describe('the memory of a host', () => {
  const free = (): Promise<number> => pool.call<number>('host.compute_free_memory', pool.host());

  test('is the total less what is kept free, dom0, and what its VMs may be squeezed to', async () => {
    expect(await pool.call('host.compute_memory_overhead', pool.host())).toBe(reserved);
    expect(pool.db.get('host', pool.host()).memory_overhead).toBe(reserved);
    const dom0 = pool.db.get('host', pool.host()).control_domain;
    expect(recordMib(dom0)).toEqual([0, 1024, 1024, 1024]);
    expect(pool.vm(dom0)).toMatchObject({ memory_target: gibBytes, memory_overhead: 0 });
    expect(await free()).toBe(forGuests);
    const vm = await running('a', { min: 512, max: 1024 });
    expect(mibOf(vm)).toBe(1024);
    expect(await free()).toBe(forGuests - fromMib(512) - overhead(1024));
    const fixed = await newVm('b', { min: 256, max: 256 });
    expect(await free()).toBe(forGuests - fromMib(512) - overhead(1024));
    pool.db.update('VM', fixed, { scheduled_to_be_resident_on: pool.host() });
    expect(await free()).toBe(forGuests - fromMib(768) - overhead(1024) - overhead(256));
    pool.db.update('VM', fixed, { memory_dynamic_min: 8 * gibBytes });
    expect(await free()).toBe(0);
  });

  test('what Xen keeps for itself is told when it comes alive, and not guessed anew under guests', async () => {
    const vm = await running('a', { min: 1024, max: 1024 });
    pool.db.update('host', pool.host(), { memory_overhead: reserved + fromMib(100) });
    pool.machine().setReachable(false);
    await pool.settle();
    pool.machine().setReachable(true);
    await pool.settle();
    expect(pool.db.get('host', pool.host()).memory_overhead).toBe(reserved + fromMib(100));
    await pool.call('VM.hard_shutdown', vm);
    pool.machine().reset();
    await pool.settle();
    expect(pool.db.get('host', pool.host()).memory_overhead).toBe(reserved);
  });
});

describe('limits', () => {
  const order = 'MEMORY_CONSTRAINT_VIOLATION static_min <= dynamic_min <= dynamic_max <= static_max';

  test('are in order, whoever sets them, halted or running', async () => {
    const vm = await newVm('vm', { min: 256, max: 512, staticMax: 1024 });
    const dynamic = [
      ['VM.set_memory_dynamic_min', fromMib(63)],
      ['VM.set_memory_dynamic_min', fromMib(513)],
      ['VM.set_memory_dynamic_max', fromMib(255)],
      ['VM.set_memory_dynamic_max', fromMib(1025)],
      ['VM.set_memory_dynamic_range', fromMib(300), fromMib(299)],
    ] as const;
    for (const [method, ...args] of [
      ...dynamic,
      ['VM.set_memory_static_min', fromMib(257)],
      ['VM.set_memory_static_min', -1],
      ['VM.set_memory_static_max', fromMib(511)],
      ['VM.set_memory_static_range', fromMib(65), fromMib(64)],
      ['VM.set_memory_limits', 1, 4, 3, 2],
      ['VM.set_memory', fromMib(63)],
    ] as const)
      expect(await pool.refusal(method, vm, ...args), method).toBe(order);
    await start(vm);
    await pass(5000);
    for (const [method, ...args] of [...dynamic, ['VM.set_memory_target_live', fromMib(63)] as const])
      expect(await pool.refusal(method, vm, ...args), method).toBe(order);
    expect(recordMib(vm)).toEqual([64, 256, 512, 1024]);
    expect(mibOf(vm)).toBe(512);
  });

  test('of a VM that is not halted are those of its domain; only the dynamic ones change, while it runs', async () => {
    const vm = await running('vm', { min: 256, max: 512, staticMax: 1024 });
    const onlyHalted = [
      ['VM.set_memory_static_min', 1],
      ['VM.set_memory_static_max', fromMib(2048)],
      ['VM.set_memory_static_range', 1, fromMib(2048)],
      ['VM.set_memory_limits', 1, 4, 2, 3],
      ['VM.set_memory', fromMib(512)],
    ] as const;
    for (const [method, ...args] of onlyHalted)
      expect(await pool.refusal(method, vm, ...args), method).toBe(`VM_BAD_POWER_STATE ${vm} halted running`);
    await pool.call('VM.pause', vm);
    expect(await setRange(vm, 256, 256)).toBe(`VM_BAD_POWER_STATE ${vm} halted, running paused`);
    expect(await pool.refusal('VM.set_memory_target_live', vm, fromMib(256))).toBe(
      `VM_BAD_POWER_STATE ${vm} running paused`,
    );
    expect(recordMib(vm)).toEqual([64, 256, 512, 1024]);
    await pool.call('VM.hard_shutdown', vm);
    expect(await pool.refusal('VM.wait_memory_target_live', vm)).toBe(`VM_BAD_POWER_STATE ${vm} running halted`);
    expect(await setRange(vm, 256, 256)).toBe('no refusal');
    await pool.call('VM.set_memory', vm, fromMib(300));
    expect(recordMib(vm)).toEqual([64, 300, 300, 300]);
  });
});

describe('a running VM', () => {
  test('is moved by its range, and says what it was told and has', async () => {
    const vm = await running('vm', { min: 1024, max: 1024, staticMax: 2048 });
    expect(pool.vm(vm).memory_target).toBe(gibBytes);
    for (const [min, max, mib] of [
      [512, 512, 512],
      [256, 700, 700],
      [2048, 2048, 2048],
      [100, 101, 101],
    ] as const) {
      expect(await setRange(vm, min, max)).toBe('no refusal');
      expect(mibOf(vm)).toBe(mib);
      expect(pool.vm(vm).memory_target).toBe(fromMib(mib));
      await pool.call('VM.wait_memory_target_live', vm);
      expect(pool.db.get('VM_metrics', pool.vm(vm).metrics).memory_actual).toBe(fromMib(mib));
      expect(pool.vm(vm).current_operations).toEqual({});
    }
    await pool.call('VM.set_memory_dynamic_max', vm, fromMib(400));
    expect(mibOf(vm)).toBe(400);
    await pool.call('VM.set_memory_dynamic_min', vm, fromMib(400));
    await pool.call('VM.set_memory_target_live', vm, fromMib(300));
    expect(recordMib(vm)).toEqual([64, 300, 300, 2048]);
    expect(mibOf(vm)).toBe(300);
    await pool.call('VM.clean_reboot', vm);
    expect([mibOf(vm), pool.vm(vm).memory_target]).toEqual([300, fromMib(300)]);
    await pool.call('VM.clean_shutdown', vm);
    expect(pool.vm(vm).memory_target).toBe(0);
  });

  test('that has not come up is moved once it has', async () => {
    const vm = await newVm('vm', { min: 1024, max: 1024 });
    await start(vm);
    expect(await setRange(vm, 512, 512)).toBe('no refusal');
    expect(mibOf(vm)).toBe(1024);
    await pass(20_000);
    expect(mibOf(vm)).toBe(512);
    expect(pool.vm(vm).memory_target).toBe(fromMib(512));
  });

  test('is moved back into its range on a host that is in balance', async () => {
    const vm = await running('vm', { min: 512, max: 3500 });
    await pass(20_000);
    expect(freeMib()).toBeCloseTo(72, 0);
    pool.db.update('VM', vm, { memory_dynamic_max: fromMib(1024) });
    await pass(12_000);
    expect(mibOf(vm)).toBe(1024);
  });

  test.each([
    ['stuck', 1024, 'VM_MEMORY_TARGET_WAIT_TIMEOUT'],
    // Nobody tells it anything, so it is where it was told to be.
    ['no-driver', 1024, 'no refusal'],
    ['slow', 512, 'no refusal'],
  ])('that is %s', async (balloon, mib, waiting) => {
    const vm = await running('vm', { min: 1024, max: 1024, balloon });
    expect(await setRange(vm, 512, 512)).toBe('no refusal');
    expect(await pool.refusal('VM.wait_memory_target_live', vm)).toBe(waiting);
    expect(mibOf(vm)).toBe(mib);
    expect(recordMib(vm)).toEqual([64, 512, 512, 1024]);
  });

  test('gets no minimum that others would have to give theirs for', async () => {
    const vm = await running('vm', { min: 512, max: 512, staticMax: 4096 });
    const other = await running('other', { min: 512, max: 2048 });
    const room = forGuests - fromMib(512) - overhead(2048);
    const needed = 2600 * mibBytes + overhead(4096);
    expect(await setRange(vm, 2600, 2600)).toBe(`HOST_NOT_ENOUGH_FREE_MEMORY ${needed} ${room}`);
    expect(recordMib(vm)).toEqual([64, 512, 512, 4096]);
    expect(await setRange(vm, 1500, 1500)).toBe('no refusal');
    expect(mibOf(vm)).toBe(1500);
    expect(mibOf(other)).toBeGreaterThan(1300);
    expect(mibOf(other)).toBeLessThan(2048 - 500);
  });

  test('of a host that is lost', async () => {
    const vm = await running('vm', { min: 512, max: 1024 });
    pool.wrapDriver = (driver) => driver;
    pool.machine().failNext('memory', new HostError('unreachable', 'gone'));
    expect(await setRange(vm, 600, 600)).toMatch(/^CANNOT_CONTACT_HOST/);
    await pass(11_000);
    expect(mibOf(vm)).toBe(600);
    pool.machine().setReachable(false);
    expect(await setRange(vm, 512, 512)).toBe(`HOST_OFFLINE ${pool.host()}`);
  });
});

describe('a start', () => {
  const shared = { min: 512, max: 2048 };

  test('makes others smaller, each by the same share, and gives back what is left when one ends', async () => {
    const [a, b] = [await running('a', shared), await running('b', { min: 256, max: 1024 })];
    const share = (vm: Ref<'VM'>, { min, max }: Shape): number => (mibOf(vm) - min) / (max - min);
    await pass(20_000);
    expect(Math.round(mibOf(a) + mibOf(b))).toBe(3000);
    expect(Math.abs(share(a, shared) - share(b, { min: 256, max: 1024 }))).toBeLessThan(0.01);
    const c = await newVm('c', { min: 1024, max: 1024 });
    await start(c);
    expect(mibOf(c)).toBe(1024);
    await pass(20_000);
    // The model's domains take no more than their memory, so all of it but the reserve is theirs.
    expect(Math.round(mibOf(a) + mibOf(b))).toBe(1976);
    expect(Math.abs(share(a, shared) - share(b, { min: 256, max: 1024 }))).toBeLessThan(0.01);
    expect(pool.vm(a).memory_target).toBe(fromMib(mibOf(a)));
    for (const vm of [b, c]) await pool.call('VM.hard_shutdown', vm);
    await pass(20_000);
    expect(mibOf(a)).toBe(2048);
    expect(pool.disagreements()).toEqual([]);
  });

  test('is given a share of its own range', async () => {
    const a = await running('a', shared);
    const b = await newVm('b', shared);
    await start(b);
    expect(mibOf(b)).toBeGreaterThan(512);
    expect(mibOf(b)).toBeLessThan(2048);
    expect(pool.vm(b).memory_target).toBe(fromMib(mibOf(b)));
    expect(Number.isInteger(mibOf(b))).toBe(true);
    await pass(30_000);
    expect(Math.abs(mibOf(a) - mibOf(b))).toBeLessThanOrEqual(1);
    expect(freeMib()).toBeGreaterThanOrEqual(71);
  });

  test('alone with more than there is gets what there is', async () => {
    const vm = await running('vm', { min: 512, max: 3500 });
    expect(mibOf(vm)).toBe(Math.floor((forGuests - overhead(3500)) / mibBytes));
  });

  test('that does not fit beside the least of the others is refused, and nothing is touched', async () => {
    const a = await running('a', shared);
    const spied = await newVm('b', { min: 2500, max: 2500 });
    const before = { target: pool.vm(a).memory_target, free: freeMib() };
    const [needed, room] = [fromMib(2500) + overhead(2500), forGuests - fromMib(512) - overhead(2048)];
    const refusal = `HOST_NOT_ENOUGH_FREE_MEMORY ${needed} ${room}`;
    expect(await pool.refusal('VM.start', spied, false, false)).toBe(refusal);
    expect(await pool.refusal('VM.start_on', spied, pool.host(), false, false)).toBe(refusal);
    expect(await pool.refusal('VM.assert_can_boot_here', spied, pool.host())).toBe(refusal);
    expect({ target: pool.vm(a).memory_target, free: freeMib() }).toEqual(before);
    expect(pool.vm(spied)).toMatchObject({ power_state: 'Halted', memory_target: 0 });
    expect(pool.disagreements()).toEqual([]);
    // To the byte of what there is.
    for (const [mib, answer] of [
      [2446, 'no refusal'],
      [2447, `HOST_NOT_ENOUGH_FREE_MEMORY ${room + mibBytes} ${room}`],
    ] as const) {
      await pool.call('VM.set_memory', spied, fromMib(mib));
      expect(await pool.refusal('VM.assert_can_boot_here', spied, pool.host())).toBe(answer);
    }
  });

  test.each([
    ['stuck', /^VMS_FAILED_TO_COOPERATE OpaqueRef/],
    ['no-driver', /^HOST_NOT_ENOUGH_FREE_MEMORY \d+ \d+$/],
  ])('beside a VM that is %s is refused, and who gave gets it back', async (balloon, refusal) => {
    const bad = await running('bad', { min: 256, max: 1024, balloon });
    const good = await running('good', { min: 1024, max: 1536 });
    const late = await newVm('late', { min: 1280, max: 1280 });
    const said = await pool.refusal('VM.start', late, false, false);
    expect(said).toMatch(refusal);
    if (balloon === 'stuck') expect(said).toBe(`VMS_FAILED_TO_COOPERATE ${bad}`);
    await pass(30_000);
    expect([mibOf(bad), mibOf(good), mibOf(late)]).toEqual([1024, 1536, 0]);
    expect(pool.vm(late)).toMatchObject({ power_state: 'Halted', memory_target: 0 });
    expect(pool.disagreements()).toEqual([]);
  });

  test('can be cancelled while others give', async () => {
    const slow = await running('slow', { min: 512, max: 2500, balloon: 'slow' });
    const vm = await newVm('vm', { min: 1024, max: 1024 });
    const task = await pool.call<Ref<'task'>>('Async.VM.start', vm, false, false);
    await pass(5000);
    expect(mibOf(slow)).toBeLessThan(2500);
    await pool.call('task.cancel', task);
    await pass(2000);
    expect(pool.db.get('task', task)).toMatchObject({ status: 'cancelled', error_info: ['TASK_CANCELLED', task] });
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Halted', memory_target: 0, current_operations: {} });
    await pass(60_000);
    expect(mibOf(slow)).toBe(2500);
    expect(pool.disagreements()).toEqual([]);
  });

  test('waits for a guest that is coming up and has memory to give', async () => {
    const first = await newVm('first', shared);
    const second = await newVm('second', { min: 2048, max: 2048 });
    await start(first);
    expect(mibOf(first)).toBe(2048);
    await start(second);
    expect(mibOf(second)).toBe(2048);
    expect(mibOf(first)).toBeLessThan(1024);
  });

  test.each(['timeout', 'command-failed'] as const)(
    'that cannot look at its host (%s) leaves nothing behind',
    async (code) => {
      const first = await running('first', shared);
      const second = await newVm('second', { min: 1500, max: 1500 });
      pool.machine().failNext('memory', new HostError(code, 'not now'));
      const refusal = await pool.refusal('VM.start', second, false, false);
      expect(refusal).toMatch(code === 'timeout' ? /^CANNOT_CONTACT_HOST/ : /^INTERNAL_ERROR not now/);
      await pool.settle();
      expect(pool.disagreements()).toEqual([]);
      expect(pool.vm(second)).toMatchObject({ power_state: 'Halted', memory_target: 0 });
      expect(pool.vm(second).allowed_operations).toContain('start');
      await start(second);
      expect(mibOf(second)).toBe(1500);
      expect(mibOf(first)).toBeLessThan(1600);
    },
  );

  test('that Xen has no memory for, though the records say so, tells how much is free', async () => {
    const vm = await newVm('vm', { min: 2048, max: 2048 });
    const identity = uuid('9c0f4b4e-0000-4000-8000-000000000001');
    const hidden = pool.machine().hypervisor.create({
      uuid: identity,
      name: 'hidden',
      type: 'pv',
      vcpus: 1,
      memoryBytes: bytes(2 * gibBytes),
    });
    expect(hidden.ok).toBe(true);
    await pass(6000);
    const found = pool.db.byUuid('VM', identity);
    if (found === undefined) throw new Error('the hidden domain is not known');
    pool.db.destroy('VM', found);
    const needed = fromMib(2048) + overhead(2048);
    expect(await pool.refusal('VM.start', vm, false, false)).toBe(`HOST_NOT_ENOUGH_FREE_MEMORY ${needed} ${gibBytes}`);
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Halted', memory_target: 0 });
  });

  test('of many at once: all that fit with the least start, and nobody has less than that', async () => {
    const vms = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => newVm(name, { min: 512, max: 1024 })));
    const answers = await Promise.all(vms.map((vm) => pool.answer('VM.start', vm, false, false)));
    // 512 MiB and 11 of overhead go five times into 3000.
    expect(answers.map((answer) => answer?.ok)).toEqual([true, true, true, true, true, false]);
    expect(answers[5]).toMatchObject({ error: ['HOST_NOT_ENOUGH_FREE_MEMORY', expect.anything(), expect.anything()] });
    await pass(40_000);
    for (const vm of vms.slice(0, 5)) expect(mibOf(vm)).toBeGreaterThanOrEqual(512);
    expect(freeMib()).toBeGreaterThanOrEqual(72);
    expect(pool.disagreements()).toEqual([]);
  });
});

describe('what a VM has', () => {
  test('outlasts suspend and resume, and a hard reboot', async () => {
    const vm = await running('vm', { min: 300, max: 300, staticMax: 2048 });
    await setRange(vm, 300, 2000);
    await setRange(vm, 500, 500);
    pool.db.update('VM', vm, { memory_dynamic_max: fromMib(2048) });
    await pool.call('VM.hard_reboot', vm);
    expect([mibOf(vm), pool.vm(vm).memory_target]).toEqual([500, fromMib(500)]);
    await pool.call('VM.suspend', vm);
    expect(pool.vm(vm)).toMatchObject({ memory_target: fromMib(500) });
    pool.db.update('VM', vm, { scheduled_to_be_resident_on: pool.host(), memory_dynamic_min: fromMib(100) });
    const free = await pool.call('host.compute_free_memory', pool.host());
    expect(free).toBe(forGuests - fromMib(500) - overhead(2048));
    pool.db.update('VM', vm, { scheduled_to_be_resident_on: ref('OpaqueRef:NULL') });
    const other = await running('other', { min: 2500, max: 2500 });
    const room = forGuests - fromMib(2500) - overhead(2500);
    expect(await pool.refusal('VM.resume', vm, false, false)).toBe(
      `HOST_NOT_ENOUGH_FREE_MEMORY ${500 * mibBytes + overhead(2048)} ${room}`,
    );
    await pool.call('VM.hard_shutdown', other);
    await pool.call('VM.resume', vm, false, false);
    expect([mibOf(vm), pool.vm(vm).memory_target]).toEqual([500, fromMib(500)]);
  });

  test('is there again on a host that lives in the process', async () => {
    const vm = await running('vm', { min: 512, max: 1024 });
    await setRange(vm, 600, 600);
    pool.puttingBack = true;
    pool.machines.clear();
    await pool.reopen();
    expect(mibOf(vm)).toBe(600);
  });

  test('is nobody’s business when it was made by hand, until its record has a range', async () => {
    const machine = pool.machine();
    const template = await newVm('template', { min: 512, max: 512 });
    await start(template);
    const config = machine.configOf(domidOf(template));
    await pool.call('VM.hard_shutdown', template);
    if (config === undefined) throw new Error('no config');
    const uuid = '9c0f4b4e-0000-4000-8000-000000000002' as typeof config.uuid;
    const domid = machine.create(
      { ...config, uuid, memoryMaxBytes: fromMib(2048), memoryTargetBytes: fromMib(1024) },
      { paused: false },
    );
    await pass(6000);
    const found = pool.db.byUuid('VM', uuid);
    if (found === undefined) throw new Error('not found');
    expect(recordMib(found)).toEqual([0, 1024, 1024, 2048]);
    expect(pool.vm(found).memory_target).toBe(gibBytes);
    machine.balloons.setTarget(domid, fromMib(700));
    await running('ranged', { min: 256, max: 1024 });
    await pass(30_000);
    expect(mibOf(found)).toBe(700);
    expect(await setRange(found, 800, 900)).toBe('no refusal');
    await pass(1000);
    expect(mibOf(found)).toBe(900);
  });
});

/** A host as real ones tell of themselves: free memory in whole MiB, and guests that have a little more than they were told. */
const likeReal = (driver: HostDriver): HostDriver => ({
  ...driver,
  memory: {
    ...driver.memory,
    states: async () => {
      const { freeBytes, domains } = await driver.memory.states();
      return {
        freeBytes: fromMib(Math.floor(freeBytes / mibBytes)),
        domains: domains.map((domain) => ({ ...domain, actualBytes: bytes(domain.actualBytes + 64 * 1024) })),
      };
    },
  },
});

test('where free memory is told in MiB, balloons come to rest', async () => {
  let told = 0;
  pool.wrapDriver = (driver) =>
    likeReal({
      ...driver,
      memory: {
        ...driver.memory,
        setTarget: (domain, size) => {
          told++;
          return driver.memory.setTarget(domain, size);
        },
      },
    });
  await pool.reopen();
  const vms: Ref<'VM'>[] = [];
  for (const [min, max] of [
    [301, 2011],
    [257, 1033],
    [512, 1777],
    [111, 666],
  ] as const)
    vms.push(await running(`vm${vms.length}`, { min, max }));
  await pass(60_000);
  expect(freeMib()).toBeGreaterThan(70);
  expect(freeMib()).toBeLessThan(75);
  const before = told;
  await pass(300_000);
  expect(told - before).toBeLessThan(4 * vms.length);
  const shares = vms.map((vm) => {
    const { memory_dynamic_min: min, memory_dynamic_max: max } = pool.vm(vm);
    return (mibOf(vm) * mibBytes - min) / (max - min);
  });
  for (const share of shares) expect(Math.abs(share - shares[0]!)).toBeLessThan(0.005);
});

test('what a VM has is kept for it while it has no domain, as between the two of a reboot', async () => {
  let hidden: string | undefined;
  pool.wrapDriver = (driver) => ({
    ...driver,
    memory: {
      ...driver.memory,
      states: async () => {
        const { freeBytes, domains } = await driver.memory.states();
        const gone = domains.find(({ uuid }) => uuid === hidden);
        return {
          freeBytes: bytes(freeBytes + (gone?.actualBytes ?? 0)),
          domains: domains.filter((each) => each !== gone),
        };
      },
    },
  });
  await pool.reopen();
  const fixed = await running('fixed', { min: 1024, max: 1024 });
  const ranged = await running('ranged', { min: 512, max: 3000 });
  await pass(10_000);
  expect(Math.round(mibOf(ranged))).toBe(1976);
  hidden = pool.vm(fixed).uuid;
  await pass(30_000);
  // And a little more: its overhead, which it does take on a real host.
  expect(Math.round(mibOf(ranged))).toBe(1976 - pool.vm(fixed).memory_overhead / mibBytes);
});

test('where no VM has a range nothing is looked at, and a start asks no more of its host than before', async () => {
  const asked: string[] = [];
  const spy = (driver: HostDriver): HostDriver => ({
    ...driver,
    memory: {
      states: () => (asked.push('states'), driver.memory.states()),
      setTarget: (domain, size) => (asked.push('setTarget'), driver.memory.setTarget(domain, size)),
    },
  });
  pool.wrapDriver = spy;
  await pool.reopen();
  const vm = await running('a', { min: 512, max: 512 });
  // Not even where a guest has more than it was told.
  pool.db.update('VM_metrics', pool.vm(vm).metrics, { memory_actual: 3 * gibBytes });
  await running('b', { min: 512, max: 512 });
  await pass(30_000);
  expect(asked).toEqual([]);
  // Nor does it when there is plenty for one that has.
  const ranged = await newVm('c', { min: 256, max: 512 });
  await start(ranged);
  expect(asked).toEqual([]);
  await pass(30_000);
  expect(asked).toEqual(['states', 'states', 'states']);
  await pool.call('VM.hard_shutdown', ranged);
  await pass(15_000);
  const sofar = asked.length;
  await pass(60_000);
  expect(asked).toHaveLength(sofar);
  await pool.call('VM.hard_shutdown', vm);
});
