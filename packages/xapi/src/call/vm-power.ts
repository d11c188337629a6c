/** The power operations of VMs. XAPI: ocaml/xapi/xapi_vm.ml, xapi_vm_lifecycle.ml. */
import type { Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { assertHostAllows } from '../host/host-operations.ts';
import { runVmHooks } from '../host/hooks.ts';
import { domainTriggers } from '../host-driver.ts';
import { assertCanBootHere, chooseHost, possibleHosts } from '../vm/placement.ts';
import { assertAllowed, overtakeOperations, withOperation } from '../vm/operations.ts';
import { markHalted, markRunning, type Placement } from '../vm/power-state.ts';
import { hardReboot, hardShutdown, resumeOn, startOn, suspend } from '../vm/power-work.ts';
import { removeSuspendVdi } from '../vm/suspend-image.ts';
import { waitForVm } from '../vm/wait.ts';
import type { Xapi } from '../xapi.ts';
import type { Call, CallsOf } from './call.ts';

/** How long a guest may take to shut down or reboot (`Xapi_globs.domain_shutdown_total_timeout`). */
const guestTimeoutMs = 1_200_000;

/** A saved VM can only go on where its image is: on the host that it prefers, or on the first that has room for it. */
function resumeHost(call: Call, vm: Ref<'VM'>): Ref<'host'> {
  const { db, hosts } = call.xapi;
  const { suspend_VDI } = db.get('VM', vm);
  if (!db.has('VDI', suspend_VDI)) throw new XapiError('VM_HAS_NO_SUSPEND_VDI', vm);
  const { SR } = db.get('VDI', suspend_VDI);
  const candidates = db.get('SR', SR).PBDs.map((pbd) => db.get('PBD', pbd).host);
  const live = candidates.filter((candidate) => hosts.isLive(candidate));
  const possible = live.length > 1 ? possibleHosts(call.xapi, vm).filter((candidate) => live.includes(candidate)) : [];
  const preferred = possible.find((candidate) => candidate === db.get('VM', vm).affinity);
  const host = preferred ?? possible[0] ?? live[0];
  if (host !== undefined) return host;
  throw candidates[0] === undefined
    ? new XapiError('SR_HAS_NO_PBDS', SR)
    : new XapiError('HOST_OFFLINE', candidates[0]);
}

async function cleanShutdown(call: Call, vm: Ref<'VM'>): Promise<void> {
  const { xapi, task } = call;
  const { resident_on: host } = xapi.db.get('VM', vm);
  await runVmHooks(xapi, vm, host, 'vm-pre-shutdown', 'clean-shutdown');
  const { domid: before } = runningOf(xapi, vm);
  await xapi.hosts.driveDomain(vm, (driver, domain) => driver.requestShutdown(domain));
  const isRebootedHard = (): boolean => {
    const { domid, current_operations } = xapi.db.get('VM', vm);
    return domid !== before && Object.values(current_operations).includes('hard_reboot');
  };
  // Its host makes it anew when it powers off: whoever asks for a shutdown wants it halted all the same.
  const isRestarted = (): boolean => {
    const { domid, power_state, actions_after_shutdown } = xapi.db.get('VM', vm);
    return actions_after_shutdown === 'restart' && power_state === 'Running' && domid !== before;
  };
  await waitForVm(xapi, vm, ({ power_state }) => power_state === 'Halted' || isRebootedHard() || isRestarted(), {
    timeoutMs: guestTimeoutMs,
    late: () => new XapiError('VM_SHUTDOWN_TIMEOUT', vm, String(guestTimeoutMs / 1000)),
    task,
  });
  if (isRestarted() && !isRebootedHard()) return await hardShutdown(xapi, vm);
  // The guest that was asked is no more, and the one in its place was not asked.
  const { power_state, current_operations } = xapi.db.get('VM', vm);
  if (power_state !== 'Halted') throw new XapiError('TASK_CANCELLED', task.ref);
  // Who overtook it runs them.
  if (Object.values(current_operations).includes('hard_shutdown')) return;
  await runVmHooks(xapi, vm, host, 'vm-post-destroy', 'clean-shutdown');
}

/** A VM that must have its domain still, after something was waited for. @throws XapiError VM_BAD_POWER_STATE */
function runningOf({ db }: Xapi, vm: Ref<'VM'>): RecordOf<'VM'> {
  const record = db.get('VM', vm);
  if (record.power_state === 'Running' || record.power_state === 'Paused') return record;
  throw new XapiError('VM_BAD_POWER_STATE', vm, 'running', record.power_state.toLowerCase());
}

/** The host makes the new domain by itself, so no hook comes between: what is run is run before. */
async function cleanReboot({ xapi, task }: Call, vm: Ref<'VM'>): Promise<void> {
  const { resident_on: host } = xapi.db.get('VM', vm);
  await runVmHooks(xapi, vm, host, 'vm-pre-shutdown', 'clean-reboot');
  await runVmHooks(xapi, vm, host, 'vm-pre-reboot', 'none');
  const { domid: before } = runningOf(xapi, vm);
  await xapi.hosts.driveDomain(vm, (driver, domain) => driver.requestReboot(domain));
  const isRebooted = (record: { readonly power_state: string; readonly domid: number }): boolean =>
    record.power_state === 'Halted' || (record.power_state === 'Running' && record.domid !== before);
  await waitForVm(xapi, vm, isRebooted, {
    timeoutMs: guestTimeoutMs,
    late: () => new XapiError('VM_SHUTDOWN_TIMEOUT', vm, String(guestTimeoutMs / 1000)),
    task,
  });
  if (xapi.db.get('VM', vm).power_state === 'Halted') throw new XapiError('VM_HALTED', vm);
}

/** A domain that was ended or replaced meanwhile says no longer whether its VM is paused. */
function markPaused(xapi: Xapi, vm: Ref<'VM'>, place: Placement): void {
  if (xapi.db.get('VM', vm).domid === place.domid) markRunning(xapi, vm, place);
}

export const vmPowerCalls = {
  start: (call, { vm, start_paused }) =>
    withOperation(call, vm, 'start', () =>
      startOn(call.xapi, vm, chooseHost(call.xapi, vm), { paused: start_paused, task: call.task }),
    ),

  start_on: (call, { vm, host, start_paused }) =>
    withOperation(call, vm, 'start_on', () => {
      assertCanBootHere(call.xapi, vm, host);
      return startOn(call.xapi, vm, host, { paused: start_paused, task: call.task });
    }),

  pause: (call, { vm }) =>
    withOperation(call, vm, 'pause', () =>
      call.xapi.hosts.driveDomain(vm, async (driver, domain, host) => {
        await driver.pause(domain);
        markPaused(call.xapi, vm, { host, domid: domain.domid, paused: true });
      }),
    ),

  unpause: (call, { vm }) =>
    withOperation(call, vm, 'unpause', () =>
      call.xapi.hosts.driveDomain(vm, async (driver, domain, host) => {
        await driver.unpause(domain);
        markPaused(call.xapi, vm, { host, domid: domain.domid, paused: false });
      }),
    ),

  // XAPI has no more than their names (NOT_IMPLEMENTED); Xen has them.
  send_sysrq: (call, { vm, key }) =>
    withOperation(call, vm, 'send_sysrq', () => {
      if (!/^[A-Za-z0-9]$/.test(key)) throw new XapiError('INVALID_VALUE', 'key', key.slice(0, 100));
      return call.xapi.hosts.driveDomain(vm, (driver, domain) => driver.sendSysrq(domain, key));
    }),

  send_trigger: (call, { vm, trigger }) =>
    withOperation(call, vm, 'send_trigger', () => {
      const known = domainTriggers.find((each) => each === trigger);
      if (known === undefined) throw new XapiError('INVALID_VALUE', 'trigger', trigger.slice(0, 100));
      return call.xapi.hosts.driveDomain(vm, (driver, domain) => driver.sendTrigger(domain, known));
    }),

  suspend: (call, { vm }) => withOperation(call, vm, 'suspend', () => suspend(call.xapi, vm)),

  resume: (call, { vm, start_paused }) =>
    withOperation(call, vm, 'resume', () => {
      const host = resumeHost(call, vm);
      assertHostAllows(call.xapi, host, 'vm_resume');
      return resumeOn(call.xapi, vm, host, { paused: start_paused, task: call.task });
    }),

  resume_on: (call, { vm, host, start_paused }) =>
    withOperation(call, vm, 'resume_on', () => {
      assertHostAllows(call.xapi, host, 'vm_resume');
      return resumeOn(call.xapi, vm, host, { paused: start_paused, task: call.task });
    }),

  clean_shutdown: (call, { vm }) => withOperation(call, vm, 'clean_shutdown', () => cleanShutdown(call, vm)),

  hard_shutdown: (call, { vm }) => withOperation(call, vm, 'hard_shutdown', () => hardShutdown(call.xapi, vm)),

  shutdown: (call, { vm }) =>
    withOperation(call, vm, 'shutdown', async () => {
      const running = call.xapi.db.get('VM', vm).power_state === 'Running';
      if (!running) return hardShutdown(call.xapi, vm);
      try {
        return await cleanShutdown(call, vm);
      } catch (error) {
        if (error instanceof XapiError && error.code === 'TASK_CANCELLED') throw error;
        return hardShutdown(call.xapi, vm);
      }
    }),

  clean_reboot: (call, { vm }) => withOperation(call, vm, 'clean_reboot', () => cleanReboot(call, vm)),

  hard_reboot: (call, { vm }) => withOperation(call, vm, 'hard_reboot', () => hardReboot(call.xapi, vm)),

  power_state_reset: ({ xapi }, { vm }) => {
    // Only the records: the way out when a host is gone for good. A host that answers is believed again, and asked now.
    const { resident_on: host, suspend_VDI } = xapi.db.get('VM', vm);
    assertAllowed(xapi, vm, 'power_state_reset');
    overtakeOperations(xapi, vm);
    xapi.db.update('VM', vm, { current_operations: {} });
    markHalted(xapi, vm);
    if (xapi.hosts.isLive(host)) {
      xapi.hosts
        .driverOf(host)
        .refresh()
        .catch(() => undefined);
    }
    return removeSuspendVdi(xapi, suspend_VDI);
  },
} as const satisfies CallsOf<'VM'>;
