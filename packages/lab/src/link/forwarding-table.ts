/** A port of the switch: one lab host. */
export type PortId = number;

/** Stations remembered at most; the oldest is forgotten first, its frames are then flooded, which is slower but right. */
const STATIONS_MAX = 4096;
const HEADER_BYTES = 14;

function mac(frame: Buffer, offset: number): string {
  return frame.toString('hex', offset, offset + 6);
}

function isGroupAddress(frame: Buffer, offset: number): boolean {
  return ((frame[offset] ?? 0) & 1) === 1;
}

/** Learns which station is behind which port from the source addresses it sees, as IEEE 802.1D bridges do. */
export class ForwardingTable {
  readonly #portOf = new Map<string, PortId>();

  /** The ports among `ports` a frame that came in on `from` goes out on; never `from` itself. A frame too short for a header goes nowhere. */
  forward(frame: Buffer, from: PortId, ports: Iterable<PortId>): readonly PortId[] {
    if (frame.length < HEADER_BYTES) return [];
    // A group address as source is not a station.
    if (!isGroupAddress(frame, 6)) this.#learn(mac(frame, 6), from);
    const known = isGroupAddress(frame, 0) ? undefined : this.#portOf.get(mac(frame, 0));
    if (known === undefined) return [...ports].filter((port) => port !== from);
    return known === from ? [] : [known];
  }

  /** Forgets what was behind a port that is gone. */
  removePort(port: PortId): void {
    for (const [station, at] of this.#portOf) if (at === port) this.#portOf.delete(station);
  }

  get stations(): number {
    return this.#portOf.size;
  }

  #learn(station: string, port: PortId): void {
    // Set anew so that the order of the map is the order of the last frames.
    this.#portOf.delete(station);
    this.#portOf.set(station, port);
    if (this.#portOf.size > STATIONS_MAX) {
      const oldest = this.#portOf.keys().next();
      if (oldest.done !== true) this.#portOf.delete(oldest.value);
    }
  }
}
