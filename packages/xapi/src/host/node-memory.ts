/** On which NUMA nodes the memory of one host's VMs is: looked at after domains came, went or changed size, and kept in their metrics. */
import { disposable, type Disposable, type Ref } from '@xenolith/base';
import { homeNodes } from '@xenolith/hypervisor';
import type { DomainNodeMemory, DomainPicture, HostDriver, HostFacts } from '../host-driver.ts';
import type { RecordOf } from '../datamodel/types.ts';
import type { Xapi } from '../xapi.ts';

/** Domains come in rows: one look when it has been quiet for so long … */
const quietMs = 5000;
/** … or when the first that was not looked at has waited for so long. */
const patienceMs = 60_000;

/** What a host says of its nodes, with their numbers for indices: real hosts may leave numbers out, and `absent` is there then. */
export function byNode<T>(
  nodes: HostFacts['nodes'],
  valueOf: (node: HostFacts['nodes'][number], row: number) => T,
  absent: T,
): readonly T[] {
  const values: T[] = [];
  for (const [row, each] of nodes.entries()) {
    while (values.length < each.node) values.push(absent);
    values[each.node] = valueOf(each, row);
  }
  return values;
}

/** Memory by node as `VM_metrics` has it. */
export const nodeMemoryOf = ({
  numa_node_memory: known,
}: Pick<RecordOf<'VM_metrics'>, 'numa_node_memory'>): readonly number[] =>
  Array.from({ length: Math.max(-1, ...Object.keys(known).map(Number)) + 1 }, (_, node) => known[node] ?? 0);

/** What `VM_metrics` says of the nodes. A VM is in order when it does without some of a host's so many nodes. */
export function numaFields(
  bytesByNode: readonly number[],
  nodes = bytesByNode.length,
): Pick<RecordOf<'VM_metrics'>, 'numa_node_memory' | 'numa_nodes' | 'numa_optimised'> {
  const numa_nodes = homeNodes(bytesByNode).length;
  return {
    numa_node_memory: Object.fromEntries([...bytesByNode.entries()].filter(([, size]) => size > 0)),
    numa_nodes,
    numa_optimised: numa_nodes > 0 && numa_nodes < nodes,
  };
}

/** Balloons that have moved by less since the last look, as a share of what a domain had, are let be. */
const movedShare = 0.01;

type Domains = DomainPicture['domains'];

/** Whether one list has other domains than another, or one of them has clearly more or less memory. */
function differ(one: Domains, other: Domains, share: number): boolean {
  if (one.length !== other.length) return true;
  const before = new Map(other.map((domain) => [domain.domid, domain]));
  return one.some(({ domid, uuid, memoryBytes }) => {
    const then = before.get(domid);
    return then?.uuid !== uuid || Math.abs(memoryBytes - then.memoryBytes) > then.memoryBytes * share;
  });
}

export class NodeMemory {
  readonly #xapi: Xapi;
  readonly #host: Ref<'host'>;
  readonly #driver: Pick<HostDriver, 'memoryByNode'>;
  /** Domains at the last look, and those of the last picture. */
  #lookedAt: Domains = [];
  #present: Domains = [];
  /** Since when there is something that was not looked at. */
  #sinceMs: number | undefined;
  #timer: Disposable = disposable(() => undefined);
  #looking: Promise<readonly DomainNodeMemory[]> | undefined;

  constructor(xapi: Xapi, host: Ref<'host'>, driver: Pick<HostDriver, 'memoryByNode'>) {
    this.#xapi = xapi;
    this.#host = host;
    this.#driver = driver;
  }

  /** Takes in a picture: other domains than before are looked at soon, and those whose balloons have moved. */
  see({ domains }: DomainPicture): void {
    const before = this.#present;
    this.#present = domains;
    if (!differ(domains, before, 0) || !differ(domains, this.#lookedAt, movedShare)) return;
    const now = this.#xapi.clock.now();
    this.#sinceMs ??= now;
    this.#timer.dispose();
    const waitMs = Math.max(0, Math.min(quietMs, this.#sinceMs + patienceMs - now));
    this.#timer = this.#xapi.clock.after(waitMs, () => {
      // Without an answer it is tried again when domains come, go or move, or when somebody asks.
      this.look().catch(() => undefined);
    });
  }

  /** Looks now, once for all who ask meanwhile, and has the metrics of the VMs say what is seen. @throws HostError */
  look(): Promise<readonly DomainNodeMemory[]> {
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookNow(): Promise<readonly DomainNodeMemory[]> {
    const { db } = this.#xapi;
    const present = this.#present;
    this.#timer.dispose();
    this.#sinceMs = undefined;
    const nodes = this.#nodeCount();
    // Then there is nothing to ask, and Xen is spared going through all memory.
    const memory = nodes === 1 ? allOnOne(present) : await this.#driver.memoryByNode();
    this.#lookedAt = present;
    if (!db.has('host', this.#host)) return memory;
    const byDomid = new Map(memory.map(({ domid, bytesByNode }) => [Number(domid), bytesByNode]));
    for (const ref of db.get('host', this.#host).resident_VMs) {
      const { domid, metrics } = db.get('VM', ref);
      const bytesByNode = byDomid.get(domid);
      if (bytesByNode !== undefined && db.has('VM_metrics', metrics))
        db.update('VM_metrics', metrics, numaFields(bytesByNode, nodes));
    }
    return memory;
  }

  #nodeCount(): number | undefined {
    const { hosts } = this.#xapi;
    return hosts.isLive(this.#host) ? hosts.factsOf(this.#host).nodes.length : undefined;
  }

  close(): void {
    this.#timer.dispose();
  }
}

const allOnOne = (domains: Domains): readonly DomainNodeMemory[] =>
  domains.map(({ domid, memoryBytes }) => ({ domid, bytesByNode: [memoryBytes] }));
