import { HostError, type BondUplink, type HostNetworks, type InterfaceFacts, type Uplink } from '@xenolith/xapi';

interface MadeBridge {
  /** Absent for a bridge that leads to nowhere outside of the host. */
  readonly uplink?: Uplink;
  readonly addresses: readonly string[];
}

/** The bridges of a modelled host that were made after its boot, with what leads out of them. */
export class ModelBridges {
  readonly #built: readonly InterfaceFacts[];
  readonly #made = new Map<string, MadeBridge>();
  readonly #unlinked = new Set<string>();
  readonly #isUsed: (bridge: string) => boolean;

  /**
   * @param built the interfaces that it boots with
   * @param isUsed whether a guest has an interface on a bridge
   */
  constructor(built: readonly InterfaceFacts[], isUsed: (bridge: string) => boolean) {
    this.#built = built;
    this.#isUsed = isUsed;
  }

  interfaces(): readonly InterfaceFacts[] {
    const cards = this.#built.map((item) => this.#withLink(this.#asPort(item)));
    const bridges = [...this.#made].map(([name, { addresses }]) => {
      const ipv4 = addresses.filter((address) => !address.includes(':'));
      return { name, kind: 'bridge', mtu: 1500, ipv4, isMade: true } as const;
    });
    const bonds = this.#bonds().map(({ device, bridge, mac, members }) => {
      const carrier = cards.some((item) => members.includes(item.name) && item.carrier === true);
      return { name: device, kind: 'bond', mac, mtu: 1500, carrier, bridge, ipv4: [], isMade: true } as const;
    });
    return [...cards, ...bonds, ...bridges];
  }

  /** Pulls the cable of a card, or puts it in again. */
  setLink(device: string, isUp: boolean): void {
    if (isUp) this.#unlinked.delete(device);
    else this.#unlinked.add(device);
  }

  has(bridge: string): boolean {
    return this.interfaces().some(({ name, kind }) => name === bridge && kind === 'bridge');
  }

  /** The addresses that the control domain was given on a bridge. */
  addressesOn(bridge: string): readonly string[] {
    return this.#made.get(bridge)?.addresses ?? [];
  }

  /** What leads out of a bridge that was made. */
  uplinkOf(bridge: string): Uplink | undefined {
    return this.#made.get(bridge)?.uplink;
  }

  /** @throws HostError bad-config, exists */
  create(bridge: string): void {
    checkName(bridge);
    if (this.has(bridge)) return;
    if (this.interfaces().some(({ name }) => name === bridge)) {
      throw new HostError('exists', 'there is an interface of that name');
    }
    this.#made.set(bridge, { addresses: [] });
  }

  /** @throws HostError bad-config */
  remove(bridge: string): void {
    checkName(bridge);
    if (this.#made.has(bridge) && this.uplinkOf(bridge) === undefined && !this.#isUsed(bridge)) {
      this.#made.delete(bridge);
    }
  }

  /** @throws HostError bad-config, command-failed, device-busy, exists */
  createUplink(uplink: Uplink): void {
    const { bridge, device } = uplink;
    checkName(bridge);
    checkName(uplink.kind === 'vlan' ? `${device}.${uplink.tag}` : device);
    switch (uplink.kind) {
      case 'card':
        this.#checkSpare(device, uplink);
        break;
      case 'vlan':
        checkTag(uplink.tag);
        this.#checkThere(device);
        break;
      case 'bond':
        this.#checkBond(uplink);
        break;
    }
    if (this.has(bridge) && !this.#made.has(bridge)) {
      throw new HostError('exists', "the bridge is the host's own");
    }
    this.create(bridge);
    this.#made.set(bridge, { addresses: this.addressesOn(bridge), uplink });
  }

  /** @throws HostError device-busy */
  removeUplink({ bridge, kind, device }: Uplink): void {
    checkName(bridge);
    if (this.#isUsed(bridge)) throw new HostError('device-busy', 'guests are on the bridge');
    if (this.uplinkOf(bridge) === undefined) return;
    if (kind === 'bond' && this.#uplinks().some((other) => other.kind === 'vlan' && other.device === device)) {
      throw new HostError('device-busy', 'there are VLANs on the bond');
    }
    this.#made.delete(bridge);
  }

  /** @throws HostError bad-config, exists */
  setAddresses(bridge: string, addresses: readonly string[]): void {
    checkName(bridge);
    for (const address of addresses) checkAddress(address);
    const made = this.#made.get(bridge);
    if (made === undefined) throw new HostError('exists', "the bridge is the host's own");
    this.#made.set(bridge, { ...made, addresses });
  }

  /** As after a boot. */
  forget(): void {
    this.#made.clear();
  }

  #uplinks(): readonly Uplink[] {
    return [...this.#made.values()].flatMap(({ uplink }) => (uplink === undefined ? [] : [uplink]));
  }

  #bonds(): readonly BondUplink[] {
    return this.#uplinks().filter((uplink) => uplink.kind === 'bond');
  }

  #asPort(item: InterfaceFacts): InterfaceFacts {
    const uplink = this.#uplinks().find(({ kind, device }) => kind === 'card' && device === item.name);
    return uplink === undefined ? item : { ...item, bridge: uplink.bridge };
  }

  #withLink(item: InterfaceFacts): InterfaceFacts {
    return this.#unlinked.has(item.name) ? { ...item, carrier: false } : item;
  }

  #checkThere(device: string): void {
    const isThere =
      this.#built.some(({ name, kind }) => name === device && kind === 'physical') ||
      this.#bonds().some((bond) => bond.device === device);
    if (!isThere) throw new HostError('command-failed', `Cannot find device "${device}"`);
  }

  #checkBond(uplink: BondUplink): void {
    const { device, bridge, members } = uplink;
    if (new Set(members).size < 2) throw new HostError('bad-config', 'a bond has two members or more');
    for (const member of members) this.#checkSpare(member, uplink);
    const other = this.interfaces().find(({ name }) => name === device);
    if (other !== undefined && other.bridge !== bridge) {
      throw new HostError('exists', 'there is an interface of that name');
    }
  }

  /** Whether a card is there, and nobody's but what is being made of it. */
  #checkSpare(device: string, wanted: Uplink): void {
    checkName(device);
    this.#checkThere(device);
    const isTaken = this.#uplinks().some((uplink) => {
      if (uplink.kind === 'vlan' || uplink.bridge === wanted.bridge) return false;
      return uplink.device === device || (uplink.kind === 'bond' && uplink.members.includes(device));
    });
    const isSpare = this.#built.some((item) => item.name === device && item.isSpare === true);
    if (!isSpare || isTaken) throw new HostError('device-busy', `${device} is in use on the host`);
  }
}

/** {@link HostNetworks} of a modelled host; packets are not modelled, so none passes that a lock would hold back. */
export function modelNetworks(
  bridges: ModelBridges,
  look: <T>(work: () => T) => Promise<T>,
  change: (work: () => void) => Promise<void>,
): HostNetworks {
  return {
    locksVifs: true,
    bondModes: ['balance-slb', 'active-backup', 'lacp'],
    interfaces: () => look(() => bridges.interfaces()),
    createBridge: (bridge) => change(() => bridges.create(bridge)),
    removeBridge: (bridge) => change(() => bridges.remove(bridge)),
    createUplink: (uplink) => change(() => bridges.createUplink(uplink)),
    removeUplink: (uplink) => change(() => bridges.removeUplink(uplink)),
    setAddresses: (bridge, addresses) => change(() => bridges.setAddresses(bridge, addresses)),
  };
}

function checkName(name: string): void {
  if (!/^(?!\.\.?$)[A-Za-z0-9_.-]{1,15}$/.test(name)) {
    throw new HostError('bad-config', `not an interface: ${JSON.stringify(name.slice(0, 100))}`);
  }
}

function checkTag(tag: number): void {
  if (!Number.isInteger(tag) || tag < 1 || tag > 4094) throw new HostError('bad-config', `not a VLAN tag: ${tag}`);
}

function checkAddress(address: string): void {
  if (!/^[0-9a-f:.]{2,45}\/\d{1,3}$/i.test(address)) {
    throw new HostError('bad-config', `not an address: ${JSON.stringify(address.slice(0, 100))}`);
  }
}
