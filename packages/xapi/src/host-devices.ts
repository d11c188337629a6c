/**
 * What the control plane asks of a host about the devices of its running domains: the part of {@link HostDriver} that
 * `xl block-attach`, `block-detach`, `network-attach` and `network-detach` are. Sources: tools/xl/xl_block.c, xl_nic.c,
 * tools/libs/light/libxl_device.c. {@link HostDriver.describe} tells which devices a domain has.
 */
import type { DomainDisk, DomainIdentity, DomainVif } from './host-driver.ts';

/**
 * Devices of running domains. What was attached stays over a reboot of the guest, what was detached stays away.
 * Domain-0 is left alone. A refusal is a {@link HostError}, and nothing is changed then.
 */
export interface HostDevices {
  /**
   * Gives a domain a disk. Resolves when the host offers it; a guest that runs takes it a moment later.
   * @throws HostError exists when the domain has a disk of that name; command-failed when there is no such file
   */
  attachDisk(domain: DomainIdentity, disk: DomainDisk): Promise<void>;
  /**
   * Takes a disk from a domain; no error when it has none of that name. Without `force` the guest is asked and waited
   * for: one that does not let go keeps it for now, and may let go of it later by itself.
   * @param device the guest's name for it (`xvdb`)
   * @throws HostError device-busy when the guest does not let go of it
   */
  detachDisk(domain: DomainIdentity, device: string, options: { readonly force: boolean }): Promise<void>;
  /** Gives a domain a network interface. @throws HostError exists when it has one of that address; command-failed without the bridge */
  attachVif(domain: DomainIdentity, vif: DomainVif): Promise<void>;
  /** Takes the interface of that MAC address from a domain, whether the guest answers or not; no error when it has none. */
  detachVif(domain: DomainIdentity, mac: string): Promise<void>;
}
