/** What one host's NUMA nodes are promised to: memory of VMs that start there, until the host's own figures count it. */
import type { Ref } from '@xenolith/base';
import type { NumaReservation } from '@xenolith/hypervisor';

interface Entry {
  readonly reservation: NumaReservation;
  /** Figures of a picture that began at this count of operations, or later, have the memory in them; absent while it is taken. */
  readonly takenAt?: number;
}

/** The starts of one host. Two at once do not take the same memory twice. */
export class NodeLedger {
  readonly #entries = new Map<Ref<'VM'>, Entry>();
  /** Free memory, in KiB, before what is promised now was taken. */
  #freeBeforeKib: readonly number[] = [];
  /** Where VMs were placed, while they run. */
  readonly #homes = new Map<Ref<'VM'>, readonly number[]>();

  /** @param freeKib of the nodes, as the host last told */
  reserve(vm: Ref<'VM'>, reservation: NumaReservation, freeKib: readonly number[]): void {
    if (this.#entries.size === 0) this.#freeBeforeKib = freeKib;
    this.#entries.set(vm, { reservation });
    this.#homes.set(vm, reservation.nodes);
  }

  /** The domain has been made, or nobody knows: the host's next figures tell. */
  taken(vm: Ref<'VM'>, sequence: number): void {
    const entry = this.#entries.get(vm);
    if (entry !== undefined) this.#entries.set(vm, { ...entry, takenAt: sequence });
  }

  /** The start came to nothing. */
  drop(vm: Ref<'VM'>): void {
    this.#entries.delete(vm);
    this.#homes.delete(vm);
  }

  /** Figures have come that go with a picture of this count of operations. */
  seen(sequence: number): void {
    for (const [vm, { takenAt, reservation }] of this.#entries) {
      if (takenAt === undefined || takenAt > sequence) continue;
      this.#entries.delete(vm);
      this.#freeBeforeKib = this.#freeBeforeKib.map((free, node) => free - (reservation.kibByNode[node] ?? 0));
    }
  }

  /** What starts here, for its vCPUs: its memory is left out of {@link unpromisedKib}. */
  get starting(): readonly NumaReservation[] {
    return [...this.#entries.values()].map(({ reservation }) => reservation);
  }

  /**
   * Free memory without what is promised. A domain is built for a while, and figures that come meanwhile have part of its memory in
   * them already: what has left since the promise is not taken off again.
   */
  unpromisedKib(freeKib: readonly number[]): readonly number[] {
    return freeKib.map((free, node) => {
      const promised = this.starting.reduce((sum, { kibByNode }) => sum + (kibByNode[node] ?? 0), 0);
      const left = Math.max(0, (this.#freeBeforeKib[node] ?? 0) - free);
      return free - Math.max(0, promised - left);
    });
  }

  isReserved(vm: Ref<'VM'>): boolean {
    return this.#entries.has(vm);
  }

  /** Forgets where VMs were that run here no longer. */
  keepHomesOf(resident: readonly Ref<'VM'>[]): void {
    const here = new Set(resident);
    for (const vm of this.#homes.keys()) if (!this.#entries.has(vm) && !here.has(vm)) this.#homes.delete(vm);
  }

  /** The nodes that a VM was placed on when it was started here; undefined when that was not by this process. */
  homeOf(vm: Ref<'VM'>): readonly number[] | undefined {
    return this.#homes.get(vm);
  }
}
