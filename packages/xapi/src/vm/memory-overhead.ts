/** What a VM takes of its host beyond its own memory. XAPI: ocaml/xapi/memory_check.ml, xapi_vm_helpers.ml. */
import { bytes, fromMib, mibBytes, type Bytes, type Ref } from '@xenolith/base';
import { xapiMemory, type OverheadDomainType } from '@xenolith/hypervisor';
import type { RecordOf } from '../datamodel/types.ts';
import type { Xapi } from '../xapi.ts';

/** The part of a VM's record that its overhead follows from. */
export type OverheadFields = Pick<
  RecordOf<'VM'>,
  'domain_type' | 'HVM_boot_policy' | 'VCPUs_max' | 'memory_static_max' | 'HVM_shadow_multiplier' | 'is_control_domain'
>;

/** A PV guest in a shim is a PVH domain by its own memory, and the shim's is added. */
function overheadType({ domain_type, HVM_boot_policy }: OverheadFields): OverheadDomainType {
  switch (domain_type) {
    case 'pv':
    case 'pvh':
    case 'hvm':
      return domain_type;
    case 'pv_in_pvh':
      return 'pvh';
    default:
      return HVM_boot_policy === '' ? 'pv' : 'hvm';
  }
}

/** `VM.memory_overhead`: xapi's reckoning, in whole MiB. A control domain is counted with what it has. */
export function overheadOf(vm: OverheadFields): Bytes {
  if (vm.is_control_domain) return bytes(0);
  const staticMaxMib = Math.ceil(vm.memory_static_max / mibBytes);
  const { overheadMib } = xapiMemory({
    type: overheadType(vm),
    vcpus: vm.VCPUs_max,
    staticMaxMib,
    targetMib: staticMaxMib,
    shadowMultiplier: vm.HVM_shadow_multiplier,
    hasPvShim: vm.domain_type === 'pv_in_pvh',
  });
  return fromMib(overheadMib);
}

/** Makes the record say it: after whatever could have changed it. */
export function updateMemoryOverhead(xapi: Xapi, ref: Ref<'VM'>): void {
  const vm = xapi.db.get('VM', ref);
  const memory_overhead = overheadOf(vm);
  if (vm.memory_overhead !== memory_overhead) xapi.db.update('VM', ref, { memory_overhead });
}

/** For an answer that is to hold for any number of vCPUs up to this (`Xapi_vm.maximise_memory`). */
const approximateVcpus = 64;

/**
 * The most memory, in whole MiB, that a VM could have so that it takes no more than a total with its overhead; 0 when
 * not even the overhead fits.
 * @param approximate for as many vCPUs as there may ever be, not for those that it has
 */
export function maximiseMemory(vm: OverheadFields, totalBytes: number, approximate: boolean): Bytes {
  const shape = approximate ? { ...vm, VCPUs_max: Math.max(vm.VCPUs_max, approximateVcpus) } : vm;
  const fits = (mib: number): boolean => {
    const memory_static_max = fromMib(mib);
    return memory_static_max + overheadOf({ ...shape, memory_static_max }) <= totalBytes;
  };
  let [low, high] = [0, Math.max(0, Math.floor(totalBytes / mibBytes))];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return fromMib(low);
}
