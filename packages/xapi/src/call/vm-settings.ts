/** Settings of VMs that are more than a field, or less than they are in XAPI. XAPI: ocaml/xapi/xapi_vm.ml, xapi_vm_helpers.ml. */
import { nullRef, type Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { assertHalted } from '../storage/attach.ts';
import { updateApplianceOperations } from '../vm/appliance-operations.ts';
import type { Xapi } from '../xapi.ts';
import type { CallsOf } from './call.ts';

/** Keys of `bios_strings` that a client may set (`Constants.settable_vm_bios_string_keys`). */
const biosKeys: ReadonlySet<string> = new Set([
  'bios-vendor',
  'bios-version',
  'system-manufacturer',
  'system-product-name',
  'system-version',
  'system-serial-number',
  'baseboard-manufacturer',
  'baseboard-product-name',
  'baseboard-version',
  'baseboard-serial-number',
  'baseboard-asset-tag',
  'baseboard-location-in-chassis',
  'enclosure-asset-tag',
]);

/** What SMBIOS has for strings: up to 512 printable characters of ASCII, none of them a blank at an end. */
const biosText = /^[!-~](?:[ -~]{0,510}[!-~])?$/;

/** Of all that would keep a VM from another host of the pool, the first. */
function assertAgile({ db }: Xapi, vm: Ref<'VM'>): void {
  const hosts = db.refs('host');
  const { VBDs, VIFs } = db.get('VM', vm);
  for (const { VDI, empty } of VBDs.map((vbd) => db.get('VBD', vbd))) {
    const vdi = db.find('VDI', VDI);
    if (empty || vdi === undefined) continue;
    const { shared, PBDs } = db.get('SR', vdi.SR);
    const reached = new Set(
      PBDs.map((pbd) => db.get('PBD', pbd)).flatMap(({ host, currently_attached }) =>
        currently_attached ? [host] : [],
      ),
    );
    if (!shared || hosts.some((host) => !reached.has(host))) {
      throw new XapiError('HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED', vdi.SR);
    }
  }
  for (const { network } of VIFs.map((vif) => db.get('VIF', vif))) {
    if (!db.has('network', network)) continue;
    const reached = new Set(db.get('network', network).PIFs.map((pif) => db.get('PIF', pif).host));
    if (hosts.some((host) => !reached.has(host))) {
      throw new XapiError('HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED', network);
    }
  }
}

/** Delays are seconds, and turns are counted from 0. */
const natural =
  (field: 'start_delay' | 'shutdown_delay' | 'order') =>
  ({ xapi }: { readonly xapi: Xapi }, { self, value }: { readonly self: Ref<'VM'>; readonly value: number }): void => {
    if (value < 0) throw new XapiError('INVALID_VALUE', field, String(value));
    xapi.db.update('VM', self, { [field]: value });
  };

export const vmSettingsCalls = {
  set_start_delay: natural('start_delay'),
  set_shutdown_delay: natural('shutdown_delay'),
  set_order: natural('order'),
  set_appliance: ({ xapi }, { self, value }) => {
    const { db } = xapi;
    const { is_a_template, is_control_domain, appliance } = db.get('VM', self);
    if (value !== nullRef()) {
      db.get('VM_appliance', value);
      if (is_a_template || is_control_domain) {
        throw new XapiError(
          'OPERATION_NOT_ALLOWED',
          'only a VM is part of an appliance, no template or control domain',
        );
      }
    }
    db.update('VM', self, { appliance: value });
    for (const each of new Set([appliance, value])) updateApplianceOperations(xapi, each);
  },
  set_snapshot_schedule: ({ xapi }, { self, value }) => {
    const { is_a_template, is_control_domain } = xapi.db.get('VM', self);
    if (value !== nullRef()) {
      xapi.db.get('VMSS', value);
      if (is_a_template || is_control_domain) throw new XapiError('INVALID_VALUE', 'snapshot_schedule', value);
    }
    xapi.db.update('VM', self, { snapshot_schedule: value });
  },
  get_cooperative: ({ xapi }, { self }) => {
    xapi.db.get('VM', self);
    return true;
  },
  /** It is for Windows, which needs emulated hardware. */
  set_has_vendor_device: ({ xapi }, { self, value }) => {
    assertHalted(xapi, self);
    if (value) throw new XapiError('VALUE_NOT_SUPPORTED', 'has_vendor_device', 'true', 'HVM guests are not supported');
    xapi.db.update('VM', self, { has_vendor_device: false });
  },
  set_groups: ({ xapi }, { self, value }) => {
    const { is_a_template, is_a_snapshot, is_control_domain } = xapi.db.get('VM', self);
    if (value.length > 1) throw new XapiError('TOO_MANY_GROUPS');
    for (const group of value) xapi.db.get('VM_group', group);
    if (is_control_domain || (is_a_template && !is_a_snapshot && value.length > 0)) {
      throw new XapiError('OPERATION_NOT_ALLOWED', 'a control domain or a template is in no group');
    }
    xapi.db.update('VM', self, { groups: value });
  },
  assert_agile: ({ xapi }, { self }) => assertAgile(xapi, self),
  retrieve_wlb_recommendations: ({ xapi }, { vm }) => {
    xapi.db.get('VM', vm);
    throw new XapiError('WLB_NOT_INITIALIZED');
  },
  set_bios_strings: ({ xapi }, { self, value }) => {
    if (Object.keys(xapi.db.get('VM', self).bios_strings).length > 0) {
      throw new XapiError('VM_BIOS_STRINGS_ALREADY_SET');
    }
    for (const [key, text] of Object.entries(value)) {
      if (!biosKeys.has(key)) throw new XapiError('INVALID_VALUE', key, 'unknown key');
      if (!biosText.test(text)) throw new XapiError('INVALID_VALUE', key, text);
    }
    xapi.db.update('VM', self, { bios_strings: value });
  },
  copy_bios_strings: ({ xapi }, { vm, host }) => {
    if (Object.keys(xapi.db.get('VM', vm).bios_strings).length > 0) {
      throw new XapiError('VM_BIOS_STRINGS_ALREADY_SET');
    }
    xapi.db.update('VM', vm, { bios_strings: xapi.db.get('host', host).bios_strings });
  },
} as const satisfies CallsOf<'VM'>;
