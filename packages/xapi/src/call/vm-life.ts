/** Making, copying and removing VMs, and the setters that check more than a type. XAPI: ocaml/xapi/xapi_vm.ml, xapi_vm_clone.ml. */
import { nullRef, type Ref } from '@xenolith/base';
import type { EnumOf, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { updateDeviceOperations, updateDiskOperations } from '../storage/allowed-operations.ts';
import { assertHalted } from '../storage/attach.ts';
import { makeDisk } from '../storage/vdi-work.ts';
import { updateApplianceOperations } from '../vm/appliance-operations.ts';
import { copyVm } from '../vm/copy-vm.ts';
import { freeDevices } from '../vm/disk-places.ts';
import { updateMemoryOverhead } from '../vm/memory-overhead.ts';
import { newVmRecord, vcpusMax } from '../vm/new-vm.ts';
import { assertAllowed, updateAllowedOperations, withOperation } from '../vm/operations.ts';
import { assertCanBootHere, possibleHosts } from '../vm/placement.ts';
import { parseProvision } from '../vm/provision-xml.ts';
import { removeSuspendVdi } from '../vm/suspend-image.ts';
import type { Xapi } from '../xapi.ts';
import type { Call, CallsOf } from './call.ts';
import { plainAddTo, plainRemoveFrom, plainSet } from './plain.ts';
import { freeVifDevices } from './vif.ts';
import { assertMemory } from './vm-memory.ts';

/**
 * Makes the disks that a template asks for in other_config:disks, and turns it into a VM: all in one commit at the
 * end, so that a template is never left with half of them.
 */
async function provision(call: Call, vm: Ref<'VM'>): Promise<void> {
  const { xapi, task } = call;
  const { db } = xapi;
  const record = db.get('VM', vm);
  const disks = parseProvision(record.other_config['disks'] ?? '');
  const free = new Set(freeDevices(xapi, vm));
  for (const { device } of disks) if (!free.delete(device)) throw new XapiError('DEVICE_ALREADY_EXISTS', device);
  const made: Ref<'VDI'>[] = [];
  try {
    for (const disk of disks) {
      task.throwIfCancelled();
      const vdi = await makeDisk(call, {
        name_label: `${record.name_label} ${disk.device}`,
        SR: srOf(xapi, disk.sr),
        virtual_size: disk.sizeBytes,
        type: disk.type,
      });
      made.push(vdi);
      task.setProgress(made.length / disks.length);
    }
    task.throwIfCancelled();
  } catch (error) {
    await xapi.disks.abandon(made);
    throw error;
  }
  xapi.disks.finish(made);
  for (const [index, { device: userdevice, bootable }] of disks.entries()) {
    const VDI = made[index];
    if (VDI === undefined) continue;
    db.create('VBD', { VM: vm, VDI, userdevice, bootable, mode: 'RW', type: 'Disk', empty: false });
  }
  const { disks: _disks, ...rest } = db.get('VM', vm).other_config;
  db.update('VM', vm, { is_a_template: false, other_config: rest });
  updateAllowedOperations(xapi, vm);
  updateDeviceOperations(xapi, vm);
}

/** A repository by uuid; the pool's default when none is named. */
function srOf(xapi: Xapi, uuid: string): Ref<'SR'> {
  const { db } = xapi;
  if (uuid !== '') {
    const sr = db.byUuid('SR', uuid);
    if (sr === undefined) throw new XapiError('UUID_INVALID', 'SR', uuid);
    return sr;
  }
  const [pool] = db.refs('pool');
  const sr = pool === undefined ? nullRef<'SR'>() : db.get('pool', pool).default_SR;
  if (!db.has('SR', sr)) throw new XapiError('DEFAULT_SR_NOT_FOUND', sr);
  return sr;
}

type VcpuNumbers = Pick<RecordOf<'VM'>, 'VCPUs_max' | 'VCPUs_at_startup'>;

function assertVcpus({ VCPUs_max, VCPUs_at_startup }: VcpuNumbers): void {
  if (!(VCPUs_at_startup >= 1 && VCPUs_at_startup <= VCPUs_max && VCPUs_max <= vcpusMax)) {
    throw new XapiError('INVALID_VALUE', 'VCPUs_max', `${VCPUs_max}, with ${VCPUs_at_startup} at startup`);
  }
}

function setVcpus(xapi: Xapi, self: Ref<'VM'>, changes: Partial<VcpuNumbers>): void {
  assertAllowed(xapi, self, 'changing_VCPUs');
  assertVcpus({ ...xapi.db.get('VM', self), ...changes });
  xapi.db.update('VM', self, changes);
  updateMemoryOverhead(xapi, self);
}

/** What a pool with high availability would do for a VM; here it is only kept. */
const restartPriorities: ReadonlySet<string> = new Set(['', 'best-effort', 'restart']);

/** The boot policy that says no more than that there is emulated firmware. */
const biosOrder = 'BIOS order';

/** What a VM is of which only the boot policy is known (`derive_domain_type`). */
const domainTypeFrom = (bootPolicy: string): EnumOf<'domain_type'> => (bootPolicy === '' ? 'pv' : 'hvm');

export const vmLifeCalls = {
  create: ({ xapi }, { args }) => {
    assertMemory(args);
    assertVcpus(args);
    // It is made halted, so it has no memory image, whatever the record had that it was written after.
    const { power_state: _state, suspend_VDI: _image, memory_target: _target, ...rest } = args;
    const { domain_type: given = 'unspecified', ...fields } = rest;
    const domain_type = given === 'unspecified' ? domainTypeFrom(fields.HVM_boot_policy) : given;
    return newVmRecord(xapi, { ...fields, domain_type });
  },
  destroy: (call, { self }) =>
    withOperation(call, self, 'destroy', async () => {
      const { db } = call.xapi;
      const { VBDs, VIFs, consoles, metrics, guest_metrics, suspend_VDI, parent, children, appliance } = db.get(
        'VM',
        self,
      );
      const held = VBDs.map((vbd) => db.get('VBD', vbd).VDI);
      for (const child of children) db.update('VM', child, { parent });
      for (const vbd of VBDs) db.destroy('VBD', vbd);
      for (const vif of VIFs) db.destroy('VIF', vif);
      for (const console of consoles) db.destroy('console', console);
      db.destroy('VM_metrics', metrics);
      db.destroy('VM_guest_metrics', guest_metrics);
      db.destroy('VM', self);
      updateApplianceOperations(call.xapi, appliance);
      for (const vdi of held) updateDiskOperations(call.xapi, vdi);
      await removeSuspendVdi(call.xapi, suspend_VDI);
    }),
  clone: (call, { vm, new_name }) =>
    withOperation(call, vm, 'clone', () => copyVm(call, vm, { nameLabel: new_name, operation: 'clone' })),
  copy: (call, { vm, new_name, sr }) =>
    withOperation(call, vm, 'copy', () =>
      copyVm(call, vm, { nameLabel: new_name, operation: 'copy', ...(sr === nullRef() ? {} : { sr }) }),
    ),
  provision: (call, { vm }) => withOperation(call, vm, 'provision', () => provision(call, vm)),

  set_is_a_template: ({ xapi }, { self, value }) => {
    if (value) assertAllowed(xapi, self, 'make_into_template');
    else if (xapi.db.get('VM', self).is_default_template)
      throw new XapiError('OPERATION_NOT_ALLOWED', 'a default template stays one');
    xapi.db.update('VM', self, { is_a_template: value });
    updateAllowedOperations(xapi, self);
  },
  set_is_default_template: ({ xapi }, { vm, value }) => {
    if (value && !xapi.db.get('VM', vm).is_a_template) assertAllowed(xapi, vm, 'make_into_template');
    xapi.db.update(
      'VM',
      vm,
      value ? { is_default_template: true, is_a_template: true } : { is_default_template: false },
    );
    updateAllowedOperations(xapi, vm);
  },
  set_VCPUs_max: ({ xapi }, { self, value }) => setVcpus(xapi, self, { VCPUs_max: value }),
  set_VCPUs_at_startup: ({ xapi }, { self, value }) => setVcpus(xapi, self, { VCPUs_at_startup: value }),

  get_boot_record: ({ xapi }, { self }) => {
    assertAllowed(xapi, self, 'get_boot_record');
    return xapi.db.get('VM', self);
  },
  assert_operation_valid: ({ xapi }, { self, op }) => assertAllowed(xapi, self, op),
  update_allowed_operations: ({ xapi }, { self }) => {
    xapi.db.get('VM', self);
    updateAllowedOperations(xapi, self);
  },
  get_allowed_VBD_devices: ({ xapi }, { vm }) => freeDevices(xapi, vm),
  get_allowed_VIF_devices: ({ xapi }, { vm }) => freeVifDevices(xapi, vm),
  get_possible_hosts: ({ xapi }, { vm }) => possibleHosts(xapi, vm),
  assert_can_boot_here: ({ xapi }, { self, host }) => assertCanBootHere(xapi, self, host),

  set_actions_after_crash: plainSet('VM', 'actions_after_crash'),
  set_domain_type: ({ xapi }, { self, value }) => {
    assertHalted(xapi, self);
    xapi.db.update('VM', self, { domain_type: value, HVM_boot_policy: value === 'hvm' ? biosOrder : '' });
    updateMemoryOverhead(xapi, self);
  },
  set_HVM_boot_policy: ({ xapi }, { self, value }) => {
    assertHalted(xapi, self);
    // PVH and PV have the same policy: saying it again must not make one the other.
    if (value === xapi.db.get('VM', self).HVM_boot_policy) return;
    xapi.db.update('VM', self, { HVM_boot_policy: value, domain_type: domainTypeFrom(value) });
    updateMemoryOverhead(xapi, self);
  },
  set_other_config: plainSet('VM', 'other_config'),
  add_to_other_config: plainAddTo('VM', 'other_config'),
  remove_from_other_config: plainRemoveFrom('VM', 'other_config'),
  set_platform: plainSet('VM', 'platform'),
  add_to_platform: plainAddTo('VM', 'platform'),
  remove_from_platform: plainRemoveFrom('VM', 'platform'),
  set_NVRAM: plainSet('VM', 'NVRAM'),
  add_to_NVRAM: plainAddTo('VM', 'NVRAM'),
  remove_from_NVRAM: plainRemoveFrom('VM', 'NVRAM'),
  set_ha_always_run: plainSet('VM', 'ha_always_run'),
  set_ha_restart_priority: (call, { self, value }) => {
    if (!restartPriorities.has(value)) throw new XapiError('INVALID_VALUE', 'ha_restart_priority', value);
    plainSet('VM', 'ha_restart_priority')(call, { self, value });
  },
  set_blocked_operations: ({ xapi }, { self, value }) => {
    xapi.db.update('VM', self, { blocked_operations: value });
    updateAllowedOperations(xapi, self);
  },
  add_to_blocked_operations: (call, args) => {
    plainAddTo('VM', 'blocked_operations')(call, args);
    updateAllowedOperations(call.xapi, args.self);
  },
  remove_from_blocked_operations: (call, args) => {
    plainRemoveFrom('VM', 'blocked_operations')(call, args);
    updateAllowedOperations(call.xapi, args.self);
  },
} as const satisfies CallsOf<'VM'>;
