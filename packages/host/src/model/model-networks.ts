import { HostError, type HostNetworks, type InterfaceFacts, type VlanBridge } from '@xenolith/xapi';

/** The bridges of a modelled host that were made after its boot, with the tagged interfaces that are their ports. */
export class ModelBridges {
  readonly #built: readonly InterfaceFacts[];
  readonly #made = new Map<string, VlanBridge | undefined>();
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
    const made = [...this.#made.keys()].map(
      (name) => ({ name, kind: 'bridge', mtu: 1500, ipv4: [], isMade: true }) as const,
    );
    return [...this.#built, ...made];
  }

  has(bridge: string): boolean {
    return this.interfaces().some(({ name, kind }) => name === bridge && kind === 'bridge');
  }

  /** @throws HostError bad-config, exists */
  create(bridge: string): void {
    checkName(bridge);
    if (this.has(bridge)) return;
    if (this.#built.some(({ name }) => name === bridge)) {
      throw new HostError('exists', 'there is an interface of that name');
    }
    this.#made.set(bridge, undefined);
  }

  /** @throws HostError bad-config */
  remove(bridge: string): void {
    checkName(bridge);
    if (this.#made.has(bridge) && this.#made.get(bridge) === undefined && !this.#isUsed(bridge)) {
      this.#made.delete(bridge);
    }
  }

  /** @throws HostError bad-config, command-failed */
  createVlan(vlan: VlanBridge): void {
    const { device, tag, bridge } = vlan;
    checkName(bridge);
    checkName(`${device}.${tag}`);
    if (!Number.isInteger(tag) || tag < 1 || tag > 4094) throw new HostError('bad-config', `not a VLAN tag: ${tag}`);
    if (!this.#built.some(({ name, kind }) => name === device && kind === 'physical')) {
      throw new HostError('command-failed', `Cannot find device "${device}"`);
    }
    this.create(bridge);
    this.#made.set(bridge, vlan);
  }

  /** @throws HostError device-busy */
  removeVlan({ bridge }: VlanBridge): void {
    checkName(bridge);
    if (this.#isUsed(bridge)) throw new HostError('device-busy', 'guests are on the bridge');
    if (this.#made.get(bridge) !== undefined) this.#made.delete(bridge);
  }

  /** As after a boot. */
  forget(): void {
    this.#made.clear();
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
    interfaces: () => look(() => bridges.interfaces()),
    createBridge: (bridge) => change(() => bridges.create(bridge)),
    removeBridge: (bridge) => change(() => bridges.remove(bridge)),
    createVlan: (vlan) => change(() => bridges.createVlan(vlan)),
    removeVlan: (vlan) => change(() => bridges.removeVlan(vlan)),
  };
}

function checkName(name: string): void {
  if (!/^(?!\.\.?$)[A-Za-z0-9_.-]{1,15}$/.test(name)) {
    throw new HostError('bad-config', `not an interface: ${JSON.stringify(name.slice(0, 100))}`);
  }
}
