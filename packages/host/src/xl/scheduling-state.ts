import { domId, ns, pcpuId, vcpuId, type DomId, type Ns, type PcpuId } from '@xenolith/base';
import { schedulerIds, type CpupoolsState, type SchedulerName } from '@xenolith/hypervisor';
import {
  parseCpupoolLists,
  parseSchedCredit,
  parseSchedCredit2,
  parseSchedRtds,
  parseXlList,
  parseXlVcpuList,
  XlParseError,
  type XlBitmap,
} from '@xenolith/wire';
import {
  HostError,
  type CpupoolInfo,
  type CpupoolParameters,
  type DomainInfo,
  type DomainSchedParameters,
  type HostFacts,
  type VcpuInfo,
} from '@xenolith/xapi';
import { domainInfoOf } from './domain-config.ts';
import { readSections, section } from './host-script.ts';

/** What a host says of its cpupools and of the parameters of the domains in them. */
export interface PoolsRead {
  readonly pools: readonly CpupoolInfo[];
  /** Of domains in pools whose scheduler has parameters. */
  readonly domainParameters: ReadonlyMap<DomId, DomainSchedParameters>;
}

/** {@link PoolsRead} with the domains and the vCPUs, as far as they were looked at. */
export interface SchedulingState extends PoolsRead {
  readonly domains: readonly DomainInfo[];
  readonly vcpus: readonly VcpuInfo[];
}

/** Lists the cpupools. Sections after whatever was printed before; it ends the script when a list cannot be had. */
const listsScript =
  `${section('cpupools')}p=$(xl cpupool-list) && echo "$p" || exit 1; ` +
  `${section('cpupool cpus')}xl cpupool-list -c || exit 1`;

/** {@link listsScript} and, of the schedulers that there are, the parameters. */
export const poolsScript =
  `${listsScript}; ` +
  `${section('credit')}case $p in *' credit '*) xl sched-credit || exit 1;; esac; ` +
  `${section('credit2')}case $p in *' credit2 '*) xl sched-credit2 || exit 1;; esac; ` +
  `${section('rtds')}case $p in *' rtds '*) xl sched-rtds -v all || exit 1;; esac`;

/** What is looked at beside the cpupools and their pCPUs: every command of xl costs a process on the host. */
export interface Sight {
  /** Parameters of the pools and of the domains in them. */
  readonly parameters?: boolean;
  readonly domains?: boolean;
  /** The vCPUs of a domain, when it is there. */
  readonly vcpusOf?: DomId | undefined;
}

/** Prints what {@link Sight} asks for. */
export function schedulingScript({ parameters = false, domains = false, vcpusOf }: Sight): string {
  return [
    parameters ? poolsScript : listsScript,
    ...(domains ? [`${section('domains')}xl list -v -c || exit 1`] : []),
    ...(vcpusOf === undefined ? [] : [`${section('vcpus')}xl vcpu-list ${vcpusOf} 2>/dev/null; true`]),
  ].join('; ');
}

/** Reads what {@link schedulingScript} printed. @throws HostError command-failed when it makes no sense */
export function readSchedulingState(output: string, facts: HostFacts): SchedulingState {
  const sections = readSections(output);
  const [domains, vcpus = ''] = [sections.get('domains'), sections.get('vcpus')];
  return reading(() => ({
    ...readPools(sections),
    domains: domains === undefined ? [] : parseXlList(domains).flatMap((domain) => domainInfoOf(domain) ?? []),
    vcpus: vcpus === '' ? [] : readVcpus(vcpus, facts),
  }));
}

/** Reads what {@link poolsScript} printed. @throws HostError command-failed when it makes no sense */
export function readPools(sections: ReadonlyMap<string, string>): PoolsRead {
  return reading(() => {
    const text = (name: string): string => sections.get(name) ?? '';
    const credit = parseSchedCredit(text('credit'));
    const credit2 = parseSchedCredit2(text('credit2'));
    const rtds = parseSchedRtds(text('rtds'));
    const parameters = new Map<string, CpupoolParameters>([
      ...credit.map(({ cpupool, tsliceMs, ratelimitUs, migrationDelayUs }): [string, CpupoolParameters] => [
        cpupool,
        { tsliceMs, ratelimitUs, ...(migrationDelayUs === undefined ? {} : { migrationDelayUs }) },
      ]),
      ...credit2.map(({ cpupool, ratelimitUs }): [string, CpupoolParameters] => [cpupool, { ratelimitUs }]),
    ]);
    const domainParameters = new Map<DomId, DomainSchedParameters>();
    for (const { domains } of [...credit, ...credit2]) {
      for (const { domid, weight, cap } of domains) domainParameters.set(domId(domid), { weight, cap });
    }
    for (const { domains } of rtds) {
      for (const { domid, periodUs, budgetUs, extratime } of domains) {
        // All vCPUs of a domain have the same unless somebody did it by hand: the first one's stand for it.
        if (domainParameters.has(domId(domid))) continue;
        domainParameters.set(domId(domid), { periodUs, budgetUs, ...(extratime === undefined ? {} : { extratime }) });
      }
    }
    const pools = parseCpupoolLists(text('cpupools'), text('cpupool cpus')).map(
      ({ name, scheduler, pcpuIds, domains }) => ({
        name,
        scheduler: schedulerNamed(scheduler),
        parameters: parameters.get(name) ?? {},
        pcpus: (pcpuIds ?? []).map((id) => pcpuId(id)),
        domainCount: domains ?? 0,
      }),
    );
    return { pools, domainParameters };
  });
}

/** Reads `xl vcpu-list` of one domain. @throws HostError command-failed when it makes no sense */
export function readVcpus(text: string, facts: HostFacts): readonly VcpuInfo[] {
  const all = facts.pcpus.map(({ pcpu }) => pcpu);
  const pcpusOf = (bitmap: XlBitmap): readonly PcpuId[] => (bitmap === 'all' ? all : bitmap.map((id) => pcpuId(id)));
  return reading(() =>
    parseXlVcpuList(text).map((vcpu) => ({
      vcpu: vcpuId(vcpu.vcpuId),
      ...(vcpu.pcpuId === undefined ? {} : { pcpu: pcpuId(vcpu.pcpuId) }),
      state: vcpu.state,
      cpuTimeNs: timeNs(vcpu.cpuTimeSeconds),
      hardAffinity: pcpusOf(vcpu.hardAffinity),
      ...(vcpu.softAffinity === undefined ? {} : { softAffinity: pcpusOf(vcpu.softAffinity) }),
    })),
  );
}

/** How long the vCPUs of a domain have run, and where they are. */
export type VcpuFigures = Pick<DomainInfo, 'vcpuTimesNs' | 'vcpuStates'>;

/** Reads `xl vcpu-list` of all domains. @throws XlParseError */
export function readVcpuFigures(text: string): ReadonlyMap<DomId, VcpuFigures> {
  const figures = new Map<
    DomId,
    { readonly vcpuTimesNs: Ns[]; readonly vcpuStates: Pick<VcpuInfo, 'pcpu' | 'state'>[] }
  >();
  for (const { domid, pcpuId: pcpu, state, cpuTimeSeconds } of parseXlVcpuList(text)) {
    const own = figures.get(domId(domid)) ?? { vcpuTimesNs: [], vcpuStates: [] };
    own.vcpuTimesNs.push(timeNs(cpuTimeSeconds));
    own.vcpuStates.push({ ...(pcpu === undefined ? {} : { pcpu: pcpuId(pcpu) }), state });
    figures.set(domId(domid), own);
  }
  return figures;
}

/** xl says it to a tenth of a second. */
const timeNs = (seconds: number): Ns => ns(Math.round(seconds * 10) * 100_000_000);

/**
 * The state as the rules want it. Which schedulers a real Xen was built with is only known of those that run: all are
 * let through, Xen itself refuses.
 */
export function rulesState(pools: readonly CpupoolInfo[], facts: HostFacts): CpupoolsState {
  const nodeOf = Array.from({ length: Math.max(0, ...facts.pcpus.map(({ pcpu }) => pcpu + 1)) }, () => -1);
  for (const { pcpu, node } of facts.pcpus) nodeOf[pcpu] = node;
  return { pools, nodeOf, schedulers: Object.keys(schedulerIds) as SchedulerName[] };
}

function schedulerNamed(name: string | undefined): SchedulerName {
  const known = Object.keys(schedulerIds).find((each) => each === name);
  if (known === undefined) throw new HostError('command-failed', `xl names an unknown scheduler: ${name}`);
  return known as SchedulerName;
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof XlParseError) throw new HostError('command-failed', error.message, { command: error.command });
    throw error;
  }
}
