/** A host as `xl` sees it, read over the XenAPI. */
import type { WireValue } from '@xenolith/wire';
import {
  ApiError,
  guestsOf,
  isArray,
  isStruct,
  recordsOf,
  textOf,
  UsageError,
  type Guest,
  type Rpc,
} from '@xenolith/xe';
import type { DomainLine, PoolLine, Texts, VcpuLine } from './layout.ts';

/** `xl` would have said this on stderr: exit code 1. */
export class XlError extends Error {
  override readonly name = 'XlError';
}

export interface Pool extends PoolLine {
  readonly ref: string;
  readonly isDefault: boolean;
}

export interface XlHost {
  readonly rpc: Rpc;
  readonly ref: string;
  readonly print: (text: string) => void;
  readonly warn: (line: string) => void;
}

/** The host with this name or uuid; without one the only host of the pool. Throws UsageError. */
export async function chooseHost(rpc: Rpc, wanted: string | undefined): Promise<string> {
  const hosts = await recordsOf(rpc, 'host');
  const fitting = hosts.filter(
    ([, { uuid, name_label, hostname }]) => wanted === undefined || [uuid, name_label, hostname].includes(wanted),
  );
  const [first, second] = fitting;
  if (first === undefined) throw new UsageError(wanted === undefined ? 'the pool has no host' : `no host ${wanted}`);
  if (second !== undefined) {
    const names = fitting.map(([, { name_label }]) => textOf(name_label)).join(', ');
    throw new UsageError(`which host? Say --host with one of ${names}`);
  }
  return first[0];
}

/** Physical CPUs of the host: reference and cpupool by number. */
export async function cpusOf({
  rpc,
  ref,
}: XlHost): Promise<ReadonlyMap<number, { readonly ref: string; readonly pool: string }>> {
  const all = await recordsOf(rpc, 'host_cpu');
  const own = all.filter(([, cpu]) => cpu['host'] === ref);
  return new Map(own.map(([cpu, record]) => [Number(record['number']), { ref: cpu, pool: textOf(record['cpupool']) }]));
}

export async function poolsOf(host: XlHost): Promise<readonly Pool[]> {
  const [all, cpus, guests] = await Promise.all([recordsOf(host.rpc, 'cpupool'), cpusOf(host), guestsOf(host)]);
  const own = all.filter(([, record]) => record['host'] === host.ref);
  const pools = own.map(([ref, record]) => ({
    ref,
    isDefault: record['is_default'] === true,
    name: textOf(record['name_label']),
    scheduler: textOf(record['scheduler']),
    parameters: textsOf(record['parameters']),
    cpus: [...cpus].flatMap(([number, cpu]) => (cpu.pool === ref ? [number] : [])).sort((a, b) => a - b),
    domains: guests.filter(({ pool }) => pool === ref).length,
  }));
  return pools.sort((a, b) => Number(b.isDefault) - Number(a.isDefault));
}

/** The pool with this name. Throws XlError. */
export async function poolNamed(host: XlHost, name: string): Promise<Pool> {
  const pool = (await poolsOf(host)).find((each) => each.name === name);
  if (pool === undefined) throw new XlError(`unknown cpupool '${name}'`);
  return pool;
}

/** The guest that `xl` would take this for: by domid, name or uuid. Throws XlError. */
export async function guestNamed(host: XlHost, word: string): Promise<Guest> {
  const all = await guestsOf(host);
  const labelled = all.filter(({ record }) => record['name_label'] === word);
  const found =
    all.find(({ domid }) => String(domid) === word) ??
    all.find(({ name, record }) => name === word || record['uuid'] === word) ??
    (labelled.length === 1 ? labelled[0] : undefined);
  if (found === undefined) throw new XlError(`${word} is an invalid domain identifier (rc=-6)`);
  return found;
}

const numbersOf = (text: string | undefined): readonly number[] =>
  text === undefined || text === '' ? [] : text.split(',').map(Number);

export const textsOf = (value: WireValue | undefined): Texts =>
  Object.fromEntries(Object.entries(isStruct(value) ? value : {}).map(([key, text]) => [key, textOf(text)]));

/** Rows of texts that a call answers. */
export async function tableOf({ rpc, ref }: Pick<XlHost, 'rpc' | 'ref'>, method: string): Promise<readonly Texts[]> {
  const rows = await rpc.call(method, ref);
  return (isArray(rows) ? rows : []).map(textsOf);
}

function vcpuOf(row: Texts): VcpuLine {
  const { vcpu, pcpu = '', state = '', cpu_time_ns, hard, soft } = row;
  return {
    vcpu: Number(vcpu),
    pcpu: pcpu === '' ? undefined : Number(pcpu),
    state,
    timeSeconds: Number(cpu_time_ns) / 1e9,
    hard: numbersOf(hard),
    soft: soft === undefined ? undefined : numbersOf(soft),
  };
}

/** Runs a look at a guest that may have ended meanwhile: then there is nothing of it. */
export async function whileThere<T>(look: () => Promise<T>): Promise<readonly T[]> {
  try {
    return [await look()];
  } catch (error) {
    if (error instanceof ApiError && /^(?:HANDLE_INVALID|VM_BAD_POWER_STATE)$/.test(error.code)) return [];
    throw error;
  }
}

/** Guests with their vCPUs, as the lists show them. */
export async function domainsOf(host: XlHost, guests: readonly Guest[]): Promise<readonly DomainLine[]> {
  const [pools, topology] = await Promise.all([poolsOf(host), tableOf(host, 'host.get_CPU_topology')]);
  const nodeOf = new Map(topology.map(({ cpu, node }) => [Number(cpu), Number(node)] as const));
  const found = await Promise.all(
    guests.map((guest) =>
      whileThere(async (): Promise<DomainLine> => {
        const [rows, metrics] = await Promise.all([
          host.rpc.call('VM.get_vcpus', guest.ref),
          host.rpc.call('VM_metrics.get_record', guest.record['metrics'] ?? ''),
        ]);
        const vcpus = (isArray(rows) ? rows : []).map((row) => vcpuOf(textsOf(row)));
        const pool = pools.find(({ ref }) => ref === guest.pool);
        const { memory_actual, VCPUs_number } = isStruct(metrics) ? metrics : {};
        return {
          name: guest.name,
          domid: guest.domid,
          uuid: guest.domid === 0 ? '00000000-0000-0000-0000-000000000000' : textOf(guest.record['uuid']),
          memoryMib: Math.floor(Number(memory_actual ?? 0) / 2 ** 20),
          vcpusOnline: Number(VCPUs_number ?? 0),
          paused: guest.record['power_state'] === 'Paused',
          cpupool: pool?.name ?? '',
          vcpus,
          nodes: nodesOf(vcpus, pool?.cpus ?? [], nodeOf),
        };
      }),
    ),
  );
  return found.flat();
}

/** The nodes of what its vCPUs may and would like to run on (`domain_update_node_affinity` in xen/common/domain.c). */
function nodesOf(
  vcpus: readonly VcpuLine[],
  pool: readonly number[],
  nodeOf: ReadonlyMap<number, number>,
): readonly number[] {
  const nodes = new Set<number>();
  for (const { hard, soft } of vcpus) {
    const may = hard.filter((cpu) => pool.includes(cpu));
    const likes = may.filter((cpu) => soft === undefined || soft.includes(cpu));
    for (const cpu of likes.length > 0 ? likes : may) {
      const node = nodeOf.get(cpu);
      if (node !== undefined) nodes.add(node);
    }
  }
  return [...nodes].sort((a, b) => a - b);
}
