/** Hosts in and out of service: enabled or not, emptied, rebooted, off and on. XAPI: ocaml/xapi/xapi_host.ml. */
import { assert, type Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import { XapiError } from '../errors.ts';
import { HostError } from '../host-driver.ts';
import { hostRefusal } from '../host-error.ts';
import type { HostSystem } from '../host-system.ts';
import { runHostHooks, type HostHookReason } from '../host/hooks.ts';
import { updateHostOperations, withHostOperation } from '../host/host-operations.ts';
import { disabledKey } from '../host/host-records.ts';
import { assertCanMigrate } from '../vm/migrate.ts';
import { assertAllowed, overtakeOperations } from '../vm/operations.ts';
import { markHalted } from '../vm/power-state.ts';
import type { Xapi } from '../xapi.ts';
import type { Call, CallsOf } from './call.ts';
import { callPlugin } from './host-programs.ts';

/** The plugin that powers a host on from another one, and its function (`Constants.power_on_plugin`). */
const powerOnPlugin = { name: 'power-on-host', fn: 'main' } as const;

/** The VMs that are on a host, its control domain left out. */
const guestsOf = ({ db }: Xapi, host: Ref<'host'>): readonly Ref<'VM'>[] =>
  db.get('host', host).resident_VMs.filter((vm) => !db.get('VM', vm).is_control_domain);

/** Works on a host that answers. @throws XapiError HOST_OFFLINE, CANNOT_CONTACT_HOST, INVALID_VALUE */
async function onSystem<T>(xapi: Xapi, host: Ref<'host'>, action: (system: HostSystem) => Promise<T>): Promise<T> {
  xapi.db.get('host', host);
  try {
    return await action(xapi.hosts.driverOf(host).system);
  } catch (error) {
    throw error instanceof HostError ? hostRefusal(error, host) : error;
  }
}

/** Where a VM of a host could go; otherwise why it cannot, as an error description. */
function wayOut(xapi: Xapi, vm: Ref<'VM'>, from: Ref<'host'>): Ref<'host'> | readonly string[] {
  let reason: readonly string[] = ['NO_HOSTS_AVAILABLE'];
  try {
    // A paused VM, or one that something else is done to, goes nowhere.
    assertAllowed(xapi, vm, 'pool_migrate');
  } catch (error) {
    if (!(error instanceof XapiError)) throw error;
    return error.description;
  }
  for (const host of xapi.db.refs('host')) {
    if (host === from) continue;
    try {
      assertCanMigrate(xapi, vm, host);
      return host;
    } catch (error) {
      if (!(error instanceof XapiError)) throw error;
      reason = error.description;
    }
  }
  return reason;
}

/** The VMs that would stay, each with the reason why. */
function preventing(xapi: Xapi, host: Ref<'host'>): Readonly<Record<string, readonly string[]>> {
  const stays = guestsOf(xapi, host).map((vm) => [vm, wayOut(xapi, vm, host)] as const);
  return Object.fromEntries(
    stays.flatMap(([vm, way]) => (typeof way === 'string' ? [] : [[vm as string, way] as const])),
  );
}

/** @throws XapiError CANNOT_EVACUATE_HOST with all reasons: words by commas, reasons by bars, as XAPI writes them */
function assertCanEvacuate(xapi: Xapi, host: Ref<'host'>): void {
  const reasons = Object.values(preventing(xapi, host));
  if (reasons.length === 0) return;
  throw new XapiError('CANNOT_EVACUATE_HOST', reasons.map((words) => words.join(',')).join('|'));
}

/** @throws XapiError CANNOT_EVACUATE_HOST, TASK_CANCELLED between two VMs, and what keeps a VM from moving */
async function evacuate(call: Call, host: Ref<'host'>): Promise<void> {
  const { xapi, task } = call;
  assertCanEvacuate(xapi, host);
  const guests = guestsOf(xapi, host);
  const cancellable = task.onCancel(() => undefined);
  try {
    for (const [index, vm] of guests.entries()) {
      task.throwIfCancelled();
      // What was free when the others went may be full by now; and one that has ended meanwhile, or gone, need not go.
      if (xapi.db.find('VM', vm)?.resident_on !== host) continue;
      const way = wayOut(xapi, vm, host);
      if (typeof way !== 'string') throw new XapiError('CANNOT_EVACUATE_HOST', way.join(','));
      await callAsCaller(call, 'VM.pool_migrate', vm, way, {});
      task.setProgress((index + 1) / guests.length);
    }
  } finally {
    cancellable.dispose();
  }
}

async function powerOn(call: Call, host: Ref<'host'>): Promise<void> {
  const { xapi } = call;
  const { uuid } = xapi.db.get('host', host);
  if (await xapi.hosts.powerOn(host)) return;
  const [pool] = xapi.db.refs('pool');
  assert(pool !== undefined, 'there is a pool');
  const { master } = xapi.db.get('pool', pool);
  const others = [master, ...xapi.db.refs('host')].filter((each) => each !== host && xapi.hosts.isLive(each));
  const [from] = others;
  if (from === undefined) throw new XapiError('NO_HOSTS_AVAILABLE');
  const { name, fn } = powerOnPlugin;
  const result = await callPlugin(call, from, name, fn, { remote_host_uuid: uuid });
  if (result !== 'True') throw new XapiError('INTERNAL_ERROR', `The host failed to power on: ${result}`);
}

async function goDown(
  xapi: Xapi,
  host: Ref<'host'>,
  reason: HostHookReason,
  act: (system: HostSystem) => Promise<void>,
): Promise<void> {
  await runHostHooks(xapi, host, 'host-pre-declare-dead', reason);
  await onSystem(xapi, host, act);
  await runHostHooks(xapi, host, 'host-post-declare-dead', reason);
}

async function callAsCaller({ xapi, session, origin }: Call, method: string, ...params: WireValue[]): Promise<void> {
  const answer = await xapi.call({ method, params: [session, ...params], origin });
  if (answer.ok) return;
  const [code = 'INTERNAL_ERROR', ...rest] = answer.error;
  throw new XapiError(code as XapiError['code'], ...rest);
}

export const hostPowerCalls = {
  enable({ xapi }, { host }) {
    const { other_config: otherConfig } = xapi.db.get('host', host);
    const kept = Object.entries(otherConfig).filter(([key]) => key !== disabledKey);
    xapi.db.update('host', host, { enabled: true, other_config: Object.fromEntries(kept) });
    updateHostOperations(xapi, host);
  },

  /** Nothing starts there any more; what runs goes on. A boot of the host enables it again, unless told otherwise. */
  disable({ xapi }, { host, auto_enable: autoEnable }) {
    const { [disabledKey]: _, ...otherConfig } = xapi.db.get('host', host).other_config;
    xapi.db.update('host', host, {
      enabled: false,
      other_config: autoEnable ? otherConfig : { ...otherConfig, [disabledKey]: 'indefinitely' },
    });
    updateHostOperations(xapi, host);
  },

  get_vms_which_prevent_evacuation: ({ xapi }, { self }) => preventing(xapi, self),
  assert_can_evacuate({ xapi }, { host }) {
    assertCanEvacuate(xapi, host);
  },

  /** Moves every VM to another host, one after the other, as long as each of them can go. */
  evacuate: (call, { host }) => withHostOperation(call, host, 'evacuate', () => evacuate(call, host)),

  reboot: (call, { host }) =>
    withHostOperation(call, host, 'reboot', () => goDown(call.xapi, host, 'clean-reboot', (system) => system.reboot())),

  shutdown: (call, { host }) =>
    withHostOperation(call, host, 'shutdown', () =>
      goDown(call.xapi, host, 'clean-shutdown', (system) => system.powerOff()),
    ),

  /** A modelled machine has a button; a real one is powered on by a plugin of another host, as in XAPI. */
  power_on: (call, { host }) => withHostOperation(call, host, 'power_on', () => powerOn(call, host)),

  set_power_on_mode({ xapi }, { self, power_on_mode: mode, power_on_config: config }) {
    xapi.db.update('host', self, { power_on_mode: mode, power_on_config: config });
    updateHostOperations(xapi, self);
  },

  /** Gives up the VMs of a host that is gone. @throws XapiError HOST_IS_LIVE [host] */
  async declare_dead({ xapi }, { host }) {
    xapi.db.get('host', host);
    if (xapi.hosts.isLive(host)) throw new XapiError('HOST_IS_LIVE', host);
    await runHostHooks(xapi, host, 'host-pre-declare-dead', 'user');
    // It came back meanwhile, and its VMs run.
    if (xapi.hosts.isLive(host)) throw new XapiError('HOST_IS_LIVE', host);
    for (const vm of guestsOf(xapi, host)) {
      overtakeOperations(xapi, vm);
      xapi.db.update('VM', vm, { current_operations: {} });
      markHalted(xapi, vm);
    }
    await runHostHooks(xapi, host, 'host-post-declare-dead', 'user');
  },

  /** Its hooks are run while its records are there. @throws XapiError HOST_IS_LIVE [host], HOST_HAS_RESIDENT_VMS [host] */
  async destroy({ xapi }, { self }) {
    const assertGone = (): void => {
      if (xapi.hosts.isLive(self)) throw new XapiError('HOST_IS_LIVE', self);
      if (guestsOf(xapi, self).length > 0) throw new XapiError('HOST_HAS_RESIDENT_VMS', self);
    };
    assertGone();
    await runHostHooks(xapi, self, 'host-pre-declare-dead', 'dbdestroy');
    await runHostHooks(xapi, self, 'host-post-declare-dead', 'dbdestroy');
    assertGone();
    await xapi.hosts.forget(self);
  },

  dmesg: ({ xapi }, { host }) => onSystem(xapi, host, (system) => system.dmesg(false)),
  dmesg_clear: ({ xapi }, { host }) => onSystem(xapi, host, (system) => system.dmesg(true)),
  /** By the host's own time zone. */
  get_server_localtime: ({ xapi }, { host }) => onSystem(xapi, host, (system) => system.localTime()),
  async send_debug_keys({ xapi }, { host, keys }) {
    if (!/^[A-Za-z0-9]{1,64}$/.test(keys)) throw new XapiError('INVALID_VALUE', 'keys', keys);
    await onSystem(xapi, host, (system) => system.debugKeys(keys));
  },
} as const satisfies CallsOf<'host'>;
