/** What the records say was on a host: for hosts whose state lives in our process only. */
import { bytes, domId, type Ref } from '@xenolith/base';
import type { RememberedHost } from '../host-driver.ts';
import { domainConfig } from '../vm/domain-config.ts';
import type { Xapi } from '../xapi.ts';

export function rememberedHost(xapi: Xapi, host: Ref<'host'>): RememberedHost {
  const { db } = xapi;
  const { resident_VMs, PBDs } = db.get('host', host);
  const domains = resident_VMs.flatMap((ref) => {
    const vm = db.get('VM', ref);
    if (vm.is_control_domain) return [];
    return [{ ...domainConfig(xapi, ref, host), domid: domId(vm.domid), paused: vm.power_state === 'Paused' }];
  });
  const files = PBDs.flatMap((pbd) => {
    const { SR, device_config } = db.get('PBD', pbd);
    return db.get('SR', SR).VDIs.map((ref) => {
      const vdi = db.get('VDI', ref);
      return { path: `${device_config['location'] ?? ''}/${vdi.location}`, sizeBytes: bytes(vdi.virtual_size) };
    });
  });
  return { domains, files };
}
