/** Lines as `xl` of Xen 4.17 prints them. Source: tools/xl/xl_list.c, xl_vcpu.c, xl_cpupool.c, xl_sched.c, xl_info.c. */
import { formatCpuList, printable } from '@xenolith/xe';

export type Texts = Readonly<Record<string, string>>;

export interface VcpuLine {
  readonly vcpu: number;
  /** Undefined: offline. */
  readonly pcpu: number | undefined;
  readonly state: string;
  readonly timeSeconds: number;
  readonly hard: readonly number[];
  readonly soft: readonly number[] | undefined;
}

export interface DomainLine {
  readonly name: string;
  readonly domid: number;
  readonly uuid: string;
  readonly memoryMib: number;
  readonly vcpusOnline: number;
  readonly paused: boolean;
  readonly cpupool: string;
  readonly vcpus: readonly VcpuLine[];
  /** NUMA nodes that it would like to be on. */
  readonly nodes: readonly number[];
}

export interface PoolLine {
  readonly name: string;
  readonly scheduler: string;
  readonly cpus: readonly number[];
  readonly domains: number;
  readonly parameters: Texts;
}

export interface ListColumns {
  readonly verbose: boolean;
  readonly cpupool: boolean;
  readonly numa: boolean;
}

const right = (value: string | number, width: number): string => String(value).padStart(width);
const left = (text: string, width: number): string => text.padEnd(width);
const online = ({ vcpus }: DomainLine): readonly VcpuLine[] => vcpus.filter(({ state }) => state !== 'offline');

/** `rbpscd`; the last three are of domains that have ended, which are no VMs any more. */
function stateOf(domain: DomainLine): string {
  const running = online(domain).some(({ state }) => state === 'running');
  const blocked = !running && online(domain).every(({ state }) => state === 'blocked');
  return `${running ? 'r' : '-'}${blocked && !domain.paused ? 'b' : '-'}${domain.paused ? 'p' : '-'}---`;
}

export function listText(domains: readonly DomainLine[], columns: ListColumns, nodeCount: number): string {
  const head = [
    'Name                                        ID   Mem VCPUs\tState\tTime(s)',
    columns.verbose ? '   UUID                            Reason-Code\tSecurity Label' : '',
    columns.cpupool ? '         Cpupool' : '',
    columns.numa ? ' NODE Affinity' : '',
  ];
  const rows = domains.map((domain) => {
    const seconds = domain.vcpus.reduce((sum, { timeSeconds }) => sum + timeSeconds, 0);
    return [
      `${left(domain.name, 40)} ${right(domain.domid, 5)} ${right(domain.memoryMib, 5)} ${right(domain.vcpusOnline, 5)}`,
      `     ${stateOf(domain)}  ${right(seconds.toFixed(1), 8)}`,
      columns.verbose ? ` ${domain.uuid} ${right('-', 8)} ${right('-', 16)}` : '',
      columns.cpupool ? right(printable(domain.cpupool), 16) : '',
      columns.numa ? ` ${formatCpuList(domain.nodes, nodeCount)}` : '',
    ].join('');
  });
  return lines([head.join(''), ...rows]);
}

const vcpuStates: Readonly<Record<string, string>> = { running: 'r--', blocked: '-b-', runnable: '---' };

export function vcpuListText(domains: readonly DomainLine[], cpuCount: number): string {
  const rows = domains.flatMap(({ name, domid, vcpus }) =>
    vcpus.map(({ vcpu, pcpu, state, timeSeconds, hard, soft }) => {
      const masks = [hard, ...(soft === undefined ? [] : [soft])].map((mask) => formatCpuList(mask, cpuCount));
      const head = `${left(name, 32)} ${right(domid, 5)} ${right(vcpu, 5)} ${right(pcpu ?? '-', 4)}`;
      const word = pcpu === undefined ? '--p' : (vcpuStates[state] ?? '---');
      return `${head}   ${word} ${right(timeSeconds.toFixed(1), 9)}  ${masks.join(' / ')}`;
    }),
  );
  return lines(['Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)', ...rows]);
}

export function cpupoolListText(pools: readonly PoolLine[], withCpus: boolean): string {
  const head = `${left('Name', 19)}${withCpus ? 'CPU list' : 'CPUs   Sched     Active   Domain count'}`;
  const rows = pools.map(({ name, scheduler, cpus, domains }) =>
    withCpus
      ? `${left(printable(name), 19)}${cpus.join(',')}`
      : `${left(printable(name), 19)}${right(cpus.length, 3)} ${right(scheduler, 9)}       y       ${right(domains, 4)}`,
  );
  return lines([head, ...rows]);
}

/** What a scheduler gives a domain. */
export interface SchedLine {
  readonly name: string;
  readonly domid: number;
  readonly parameters: Texts;
}

/** The line of a pool that `sched-credit` and the others begin with. */
export function poolLine({ name: label, scheduler, parameters }: PoolLine): string {
  const name = printable(label);
  const number = (key: string): string => parameters[key] ?? '0';
  switch (scheduler) {
    case 'credit': {
      const delay =
        parameters['migration_delay_us'] === undefined ? '' : ` migration-delay=${number('migration_delay_us')}us`;
      return `Cpupool ${name}: tslice=${number('tslice_ms')}ms ratelimit=${number('ratelimit_us')}us${delay}`;
    }
    case 'credit2':
      return `Cpupool ${name}: ratelimit=${number('ratelimit_us')}us`;
    default:
      return `Cpupool ${name}: sched=${scheduler.toUpperCase()}`;
  }
}

/** Domains under credit, credit2 or rtds, with their header. */
export function schedLines(scheduler: string, domains: readonly SchedLine[]): readonly string[] {
  const row = (name: string, domid: string, cells: readonly (readonly [string, number])[]): string =>
    [left(name, 33), right(domid, 4), ...cells.map(([text, width]) => right(text, width))].join(' ');
  if (scheduler === 'rtds') {
    return [
      row('Name', 'ID', [
        ['Period', 9],
        ['Budget', 9],
        ['Extratime', 10],
      ]),
      ...domains.map(({ name, domid, parameters: { period = '-', budget = '-', extratime } }) =>
        row(name, String(domid), [
          [period, 9],
          [budget, 9],
          [extratime === '1' ? 'yes' : 'no', 10],
        ]),
      ),
    ];
  }
  return [
    row('Name', 'ID', [
      ['Weight', 6],
      ['Cap', 4],
    ]),
    ...domains.map(({ name, domid, parameters: { weight = '-', cap = '-' } }) =>
      row(name, String(domid), [
        [weight, 6],
        [cap, 4],
      ]),
    ),
  ];
}

/** Keys of `xl info` in its order; the tables of -n stand between the two parts. */
const infoHead =
  'host release version machine nr_cpus max_cpu_id nr_nodes cores_per_socket threads_per_core cpu_mhz hw_caps virt_caps total_memory free_memory sharing_freed_memory sharing_used_memory outstanding_claims free_cpus';
const infoTail =
  'xen_major xen_minor xen_extra xen_version xen_caps xen_scheduler xen_pagesize platform_params xen_changeset xen_commandline';

export interface InfoTables {
  readonly cpus: readonly Texts[];
  readonly nodes: readonly Texts[];
}

/** What the host does not say is left out. */
export function infoText(info: Texts, tables: InfoTables | undefined): string {
  const part = (keys: string): readonly string[] =>
    keys.split(' ').flatMap((key) => (info[key] === undefined ? [] : [`${left(key, 23)}: ${info[key]}`]));
  return lines([...part(infoHead), ...(tables === undefined ? [] : tableLines(tables)), ...part(infoTail)]);
}

function tableLines({ cpus, nodes }: InfoTables): readonly string[] {
  const mib = (bytes: string | undefined): number => Math.floor(Number(bytes ?? 0) / 2 ** 20);
  return [
    `${left('cpu_topology', 23)}:`,
    'cpu:    core    socket     node',
    ...cpus.map(
      ({ cpu = '', core = '', socket = '', node = '' }) =>
        `${right(cpu, 3)}:${right(core, 8)}${right(socket, 9)}${right(node, 9)}`,
    ),
    `${left('device topology', 23)}:`,
    'device           node',
    'No device topology data available',
    `${left('numa_info', 23)}:`,
    'node:    memsize    memfree    distances',
    ...nodes.map(
      ({ node = '', memory_bytes, memory_free_bytes, distances = '' }) =>
        `${right(node, 4)}:${right(mib(memory_bytes), 10)}${right(mib(memory_free_bytes), 11)}      ${distances}`,
    ),
  ];
}

export const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('');
