import { columnNumber, outputLines } from './lines.ts';
import { XlParseError } from './xl-parse-error.ts';

/** A pCPU of the `cpu_topology` table. */
export interface XlCpuTopology {
  readonly cpuId: number;
  /** Number of the core inside its socket. */
  readonly coreId: number;
  readonly socketId: number;
  readonly nodeId: number;
}

/**
 * What stands for "no distance", which Xen says of a node that the firmware's table has 0xff or less than 10 for
 * (`__node_distance` in xen/arch/x86/srat.c) and `xl` prints as -1: the farthest that a SLIT can say, so that whoever
 * compares distances takes such a node last.
 */
export const xlNoDistance = 255;

/** A NUMA node of the `numa_info` table. */
export interface XlNumaNode {
  readonly nodeId: number;
  /** Span of its addresses, holes included: a node can show more than it has. */
  readonly memsizeMib: number;
  readonly memfreeMib: number;
  /** To each node in turn, 10 = itself, {@link xlNoDistance} where there is none; empty when `xl` prints none at all. */
  readonly distances: readonly number[];
}

/** A PCI device and its node, from the `device topology` table. */
export interface XlDeviceTopology {
  readonly device: string;
  readonly nodeId: number;
}

/** What `xl info` says of a host. `undefined`: the line was not there. */
export interface XlInfo {
  readonly host: string;
  /** Linux release of dom0. */
  readonly release: string | undefined;
  readonly version: string | undefined;
  readonly machine: string | undefined;
  /** pCPUs online. */
  readonly nrCpus: number;
  readonly maxCpuId: number | undefined;
  readonly nrNodes: number;
  readonly coresPerSocket: number | undefined;
  readonly threadsPerCore: number | undefined;
  readonly cpuMhz: number | undefined;
  /** The feature words, hexadecimal, as Xen orders them. */
  readonly hwCaps: readonly string[];
  /** `pv hvm hap …`. */
  readonly virtCaps: readonly string[];
  readonly totalMemoryMib: number;
  /** Free memory less outstanding claims. */
  readonly freeMemoryMib: number;
  readonly sharingFreedMemoryMib: number | undefined;
  readonly sharingUsedMemoryMib: number | undefined;
  readonly outstandingClaimsMib: number | undefined;
  /** pCPUs in no cpupool. */
  readonly freeCpus: number | undefined;
  /** The three tables of -n; empty without it. */
  readonly cpuTopology: readonly XlCpuTopology[];
  readonly deviceTopology: readonly XlDeviceTopology[];
  readonly numaNodes: readonly XlNumaNode[];
  readonly xenMajor: number | undefined;
  readonly xenMinor: number | undefined;
  readonly xenExtra: string | undefined;
  /** `4.17.7`. */
  readonly xenVersion: string;
  /** `xen-3.0-x86_64 hvm-3.0-x86_64 …`. */
  readonly xenCaps: readonly string[];
  /** Scheduler of Pool-0. */
  readonly xenScheduler: string | undefined;
  readonly xenPagesizeBytes: number | undefined;
  readonly platformParams: string | undefined;
  readonly xenChangeset: string | undefined;
  /** Xen's own command line. */
  readonly commandline: string | undefined;
  readonly ccCompiler: string | undefined;
  readonly ccCompileBy: string | undefined;
  readonly ccCompileDomain: string | undefined;
  readonly ccCompileDate: string | undefined;
  readonly buildId: string | undefined;
  readonly xendConfigFormat: number | undefined;
  /** Lines of releases that this reader does not know, by key. */
  readonly others: ReadonlyMap<string, string>;
}

const command = 'xl info';
const cpuRow = /^\s*(\d+):\s+(\d+)\s+(\d+)\s+(\d+)\s*$/;
const numaRow = /^\s*(\d+):\s+(\d+)\s+(\d+)(?:\s+((?:\d+|-1)(?:,(?:\d+|-1))*))?,?\s*$/;
const deviceRow = /^(\S+)\s+(\d+)\s*$/;
const keyLine = /^([A-Za-z_][A-Za-z0-9_ ]*?)\s*:(?: (.*))?$/;

interface Tables {
  readonly cpuTopology: XlCpuTopology[];
  readonly deviceTopology: XlDeviceTopology[];
  readonly numaNodes: XlNumaNode[];
}

/**
 * Reads `xl info` and `xl info -n` (print_info and its output_… functions in tools/xl/xl_info.c): `key : value` lines, the key padded
 * to column 23, and with -n three tables. @throws XlParseError for a line of another form and when what every host says is missing.
 */
export function parseXlInfo(text: string): XlInfo {
  const values = new Map<string, string>();
  const tables: Tables = { cpuTopology: [], deviceTopology: [], numaNodes: [] };
  let table = '';
  for (const line of outputLines(command, text)) {
    if (line === '' || parseTableLine(table, line, tables)) continue;
    const match = keyLine.exec(line);
    if (match === null) throw new XlParseError(command, 'neither a key nor a row of a table', line);
    const [, key = '', value = ''] = match;
    table = key === 'cpu_topology' || key === 'device topology' || key === 'numa_info' ? key : '';
    if (table === '') values.set(key, value.trim());
  }
  return infoOf(new Values(values, text), tables);
}

/** Takes a line of the table that is being read; false when it belongs to none. */
function parseTableLine(table: string, line: string, tables: Tables): boolean {
  if (table === 'cpu_topology') {
    const match = cpuRow.exec(line);
    if (match === null) return line.startsWith('cpu:') || /^No .* available$/.test(line);
    const [cpuId, coreId, socketId, nodeId] = rowNumbers(match, line);
    tables.cpuTopology.push({ cpuId, coreId, socketId, nodeId });
    return true;
  }
  if (table === 'numa_info') {
    const match = numaRow.exec(line);
    if (match === null) return line.startsWith('node:') || /^No .* available$/.test(line);
    const words = match[4]?.split(',') ?? [];
    const distances = words.map((word) => (word === '-1' ? xlNoDistance : columnNumber(command, word, line)));
    const [nodeId, memsizeMib, memfreeMib] = rowNumbers(match.slice(0, 4), line);
    tables.numaNodes.push({ nodeId, memsizeMib, memfreeMib, distances });
    return true;
  }
  if (table !== 'device topology') return false;
  if (/^device\s+node$/.test(line) || /^No .* available$/.test(line)) return true;
  const match = deviceRow.exec(line);
  if (match === null) return false;
  tables.deviceTopology.push({ device: match[1] ?? '', nodeId: columnNumber(command, match[2], line) });
  return true;
}

function rowNumbers(match: readonly string[], line: string): readonly [number, number, number, number] {
  const at = (index: number): number => columnNumber(command, match[index] ?? '0', line);
  return [at(1), at(2), at(3), at(4)];
}

/** The values by key; what is taken out is no longer among the others. */
class Values {
  readonly #values: Map<string, string>;
  readonly #text: string;

  constructor(values: Map<string, string>, text: string) {
    this.#values = values;
    this.#text = text;
  }

  text(key: string): string | undefined {
    const value = this.#values.get(key);
    this.#values.delete(key);
    return value;
  }

  number(key: string): number | undefined {
    const value = this.text(key);
    return value === undefined ? undefined : columnNumber(command, value, `${key}: ${value}`);
  }

  words(key: string): readonly string[] {
    return (this.text(key) ?? '').split(/[\s]+/).filter((word) => word !== '');
  }

  needed<T>(key: string, value: T | undefined): T {
    if (value === undefined) throw new XlParseError(command, `no ${key}`, this.#text.slice(0, 400));
    return value;
  }

  rest(): ReadonlyMap<string, string> {
    return this.#values;
  }
}

function infoOf(values: Values, tables: Tables): XlInfo {
  const info = {
    host: values.needed('host', values.text('host')),
    release: values.text('release'),
    version: values.text('version'),
    machine: values.text('machine'),
    nrCpus: values.needed('nr_cpus', values.number('nr_cpus')),
    maxCpuId: values.number('max_cpu_id'),
    nrNodes: values.needed('nr_nodes', values.number('nr_nodes')),
    coresPerSocket: values.number('cores_per_socket'),
    threadsPerCore: values.number('threads_per_core'),
    cpuMhz: values.number('cpu_mhz'),
    hwCaps: (values.text('hw_caps') ?? '').split(':').filter((word) => word !== ''),
    virtCaps: values.words('virt_caps'),
    totalMemoryMib: values.needed('total_memory', values.number('total_memory')),
    freeMemoryMib: values.needed('free_memory', values.number('free_memory')),
    sharingFreedMemoryMib: values.number('sharing_freed_memory'),
    sharingUsedMemoryMib: values.number('sharing_used_memory'),
    outstandingClaimsMib: values.number('outstanding_claims'),
    freeCpus: values.number('free_cpus'),
    ...tables,
    xenMajor: values.number('xen_major'),
    xenMinor: values.number('xen_minor'),
    xenExtra: values.text('xen_extra'),
    xenVersion: values.needed('xen_version', values.text('xen_version')),
    xenCaps: values.words('xen_caps'),
    xenScheduler: values.text('xen_scheduler'),
    xenPagesizeBytes: values.number('xen_pagesize'),
    platformParams: values.text('platform_params'),
    xenChangeset: values.text('xen_changeset'),
    commandline: values.text('xen_commandline'),
    ccCompiler: values.text('cc_compiler'),
    ccCompileBy: values.text('cc_compile_by'),
    ccCompileDomain: values.text('cc_compile_domain'),
    ccCompileDate: values.text('cc_compile_date'),
    buildId: values.text('build_id'),
    xendConfigFormat: values.number('xend_config_format'),
  };
  return { ...info, others: values.rest() };
}
