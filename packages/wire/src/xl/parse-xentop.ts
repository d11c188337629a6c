import { columnNumber, outputLines } from './lines.ts';
import { XlParseError } from './xl-parse-error.ts';

/** A vif of a domain as `xentop -n` shows it, seen from the guest. */
export interface XentopNetwork {
  readonly index: number;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDrops: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDrops: number;
}

/** A VBD of a domain as `xentop -x` shows it. */
export interface XentopVbd {
  /** `BlkBack`, `TapDisk`, … */
  readonly backend: string;
  /** The virtual device's number, 51712 = xvda. */
  readonly device: number;
  readonly outOfRequests: number;
  readonly readRequests: number;
  readonly writeRequests: number;
  /** 512-byte sectors. */
  readonly readSectors: number;
  readonly writeSectors: number;
}

/** A domain of one iteration of `xentop -b`. Counters are since the domain was created. */
export interface XentopDomain {
  /** Cut to ten characters unless xentop has -f. */
  readonly name: string;
  readonly state: {
    readonly dying: boolean;
    readonly shutdown: boolean;
    readonly blocked: boolean;
    readonly crashed: boolean;
    readonly paused: boolean;
    readonly running: boolean;
  };
  readonly cpuTimeSeconds: number;
  /** Per cent of one pCPU since the iteration before; 0 in the first. */
  readonly cpuPercent: number;
  readonly memoryKib: number;
  readonly memoryPercent: number | undefined;
  /** Absent: no limit. */
  readonly maxMemoryKib: number | undefined;
  readonly maxMemoryPercent: number | undefined;
  readonly vcpus: number;
  readonly vifs: number;
  /** Sent and received by the guest. */
  readonly netTxKib: number;
  readonly netRxKib: number;
  readonly vbds: number;
  readonly vbdOutOfRequests: number;
  readonly vbdReadRequests: number;
  readonly vbdWriteRequests: number;
  readonly vbdReadSectors: number;
  readonly vbdWriteSectors: number;
  /** With -v: seconds of each vCPU. */
  readonly vcpuSeconds: readonly number[];
  /** With -n. */
  readonly networks: readonly XentopNetwork[];
  /** With -x. */
  readonly vbdDetails: readonly XentopVbd[];
}

/** One iteration: every domain at one moment. */
export type XentopIteration = readonly XentopDomain[];

const command = 'xentop';
const titles =
  'NAME STATE CPU(sec) CPU(%) MEM(k) MEM(%) MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS VBD_OO VBD_RD VBD_WR VBD_RSECT VBD_WSECT SSID';
const row =
  /^ *(.*) +([d-])([s-])([b-])([c-])([p-])([r-]) +(\d+) +([\d.]+) +(\d+) +([\d.]+|n\/a) +(\d+|no limit) +([\d.]+|n\/a) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +\S+\s*$/;
const network =
  /^Net(\d+) RX: *(\d+)bytes +(\d+)pkts +(\d+)err +(\d+)drop +TX: *(\d+)bytes +(\d+)pkts +(\d+)err +(\d+)drop\s*$/;
const vbd = /^VBD (\S+) +(\d+) .*OO: *(\d+) +RD: *(\d+) +WR: *(\d+) +RSECT: *(\d+) +WSECT: *(\d+)\s*$/;

interface Details {
  readonly vcpuSeconds: number[];
  readonly networks: XentopNetwork[];
  readonly vbdDetails: XentopVbd[];
}

/**
 * Reads `xentop -b` with any of -n, -x, -v and -f (tools/xentop/xentop.c): a header starts each iteration, then a line a domain,
 * each followed by its vCPUs, vifs and VBDs when they were asked for. @throws XlParseError
 */
export function parseXentop(text: string): readonly XentopIteration[] {
  const iterations: XentopDomain[][] = [];
  let details: Details | undefined;
  for (const line of outputLines(command, text)) {
    if (line.trim().replaceAll(/ +/g, ' ') === titles) {
      iterations.push([]);
      details = undefined;
      continue;
    }
    const current = iterations.at(-1);
    if (current === undefined) throw new XlParseError(command, 'not the header', line);
    if (details !== undefined && parseDetail(line, details)) continue;
    const match = row.exec(line);
    if (match === null) throw new XlParseError(command, 'not a domain', line);
    details = { vcpuSeconds: [], networks: [], vbdDetails: [] };
    current.push(domainOf(match, line, details));
  }
  return iterations;
}

function domainOf(match: RegExpExecArray, line: string, details: Details): XentopDomain {
  const number = (index: number): number => columnNumber(command, match[index], line);
  const optional = (index: number): number | undefined => (/^\d/.test(match[index] ?? '') ? number(index) : undefined);
  return {
    name: (match[1] ?? '').trimEnd(),
    state: {
      dying: match[2] === 'd',
      shutdown: match[3] === 's',
      blocked: match[4] === 'b',
      crashed: match[5] === 'c',
      paused: match[6] === 'p',
      running: match[7] === 'r',
    },
    cpuTimeSeconds: number(8),
    cpuPercent: number(9),
    memoryKib: number(10),
    memoryPercent: optional(11),
    maxMemoryKib: optional(12),
    maxMemoryPercent: optional(13),
    vcpus: number(14),
    vifs: number(15),
    netTxKib: number(16),
    netRxKib: number(17),
    vbds: number(18),
    vbdOutOfRequests: number(19),
    vbdReadRequests: number(20),
    vbdWriteRequests: number(21),
    vbdReadSectors: number(22),
    vbdWriteSectors: number(23),
    ...details,
  };
}

/** Takes a line about the domain before it; false when it is none. */
function parseDetail(line: string, details: Details): boolean {
  if (line.startsWith('VCPUs(sec):')) {
    for (const [, seconds] of line.matchAll(/\d+: *(\d+)s/g))
      details.vcpuSeconds.push(columnNumber(command, seconds, line));
    return true;
  }
  const net = network.exec(line);
  if (net !== null) {
    const at = (index: number): number => columnNumber(command, net[index], line);
    details.networks.push({
      index: at(1),
      rxBytes: at(2),
      rxPackets: at(3),
      rxErrors: at(4),
      rxDrops: at(5),
      txBytes: at(6),
      txPackets: at(7),
      txErrors: at(8),
      txDrops: at(9),
    });
    return true;
  }
  const device = vbd.exec(line);
  if (device === null) return false;
  const at = (index: number): number => columnNumber(command, device[index], line);
  details.vbdDetails.push({
    backend: device[1] ?? '',
    device: at(2),
    outOfRequests: at(3),
    readRequests: at(4),
    writeRequests: at(5),
    readSectors: at(6),
    writeSectors: at(7),
  });
  return true;
}
