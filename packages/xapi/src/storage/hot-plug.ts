/**
 * Giving devices to running VMs and taking them away. What a VM is about to be given, or to lose, is `reserved` on disk
 * before its host is asked; so when nobody hears the end of it, the next look at the host knows what to ask about, and
 * until then nobody else has the disk. XAPI: ocaml/xapi/xapi_vbd.ml, xapi_vif.ml, xapi_xenops.ml (`vbd_plug`, `vif_plug`).
 */
import { nullRef, type Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { isOutcomeKnown } from '../host-error.ts';
import { HostError, type DomainDetails, type DomainIdentity, type HostDriver } from '../host-driver.ts';
import { bringUp, canAttach } from '../network/bridges.ts';
import { diskName, domainDisk, domainVif } from '../vm/domain-config.ts';
import type { Xapi } from '../xapi.ts';
import { updateDeviceOperations, updateDiskOperations } from './allowed-operations.ts';
import { assertDeviceAllows, type DeviceClass, type DeviceOperation } from './device-operations.ts';
import { isReserved, notReserved, reserved } from './reserved.ts';
import type { Work } from './vdi-operations.ts';

type DeviceRef = Ref<'VBD'> | Ref<'VIF'>;
type OnDomain = (driver: HostDriver, domain: DomainIdentity, host: Ref<'host'>) => Promise<void>;

/** Gives a running VM a disk. @throws XapiError as {@link assertDeviceAllows}, and what the host says */
export async function plugDisk(work: Work, self: Ref<'VBD'>): Promise<void> {
  assertDeviceAllows(work.xapi, 'VBD', self, 'plug');
  await give(work, 'VBD', self, 'plug', (driver, domain, host) =>
    driver.devices.attachDisk(domain, domainDisk(work.xapi, work.xapi.db.get('VBD', self), host)),
  );
}

/** Takes a disk from a running VM. @throws XapiError DEVICE_DETACH_REJECTED when the guest does not let go of it */
export async function unplugDisk(work: Work, self: Ref<'VBD'>, options: { readonly force: boolean }): Promise<void> {
  const operation = options.force ? 'unplug_force' : 'unplug';
  assertDeviceAllows(work.xapi, 'VBD', self, operation);
  await detachDisk(work, self, operation);
}

/** Puts a disc into an empty drive; a guest that runs has it at once. */
export async function insertDisc(work: Work, self: Ref<'VBD'>, vdi: Ref<'VDI'>): Promise<void> {
  const { xapi } = work;
  const { VM } = xapi.db.get('VBD', self);
  xapi.db.update('VBD', self, { VDI: vdi, empty: false });
  updateDiskOperations(xapi, vdi);
  if (xapi.db.get('VM', VM).power_state !== 'Running') return;
  try {
    await give(work, 'VBD', self, 'insert', (driver, domain, host) =>
      driver.devices.attachDisk(domain, domainDisk(xapi, xapi.db.get('VBD', self), host)),
    );
  } catch (error) {
    if (isOutcomeKnown(error)) emptyDrive(xapi, self);
    throw error;
  }
}

/** Takes the disc out of a drive. @throws XapiError DEVICE_DETACH_REJECTED when the guest does not let go of it */
export async function ejectDisc(work: Work, self: Ref<'VBD'>): Promise<void> {
  assertDeviceAllows(work.xapi, 'VBD', self, 'eject');
  if (work.xapi.db.get('VBD', self).currently_attached) await detachDisk(work, self, 'eject');
  emptyDrive(work.xapi, self);
}

function emptyDrive(xapi: Xapi, self: Ref<'VBD'>): void {
  if (!xapi.db.has('VBD', self)) return;
  const { VDI, VM } = xapi.db.get('VBD', self);
  xapi.db.update('VBD', self, { VDI: nullRef(), empty: true });
  updateDiskOperations(xapi, VDI);
  updateDeviceOperations(xapi, VM);
}

async function detachDisk(work: Work, self: Ref<'VBD'>, operation: DeviceOperation): Promise<void> {
  const { userdevice } = work.xapi.db.get('VBD', self);
  await take(work, 'VBD', self, operation, (driver, domain) =>
    driver.devices.detachDisk(domain, diskName(userdevice), { force: operation === 'unplug_force' }),
  );
}

/** Gives a running VM a network interface. @throws XapiError HOST_CANNOT_ATTACH_NETWORK without its bridge */
export async function plugVif(work: Work, self: Ref<'VIF'>): Promise<void> {
  const { db } = work.xapi;
  assertDeviceAllows(work.xapi, 'VIF', self, 'plug');
  const { VM, network } = db.get('VIF', self);
  const { resident_on } = db.get('VM', VM);
  if (!canAttach(work.xapi, resident_on, network)) {
    throw new XapiError('HOST_CANNOT_ATTACH_NETWORK', resident_on, network);
  }
  await give(work, 'VIF', self, 'plug', async (driver, domain, host) => {
    await bringUp(work.xapi, host, network);
    await driver.devices.attachVif(domain, domainVif(work.xapi, db.get('VIF', self)));
  });
}

/** Takes a network interface from a running VM. */
export async function unplugVif(work: Work, self: Ref<'VIF'>): Promise<void> {
  const { db } = work.xapi;
  assertDeviceAllows(work.xapi, 'VIF', self, 'unplug');
  const { MAC } = db.get('VIF', self);
  await take(work, 'VIF', self, 'unplug', (driver, domain) => driver.devices.detachVif(domain, MAC));
}

const give = (
  work: Work,
  kind: DeviceClass,
  ref: DeviceRef,
  operation: DeviceOperation,
  act: OnDomain,
): Promise<void> => change(work, { kind, ref, operation, attached: true }, act);

const take = (
  work: Work,
  kind: DeviceClass,
  ref: DeviceRef,
  operation: DeviceOperation,
  act: OnDomain,
): Promise<void> => change(work, { kind, ref, operation, attached: false }, act);

interface Change {
  readonly kind: DeviceClass;
  readonly ref: DeviceRef;
  readonly operation: DeviceOperation;
  /** What is true afterwards. */
  readonly attached: boolean;
}

/** Works on a device of a running VM, marked and reserved meanwhile. */
async function change({ xapi, task }: Work, { kind, ref, operation, attached }: Change, act: OnDomain): Promise<void> {
  const { db, hosts } = xapi;
  const { VM } = db.getAny(kind, ref) as { readonly VM: Ref<'VM'> };
  const { domid } = db.get('VM', VM);
  const write = (fields: Parameters<typeof db.updateAny>[2]): void => {
    if (!db.has(kind, ref)) return;
    db.updateAny(kind, ref, fields);
    updateDeviceOperations(xapi, VM);
  };
  write({ ...reserved, current_operations: { [task.ref]: operation } });
  try {
    await db.durable();
    assertStillOn(xapi, VM, domid);
    await hosts.driveDomain(VM, async (driver, domain, host) => {
      await rejecting(kind, ref, act(driver, domain, host));
    });
    // When the VM has ended meanwhile, its end has said what it has: nothing.
    if (attached) assertStillOn(xapi, VM, domid);
    const isStillThere = db.find('VM', VM)?.domid === domid;
    write({ ...notReserved, current_operations: {}, ...(isStillThere ? { currently_attached: attached } : {}) });
  } catch (error) {
    write({ current_operations: {}, ...(isOutcomeKnown(error) ? notReserved : {}) });
    throw error;
  }
}

/** @throws XapiError VM_BAD_POWER_STATE when a VM has no longer the domain that it had */
function assertStillOn({ db }: Xapi, vm: Ref<'VM'>, domid: number): void {
  const record = db.find('VM', vm);
  if (record?.domid === domid) return;
  throw new XapiError('VM_BAD_POWER_STATE', vm, 'running', (record?.power_state ?? 'Halted').toLowerCase());
}

/** A guest that does not let go of a device is no failure of its host. */
async function rejecting(kind: DeviceClass, ref: DeviceRef, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== 'device-busy') throw error;
    throw new XapiError('DEVICE_DETACH_REJECTED', kind, ref, error.message);
  }
}

/** The devices of a VM of which nobody knows whether it has them. */
const unsettled = (xapi: Xapi, vm: Ref<'VM'>): readonly Change[] => {
  const { db } = xapi;
  const { VBDs, VIFs } = db.get('VM', vm);
  const of = (kind: DeviceClass, refs: readonly DeviceRef[]): readonly Change[] =>
    refs
      .filter((ref) => isReserved(db.getAny(kind, ref) as Parameters<typeof isReserved>[0]))
      .map((ref) => ({ kind, ref, operation: 'plug', attached: true }));
  return [...of('VBD', VBDs), ...of('VIF', VIFs)];
};

/** VMs on a host of which nobody knows whether they have all their devices. */
export const unsettledVms = (xapi: Xapi, host: Ref<'host'>): readonly Ref<'VM'>[] =>
  xapi.db.get('host', host).resident_VMs.filter((vm) => unsettled(xapi, vm).length > 0);

/** Makes the records of a VM's reserved devices say what its domain has. */
export function settleDevices(xapi: Xapi, vm: Ref<'VM'>, { disks, vifs }: Pick<DomainDetails, 'disks' | 'vifs'>): void {
  const { db } = xapi;
  for (const { kind, ref } of unsettled(xapi, vm)) {
    if (kind === 'VBD') {
      const vbd = ref as Ref<'VBD'>;
      const { userdevice, type, empty, VDI } = db.get('VBD', vbd);
      const has = disks.some(({ device }) => device === diskName(userdevice));
      // A disc that did not get there, or was taken out, is not in the drive.
      const isOut = type !== 'Disk' && !empty && !has;
      db.update('VBD', vbd, {
        currently_attached: has,
        ...notReserved,
        ...(isOut ? { VDI: nullRef(), empty: true } : {}),
      });
      updateDiskOperations(xapi, VDI);
    } else {
      const vif = ref as Ref<'VIF'>;
      const { MAC } = db.get('VIF', vif);
      db.update('VIF', vif, { currently_attached: vifs.some(({ mac }) => mac === MAC), ...notReserved });
    }
  }
  updateDeviceOperations(xapi, vm);
}
