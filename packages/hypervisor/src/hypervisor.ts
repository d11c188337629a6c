import {
  assert,
  bytes,
  domId,
  present,
  Signal,
  uuid,
  type Bytes,
  type Clock,
  type Disposable,
  type DomId,
  type NodeId,
} from '@xenolith/base';
import { DomidAllocator } from './domain/domid-allocator.ts';
import type { Domain, DomainSpec, HypervisorEvent, ShutdownCode } from './domain/domain.ts';
import { ModelledGuest, type ControlRequest } from './guest/modelled-guest.ts';
import { Heap, joined, parted, roundUpToPages } from './memory/heap.ts';
import { ConsoleRing } from './ring/console-ring.ts';
import { buildTopology, type Topology, type TopologyShape } from './topology/topology.ts';

/** The machine that a modelled hypervisor runs on. */
export interface MachineShape extends TopologyShape {
  readonly memoryBytes: Bytes;
  readonly dom0MemoryBytes: Bytes;
}

/** Why a domain cannot be made. */
export type CreateRefusal = 'not-enough-memory' | 'no-free-domid' | 'uuid-in-use';

interface Entry {
  domain: Domain;
  readonly console: ConsoleRing;
  /** The control domain has none. */
  guest: ModelledGuest | undefined;
}

/**
 * The model of Xen, first form: topology, memory by node, domains and their lifecycle, on a clock that is handed in.
 * What runs when is decided beside it, by machine/machine.ts. The same calls at the same times give the
 * same states, always.
 */
export class Hypervisor {
  readonly topology: Topology;
  readonly #clock: Clock;
  readonly #heap: Heap;
  readonly #domids = new DomidAllocator();
  readonly #entries = new Map<DomId, Entry>();
  readonly #events = new Signal<HypervisorEvent>();

  /** Boots: Domain-0 is there, with as many vCPUs as the machine has pCPUs and its memory spread over the nodes. */
  constructor(machine: MachineShape, clock: Clock) {
    this.#clock = clock;
    this.topology = buildTopology(machine);
    this.#heap = new Heap(machine.memoryBytes, machine.nodes);
    const allocation = this.#heap.allocateEvenly(machine.dom0MemoryBytes);
    assert(allocation !== undefined, 'Domain-0 does not fit into the machine');
    const spec: DomainSpec = {
      uuid: uuid('00000000-0000-0000-0000-000000000000'),
      name: 'Domain-0',
      type: 'pv',
      vcpus: this.topology.pcpus.length,
      memoryBytes: roundUpToPages(machine.dom0MemoryBytes),
    };
    this.#entries.set(domId(0), {
      domain: { domid: domId(0), spec, allocation, paused: false, dying: false },
      console: new ConsoleRing(),
      guest: undefined,
    });
  }

  get memoryTotalBytes(): Bytes {
    return this.#heap.totalBytes;
  }

  get memoryFreeBytes(): Bytes {
    return this.#heap.freeBytes;
  }

  /** Total and free memory of each node, by node number. */
  nodeMemory(): readonly { readonly totalBytes: Bytes; readonly freeBytes: Bytes }[] {
    return this.topology.nodes.map(({ node }) => ({
      totalBytes: this.#heap.totalOn(node),
      freeBytes: this.#heap.freeOn(node),
    }));
  }

  /** All domains by rising domid, Domain-0 first. */
  domains(): readonly Domain[] {
    return Array.from(this.#entries.values(), (entry) => entry.domain).sort((a, b) => a.domid - b.domid);
  }

  domain(domid: DomId): Domain | undefined {
    return this.#entries.get(domid)?.domain;
  }

  /** The console of a domain that is there. */
  console(domid: DomId): ConsoleRing {
    return this.#entry(domid).console;
  }

  onEvent(listener: (event: HypervisorEvent) => void): Disposable {
    return this.#events.listen(listener);
  }

  /**
   * Makes a domain, paused. Its guest begins when it is unpaused.
   * @param options.nodes its memory is spread evenly over them; absent: on the roomiest node first.
   * @param options.booted the guest comes from a saved state: it does not boot again.
   * @param options.domid a domain that was there before, by its own number; the next ones come after it.
   */
  create(
    spec: DomainSpec,
    options: { readonly booted?: boolean; readonly domid?: DomId; readonly nodes?: readonly NodeId[] } = {},
  ): { readonly ok: true; readonly value: DomId } | { readonly ok: false; readonly error: CreateRefusal } {
    assert(spec.vcpus >= 1 && spec.memoryBytes > 0, 'a domain has a vCPU and memory');
    if (this.domains().some(({ spec: other }) => other.uuid === spec.uuid)) return { ok: false, error: 'uuid-in-use' };
    const domid = options.domid ?? this.#domids.next((candidate) => this.#entries.has(candidate));
    if (domid === undefined) return { ok: false, error: 'no-free-domid' };
    assert(!this.#entries.has(domid), `domid ${domid} is in use`);
    const allocation = this.#heap.allocate(spec.memoryBytes, options.nodes ?? [this.#heap.roomiestNode()]);
    if (allocation === undefined) return { ok: false, error: 'not-enough-memory' };
    if (options.domid !== undefined) this.#domids.skipPast(domid);
    const console = new ConsoleRing();
    const guest = new ModelledGuest(spec, this.#clock, console, {
      held: true,
      booted: options.booted ?? false,
      stop: (code) => this.shutdown(domid, code),
    });
    const domain: Domain = { domid, spec, allocation, paused: true, dying: false };
    this.#entries.set(domid, { domain, console, guest });
    this.#events.emit({ kind: 'created', domid });
    return { ok: true, value: domid };
  }

  /** Pauses a domain; nothing happens to one that is paused. */
  pause(domid: DomId): void {
    const entry = this.#entry(domid);
    if (entry.domain.paused) return;
    entry.guest?.hold();
    entry.domain = { ...entry.domain, paused: true };
    this.#events.emit({ kind: 'paused', domid });
  }

  /** Lets a paused domain run; nothing happens to one that runs. */
  unpause(domid: DomId): void {
    const entry = this.#entry(domid);
    if (!entry.domain.paused) return;
    entry.domain = { ...entry.domain, paused: false };
    if (entry.domain.shutdown === undefined) entry.guest?.resume();
    this.#events.emit({ kind: 'unpaused', domid });
  }

  /** Writes `control/shutdown` for a domain: its guest answers later, or never when it has stopped. */
  request(domid: DomId, request: ControlRequest): void {
    const entry = this.#entry(domid);
    if (entry.domain.shutdown === undefined) entry.guest?.request(request);
  }

  /** The domain stops for good (`SCHEDOP_shutdown`): it stays, without running, until it is destroyed. */
  shutdown(domid: DomId, code: ShutdownCode): void {
    const entry = this.#entry(domid);
    assert(domid !== domId(0), 'the model does not shut down Domain-0');
    if (entry.domain.shutdown !== undefined) return;
    entry.guest?.end();
    entry.domain = { ...entry.domain, shutdown: code };
    this.#events.emit({ kind: 'shutdown', domid });
  }

  /** Whether the guest's kernel has come up; the control domain's always has. */
  isUp(domid: DomId): boolean {
    return this.#entry(domid).guest?.isUp ?? true;
  }

  /**
   * Gives a domain memory or takes some from it, as its balloon driver asks: whole pages, and no more than is free.
   * New memory comes from the nodes that the domain has some on first.
   * @returns what it has then
   */
  resize(domid: DomId, size: Bytes): Bytes {
    const entry = this.#entry(domid);
    const { allocation } = entry.domain;
    const has = memoryOf(entry.domain);
    const wanted = Math.min(roundUpToPages(size), has + this.#heap.freeBytes);
    if (wanted < has) {
      const { kept, gone } = parted(allocation, bytes(has - wanted));
      this.#heap.release(gone);
      entry.domain = { ...entry.domain, allocation: kept };
    }
    if (wanted > has) {
      const homes = this.topology.nodes.flatMap(({ node }) => ((allocation.bytesByNode[node] ?? 0) > 0 ? [node] : []));
      const from = homes.length > 0 ? homes : [this.#heap.roomiestNode()];
      const more = present(this.#heap.allocate(bytes(wanted - has), from), 'memory that is free');
      entry.domain = { ...entry.domain, allocation: joined(allocation, more) };
    }
    return memoryOf(entry.domain);
  }

  /** Gives a domain another name (in Xen a matter of xenstore) and, when given, another uuid. */
  rename(domid: DomId, name: string, newUuid = this.#entry(domid).domain.spec.uuid): void {
    const entry = this.#entry(domid);
    entry.domain = { ...entry.domain, spec: { ...entry.domain.spec, name, uuid: newUuid } };
    this.#events.emit({ kind: 'renamed', domid });
  }

  /** Ends a domain and gives its memory back, at once. */
  destroy(domid: DomId): void {
    const entry = this.#entry(domid);
    assert(domid !== domId(0), 'Domain-0 cannot be destroyed');
    entry.guest?.end();
    this.#heap.release(entry.domain.allocation);
    this.#entries.delete(domid);
    this.#events.emit({ kind: 'destroyed', domid });
  }

  #entry(domid: DomId): Entry {
    return present(this.#entries.get(domid), `domain ${domid}`);
  }
}

/** The memory that a domain holds now. */
export const memoryOf = (domain: Domain): Bytes =>
  bytes(domain.allocation.bytesByNode.reduce((sum, size) => sum + size, 0));
