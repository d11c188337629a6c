/**
 * The power operations that work on a host, each so that it may be cut short anywhere, by a crash of ours or of the
 * host: what the records say meanwhile is enough for the next picture of the host to set them right.
 * XAPI: ocaml/xapi/xapi_vm.ml, xapi_xenops.ml.
 */
import { nullRef, type DomId, type Ref, type Uuid } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import type { DomainConfig, DomainIdentity, HostDriver } from '../host-driver.ts';
import { goneIsFine, isOutcomeKnown } from '../host-error.ts';
import { guestsChanged } from '../host/host-operations.ts';
import { runVmHooks } from '../host/hooks.ts';
import { bringUpFor } from '../network/bridges.ts';
import { withDevices } from '../storage/under-way.ts';
import { vdiPath } from '../storage/vdi-path.ts';
import type { Xapi } from '../xapi.ts';
import type { Task } from '../task/tasks.ts';
import { isSeedSettled, settleSeed } from './cloud-init.ts';
import { cpupoolOn } from './cpupool-placement.ts';
import { domainConfig } from './domain-config.ts';
import { installedLoader, installingLoader, isInstalling } from './installer.ts';
import { onNodes } from './numa-placement.ts';
import type { PowerState } from './operations.ts';
import { markHalted, markRunning, markSuspended } from './power-state.ts';
import { parametersFor, readVcpusParams, schedulerOf } from './vcpus-params.ts';
import { assertMemoryThere, keptTarget, startRange, withMemory } from './start-memory.ts';
import { createSuspendVdi, forgetSuspendVdi, imageState, removeSuspendVdi } from './suspend-image.ts';

/** Creates a VM's domain on a host, with the seed for cloud-init that its record asks for. */
export async function startOn(
  xapi: Xapi,
  vm: Ref<'VM'>,
  host: Ref<'host'>,
  { paused, task }: { readonly paused: boolean; readonly task?: Task },
): Promise<void> {
  // What refuses a start does so before anything is made for it.
  domainConfig(xapi, vm, host);
  // Not waited for without need: up to the marks on its disks nobody may come between.
  if (!isSeedSettled(xapi, vm)) await settleSeed(xapi, vm, host);
  const config = domainConfig(xapi, vm, host);
  const memory = { host, range: startRange(xapi, vm), task };
  const work = (placed: DomainConfig): Promise<void> =>
    xapi.hosts.drive(host, vm, async (driver) => {
      const now = configNow(xapi, vm, host, placed);
      await xapi.hosts.cpupoolsSettled(host);
      const domid = await bootingOnce(xapi, vm, () => driver.create(now, { paused }));
      await takeOver(xapi, vm, driver, { host, domid, paused, from: ['Halted'] });
    });
  await withDevices(xapi, vm, () =>
    withPlace(xapi, vm, host, {
      prepare: () => runVmHooks(xapi, vm, host, 'vm-pre-start', 'none'),
      work: () =>
        withMemory(xapi, vm, memory, (memoryTargetBytes) =>
          onNodes(xapi, vm, host, { ...config, memoryTargetBytes }, work),
        ),
    }),
  );
}

/**
 * Makes a domain whose VM boots its installer at most once, whatever is heard of it: that it boots from its disk from now on
 * is on disk before. Only when it is known that no domain came of it, it is as it was.
 */
async function bootingOnce(xapi: Xapi, vm: Ref<'VM'>, create: () => Promise<DomId>): Promise<DomId> {
  const { db } = xapi;
  if (!isInstalling(db.get('VM', vm))) return await create();
  db.update('VM', vm, { PV_bootloader: installedLoader });
  await db.durable();
  try {
    return await create();
  } catch (error) {
    const undone = isOutcomeKnown(error) && db.find('VM', vm)?.PV_bootloader === installedLoader;
    if (undone) db.update('VM', vm, { PV_bootloader: installingLoader });
    throw error;
  }
}

/**
 * What a VM's domain is created from, by the records of the moment in which it was placed on nodes: memory may have been
 * waited for since its configuration was looked at for what to refuse, and its cpupool or mask may be another one.
 * To be called with what {@link onNodes} gives, before anything else is waited for.
 * @throws XapiError as {@link domainConfig}
 */
function configNow(
  xapi: Xapi,
  vm: Ref<'VM'>,
  host: Ref<'host'>,
  { memoryTargetBytes, placement }: DomainConfig,
): DomainConfig {
  const config = { ...domainConfig(xapi, vm, host), memoryTargetBytes };
  return placement === undefined ? config : { ...config, placement };
}

/** Makes a VM's domain anew from its image, which is gone then. @param options.migrating its hooks are not those of a resume */
export async function resumeOn(
  xapi: Xapi,
  vm: Ref<'VM'>,
  host: Ref<'host'>,
  { paused, task, migrating = false }: { readonly paused: boolean; readonly task?: Task; readonly migrating?: boolean },
): Promise<void> {
  const hooks = async (hook: 'vm-pre-resume' | 'vm-post-resume'): Promise<void> => {
    if (!migrating) await runVmHooks(xapi, vm, host, hook, 'none');
  };
  const { suspend_VDI } = xapi.db.get('VM', vm);
  if (!xapi.db.has('VDI', suspend_VDI)) throw new XapiError('VM_HAS_NO_SUSPEND_VDI', vm);
  const path = vdiPath(xapi.db, xapi.db.get('VDI', suspend_VDI), host);
  const target = keptTarget(xapi, vm);
  assertMemoryThere(xapi, vm, host, target);
  const config = { ...domainConfig(xapi, vm, host), memoryTargetBytes: target };
  const memory = { host, range: { minBytes: target, maxBytes: target }, task };
  const work = (placed: DomainConfig): Promise<void> =>
    xapi.hosts.drive(host, vm, (driver) =>
      resumeWith(xapi, vm, driver, { host, path, config: configNow(xapi, vm, host, placed), paused }),
    );
  await withDevices(xapi, vm, () =>
    withPlace(xapi, vm, host, {
      prepare: () => hooks('vm-pre-resume'),
      work: () => withMemory(xapi, vm, memory, () => onNodes(xapi, vm, host, config, work)),
    }),
  );
  await hooks('vm-post-resume');
}

async function resumeWith(
  xapi: Xapi,
  vm: Ref<'VM'>,
  driver: HostDriver,
  image: {
    readonly host: Ref<'host'>;
    readonly path: string;
    readonly config: DomainConfig;
    readonly paused: boolean;
  },
): Promise<void> {
  const { host, paused } = image;
  await xapi.hosts.cpupoolsSettled(host);
  // Which host to ask what became of it is on disk before the image is consumed.
  await xapi.db.durable();
  let domid: DomId;
  try {
    domid = await driver.restore(image.path, image.config, { paused });
  } catch (error) {
    if (isOutcomeKnown(error)) await haltWithoutImage(xapi, vm, host, driver);
    throw error;
  }
  await takeOver(xapi, vm, driver, { host, domid, paused, from: ['Suspended'] });
  forgetSuspendVdi(xapi, vm);
}

/**
 * While an operation lasts, and when nobody knows whether it was done until a picture tells, the host keeps the room
 * that was promised to the VM (`scheduled_to_be_resident_on`). What goes wrong before `work` has made no domain.
 */
async function withPlace(
  xapi: Xapi,
  vm: Ref<'VM'>,
  host: Ref<'host'>,
  { prepare, work }: { readonly prepare: () => Promise<void>; readonly work: () => Promise<void> },
): Promise<void> {
  xapi.db.update('VM', vm, { scheduled_to_be_resident_on: host });
  guestsChanged(xapi, host);
  const leave = (): void => {
    if (xapi.db.has('VM', vm)) xapi.db.update('VM', vm, { scheduled_to_be_resident_on: nullRef() });
    guestsChanged(xapi, host);
  };
  let begun = false;
  try {
    await bringUpFor(xapi, vm, host);
    await prepare();
    begun = true;
    await work();
  } catch (error) {
    if (!begun || isOutcomeKnown(error)) leave();
    throw error;
  }
  leave();
}

/** A saved VM whose image turns out to be gone has nothing to go on from. */
async function haltWithoutImage(xapi: Xapi, vm: Ref<'VM'>, host: Ref<'host'>, driver: HostDriver): Promise<void> {
  const { suspend_VDI, power_state } = xapi.db.get('VM', vm);
  if (power_state !== 'Suspended' || !xapi.db.has('VDI', suspend_VDI)) return;
  if ((await imageState(xapi, suspend_VDI, host, driver.files)) !== 'none') return;
  forgetSuspendVdi(xapi, vm);
  markHalted(xapi, vm);
}

/**
 * A new domain becomes that of its VM, unless the VM was shut down hard while the domain was made: then it ends here.
 * @throws XapiError VM_BAD_POWER_STATE in that case
 */
async function takeOver(
  xapi: Xapi,
  vm: Ref<'VM'>,
  driver: HostDriver,
  made: {
    readonly host: Ref<'host'>;
    readonly domid: DomId;
    readonly paused: boolean;
    /** What the VM must still be. */
    readonly from: readonly PowerState[];
  },
): Promise<void> {
  const { power_state, uuid } = xapi.db.get('VM', vm);
  if (!made.from.includes(power_state)) {
    await goneIsFine(driver.destroy({ domid: made.domid, uuid: uuid as Uuid }));
    throw new XapiError('VM_BAD_POWER_STATE', vm, made.from.join(', ').toLowerCase(), power_state.toLowerCase());
  }
  markRunning(xapi, vm, made);
  const pool = cpupoolOn(xapi, vm, made.host);
  if (pool === undefined) return;
  xapi.db.update('VM', vm, { cpupool: pool });
  await applyDeadlines(xapi, vm, driver, { domid: made.domid, uuid: uuid as Uuid });
}

/** Period and budget are no part of what a domain is created from. */
async function applyDeadlines(xapi: Xapi, vm: Ref<'VM'>, driver: HostDriver, domain: DomainIdentity): Promise<void> {
  const { cpupool, VCPUs_params } = xapi.db.get('VM', vm);
  if (schedulerOf(xapi, cpupool) !== 'rtds') return;
  const parameters = parametersFor('rtds', readVcpusParams(VCPUs_params).scheduler);
  if (Object.keys(parameters).length > 0) await driver.scheduling.setDomainParameters(domain, parameters);
}

/**
 * Saves a VM's memory into an image and ends its domain.
 * @param next where it is to go on, when that is another host; then what follows its end is run by whoever moves it
 */
export async function suspend(xapi: Xapi, vm: Ref<'VM'>, next?: Ref<'host'>): Promise<void> {
  const { resident_on: from } = xapi.db.get('VM', vm);
  await xapi.hosts.driveDomain(vm, async (driver, domain, host) => {
    await clearLeftover(xapi, vm, host, driver);
    const vdi = createSuspendVdi(xapi, vm, host, next);
    // The record is on disk before the image: whatever happens then, a restart knows where to look.
    await xapi.db.durable();
    const path = vdiPath(xapi.db, xapi.db.get('VDI', vdi), host);
    try {
      if (next === undefined) await runVmHooks(xapi, vm, host, 'vm-pre-suspend', 'suspend');
      await runVmHooks(xapi, vm, host, 'vm-pre-shutdown', 'suspend');
      await driver.save(domain, path);
    } catch (error) {
      // What may be whole by now is for the next picture to decide about.
      if (isOutcomeKnown(error)) await dropImage(xapi, vm, vdi);
      throw error;
    }
    // Shut down hard meanwhile: what was saved is not wanted.
    if (xapi.db.get('VM', vm).power_state === 'Halted') await dropImage(xapi, vm, vdi);
    else markSuspended(xapi, vm);
  });
  if (next === undefined && xapi.db.get('VM', vm).power_state === 'Suspended')
    await runVmHooks(xapi, vm, from, 'vm-post-destroy', 'suspend');
}

/** Removes an image that a VM has, or no longer has. */
async function dropImage(xapi: Xapi, vm: Ref<'VM'>, vdi: Ref<'VDI'>): Promise<void> {
  if (xapi.db.find('VM', vm)?.suspend_VDI === vdi) xapi.db.update('VM', vm, { suspend_VDI: nullRef() });
  await removeSuspendVdi(xapi, vdi);
}

/**
 * Removes what an earlier save left that was cut short.
 * @throws XapiError OTHER_OPERATION_IN_PROGRESS when the host is still at it
 */
async function clearLeftover(xapi: Xapi, vm: Ref<'VM'>, host: Ref<'host'>, driver: HostDriver): Promise<void> {
  const { suspend_VDI } = xapi.db.get('VM', vm);
  if (!xapi.db.has('VDI', suspend_VDI)) return;
  if ((await imageState(xapi, suspend_VDI, host, driver.files)) === 'unfinished')
    throw new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VM', vm, 'suspend', nullRef());
  await dropImage(xapi, vm, suspend_VDI);
}

/** Ends a VM's domain, or lets its image go. */
export async function hardShutdown(xapi: Xapi, vm: Ref<'VM'>): Promise<void> {
  const { power_state, resident_on: host } = xapi.db.get('VM', vm);
  const hasDomain = power_state === 'Running' || power_state === 'Paused';
  if (hasDomain) await runVmHooks(xapi, vm, host, 'vm-pre-shutdown', 'hard-shutdown');
  await halt(xapi, vm);
  if (hasDomain) await runVmHooks(xapi, vm, host, 'vm-post-destroy', 'hard-shutdown');
}

async function halt(xapi: Xapi, vm: Ref<'VM'>): Promise<void> {
  const { power_state, suspend_VDI } = xapi.db.get('VM', vm);
  if (power_state === 'Halted') return;
  if (power_state === 'Suspended') {
    markHalted(xapi, vm);
    await removeSuspendVdi(xapi, suspend_VDI);
    return;
  }
  await xapi.hosts.driveDomain(vm, async (driver, domain) => {
    await goneIsFine(driver.destroy(domain));
    if (xapi.db.get('VM', vm).domid === domain.domid) markHalted(xapi, vm);
  });
  // A reboot that was under way has put another domain in its place, or a suspend has ended before it; no second one can
  // have begun since.
  if (xapi.db.get('VM', vm).power_state === 'Halted') await removeSuspendVdi(xapi, suspend_VDI);
  else await halt(xapi, vm);
}

/**
 * Ends a VM's domain and creates it anew, without a moment in which the VM is said to be halted. From what it will be
 * created is known before its domain ends.
 */
export async function hardReboot(xapi: Xapi, vm: Ref<'VM'>): Promise<void> {
  const { resident_on } = xapi.db.get('VM', vm);
  const again = (placed: DomainConfig): Promise<void> =>
    xapi.hosts.driveDomain(vm, async (driver, domain, host) => {
      const now = configNow(xapi, vm, host, placed);
      await runVmHooks(xapi, vm, host, 'vm-pre-shutdown', 'hard-reboot');
      await goneIsFine(driver.destroy(domain));
      let domid: DomId;
      try {
        await runVmHooks(xapi, vm, host, 'vm-post-destroy', 'hard-reboot');
        await runVmHooks(xapi, vm, host, 'vm-pre-reboot', 'none');
        await runVmHooks(xapi, vm, host, 'vm-pre-start', 'none');
        domid = await driver.create(now, { paused: false });
      } catch (error) {
        if (isOutcomeKnown(error)) markHalted(xapi, vm);
        throw error;
      }
      await takeOver(xapi, vm, driver, { host, domid, paused: false, from: ['Running', 'Paused'] });
    });
  const config = { ...domainConfig(xapi, vm, resident_on), memoryTargetBytes: keptTarget(xapi, vm) };
  await onNodes(xapi, vm, resident_on, config, again);
}
