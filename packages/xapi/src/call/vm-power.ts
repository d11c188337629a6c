/** The power operations of VMs. XAPI: ocaml/xapi/xapi_vm.ml, xapi_vm_lifecycle.ml. */
import { nullRef, type Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { HostError } from '../host-driver.ts';
import { vdiPath } from '../storage/vdi-path.ts';
import { createSuspendVdi, destroySuspendVdi } from '../vm/suspend-image.ts';
import { domainConfig } from '../vm/domain-config.ts';
import { assertCanBootHere, chooseHost } from '../vm/placement.ts';
import { withOperation } from '../vm/operations.ts';
import { markHalted, markRunning, markSuspended } from '../vm/power-state.ts';
import { waitForVm } from '../vm/wait.ts';
import type { Call, CallsOf } from './call.ts';

/** How long a guest may take to shut down or reboot (`Xapi_globs.domain_shutdown_total_timeout`). */
const guestTimeoutMs = 1_200_000;

async function startOn(call: Call, vm: Ref<'VM'>, host: Ref<'host'>, paused: boolean): Promise<void> {
  const { xapi } = call;
  const config = domainConfig(xapi, vm, host);
  xapi.db.update('VM', vm, { scheduled_to_be_resident_on: host });
  try {
    await xapi.hosts.drive(host, vm, async (driver) => {
      const domid = await driver.create(config, { paused });
      markRunning(xapi, vm, { host, domid, paused });
    });
  } finally {
    if (xapi.db.has('VM', vm)) xapi.db.update('VM', vm, { scheduled_to_be_resident_on: nullRef() });
  }
}

async function resumeOn(call: Call, vm: Ref<'VM'>, host: Ref<'host'>, paused: boolean): Promise<void> {
  const { xapi } = call;
  const { suspend_VDI } = xapi.db.get('VM', vm);
  if (!xapi.db.has('VDI', suspend_VDI)) throw new XapiError('VM_HAS_NO_SUSPEND_VDI', vm);
  const path = vdiPath(xapi.db, xapi.db.get('VDI', suspend_VDI), host);
  const config = domainConfig(xapi, vm, host);
  await xapi.hosts.drive(host, vm, async (driver) => {
    const domid = await driver.restore(path, config, { paused });
    markRunning(xapi, vm, { host, domid, paused });
  });
  await destroySuspendVdi(xapi, vm);
}

/** A saved VM can only go on where its image is. */
function resumeHost(call: Call, vm: Ref<'VM'>): Ref<'host'> {
  const { db, hosts } = call.xapi;
  const { suspend_VDI } = db.get('VM', vm);
  if (!db.has('VDI', suspend_VDI)) throw new XapiError('VM_HAS_NO_SUSPEND_VDI', vm);
  const { SR } = db.get('VDI', suspend_VDI);
  const candidates = db.get('SR', SR).PBDs.map((pbd) => db.get('PBD', pbd).host);
  const host = candidates.find((candidate) => hosts.isLive(candidate));
  if (host !== undefined) return host;
  throw candidates[0] === undefined
    ? new XapiError('SR_HAS_NO_PBDS', SR)
    : new XapiError('HOST_OFFLINE', candidates[0]);
}

/** The host and domain of a VM that runs. */
function residence(call: Call, vm: Ref<'VM'>): { readonly host: Ref<'host'>; readonly domid: number } {
  const { resident_on: host, domid } = call.xapi.db.get('VM', vm);
  return { host, domid };
}

async function hardShutdown(call: Call, vm: Ref<'VM'>): Promise<void> {
  const { xapi } = call;
  if (xapi.db.get('VM', vm).power_state === 'Suspended') {
    await destroySuspendVdi(xapi, vm);
    markHalted(xapi, vm);
    return;
  }
  await xapi.hosts.driveDomain(vm, async (driver, domid) => {
    await goneIsFine(driver.destroy(domid));
    markHalted(xapi, vm);
  });
}

/** A domain that ended by itself a moment before it was to be ended is as good. */
async function goneIsFine(action: Promise<void>): Promise<void> {
  try {
    await action;
  } catch (error) {
    if (!(error instanceof HostError && error.code === 'no-such-domain')) throw error;
  }
}

async function cleanShutdown(call: Call, vm: Ref<'VM'>): Promise<void> {
  await call.xapi.hosts.driveDomain(vm, (driver, domid) => driver.requestShutdown(domid));
  await waitForVm(call.xapi, vm, ({ power_state }) => power_state === 'Halted', {
    timeoutMs: guestTimeoutMs,
    late: () => new XapiError('VM_SHUTDOWN_TIMEOUT', vm, String(guestTimeoutMs / 1000)),
    task: call.task,
  });
}

async function suspend(call: Call, vm: Ref<'VM'>): Promise<void> {
  const { xapi } = call;
  const { host } = residence(call, vm);
  const vdi = createSuspendVdi(xapi, vm, host);
  // The record is on disk before the image: whatever happens then, a restart knows where to look.
  await xapi.db.durable();
  const path = vdiPath(xapi.db, xapi.db.get('VDI', vdi), host);
  try {
    await xapi.hosts.driveDomain(vm, async (driver, domid) => {
      await driver.save(domid, path);
      markSuspended(xapi, vm);
    });
  } catch (error) {
    if (xapi.db.get('VM', vm).power_state !== 'Suspended') await destroySuspendVdi(xapi, vm);
    throw error;
  }
}

export const vmPowerCalls = {
  start: (call, { vm, start_paused }) =>
    withOperation(call, vm, 'start', () => startOn(call, vm, chooseHost(call.xapi, vm), start_paused)),

  start_on: (call, { vm, host, start_paused }) =>
    withOperation(call, vm, 'start_on', () => {
      assertCanBootHere(call.xapi, vm, host);
      return startOn(call, vm, host, start_paused);
    }),

  pause: (call, { vm }) =>
    withOperation(call, vm, 'pause', () =>
      call.xapi.hosts.driveDomain(vm, async (driver, domid, host) => {
        await driver.pause(domid);
        markRunning(call.xapi, vm, { host, domid, paused: true });
      }),
    ),

  unpause: (call, { vm }) =>
    withOperation(call, vm, 'unpause', () =>
      call.xapi.hosts.driveDomain(vm, async (driver, domid, host) => {
        await driver.unpause(domid);
        markRunning(call.xapi, vm, { host, domid, paused: false });
      }),
    ),

  suspend: (call, { vm }) => withOperation(call, vm, 'suspend', () => suspend(call, vm)),

  resume: (call, { vm, start_paused }) =>
    withOperation(call, vm, 'resume', () => resumeOn(call, vm, resumeHost(call, vm), start_paused)),

  resume_on: (call, { vm, host, start_paused }) =>
    withOperation(call, vm, 'resume_on', () => resumeOn(call, vm, host, start_paused)),

  clean_shutdown: (call, { vm }) => withOperation(call, vm, 'clean_shutdown', () => cleanShutdown(call, vm)),

  hard_shutdown: (call, { vm }) => withOperation(call, vm, 'hard_shutdown', () => hardShutdown(call, vm)),

  shutdown: (call, { vm }) =>
    withOperation(call, vm, 'shutdown', async () => {
      const running = call.xapi.db.get('VM', vm).power_state === 'Running';
      if (!running) return hardShutdown(call, vm);
      try {
        return await cleanShutdown(call, vm);
      } catch (error) {
        if (error instanceof XapiError && error.code === 'TASK_CANCELLED') throw error;
        return hardShutdown(call, vm);
      }
    }),

  clean_reboot: (call, { vm }) =>
    withOperation(call, vm, 'clean_reboot', async () => {
      const { domid: before } = residence(call, vm);
      await call.xapi.hosts.driveDomain(vm, (driver, domid) => driver.requestReboot(domid));
      const rebooted = (record: { readonly power_state: string; readonly domid: number }): boolean =>
        record.power_state === 'Halted' || (record.power_state === 'Running' && record.domid !== before);
      await waitForVm(call.xapi, vm, rebooted, {
        timeoutMs: guestTimeoutMs,
        late: () => new XapiError('VM_SHUTDOWN_TIMEOUT', vm, String(guestTimeoutMs / 1000)),
        task: call.task,
      });
      if (call.xapi.db.get('VM', vm).power_state === 'Halted') throw new XapiError('VM_HALTED', vm);
    }),

  hard_reboot: (call, { vm }) =>
    withOperation(call, vm, 'hard_reboot', async () => {
      const { host } = residence(call, vm);
      await hardShutdown(call, vm);
      await startOn(call, vm, host, false);
    }),

  power_state_reset: ({ xapi }, { vm }) => {
    // Only the record: the way out when a host is gone for good. A host that comes back is believed again.
    if (xapi.db.get('VM', vm).is_control_domain)
      throw new XapiError('OPERATION_NOT_ALLOWED', 'a control domain runs with its host');
    xapi.db.update('VM', vm, { current_operations: {} });
    markHalted(xapi, vm);
  },
} as const satisfies CallsOf<'VM'>;
