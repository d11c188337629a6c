/** What becomes of VMs when their host, its connection or its administrator does something at the wrong moment. */
import { bytes, domId, uuid, type Ref } from '@xenolith/base';
import { HostError, unfinishedSuffix, type HostDriver } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import { modelAddress, ModelPool } from '../testing/model-pool.ts';
import { newInterface } from '../testing/new-objects.ts';

let pool: ModelPool;
beforeEach(async () => {
  pool = await ModelPool.open();
});

const lost = new HostError('unreachable', 'the connection broke');

async function running(nameLabel?: string, on: ModelPool = pool): Promise<Ref<'VM'>> {
  const vm = await on.newVm(nameLabel);
  await on.call('VM.start', vm, false, false);
  await on.clock.advanceAsync(10_000);
  return vm;
}

const states = (vm: Ref<'VM'>, on: ModelPool = pool): readonly unknown[] => {
  const { power_state, suspend_VDI, scheduled_to_be_resident_on, current_operations } = on.vm(vm);
  return [
    power_state,
    on.db.has('VDI', suspend_VDI),
    on.db.has('host', scheduled_to_be_resident_on),
    current_operations,
  ];
};

/** Opens the pool anew with drivers whose connection breaks at a call, before or after the host did it. */
async function withBreak(call: 'save' | 'restore' | 'create', when: 'before' | 'after'): Promise<void> {
  let broken = false;
  pool.wrapDriver = (driver): HostDriver => {
    const around = async <T>(work: () => Promise<T>): Promise<T> => {
      if (broken) return work();
      broken = true;
      if (when === 'after') await work();
      pool.machine().setReachable(false);
      throw lost;
    };
    return {
      ...driver,
      ...(call === 'save' ? { save: (domain, path) => around(() => driver.save(domain, path)) } : {}),
      ...(call === 'create' ? { create: (config, options) => around(() => driver.create(config, options)) } : {}),
      ...(call === 'restore'
        ? { restore: (path, config, options) => around(() => driver.restore(path, config, options)) }
        : {}),
    } satisfies HostDriver;
  };
  await pool.reopen();
}

/** The host is heard again. */
async function mend(): Promise<void> {
  pool.machine().setReachable(true);
  await pool.settle();
}

describe('a host that is lost during', () => {
  test('a save that it finished: the VM is suspended, and resumes', async () => {
    const vm = await running();
    await withBreak('save', 'after');
    expect(await pool.refusal('VM.suspend', vm)).toBe(`CANNOT_CONTACT_HOST ${pool.host()} ${lost.message}`);
    expect(states(vm)).toEqual(['Running', true, false, {}]);
    await mend();
    expect(states(vm)).toEqual(['Suspended', true, false, {}]);
    await pool.call('VM.resume', vm, false, false);
    expect(states(vm)).toEqual(['Running', false, false, {}]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('a save that it never began: the VM runs, and has no image', async () => {
    const vm = await running();
    await withBreak('save', 'before');
    await pool.refusal('VM.suspend', vm);
    await mend();
    expect(states(vm)).toEqual(['Running', false, false, {}]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('a save, and that is reset: the VM is halted', async () => {
    const vm = await running();
    await withBreak('save', 'before');
    await pool.refusal('VM.suspend', vm);
    pool.machine().reset();
    await pool.settle();
    expect(states(vm)).toEqual(['Halted', false, false, {}]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('a restore that it finished, whose domain ended since: the VM is halted, and its image is not used again', async () => {
    const vm = await running();
    await pool.call('VM.suspend', vm);
    await withBreak('restore', 'after');
    await pool.refusal('VM.resume', vm, false, false);
    expect(states(vm)).toEqual(['Suspended', true, true, {}]);
    const [, domain] = pool.machine().hypervisor.domains();
    pool.machine().destroy(domain!.domid);
    await mend();
    expect(states(vm)).toEqual(['Halted', false, false, {}]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('a restore that it never began: the VM is still suspended', async () => {
    const vm = await running();
    await pool.call('VM.suspend', vm);
    await withBreak('restore', 'before');
    await pool.refusal('VM.resume', vm, false, false);
    await mend();
    expect(states(vm)).toEqual(['Suspended', true, false, {}]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('a restore, and that is still at it: the VM is paused, and its image stays until its guest goes on', async () => {
    for (const goesOn of [true, false]) {
      pool = await ModelPool.open();
      const vm = await running();
      const { hypervisor } = pool.machine();
      const { spec } = hypervisor.domain(domId(pool.vm(vm).domid))!;
      await pool.call('VM.suspend', vm);
      await withBreak('restore', 'before');
      await pool.refusal('VM.resume', vm, false, false);
      const made = hypervisor.create(spec, { booted: true });
      await mend();
      expect(states(vm)).toEqual(['Paused', true, false, {}]);
      if (!made.ok) throw new Error(made.error);
      if (goesOn) hypervisor.unpause(made.value);
      else hypervisor.destroy(made.value);
      await pool.settle();
      expect(states(vm)).toEqual(goesOn ? ['Running', false, false, {}] : ['Suspended', true, false, {}]);
      expect(pool.disagreements()).toEqual([]);
    }
  });

  test('a restore that took too long, whose domain ended since: the VM is halted', async () => {
    const vm = await running();
    await pool.call('VM.suspend', vm);
    pool.wrapDriver = (driver) => ({
      ...driver,
      restore: async (path, config, options) => {
        const domid = await driver.restore(path, config, options);
        pool.machine().destroy(domid);
        throw new HostError('timeout', 'no end within 7200 s');
      },
    });
    await pool.reopen();
    await pool.refusal('VM.resume', vm, false, false);
    await pool.settle();
    expect(states(vm)).toEqual(['Halted', false, false, {}]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('nothing, while a suspended VM is shut down hard: its image is removed when the host is back', async () => {
    const vm = await running();
    await pool.call('VM.suspend', vm);
    pool.machine().setReachable(false);
    await pool.call('VM.hard_shutdown', vm);
    expect(states(vm)).toEqual(['Halted', false, false, {}]);
    expect(pool.disagreements()).not.toEqual([]);
    await mend();
    expect(pool.disagreements()).toEqual([]);
  });

  test('the start of a hard reboot: the VM is said to run until the host tells', async () => {
    const vm = await running();
    await withBreak('create', 'before');
    await pool.refusal('VM.hard_reboot', vm);
    expect(states(vm)).toEqual(['Running', false, false, {}]);
    await mend();
    expect(states(vm)).toEqual(['Halted', false, false, {}]);
    expect(pool.disagreements()).toEqual([]);
  });
});

describe('the image of a VM whose save goes on though nobody waits for it', () => {
  /** A running VM that has an image by the records, of which the host has these files. */
  async function withImage(...suffixes: readonly string[]): Promise<{ readonly vm: Ref<'VM'>; readonly path: string }> {
    const vm = await running();
    await withBreak('save', 'before');
    await pool.refusal('VM.suspend', vm);
    const { location, SR } = pool.db.get('VDI', pool.vm(vm).suspend_VDI);
    const [pbd] = pool.db.get('SR', SR).PBDs;
    const path = `${pool.db.get('PBD', pbd!).device_config['location']}/${location}`;
    for (const suffix of suffixes)
      pool.machine().files.add(path + suffix, { kind: 'saved', sizeBytes: bytes(1), usedBytes: bytes(1) });
    await mend();
    return { vm, path };
  }
  const look = async (): Promise<void> => {
    await pool.xapi.hosts.driverOf(pool.host()).refresh();
    await pool.settle();
  };
  const end = (vm: Ref<'VM'>): void => pool.machine().destroy(domId(pool.vm(vm).domid));

  test('stays while the file has no name, and a second save is refused', async () => {
    const { vm } = await withImage(unfinishedSuffix);
    await look();
    expect(states(vm)).toEqual(['Running', true, false, {}]);
    expect(await pool.refusal('VM.suspend', vm)).toMatch(/^OTHER_OPERATION_IN_PROGRESS /);
  });

  test('is that of a suspended VM once the domain has ended and the file has its name', async () => {
    const { vm, path } = await withImage(unfinishedSuffix);
    const { files } = pool.machine();
    end(vm);
    await pool.settle();
    expect(states(vm)).toEqual(['Running', true, false, {}]);
    files.put(path, files.existing(path + unfinishedSuffix));
    files.remove(path + unfinishedSuffix);
    await look();
    expect(states(vm)).toEqual(['Suspended', true, false, {}]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('is not waited for longer than a minute after the domain has ended, and what there is of it is left', async () => {
    const { vm, path } = await withImage(unfinishedSuffix);
    end(vm);
    await pool.settle();
    await pool.clock.advanceAsync(60_000);
    await look();
    expect(states(vm)).toEqual(['Halted', false, false, {}]);
    expect(pool.machine().files.get(path + unfinishedSuffix)).toBeDefined();
  });

  test('is let go of when the domain runs on for ten minutes', async () => {
    const { vm } = await withImage(unfinishedSuffix);
    await pool.clock.advanceAsync(600_000);
    await look();
    expect(states(vm)).toEqual(['Running', false, false, {}]);
  });

  test('is stale when it is whole and the domain runs: somebody restored it by hand', async () => {
    const { vm, path } = await withImage('');
    expect(states(vm)).toEqual(['Running', false, false, {}]);
    expect(pool.machine().files.get(path)).toBeUndefined();
  });
});

describe('a start whose end nobody heard', () => {
  test.each(['before', 'after'] as const)(
    'lost %s it was done: nothing begins elsewhere until the host tells',
    async (when) => {
      pool = await ModelPool.open(2);
      const vm = await pool.newVm();
      await withBreak('create', when);
      const place = pool.host(1);
      const [network = ''] = pool.db.refs('network');
      await pool.refusal('VM.start_on', vm, place, false, false);
      expect(states(vm)).toEqual(['Halted', false, true, {}]);
      expect(pool.vm(vm).allowed_operations).not.toContain('start');
      for (const [method, ...args] of [
        ['VM.start', false, false],
        ['VM.start_on', pool.host(2), false, false],
        ['VM.destroy'],
      ] as const) {
        expect(await pool.refusal(method, vm, ...args), method).toBe(`HOST_OFFLINE ${place}`);
      }
      expect(await pool.refusal('VIF.create', newInterface(vm, network, '0'))).toBe(
        `OTHER_OPERATION_IN_PROGRESS VM ${vm} start OpaqueRef:NULL`,
      );
      await mend();
      expect(states(vm)).toEqual([when === 'after' ? 'Running' : 'Halted', false, false, {}]);
      expect(pool.vm(vm).allowed_operations.includes('start')).toBe(when === 'before');
      expect(pool.disagreements()).toEqual([]);
      if (when === 'before') await pool.call('VM.start_on', vm, pool.host(2), false, false);
    },
  );

  test('on a host that will not come back is given up by a reset of the power state', async () => {
    pool = await ModelPool.open(2);
    const vm = await pool.newVm();
    await withBreak('create', 'before');
    await pool.refusal('VM.start_on', vm, pool.host(1), false, false);
    await pool.call('VM.power_state_reset', vm);
    await pool.call('VM.start', vm, false, false);
    expect(pool.vm(vm).resident_on).toBe(pool.host(2));
  });
});

describe('a hard reboot', () => {
  test('never shows the VM halted, and ends with another domain', async () => {
    const vm = await running();
    const { domid } = pool.vm(vm);
    const seen = new Set<string>();
    const watching = pool.db.changed.listen(({ ref }) => {
      if (ref === vm) seen.add(pool.vm(vm).power_state);
    });
    await pool.call('VM.hard_reboot', vm);
    watching.dispose();
    expect([...seen]).toEqual(['Running']);
    expect(pool.vm(vm).domid).not.toBe(domid);
    expect(pool.disagreements()).toEqual([]);
  });

  test('whose start fails leaves the VM halted', async () => {
    const vm = await running();
    // The operation itself says so, not a later picture.
    let deaf = false;
    pool.wrapDriver = (driver) => ({
      ...driver,
      onNews: (listener) => driver.onNews((news) => (deaf ? undefined : listener(news))),
      refresh: () => (deaf ? Promise.reject(lost) : driver.refresh()),
    });
    await pool.reopen();
    deaf = true;
    pool.machine().failNext('create', new HostError('command-failed', 'the builder is on strike'));
    expect(await pool.refusal('VM.hard_reboot', vm)).toBe('INTERNAL_ERROR the builder is on strike');
    expect(states(vm)).toEqual(['Halted', false, false, {}]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('of a VM from which no domain could be made leaves its domain alone', async () => {
    const vm = await running();
    pool.db.update('VM', vm, { PV_kernel: '' });
    expect(await pool.refusal('VM.hard_reboot', vm)).toMatch(/^BOOTLOADER_FAILED /);
    expect(states(vm)).toEqual(['Running', false, false, {}]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('ends a clean shutdown that waits, without shutting down the new guest', async () => {
    const vm = await running();
    pool.machine().hypervisor.pause(domId(pool.vm(vm).domid));
    pool.db.update('VM', vm, { power_state: 'Running' });
    const waiting = pool.begin('VM.clean_shutdown', vm);
    await pool.settle();
    await pool.call('VM.hard_reboot', vm);
    expect(await waiting).toMatchObject({ ok: false, error: ['TASK_CANCELLED', expect.any(String)] });
    expect(states(vm)).toEqual(['Running', false, false, {}]);
  });
});

describe('a hard shutdown while', () => {
  const slow = async (call: 'create' | 'restore' | 'save'): Promise<() => void> => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    pool.wrapDriver = (driver): HostDriver => {
      const late = async <T>(result: Promise<T>): Promise<T> => {
        const value = await result;
        await gate;
        return value;
      };
      return {
        ...driver,
        ...(call === 'create' ? { create: (config, options) => late(driver.create(config, options)) } : {}),
        ...(call === 'save' ? { save: (domain, path) => late(driver.save(domain, path)) } : {}),
        ...(call === 'restore'
          ? { restore: (path, config, options) => late(driver.restore(path, config, options)) }
          : {}),
      } satisfies HostDriver;
    };
    await pool.reopen();
    return release;
  };

  test.each([
    ['a hard reboot is under way', 'create', 'VM.hard_reboot', []],
    ['a resume is under way', 'restore', 'VM.resume', [false, false]],
    ['a suspend is under way', 'save', 'VM.suspend', []],
  ] as const)('%s: the VM stays halted, and nothing is left of it', async (_, call, method, args) => {
    const vm = await running();
    if (call === 'restore') await pool.call('VM.suspend', vm);
    const release = await slow(call);
    const working = pool.begin(method, vm, ...args);
    await pool.settle();
    await pool.call('VM.hard_shutdown', vm);
    release();
    await working;
    await pool.settle();
    expect(states(vm)).toEqual(['Halted', false, false, {}]);
    expect(pool.disagreements()).toEqual([]);
  });

  /** Holds up what a driver does before it does it. */
  const heldUp = async (call: 'restore' | 'save' | 'pause'): Promise<() => void> => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    pool.wrapDriver = (driver): HostDriver => ({
      ...driver,
      [call]: async (...args: readonly unknown[]) => {
        await gate;
        return await (driver[call] as (...given: readonly unknown[]) => Promise<unknown>)(...args);
      },
    });
    await pool.reopen();
    return release;
  };

  test.each([
    ['VM.suspend', 'save', [], 'VM.hard_shutdown', 'VM_BAD_POWER_STATE VM running halted'],
    ['VM.pause', 'pause', [], 'VM.hard_shutdown', 'VM_BAD_POWER_STATE VM running halted'],
    ['VM.resume', 'restore', [false, false], 'VM.hard_shutdown', 'TASK_CANCELLED'],
    ['VM.suspend', 'save', [], 'VM.hard_reboot', 'TASK_CANCELLED'],
  ] as const)('%s has not begun yet: it is told by %s what became of it', async (method, call, args, hard, error) => {
    const vm = await running();
    if (call === 'restore') await pool.call('VM.suspend', vm);
    const release = await heldUp(call);
    const working = pool.begin(method, vm, ...args);
    await pool.settle();
    await pool.call(hard, vm);
    release();
    const answer = await working;
    expect(
      answer.ok
        ? ''
        : answer.error
            .join(' ')
            .replace(vm, 'VM')
            .replace(/ OpaqueRef:.*$/, ''),
    ).toBe(error);
    await pool.settle();
    expect(pool.disagreements()).toEqual([]);
  });
});

test('an image that could not be removed when its save failed is removed a minute later, however often that fails', async () => {
  const vm = await running();
  const images = (): number => [...pool.db.all('VDI')].filter(([, { type }]) => type === 'suspend').length;
  pool.machine().failNext('save', new HostError('no-space', 'full'));
  pool.machine().failNext('files', new HostError('command-failed', 'no'));
  expect(await pool.refusal('VM.suspend', vm)).toBe('OUT_OF_SPACE full');
  expect([images(), pool.vm(vm).suspend_VDI]).toEqual([1, 'OpaqueRef:NULL']);
  pool.machine().failNext('files', new HostError('command-failed', 'no'));
  await pool.pass(66_000);
  expect(images()).toBe(1);
  await pool.pass(66_000);
  expect(images()).toBe(0);
  expect(pool.disagreements()).toEqual([]);
});

describe('a uuid on two hosts', () => {
  const messages = (on: ModelPool): readonly string[] =>
    [...on.db.all('message')].filter(([, { name }]) => name === 'VM_ON_TWO_HOSTS').map(([, { body }]) => body);
  const look = async (on: ModelPool, ...numbers: readonly number[]): Promise<void> => {
    for (const number of numbers) {
      await on.xapi.hosts.driverOf(on.host(number)).refresh();
      await on.settle();
    }
  };

  test('belongs to the host that has it by the records, whoever sends pictures; that is said once', async () => {
    const two = await ModelPool.open(2);
    const vm = await two.newVm();
    await two.call('VM.start_on', vm, two.host(1), false, false);
    const { domid, power_state } = two.vm(vm);
    const config = two.machine(1).configOf(domId(domid));
    const second = two.machine(2).create(config!, { paused: true });
    await look(two, 2, 1, 2, 2, 1);
    expect(two.vm(vm)).toMatchObject({ resident_on: two.host(1), domid, power_state });
    await two.reopen();
    await look(two, 2, 1, 2);
    expect(two.vm(vm)).toMatchObject({ resident_on: two.host(1), domid, power_state });
    expect(messages(two)).toEqual(['web runs on xen1, and a second domain of its uuid is on xen2']);

    // What is left when the first is gone is the VM's, without a moment in which the VM is halted.
    const seen = new Set<string>();
    const watching = two.db.changed.listen(({ ref }) => {
      if (ref === vm) seen.add(two.vm(vm).power_state);
    });
    two.machine(1).destroy(domId(domid));
    await two.settle();
    watching.dispose();
    expect(two.vm(vm)).toMatchObject({ resident_on: two.host(2), domid: second, power_state: 'Paused' });
    expect([...seen]).toEqual(['Paused']);
    expect(two.disagreements()).toEqual([]);
  });
});

describe('host.add', () => {
  const add = (on: ModelPool): ReturnType<ModelPool['begin']> => on.begin('host.add', modelAddress(1), {});

  test('two at once of the same address: one host', async () => {
    const none = await ModelPool.open(0);
    const answers = await Promise.all([add(none), add(none)]);
    expect(answers.map(({ ok }) => ok)).toEqual([true, false]);
    expect(none.db.count('host')).toBe(1);
  });

  test('two at once of the same address, of a machine that does not say which it is: one host', async () => {
    const none = await ModelPool.open(0);
    none.wrapDriver = (driver) => ({
      ...driver,
      connect: async () => {
        const { systemUuid: _, ...facts } = await driver.connect();
        return facts;
      },
    });
    const answers = await Promise.all([add(none), add(none)]);
    expect(answers.map(({ ok }) => ok)).toEqual([true, false]);
    expect(none.db.count('host')).toBe(1);
  });

  test('two at once of the same machine under two addresses: one host', async () => {
    const none = await ModelPool.open(0);
    const other = modelAddress(1).replace('xen1', 'alias');
    const answers = await Promise.all([add(none), none.begin('host.add', other, {})]);
    expect(answers.map(({ ok }) => ok)).toEqual([true, false]);
    expect(none.db.count('host')).toBe(1);
    expect(await none.refusal('host.add', other, {})).toMatch(/^INVALID_VALUE address .*xen1/);
  });

  test.each(['connect', 'space', 'refresh'] as const)(
    'that fails at %s leaves nothing, and can be tried again',
    async (at) => {
      const none = await ModelPool.open(0);
      const before = [...none.db.all('SR'), ...none.db.all('VM'), ...none.db.all('network')];
      let calls = 0;
      const fail = (): Promise<never> => Promise.reject(lost);
      none.wrapDriver = (driver) => ({
        ...driver,
        ...(at === 'connect' ? { connect: fail } : {}),
        ...(at === 'refresh' ? { refresh: fail } : {}),
        // The second: that of the repository.
        files: {
          ...driver.files,
          space: (path) => (at === 'space' && calls++ > 0 ? fail() : driver.files.space(path)),
        },
      });
      expect(await none.refusal('host.add', modelAddress(1), {})).toBe(
        `CANNOT_CONTACT_HOST ${modelAddress(1)} ${lost.message}`,
      );
      expect([...none.db.all('SR'), ...none.db.all('VM'), ...none.db.all('network')]).toEqual(before);
      expect(none.db.count('host')).toBe(0);
      none.wrapDriver = (driver) => driver;
      await none.call('host.add', modelAddress(1), {});
      expect(none.db.count('host')).toBe(1);
    },
  );
});

describe('a start of ours', () => {
  const config = {
    uuid: uuid('00000000-1111-4222-8333-444444444444'),
    nameLabel: 'by-hand',
    type: 'hvm',
    vcpusMax: 1,
    vcpusAtStartup: 1,
    memoryMaxBytes: bytes(2 ** 27),
    memoryTargetBytes: bytes(2 ** 27),
    disks: [],
    vifs: [],
    onPoweroff: 'destroy',
    onReboot: 'restart',
    onCrash: 'destroy',
  } as const;

  test('opens a host on which a VM runs that we could not start', async () => {
    pool.machine().create(config, { paused: false });
    await pool.settle();
    const vm = pool.db.byUuid('VM', config.uuid);
    expect(pool.vm(vm!)).toMatchObject({ power_state: 'Running', PV_kernel: '' });
    // A modelled host that begins anew with the process, as it does in the server.
    const machines = [...pool.machines.keys()];
    for (const address of machines) pool.machines.delete(address);
    pool.puttingBack = true;
    await pool.reopen();
    expect(pool.xapi.hosts.isLive(pool.host())).toBe(true);
    expect(pool.vm(vm!)).toMatchObject({ power_state: 'Running' });
    expect(pool.disagreements()).toEqual([]);
  });

  test('finds what VMs accept, and no operation under way', async () => {
    const vm = await running();
    const halted = await pool.newVm('halted');
    const before = [vm, halted].map((ref) => pool.vm(ref).allowed_operations);
    pool.machine().hypervisor.pause(domId(pool.vm(vm).domid));
    await pool.settle();
    void pool.begin('VM.clean_shutdown', halted);
    pool.machine().hypervisor.unpause(domId(pool.vm(vm).domid));
    await pool.settle();
    void pool.begin('VM.clean_shutdown', vm);
    await pool.settle();
    expect(Object.values(pool.vm(vm).current_operations)).toEqual(['clean_shutdown']);
    await pool.reopen();
    expect([vm, halted].map((ref) => pool.vm(ref).current_operations)).toEqual([{}, {}]);
    expect([vm, halted].map((ref) => pool.vm(ref).allowed_operations)).toEqual(before);
  });

  test('with a host that is away: its VMs run by the records, and accept only what needs no host', async () => {
    const vm = await running();
    pool.machine().setReachable(false);
    await pool.reopen();
    expect(states(vm)).toEqual(['Running', false, false, {}]);
    expect(pool.vm(vm).allowed_operations).toEqual([
      'get_boot_record',
      'power_state_reset',
      'assert_operation_valid',
      'update_allowed_operations',
    ]);
    await mend();
    expect(pool.vm(vm).allowed_operations).toContain('pause');
  });
});

test('a VM whose domid is another domain’s now is found gone, and the other is not touched', async () => {
  const vm = await running();
  const { domid } = pool.vm(vm);
  const config = pool.machine().configOf(domId(domid))!;
  const other = uuid('00000000-1111-4222-8333-555555555555');
  pool.machine().reset();
  let taken = pool.machine().create({ ...config, uuid: other }, { paused: true });
  while (taken < domid) taken = pool.machine().create({ ...config, uuid: other }, { paused: true });
  expect(taken).toBe(domid);
  await pool.call('VM.hard_shutdown', vm);
  expect(states(vm)).toEqual(['Halted', false, false, {}]);
  expect(pool.machine().hypervisor.domain(taken)).toMatchObject({ paused: true });
});
