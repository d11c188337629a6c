/** From a VM's records to what its domain is created from. XAPI: ocaml/xapi/xapi_xenops.ml (`MD.of_vm`). */
import { bytes, type Ref } from '@xenolith/base';
import type { EnumOf, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { DomainConfig, DomainDisk, DomainEndAction, DomainType, DomainVif } from '../host-driver.ts';
import { vdiPath } from '../storage/vdi-path.ts';
import type { Xapi } from '../xapi.ts';
import { cpupoolOn } from './cpupool-placement.ts';
import { installerBoot, isInstalling } from './installer.ts';
import { parametersFor, readVcpusParams, schedulerOf } from './vcpus-params.ts';

const exitActions: Readonly<Record<EnumOf<'on_normal_exit'>, DomainEndAction>> = {
  destroy: 'destroy',
  restart: 'restart',
};

const crashActions: Readonly<Record<EnumOf<'on_crash_behaviour'>, DomainEndAction>> = {
  destroy: 'destroy',
  coredump_and_destroy: 'destroy',
  restart: 'restart',
  coredump_and_restart: 'restart',
  preserve: 'preserve',
  rename_restart: 'rename-restart',
};

/** @throws XapiError VALUE_NOT_SUPPORTED for a kind of domain that is not supported */
export function domainTypeOf(vm: RecordOf<'VM'>): DomainType {
  switch (vm.domain_type) {
    case 'pv':
      return 'pv';
    case 'pvh':
      return 'pvh';
    case 'unspecified':
      if (vm.HVM_boot_policy === '') return 'pv';
      break;
    default:
  }
  throw new XapiError('VALUE_NOT_SUPPORTED', 'domain_type', vm.domain_type, 'only pv and pvh domains are supported');
}

const letters = 'abcdefghijklmnopqrstuvwxyz';

/** The name of a disk in the guest from its `userdevice`: `0` → xvda; `hda`, `sdb`, `xvdc` are taken as the same place. */
export function diskName(userdevice: string): string {
  if (/^\d{1,2}$/.test(userdevice) && Number(userdevice) < letters.length)
    return `xvd${letters[Number(userdevice)] ?? 'a'}`;
  const letter = /^(?:hd|sd|xvd)([a-z])$/.exec(userdevice)?.[1];
  if (letter !== undefined) return `xvd${letter}`;
  throw new XapiError('INVALID_DEVICE', userdevice);
}

/** A disk as a guest is to have it. @throws XapiError SR_NOT_ATTACHED */
export function domainDisk(xapi: Xapi, vbd: RecordOf<'VBD'>, host: Ref<'host'>): DomainDisk {
  return {
    device: diskName(vbd.userdevice),
    path: vdiPath(xapi.db, xapi.db.get('VDI', vbd.VDI), host),
    format: 'raw',
    readOnly: vbd.mode === 'RO',
    ...(vbd.type === 'CD' ? { cdrom: true } : {}),
  };
}

/** A network interface as a guest is to have it. */
export const domainVif = (xapi: Xapi, vif: RecordOf<'VIF'>): DomainVif => ({
  index: Number(vif.device),
  mac: vif.MAC,
  bridge: xapi.db.get('network', vif.network).bridge,
  mtu: vif.MTU,
});

/** Whether a domain of the VM that is made now has a device: one that runs, and is made anew, has what it had. */
const comesWith = (vm: RecordOf<'VM'>, { currently_attached }: { readonly currently_attached: boolean }): boolean =>
  currently_attached || (vm.power_state !== 'Running' && vm.power_state !== 'Paused');

function disksOf(xapi: Xapi, vm: RecordOf<'VM'>, host: Ref<'host'>): readonly DomainDisk[] {
  return vm.VBDs.map((ref) => xapi.db.get('VBD', ref))
    .filter((vbd) => !vbd.empty && xapi.db.has('VDI', vbd.VDI) && comesWith(vm, vbd))
    .map((vbd) => domainDisk(xapi, vbd, host))
    .toSorted((a, b) => (a.device < b.device ? -1 : 1));
}

const vifsOf = (xapi: Xapi, vm: RecordOf<'VM'>): readonly DomainVif[] =>
  vm.VIFs.map((ref) => xapi.db.get('VIF', ref))
    .filter((vif) => comesWith(vm, vif))
    .map((vif) => domainVif(xapi, vif))
    .toSorted((a, b) => a.index - b.index);

/** What a guest does on a modelled host, in `VM.other_config`. */
const workKey = 'xenolith:work';
/** How its balloon follows there. */
const balloonKey = 'xenolith:balloon';

/** How a VM boots beside its kernel. */
function bootOf(
  { PV_args, PV_kernel, PV_bootloader }: RecordOf<'VM'>,
  installer: ReturnType<typeof installerBoot> | undefined,
): Pick<DomainConfig, 'cmdline' | 'bootloader' | 'fetched'> {
  if (installer !== undefined) {
    const { kernel, ramdisk, cmdline } = installer;
    return { fetched: { kernel, ramdisk }, ...(cmdline === '' ? {} : { cmdline }) };
  }
  return {
    ...(PV_args === '' ? {} : { cmdline: PV_args }),
    ...(PV_kernel !== '' || PV_bootloader === '' ? {} : { bootloader: PV_bootloader }),
  };
}

/** @throws XapiError for records that no domain can be made from */
export function domainConfig(xapi: Xapi, ref: Ref<'VM'>, host: Ref<'host'>): DomainConfig {
  const vm = xapi.db.get('VM', ref);
  const type = domainTypeOf(vm);
  if (vm.PV_kernel === '' && vm.PV_bootloader === '') {
    throw new XapiError('BOOTLOADER_FAILED', ref, 'the VM has neither a PV_kernel nor a PV_bootloader to boot from');
  }
  const installer = isInstalling(vm) ? installerBoot(ref, vm) : undefined;
  const pool = cpupoolOn(xapi, ref, host);
  const { scheduler, mask } = readVcpusParams(vm.VCPUs_params);
  const { weight, cap } = parametersFor(schedulerOf(xapi, pool), scheduler);
  const cpupool = pool === undefined ? undefined : xapi.db.get('cpupool', pool);
  return {
    uuid: vm.uuid as DomainConfig['uuid'],
    nameLabel: vm.name_label,
    type,
    ...(vm.PV_kernel === '' ? {} : { kernel: vm.PV_kernel }),
    ...(vm.PV_ramdisk === '' ? {} : { ramdisk: vm.PV_ramdisk }),
    ...bootOf(vm, installer),
    vcpusMax: vm.VCPUs_max,
    vcpusAtStartup: vm.VCPUs_at_startup,
    memoryMaxBytes: bytes(vm.memory_static_max),
    memoryTargetBytes: bytes(vm.memory_dynamic_max),
    disks: disksOf(xapi, vm, host),
    vifs: vifsOf(xapi, vm),
    ...(weight === undefined ? {} : { weight }),
    ...(cap === undefined ? {} : { cap }),
    ...(mask === undefined ? {} : { cpus: mask }),
    ...(vm.other_config[workKey] === undefined ? {} : { work: vm.other_config[workKey] }),
    ...(vm.other_config[balloonKey] === undefined ? {} : { balloon: vm.other_config[balloonKey] }),
    ...(cpupool === undefined || cpupool.is_default ? {} : { cpupool: cpupool.name_label }),
    onPoweroff: exitActions[vm.actions_after_shutdown],
    // What an installer has installed is not what its domain was made from.
    onReboot: installer === undefined ? exitActions[vm.actions_after_reboot] : 'destroy',
    onCrash: crashActions[vm.actions_after_crash],
  };
}
