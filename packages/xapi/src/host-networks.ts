/**
 * What the control plane asks of a host about its bridges: the part of {@link HostDriver} that `ip link` of the control
 * domain is. Only what was made here is ever removed, and no interface or address that was there is touched: a host is
 * not cut off by it. XAPI: ocaml/networkd (`Bridge.create`, `Bridge.destroy`).
 */
import type { InterfaceFacts } from './host-driver.ts';

/** A tagged interface of a physical one, as the port of a bridge of its own. */
export interface VlanBridge {
  /** The physical interface, `eth0`. */
  readonly device: string;
  /** 802.1Q tag, 1 … 4094. */
  readonly tag: number;
  readonly bridge: string;
}

/** Bridges of a host. A refusal is a {@link HostError}, and nothing is changed then. */
export interface HostNetworks {
  /** Whether interfaces of guests are kept to the addresses that they are locked to. */
  readonly locksVifs: boolean;
  /** The physical interfaces and bridges that the host has now. */
  interfaces(): Promise<readonly InterfaceFacts[]>;
  /** Makes a bridge without a port and brings it up; no error when there is a bridge of that name. @throws HostError exists for what is no bridge */
  createBridge(bridge: string): Promise<void>;
  /** Removes a bridge that was made here; no error when it is not there, was not made here or has ports. */
  removeBridge(bridge: string): Promise<void>;
  /** Makes a bridge with a tagged interface as its port; no error when it is there. @throws HostError command-failed without the device */
  createVlan(vlan: VlanBridge): Promise<void>;
  /** Removes what {@link createVlan} made; no error when it is not there. @throws HostError device-busy while guests are on it */
  removeVlan(vlan: VlanBridge): Promise<void>;
}
