/** What the records say was on a host: for hosts whose state lives in our process only. */
import { bytes, domId, nodeId, type Ref, type Uuid } from '@xenolith/base';
import { homeNodes } from '@xenolith/hypervisor';
import type { DomainConfig, RememberedHost } from '../host-driver.ts';
import { XapiError } from '../errors.ts';
import { domainConfig } from '../vm/domain-config.ts';
import { numaPolicyOf } from '../vm/numa-policy.ts';
import { keptTarget } from '../vm/start-memory.ts';
import type { Xapi } from '../xapi.ts';
import { knownCpupools } from './cpupool-records.ts';
import { nodeMemoryOf } from './node-memory.ts';

export function rememberedHost(xapi: Xapi, host: Ref<'host'>): RememberedHost {
  const { db } = xapi;
  const { resident_VMs, PBDs } = db.get('host', host);
  const domains = resident_VMs.flatMap((ref) => {
    const vm = db.get('VM', ref);
    if (vm.is_control_domain) return [];
    const metrics = db.find('VM_metrics', vm.metrics);
    const nodes = metrics === undefined ? [] : homeNodes(nodeMemoryOf(metrics)).map(nodeId);
    return [
      {
        ...configOrBare(xapi, ref, host),
        memoryTargetBytes: keptTarget(xapi, ref),
        domid: domId(vm.domid),
        paused: vm.power_state === 'Paused',
        strict: numaPolicyOf(vm, db.get('host', host)) === 'strict',
        ...(nodes.length === 0 ? {} : { nodes }),
      },
    ];
  });
  const files = PBDs.flatMap((pbd) => {
    const { SR, device_config } = db.get('PBD', pbd);
    return db.get('SR', SR).VDIs.flatMap((ref) => {
      const vdi = db.get('VDI', ref);
      if (vdi.missing) return [];
      return { path: `${device_config['location'] ?? ''}/${vdi.location}`, sizeBytes: bytes(vdi.virtual_size) };
    });
  });
  const cpupools = knownCpupools(xapi, host).map(({ name, scheduler, parameters, pcpus }) => ({
    name,
    scheduler,
    parameters,
    pcpus,
  }));
  return { domains, files, cpupools };
}

/** A domain made by hand need not be one that could be made from its VM's records: then it is put back without devices. */
function configOrBare(xapi: Xapi, ref: Ref<'VM'>, host: Ref<'host'>): DomainConfig {
  try {
    return domainConfig(xapi, ref, host);
  } catch (error) {
    if (!(error instanceof XapiError)) throw error;
    const { uuid, name_label, domain_type, VCPUs_max, VCPUs_at_startup, memory_static_max, memory_dynamic_max } =
      xapi.db.get('VM', ref);
    return {
      uuid: uuid as Uuid,
      nameLabel: name_label,
      type: domain_type === 'pv' || domain_type === 'pvh' ? domain_type : 'hvm',
      vcpusMax: VCPUs_max,
      vcpusAtStartup: VCPUs_at_startup,
      memoryMaxBytes: bytes(memory_static_max),
      memoryTargetBytes: bytes(memory_dynamic_max),
      disks: [],
      vifs: [],
      onPoweroff: 'destroy',
      onReboot: 'restart',
      onCrash: 'destroy',
    };
  }
}
