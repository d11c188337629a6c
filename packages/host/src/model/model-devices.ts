import { present } from '@xenolith/base';
import type { Domain } from '@xenolith/hypervisor';
import { HostError, type DomainConfig, type DomainIdentity, type HostDevices } from '@xenolith/xapi';
import type { ModelHost } from './model-host.ts';

/** Works on the devices of a domain that is there and not Domain-0. */
type OnDomain = (identity: DomainIdentity, work: (domain: Domain) => void) => Promise<void>;

/** {@link HostDevices} of a modelled host: guests take what they are given at once, and let go of it unless they are paused. */
export function modelDevices(host: ModelHost, on: OnDomain): HostDevices {
  const configOf = ({ domid }: Domain): DomainConfig => present(host.configOf(domid), `configuration of ${domid}`);
  return {
    attachDisk: (identity, disk) =>
      on(identity, (domain) => {
        const { disks } = configOf(domain);
        if (disks.some(({ device }) => device === disk.device)) throw exists(disk.device);
        host.setDevices(domain.domid, { disks: [...disks, disk] });
      }),
    detachDisk: (identity, device, { force }) =>
      on(identity, (domain) => {
        const { disks } = configOf(domain);
        const rest = disks.filter((disk) => disk.device !== device);
        if (rest.length === disks.length) return;
        if (domain.paused && !force) throw new HostError('device-busy', `the guest does not let go of ${device}`);
        host.setDevices(domain.domid, { disks: rest });
      }),
    attachVif: (identity, vif) =>
      on(identity, (domain) => {
        const { vifs } = configOf(domain);
        if (vifs.some(({ index, mac }) => mac === vif.mac || index === vif.index)) throw exists(vif.mac);
        host.setDevices(domain.domid, { vifs: [...vifs, vif] });
      }),
    detachVif: (identity, mac) =>
      on(identity, (domain) => {
        const { vifs } = configOf(domain);
        host.setDevices(domain.domid, { vifs: vifs.filter((vif) => vif.mac !== mac) });
      }),
  };
}

const exists = (what: string): HostError => new HostError('exists', `the domain has ${what} already`);
