/**
 * What the control plane asks of a host about its bridges: the part of {@link HostDriver} that `ip link` of the control
 * domain is. Only what was made here is ever removed, and no interface or address of the host's own is touched: a host is
 * not cut off by it. XAPI: ocaml/networkd (`Bridge.create`, `Bridge.add_port`, `Interface.set_ipv4_conf`).
 */
import type { InterfaceFacts } from './host-driver.ts';

/** How a bond shares its work (`Bond.mode`). */
export type BondMode = 'balance-slb' | 'active-backup' | 'lacp';

/** A bridge, and what leads out of it: one port that is made with it and goes with it. */
export type Uplink = CardUplink | VlanUplink | BondUplink;

/** A spare network card ({@link InterfaceFacts.isSpare}). */
export interface CardUplink {
  readonly kind: 'card';
  readonly bridge: string;
  readonly device: string;
}

/** A tagged interface on a network card or on a bond. */
export interface VlanUplink {
  readonly kind: 'vlan';
  readonly bridge: string;
  /** What carries it: `eth0`, `bond0`. */
  readonly device: string;
  /** 802.1Q tag, 1 … 4094. */
  readonly tag: number;
}

/** Several spare network cards as one. */
export interface BondUplink {
  readonly kind: 'bond';
  readonly bridge: string;
  /** The name of the bond, `bond0`. */
  readonly device: string;
  /** Two cards or more, the one that is preferred first. */
  readonly members: readonly string[];
  readonly mode: BondMode;
  readonly mac: string;
  /** `lacp` only: how a card is chosen for a packet, by its Ethernet addresses or its connection. */
  readonly hashing: 'src_mac' | 'tcpudp_ports';
  /** `lacp` only: whether the partner is to speak each second, or twice a minute. */
  readonly lacpTime: 'fast' | 'slow';
}

/** Bridges of a host. A refusal is a {@link HostError}, and nothing is changed then. */
export interface HostNetworks {
  /** Whether interfaces of guests are kept to the addresses that they are locked to. */
  readonly locksVifs: boolean;
  /** Linux has no `balance-slb`: Open vSwitch has. */
  readonly bondModes: readonly BondMode[];
  /** The physical interfaces, bonds and bridges that the host has now. */
  interfaces(): Promise<readonly InterfaceFacts[]>;
  /** Makes a bridge without a port and brings it up; no error when there is a bridge of that name. @throws HostError exists for what is no bridge */
  createBridge(bridge: string): Promise<void>;
  /** Removes a bridge that was made here; no error when it is not there, was not made here or has ports. */
  removeBridge(bridge: string): Promise<void>;
  /**
   * Makes a bridge with its way out. What is there is made to be so, without taking the bridge from its guests: a bond
   * may have other members, another mode and other properties afterwards.
   * @throws HostError command-failed without the device, device-busy for a card that the host itself uses, exists for what
   *   has one of the names and was not made here, bad-config for a mode that the host does not have
   */
  createUplink(uplink: Uplink): Promise<void>;
  /** Removes what {@link createUplink} made; no error when it is not there. @throws HostError device-busy while guests are on it */
  removeUplink(uplink: Uplink): Promise<void>;
  /**
   * Gives the control domain these addresses on a bridge that was made here, and no others: `192.0.2.1/24`, `2001:db8::1/64`.
   * @throws HostError exists for a bridge that was not, device-busy where the way to whoever asks would be another one afterwards
   */
  setAddresses(bridge: string, addresses: readonly string[]): Promise<void>;
}
