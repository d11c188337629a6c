/** Starts that have to wait for memory, and what may come between: on a modelled host of 4 GiB, of which dom0 has one. */
import { bytes, domId, fromMib, mibBytes, type Ref } from '@xenolith/base';
import { memoryOf } from '@xenolith/hypervisor';
import { HostError, type DomainConfig, type DomainIdentity, type HostDriver, type MemoryStates } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool, numaModelAddress } from '../testing/model-pool.ts';

/** What a test has the host do, and what the host was asked. */
interface Script {
  beforeTarget: (domain: DomainIdentity) => void;
  states: (told: MemoryStates) => MemoryStates;
  looks: number;
  readonly created: DomainConfig[];
}

let pool: ModelPool;
let script: Script;
beforeEach(async () => {
  script = { beforeTarget: () => undefined, states: (told) => told, looks: 0, created: [] };
  pool = await ModelPool.open();
  pool.wrapDriver = scripted;
  await pool.reopen();
});

const scripted = (driver: HostDriver): HostDriver => ({
  ...driver,
  create: (config, options) => (script.created.push(config), driver.create(config, options)),
  restore: (path, config, options) => (script.created.push(config), driver.restore(path, config, options)),
  memory: {
    states: async () => {
      script.looks++;
      return script.states(await driver.memory.states());
    },
    setTarget: async (domain, size) => {
      script.beforeTarget(domain);
      await driver.memory.setTarget(domain, size);
    },
  },
});

interface Shape {
  readonly min: number;
  readonly max: number;
  readonly balloon?: string;
}

/** A halted VM; sizes in MiB. */
async function newVm(name: string, { min, max, balloon }: Shape): Promise<Ref<'VM'>> {
  const vm = await pool.newVm(name);
  await pool.call('VM.set_memory_limits', vm, fromMib(64), fromMib(max), fromMib(min), fromMib(max));
  if (balloon !== undefined) await pool.call('VM.add_to_other_config', vm, 'xenolith:balloon', balloon);
  return vm;
}
async function running(name: string, shape: Shape): Promise<Ref<'VM'>> {
  const vm = await newVm(name, shape);
  await pool.call('VM.start', vm, false, false);
  await pass(5000);
  return vm;
}
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) await pool.clock.advanceAsync(500);
}
const mibOf = (vm: Ref<'VM'>): number => {
  const domain = pool.machine().hypervisor.domain(domId(pool.vm(vm).domid));
  return domain === undefined ? 0 : memoryOf(domain) / mibBytes;
};
const refusalOfStart = (vm: Ref<'VM'>): Promise<string> => pool.refusal('VM.start', vm, false, false);

describe('a host that does not answer in the memory step', () => {
  const failOnce = (): void => {
    script.beforeTarget = () => {
      script.beforeTarget = () => undefined;
      throw new HostError('timeout', 'not now');
    };
  };

  test('leaves a VM that was to start as it was', async () => {
    await running('first', { min: 512, max: 2048 });
    const second = await newVm('second', { min: 1500, max: 1500 });
    failOnce();
    expect(await refusalOfStart(second)).toMatch(/^CANNOT_CONTACT_HOST/);
    await pass(1000);
    expect(pool.disagreements()).toEqual([]);
    expect(pool.vm(second)).toMatchObject({ power_state: 'Halted', memory_target: 0 });
    expect(script.created).toHaveLength(1);
    expect(await refusalOfStart(second)).toBe('no refusal');
  });

  test('leaves a VM that was to resume with its image', async () => {
    const saved = await running('saved', { min: 1500, max: 1500 });
    await pool.call('VM.suspend', saved);
    await running('first', { min: 512, max: 2048 });
    failOnce();
    expect(await pool.refusal('VM.resume', saved, false, false)).toMatch(/^CANNOT_CONTACT_HOST/);
    await pass(1000);
    expect(pool.disagreements()).toEqual([]);
    expect(pool.vm(saved)).toMatchObject({ power_state: 'Suspended', memory_target: fromMib(1500) });
    expect(await pool.refusal('VM.resume', saved, false, false)).toBe('no refusal');
  });
});

describe('memory that cannot be had from those that are there', () => {
  test('a VM that is paused gives none: a start is refused as it is said to be, and never goes to Xen', async () => {
    const a = await newVm('a', { min: 512, max: 2400 });
    await pool.call('VM.start', a, true, false);
    const b = await newVm('b', { min: 1024, max: 1024 });
    const said = await pool.refusal('VM.assert_can_boot_here', b, pool.host());
    const free = await pool.call<number>('host.compute_free_memory', pool.host());
    expect(said).toBe(`HOST_NOT_ENOUGH_FREE_MEMORY ${fromMib(1024) + pool.vm(b).memory_overhead} ${free}`);
    expect(await refusalOfStart(b)).toBe(said);
    expect(script.created).toHaveLength(1);
    await pool.call('VM.unpause', a);
    expect(await refusalOfStart(b)).toBe('no refusal');
    expect(mibOf(a)).toBeLessThan(2000);
  });

  test('a VM that is still being started is waited for', async () => {
    const [a, b] = [await newVm('a', { min: 512, max: 2400 }), await newVm('b', { min: 1024, max: 1024 })];
    expect(await Promise.all([refusalOfStart(a), refusalOfStart(b)])).toEqual(['no refusal', 'no refusal']);
    expect(mibOf(b)).toBe(1024);
    expect(mibOf(a)).toBeLessThan(2000);
  });
});

test('starts that failed leave one look in ten seconds, however many they were', async () => {
  await running('bad', { min: 256, max: 1024, balloon: 'stuck' });
  await running('good', { min: 1024, max: 1536 });
  const late = await newVm('late', { min: 1280, max: 1280 });
  for (let failed = 0; failed < 3; failed++) {
    const before = script.looks;
    while (script.looks === before) await pass(500);
    // The next look is due while the squeeze lasts.
    await pass(7000);
    expect(await refusalOfStart(late)).toMatch(/^VMS_FAILED_TO_COOPERATE/);
    await pass(60_000);
  }
  const before = script.looks;
  await pass(100_000);
  expect(script.looks - before).toBe(10);
});

describe('a cpupool and a mask that are set while memory is waited for', () => {
  const there = { cpupool: 'Pool-node1', cpus: [5, 6], placement: { nodes: [1], pcpus: [5, 6], strict: false } };

  /** A host of two nodes, each a cpupool, where one guest has most of the memory and gives it slowly. */
  async function narrow(saved: boolean): Promise<Ref<'VM'>> {
    pool = await ModelPool.open(1, numaModelAddress);
    pool.wrapDriver = scripted;
    await pool.reopen();
    await pool.call('cpupool.numa_split', pool.host());
    const late = saved
      ? await running('late', { min: 1000, max: 1000 })
      : await newVm('late', { min: 1000, max: 1000 });
    if (saved) await pool.call('VM.suspend', late);
    await running('slow', { min: 256, max: 2500, balloon: 'slow' });
    return late;
  }

  test.each([
    ['start', false],
    ['resume', true],
  ] as const)('are those of the domain that it ends in: %s', async (operation, saved) => {
    const late = await narrow(saved);
    const before = script.created.length;
    const task = await pool.call<Ref<'task'>>(`Async.VM.${operation}`, late, false, false);
    await pass(2000);
    const second = [...pool.db.all('cpupool')].find(([, { name_label }]) => name_label === 'Pool-node1')?.[0];
    await pool.call('VM.set_cpupool', late, second!);
    await pool.call('VM.set_VCPUs_params', late, { mask: '5-6' });
    expect(script.created).toHaveLength(before);
    await pass(60_000);
    expect(pool.db.get('task', task)).toMatchObject({ status: 'success' });
    expect(script.created.slice(before)).toMatchObject([there]);
  });

  test('that cannot be is refused before anybody gives', async () => {
    const late = await narrow(false);
    await pool.call('VM.set_PV_bootloader', late, '');
    await pool.call('VM.set_PV_kernel', late, '');
    const looks = script.looks;
    expect(await refusalOfStart(late)).toMatch(/^BOOTLOADER_FAILED/);
    expect(script.looks).toBe(looks);
  });
});

describe('a VM whose target cannot be set', () => {
  const failFor = (vm: Ref<'VM'>, code: 'command-failed' | 'unreachable'): void => {
    const { uuid } = pool.vm(vm);
    script.beforeTarget = (domain) => {
      if (domain.uuid === uuid) throw new HostError(code, 'mem-set failed');
    };
  };

  test('stands still, and the others give', async () => {
    const bad = await running('bad', { min: 256, max: 1024 });
    const good = await running('good', { min: 256, max: 1536 });
    failFor(bad, 'command-failed');
    const late = await newVm('late', { min: 1280, max: 1280 });
    expect(await refusalOfStart(late)).toBe('no refusal');
    expect([mibOf(bad), mibOf(late)]).toEqual([1024, 1280]);
    expect(mibOf(good)).toBeLessThan(700);
    await pass(30_000);
    expect(mibOf(bad)).toBe(1024);
    // Another squeeze asks it again.
    script.beforeTarget = () => undefined;
    await pool.call('VM.hard_shutdown', late);
    await pass(30_000);
    expect(await refusalOfStart(late)).toBe('no refusal');
    expect(mibOf(bad)).toBeLessThan(1000);
  });

  test('is no reason but that there is not enough, when the others have not got it', async () => {
    const bad = await running('bad', { min: 256, max: 1024 });
    const good = await running('good', { min: 1024, max: 1536 });
    failFor(bad, 'command-failed');
    const late = await newVm('late', { min: 1280, max: 1280 });
    expect(await refusalOfStart(late)).toMatch(/^HOST_NOT_ENOUGH_FREE_MEMORY \d+ \d+$/);
    await pass(30_000);
    expect([mibOf(bad), mibOf(good)]).toEqual([1024, 1536]);
  });

  test('because its host is gone ends the squeeze', async () => {
    const bad = await running('bad', { min: 256, max: 1024 });
    await running('good', { min: 256, max: 1536 });
    failFor(bad, 'unreachable');
    expect(await refusalOfStart(await newVm('late', { min: 1280, max: 1280 }))).toMatch(/^CANNOT_CONTACT_HOST/);
  });
});

describe('a start that waits', () => {
  test('has five minutes for all of it, from its turn on', async () => {
    const vm = await running('vm', { min: 256, max: 2500 });
    const { uuid } = pool.vm(vm);
    // Nearer to what it was told with each look, so that it is waited for, but not by much.
    let size = fromMib(2500) as number;
    script.states = ({ freeBytes, domains }) => ({
      freeBytes,
      domains: domains.map((domain) =>
        domain.uuid === uuid ? { ...domain, actualBytes: bytes((size -= 65_536)) } : domain,
      ),
    });
    const late = await newVm('late', { min: 1024, max: 1024 });
    // One that would be waited for anew, if there were time.
    await pool.call('VM.start', await newVm('booting', { min: 70, max: 80 }), false, false);
    const beginMs = pool.clock.now();
    expect(await refusalOfStart(late)).toMatch(/^HOST_NOT_ENOUGH_FREE_MEMORY/);
    expect(pool.clock.now() - beginMs).toBeGreaterThan(299_000);
    expect(pool.clock.now() - beginMs).toBeLessThan(303_000);
  });

  test('for its turn ends at once when it is cancelled, and who is before and behind it does not notice', async () => {
    await running('slow', { min: 256, max: 2500, balloon: 'slow' });
    const vms = [
      await newVm('first', { min: 1024, max: 1024 }),
      await newVm('second', { min: 512, max: 512 }),
      await newVm('third', { min: 300, max: 300 }),
    ];
    const tasks: Ref<'task'>[] = [];
    for (const vm of vms) tasks.push(await pool.call<Ref<'task'>>('Async.VM.start', vm, false, false));
    await pass(3000);
    const statusOf = (index: number): string => pool.db.get('task', tasks[index]!).status;
    expect([0, 1, 2].map(statusOf)).toEqual(['pending', 'pending', 'pending']);
    await pool.call('task.cancel', tasks[1]!);
    await pool.settle();
    expect([0, 1, 2].map(statusOf)).toEqual(['pending', 'cancelled', 'pending']);
    expect(pool.vm(vms[1]!)).toMatchObject({ power_state: 'Halted', memory_target: 0, current_operations: {} });
    await pass(120_000);
    expect([0, 1, 2].map(statusOf)).toEqual(['success', 'cancelled', 'success']);
    expect(vms.map(mibOf)).toEqual([1024, 0, 300]);
    expect(pool.disagreements()).toEqual([]);
  });
});
