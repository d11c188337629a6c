import { columnNumber, outputLines } from './lines.ts';
import { XlParseError } from './xl-parse-error.ts';

/** Scheduler parameters of a domain under credit or credit2. */
export interface XlSchedDomain {
  readonly name: string;
  readonly domid: number;
  readonly weight: number;
  /** Per cent of one pCPU, 0 = no cap. */
  readonly cap: number;
}

/** A cpupool that `xl sched-credit2` lists. */
export interface XlSchedCredit2Pool {
  readonly cpupool: string;
  readonly ratelimitUs: number;
  readonly domains: readonly XlSchedDomain[];
}

/** A cpupool that `xl sched-credit` lists. */
export interface XlSchedCreditPool extends XlSchedCredit2Pool {
  readonly tsliceMs: number;
  /** Absent before Xen 4.11. */
  readonly migrationDelayUs: number | undefined;
}

/** Scheduler parameters of a domain, or of one of its vCPUs, under rtds. */
export interface XlSchedRtdsDomain {
  readonly name: string;
  readonly domid: number;
  /** With -v. */
  readonly vcpuId: number | undefined;
  readonly periodUs: number;
  readonly budgetUs: number;
  /** Absent before Xen 4.10. */
  readonly extratime: boolean | undefined;
}

/** A cpupool that `xl sched-rtds` lists. */
export interface XlSchedRtdsPool {
  readonly cpupool: string;
  readonly domains: readonly XlSchedRtdsDomain[];
}

const domainRow = /^(.*) +(\d+) +(\d+) +(\d+)\s*$/;
const domainHeader = /^Name\s+ID\s+Weight\s+Cap\s*$/;

const rtdsRow = /^(.*) +(\d+) +(\d+) +(\d+)(?: +(yes|no))?\s*$/;
const rtdsVcpuRow = /^(.*) +(\d+) +(\d+) +(\d+) +(\d+)(?: +(yes|no))?\s*$/;
const rtdsHeader = /^Name\s+ID(?<vcpu>\s+VCPU)?\s+Period\s+Budget(?:\s+Extratime)?\s*$/;

interface Pool {
  readonly header: RegExpExecArray;
  readonly domains: XlSchedDomain[];
}

/** Reads `xl sched-credit2`, also with -s or -p, which give the pool's line alone (tools/xl/xl_sched.c). @throws XlParseError */
export function parseSchedCredit2(text: string): readonly XlSchedCredit2Pool[] {
  const pools = readPools('xl sched-credit2', text, /^Cpupool (.*): ratelimit=(\d+)us\s*$/);
  return pools.map(({ header, domains }) => ({ cpupool: header[1] ?? '', ratelimitUs: Number(header[2]), domains }));
}

/** Reads `xl sched-credit`, also with -s or -p (tools/xl/xl_sched.c). @throws XlParseError */
export function parseSchedCredit(text: string): readonly XlSchedCreditPool[] {
  const pattern = /^Cpupool (.*): tslice=(\d+)ms ratelimit=(\d+)us(?: migration-delay=(\d+)us)?\s*$/;
  return readPools('xl sched-credit', text, pattern).map(({ header, domains }) => ({
    cpupool: header[1] ?? '',
    tsliceMs: Number(header[2]),
    ratelimitUs: Number(header[3]),
    migrationDelayUs: header[4] === undefined ? undefined : Number(header[4]),
    domains,
  }));
}

/** Reads `xl sched-credit -d D` and `xl sched-credit2 -d D`, which give domains without their cpupool. @throws XlParseError */
export function parseSchedDomains(text: string): readonly XlSchedDomain[] {
  const command = 'xl sched -d';
  const [first = '', ...rows] = outputLines(command, text);
  if (!domainHeader.test(first)) throw new XlParseError(command, 'not the header', first);
  return rows.map((row) => domainOf(command, row));
}

/**
 * Reads `xl sched-rtds`, whose parameters of a domain are only the scheduler's defaults, and `xl sched-rtds -v all`,
 * which has each vCPU's own (tools/xl/xl_sched.c). @throws XlParseError
 */
export function parseSchedRtds(text: string): readonly XlSchedRtdsPool[] {
  const command = 'xl sched-rtds';
  const pools: { readonly cpupool: string; readonly domains: XlSchedRtdsDomain[] }[] = [];
  let withVcpus = false;
  for (const line of outputLines(command, text)) {
    const cpupool = /^Cpupool (.*): sched=RTDS\s*$/.exec(line)?.[1];
    const header = rtdsHeader.exec(line);
    if (cpupool !== undefined) {
      pools.push({ cpupool, domains: [] });
    } else if (header !== null) {
      withVcpus = header.groups?.['vcpu'] !== undefined;
    } else {
      const pool = pools.at(-1);
      if (pool === undefined) throw new XlParseError(command, 'not a cpupool', line);
      pool.domains.push(rtdsDomainOf(command, line, withVcpus));
    }
  }
  return pools;
}

function rtdsDomainOf(command: string, line: string, withVcpus: boolean): XlSchedRtdsDomain {
  const match = (withVcpus ? rtdsVcpuRow : rtdsRow).exec(line);
  if (match === null) throw new XlParseError(command, 'not a domain', line);
  const [, name = '', domid, ...rest] = match;
  const [vcpu, period, budget, extratime] = withVcpus ? rest : [undefined, ...rest];
  return {
    name: name.trimEnd(),
    domid: columnNumber(command, domid, line),
    vcpuId: vcpu === undefined ? undefined : columnNumber(command, vcpu, line),
    periodUs: columnNumber(command, period, line),
    budgetUs: columnNumber(command, budget, line),
    extratime: extratime === undefined ? undefined : extratime === 'yes',
  };
}

function domainOf(command: string, line: string): XlSchedDomain {
  const match = domainRow.exec(line);
  if (match === null) throw new XlParseError(command, 'not a domain', line);
  return {
    name: (match[1] ?? '').trimEnd(),
    domid: columnNumber(command, match[2], line),
    weight: columnNumber(command, match[3], line),
    cap: columnNumber(command, match[4], line),
  };
}

function readPools(command: string, text: string, pattern: RegExp): readonly Pool[] {
  const pools: Pool[] = [];
  for (const line of outputLines(command, text)) {
    const header = pattern.exec(line);
    if (header !== null) {
      pools.push({ header, domains: [] });
      continue;
    }
    const pool = pools.at(-1);
    if (pool === undefined) throw new XlParseError(command, 'not a cpupool', line);
    if (domainHeader.test(line)) continue;
    pool.domains.push(domainOf(command, line));
  }
  return pools;
}
