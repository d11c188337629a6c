/** The objects of xe: what users call them, their class of the XenAPI, and the fields that a list shows unasked. */

export interface XeObject {
  /** As in `vm-list`. */
  readonly name: string;
  /** As in `VM.get_all_records`. */
  readonly className: string;
  /** The fields that a list shows, with spaces between them. */
  readonly shown: string;
  /** Which part of the class it is: VMs, templates and snapshots are all of class VM. */
  readonly only?: 'plain-vm' | 'template' | 'snapshot';
}

// Names and fields as in xe of XAPI 26 (ocaml/xapi-cli-server/cli_operations.ml), less the fields that the data model
// does not have; classes without a name of theirs in xe are called by the class's name, and so is ours.
export const objects: readonly XeObject[] = [
  { name: 'pool', className: 'pool', shown: 'uuid name-label name-description master default-SR' },
  { name: 'pif', className: 'PIF', shown: 'uuid device VLAN MAC network-uuid currently-attached host-uuid' },
  { name: 'bond', className: 'Bond', shown: 'uuid master slaves' },
  { name: 'vlan', className: 'VLAN', shown: 'uuid tagged-PIF untagged-PIF tag' },
  { name: 'tunnel', className: 'tunnel', shown: 'uuid transport-PIF access-PIF status' },
  { name: 'vif', className: 'VIF', shown: 'uuid device vm-uuid network-uuid' },
  { name: 'network', className: 'network', shown: 'uuid name-label name-description bridge' },
  { name: 'console', className: 'console', shown: 'uuid vm-uuid vm-name-label protocol location' },
  { name: 'vm', className: 'VM', shown: 'name-label uuid power-state', only: 'plain-vm' },
  { name: 'template', className: 'VM', shown: 'name-label name-description uuid', only: 'template' },
  {
    name: 'snapshot',
    className: 'VM',
    shown: 'name-label name-description uuid snapshot-of snapshot-time is-vmss-snapshot',
    only: 'snapshot',
  },
  { name: 'host', className: 'host', shown: 'uuid name-label name-description' },
  { name: 'host-cpu', className: 'host_cpu', shown: 'uuid number vendor speed utilisation' },
  { name: 'cpupool', className: 'cpupool', shown: 'uuid name-label host-name-label scheduler cpu-numbers' },
  { name: 'host-crashdump', className: 'host_crashdump', shown: 'uuid host timestamp size' },
  { name: 'patch', className: 'pool_patch', shown: 'uuid name-label name-description size after-apply-guidance' },
  {
    name: 'update',
    className: 'pool_update',
    shown: 'uuid name-label name-description version installation-size hosts after-apply-guidance',
  },
  { name: 'vdi', className: 'VDI', shown: 'uuid name-label name-description virtual-size read-only sharable sr-uuid' },
  { name: 'vbd', className: 'VBD', shown: 'uuid vm-uuid vm-name-label vdi-uuid device empty' },
  { name: 'sr', className: 'SR', shown: 'uuid name-label name-description host type content-type' },
  { name: 'sm', className: 'SM', shown: 'uuid type name-label name-description vendor copyright configuration' },
  { name: 'pbd', className: 'PBD', shown: 'uuid host-uuid sr-uuid device-config currently-attached' },
  { name: 'task', className: 'task', shown: 'uuid name-label name-description status progress' },
  { name: 'subject', className: 'subject', shown: 'uuid subject-identifier other-config roles' },
  {
    name: 'vmss',
    className: 'VMSS',
    shown: 'uuid name-label name-description enabled type retained-snapshots frequency schedule last-run-time VMs',
  },
  { name: 'blob', className: 'blob', shown: 'uuid mime-type' },
  { name: 'message', className: 'message', shown: 'uuid name priority class obj-uuid timestamp body' },
  { name: 'secret', className: 'secret', shown: 'uuid' },
  { name: 'appliance', className: 'VM_appliance', shown: 'uuid name-label name-description' },
  { name: 'vm-group', className: 'VM_group', shown: 'uuid name-label name-description placement vm-uuids' },
  { name: 'pgpu', className: 'PGPU', shown: 'uuid pci-uuid vendor-name device-name gpu-group-uuid' },
  { name: 'gpu-group', className: 'GPU_group', shown: 'uuid name-label name-description' },
  { name: 'vgpu', className: 'VGPU', shown: 'uuid vm-uuid device gpu-group-uuid' },
  { name: 'vgpu-type', className: 'VGPU_type', shown: 'uuid vendor-name model-name max-heads' },
  { name: 'drtask', className: 'DR_task', shown: 'uuid' },
  { name: 'pvs-site', className: 'PVS_site', shown: 'uuid name-label name-description pvs-uuid pvs-server-uuids' },
  { name: 'pvs-server', className: 'PVS_server', shown: 'uuid addresses pvs-site-uuid' },
  { name: 'pvs-proxy', className: 'PVS_proxy', shown: 'uuid vif-uuid pvs-site-uuid currently-attached' },
  { name: 'pvs-cache-storage', className: 'PVS_cache_storage', shown: 'uuid host-uuid sr-uuid pvs-site-uuid size' },
  {
    name: 'feature',
    className: 'Feature',
    shown: 'uuid name-label name-description enabled experimental version host-uuid',
  },
  { name: 'sdn-controller', className: 'SDN_controller', shown: 'uuid protocol address port' },
  {
    name: 'pusb',
    className: 'PUSB',
    shown: 'uuid path product-id product-desc vendor-id vendor-desc serial version description speed',
  },
  { name: 'usb-group', className: 'USB_group', shown: 'uuid name-label name-description' },
  { name: 'vusb', className: 'VUSB', shown: 'uuid vm-uuid usb-group-uuid' },
  {
    name: 'network-sriov',
    className: 'network_sriov',
    shown: 'uuid physical-pif logical-pif requires-reboot configuration-mode',
  },
  {
    name: 'cluster',
    className: 'Cluster',
    shown:
      'uuid cluster-hosts cluster-token cluster-stack allowed-operations current-operations pool-auto-join cluster-config other-config',
  },
  {
    name: 'cluster-host',
    className: 'Cluster_host',
    shown: 'uuid cluster pif host enabled allowed-operations current-operations other-config',
  },
  {
    name: 'certificate',
    className: 'Certificate',
    shown: 'uuid type name host not-before not-after fingerprint purpose',
  },
  {
    name: 'repository',
    className: 'Repository',
    shown: 'uuid name-label name-description binary-url source-url update hash gpgkey-path origin',
  },
  {
    name: 'hostdriver-variant',
    className: 'Driver_variant',
    shown: 'uuid driver name version priority status hardware-present',
  },
  {
    name: 'hostdriver',
    className: 'Host_driver',
    shown: 'uuid name host-uuid active-variant selected-variant variants',
  },
  { name: 'vtpm', className: 'VTPM', shown: 'uuid vm-uuid' },
  { name: 'observer', className: 'Observer', shown: 'uuid name-label name-description host-uuids endpoints enabled' },
  { name: 'pci', className: 'PCI', shown: 'uuid vendor-name device-name pci-id' },
  {
    name: 'caller',
    className: 'Caller',
    shown: 'uuid name-label name-description user-agent client-ip last-access groups rate-limit',
  },
  { name: 'rate-limit', className: 'Rate_limit', shown: 'uuid name-label callers burst-size fill-rate' },
  { name: 'role', className: 'role', shown: 'uuid name-label name-description' },
  { name: 'vm-metrics', className: 'VM_metrics', shown: 'uuid VCPUs-number memory-actual start-time' },
  { name: 'vm-guest-metrics', className: 'VM_guest_metrics', shown: 'uuid os-version live' },
  { name: 'host-metrics', className: 'host_metrics', shown: 'uuid memory-total live' },
  { name: 'vbd-metrics', className: 'VBD_metrics', shown: 'uuid' },
  { name: 'vif-metrics', className: 'VIF_metrics', shown: 'uuid' },
  { name: 'pif-metrics', className: 'PIF_metrics', shown: 'uuid carrier speed' },
  { name: 'host-patch', className: 'host_patch', shown: 'uuid name-label name-description' },
  { name: 'crashdump', className: 'crashdump', shown: 'uuid VM VDI' },
];

/** The object that commands such as `vm-list` begin with. */
export function objectNamed(name: string): XeObject | undefined {
  return objects.find((object) => object.name === name);
}
