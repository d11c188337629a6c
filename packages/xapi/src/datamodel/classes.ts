import { auth } from './class/auth.ts';
import { blob } from './class/blob.ts';
import { Bond } from './class/bond.ts';
import { Caller } from './class/caller.ts';
import { Certificate } from './class/certificate.ts';
import { Cluster } from './class/cluster.ts';
import { Cluster_host } from './class/cluster-host.ts';
import { console } from './class/console.ts';
import { crashdump } from './class/crashdump.ts';
import { data_source } from './class/data-source.ts';
import { Diagnostics } from './class/diagnostics.ts';
import { DR_task } from './class/dr-task.ts';
import { Driver_variant } from './class/driver-variant.ts';
import { event } from './class/event.ts';
import { Feature } from './class/feature.ts';
import { GPU_group } from './class/gpu-group.ts';
import { host } from './class/host.ts';
import { host_cpu } from './class/host-cpu.ts';
import { host_crashdump } from './class/host-crashdump.ts';
import { Host_driver } from './class/host-driver.ts';
import { host_metrics } from './class/host-metrics.ts';
import { host_patch } from './class/host-patch.ts';
import { LVHD } from './class/lvhd.ts';
import { message } from './class/message.ts';
import { network } from './class/network.ts';
import { network_sriov } from './class/network-sriov.ts';
import { Observer } from './class/observer.ts';
import { PBD } from './class/pbd.ts';
import { PCI } from './class/pci.ts';
import { PGPU } from './class/pgpu.ts';
import { PIF } from './class/pif.ts';
import { PIF_metrics } from './class/pif-metrics.ts';
import { pool } from './class/pool.ts';
import { pool_patch } from './class/pool-patch.ts';
import { pool_update } from './class/pool-update.ts';
import { probe_result } from './class/probe-result.ts';
import { PUSB } from './class/pusb.ts';
import { PVS_cache_storage } from './class/pvs-cache-storage.ts';
import { PVS_proxy } from './class/pvs-proxy.ts';
import { PVS_server } from './class/pvs-server.ts';
import { PVS_site } from './class/pvs-site.ts';
import { Rate_limit } from './class/rate-limit.ts';
import { Repository } from './class/repository.ts';
import { role } from './class/role.ts';
import { SDN_controller } from './class/sdn-controller.ts';
import { secret } from './class/secret.ts';
import { session } from './class/session.ts';
import { SM } from './class/sm.ts';
import { SR } from './class/sr.ts';
import { sr_stat } from './class/sr-stat.ts';
import { subject } from './class/subject.ts';
import { task } from './class/task.ts';
import { tunnel } from './class/tunnel.ts';
import { USB_group } from './class/usb-group.ts';
import { user } from './class/user.ts';
import { VBD } from './class/vbd.ts';
import { VBD_metrics } from './class/vbd-metrics.ts';
import { VDI } from './class/vdi.ts';
import { vdi_nbd_server_info } from './class/vdi-nbd-server-info.ts';
import { VGPU } from './class/vgpu.ts';
import { VGPU_type } from './class/vgpu-type.ts';
import { VIF } from './class/vif.ts';
import { VIF_metrics } from './class/vif-metrics.ts';
import { VLAN } from './class/vlan.ts';
import { VM } from './class/vm.ts';
import { VM_appliance } from './class/vm-appliance.ts';
import { VM_group } from './class/vm-group.ts';
import { VM_guest_metrics } from './class/vm-guest-metrics.ts';
import { VM_metrics } from './class/vm-metrics.ts';
import { VMPP } from './class/vmpp.ts';
import { VMSS } from './class/vmss.ts';
import { VTPM } from './class/vtpm.ts';
import { VUSB } from './class/vusb.ts';
import { extensionClasses } from './extensions.ts';

/** Every class of the XenAPI, by its wire name, in the order in which XAPI lists them; ours after them. */
export const classTables = {
  session,
  auth,
  subject,
  role,
  task,
  event,
  pool,
  pool_patch,
  pool_update,
  VM,
  VM_metrics,
  VM_guest_metrics,
  VMPP,
  VMSS,
  VM_appliance,
  DR_task,
  host,
  host_crashdump,
  host_patch,
  host_metrics,
  host_cpu,
  network,
  VIF,
  VIF_metrics,
  PIF,
  PIF_metrics,
  Bond,
  VLAN,
  SM,
  SR,
  sr_stat,
  probe_result,
  LVHD,
  VDI,
  VBD,
  VBD_metrics,
  PBD,
  crashdump,
  VTPM,
  console,
  user,
  data_source,
  blob,
  message,
  secret,
  tunnel,
  network_sriov,
  PCI,
  PGPU,
  GPU_group,
  VGPU,
  VGPU_type,
  PVS_site,
  PVS_server,
  PVS_proxy,
  PVS_cache_storage,
  Feature,
  SDN_controller,
  vdi_nbd_server_info,
  PUSB,
  USB_group,
  VUSB,
  Cluster,
  Cluster_host,
  Certificate,
  Diagnostics,
  Repository,
  Observer,
  VM_group,
  Host_driver,
  Driver_variant,
  Caller,
  Rate_limit,
  ...extensionClasses,
} as const;
