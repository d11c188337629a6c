/** `host.allowed_operations` never lies: what it lists is accepted now, what it does not list is refused for the host's state. */
import fc from 'fast-check';
import type { Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import { enums, type RecordOf } from '@xenolith/xapi';
import { expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';

type Vm = Ref<'VM'>;
type Power = RecordOf<'VM'>['power_state'];
type Operation = (typeof enums.host_allowed_operations)[number];

/** Refusals that are about the state of a host. */
const stateErrors = new Set([
  'HOST_NOT_DISABLED',
  'HOST_DISABLED',
  'HOST_IN_USE',
  'HOST_OFFLINE',
  'HOST_IS_LIVE',
  'HOST_POWER_ON_MODE_DISABLED',
  'OTHER_OPERATION_IN_PROGRESS',
]);

/** Two hosts that share a repository, and three VMs: a halted one, a suspended one, and one that runs on the other host. */
class Setup {
  readonly pool: ModelPool;

  private constructor(pool: ModelPool) {
    this.pool = pool;
  }

  static async open(): Promise<Setup> {
    const setup = new Setup(await ModelPool.open(2));
    const { pool } = setup;
    const location = '/shared/pool';
    const sr = await pool.call('SR.create', pool.host(1), { location }, 0, 'shared', '', 'file', 'user', true, {});
    const there = { host: pool.host(2), SR: sr, device_config: { location }, other_config: {} };
    await pool.call('PBD.plug', await pool.call('PBD.create', there));
    for (let n = 0; n < 3; n++) {
      const vm = await pool.newVm(`vm${n}`);
      await pool.call('VM.set_memory', vm, String(2 ** 26));
      await pool.call('VM.set_suspend_SR', vm, sr);
      if (n > 0) await pool.call('VM.start_on', vm, pool.host(1), false, false);
      await pool.pass(10_000);
      if (n === 2) await pool.call('VM.suspend', vm);
    }
    return setup;
  }

  get host(): Ref<'host'> {
    return this.pool.host(2);
  }

  /** A VM in that state that is not on the host. */
  #vm(state: Power): Vm | undefined {
    return this.pool.guests().find(([, vm]) => vm.power_state === state && vm.resident_on !== this.host)?.[0];
  }

  /** The call behind an operation; undefined where there is none, or no VM for it now. */
  callOf(operation: Operation): readonly [string, ...WireValue[]] | undefined {
    const { host } = this;
    const withVm = (
      state: Power,
      method: string,
      ...args: WireValue[]
    ): readonly [string, ...WireValue[]] | undefined => {
      const vm = this.#vm(state);
      return vm === undefined ? undefined : [method, vm, host, ...args];
    };
    switch (operation) {
      case 'vm_start':
        return withVm('Halted', 'VM.start_on', false, false);
      case 'vm_resume':
        return withVm('Suspended', 'VM.resume_on', false, false);
      case 'vm_migrate':
        return withVm('Running', 'VM.pool_migrate', {});
      case 'provision':
      case 'apply_updates':
        return undefined;
      default:
        return [`host.${operation}`, host];
    }
  }

  get listed(): readonly string[] {
    return this.pool.db.get('host', this.host).allowed_operations;
  }
}

const incidents = ['disable', 'suspend', 'halt', 'cut', 'mend', 'mode', 'no mode', 'time passes'] as const;
type Incident = (typeof incidents)[number];

async function befall({ pool, host }: Setup, incident: Incident): Promise<void> {
  const all = pool.guests().filter(([, vm]) => vm.power_state === 'Running');
  const running = (all.find(([, vm]) => vm.resident_on === host) ?? all[0])?.[0];
  switch (incident) {
    case 'disable':
      return void (await pool.answer('host.disable', host));
    case 'suspend':
      return running === undefined ? undefined : void (await pool.answer('VM.suspend', running));
    case 'halt':
      return running === undefined ? undefined : void (await pool.answer('VM.hard_shutdown', running));
    case 'cut':
      return pool.machine(2).setReachable(false);
    case 'mend':
      return pool.machine(2).setReachable(true);
    case 'mode':
    case 'no mode':
      return void (await pool.answer('host.set_power_on_mode', host, incident === 'mode' ? 'wake' : '', {}));
    default:
      return await pool.pass(40_000);
  }
}

/** That changes nothing, so it can be asked at any moment. */
async function whatIsNotListedIsRefused(setup: Setup): Promise<void> {
  for (const operation of enums.host_allowed_operations) {
    const call = setup.listed.includes(operation) ? undefined : setup.callOf(operation);
    if (call === undefined) continue;
    const [code = ''] = (await setup.pool.refusal(...call)).split(' ');
    expect(stateErrors.has(code), `${operation}, not listed: ${code}`).toBe(true);
  }
}

test('over random sequences of operations and of what befalls a host', { timeout: 60_000 }, async () => {
  const step = fc.oneof(fc.constantFrom(...incidents), fc.constantFrom(...enums.host_allowed_operations));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (sequence) => {
      const setup = await Setup.open();
      const { pool } = setup;
      for (const each of sequence) {
        await pool.settle();
        await whatIsNotListedIsRefused(setup);
        if (!(enums.host_allowed_operations as readonly string[]).includes(each)) {
          await befall(setup, each as Incident);
          continue;
        }
        const call = setup.callOf(each as Operation);
        if (call === undefined) continue;
        const isListed = setup.listed.includes(each);
        const [code = ''] = (await pool.refusal(...call)).split(' ');
        expect(stateErrors.has(code), `${each}, ${isListed ? 'listed' : 'not listed'}: ${code}`).toBe(!isListed);
        expect(pool.db.get('host', setup.host).current_operations).toEqual({});
      }
    }),
    { numRuns: 25 },
  );
});

test('a host that takes no VMs can go down from the moment that the last one has left it', async () => {
  const setup = await Setup.open();
  const { pool, host } = setup;
  const down = (): readonly string[] => setup.listed.filter((each) => each === 'shutdown' || each === 'reboot');
  const [method, vm, ...args] = setup.callOf('vm_start')!;
  await pool.call(method, vm!, ...args);
  await pool.call('host.disable', host);
  expect(down()).toEqual([]);
  await pool.call('VM.hard_shutdown', vm!);
  expect(down()).toEqual(['shutdown', 'reboot']);
});

test('a host that is being emptied is not given VMs, and is not switched off twice', async () => {
  const setup = await Setup.open();
  const { pool, host } = setup;
  const [start, resume, migrate] = (['vm_start', 'vm_resume', 'vm_migrate'] as const).map((each) => setup.callOf(each));
  await pool.call(...start!);
  await pool.pass(10_000);
  const evacuating = pool.begin('Async.host.evacuate', host);
  const task = (await evacuating).ok ? Object.keys(pool.db.get('host', host).current_operations)[0] : undefined;
  expect(pool.db.get('host', host).current_operations).toEqual({ [String(task)]: 'evacuate' });
  expect(setup.listed).toEqual(['evacuate', 'vm_start', 'enable']);
  const refusals = await Promise.all([resume!, migrate!].map((call) => pool.begin(...call)));
  for (const answer of refusals)
    expect(answer).toMatchObject({ ok: false, error: ['OTHER_OPERATION_IN_PROGRESS', 'host', host, 'evacuate', task] });
});
