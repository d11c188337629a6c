import { parseXlBitmap, type XlBitmap } from './bitmap.ts';
import { columnNumber, outputLines } from './lines.ts';
import { XlParseError } from './xl-parse-error.ts';

/** A line of `xl vcpu-list`. */
export interface XlVcpu {
  readonly name: string;
  readonly domid: number;
  readonly vcpuId: number;
  /** The pCPU that it is on or was last on; absent when it is offline. */
  readonly pcpuId: number | undefined;
  readonly state: 'running' | 'blocked' | 'runnable' | 'offline';
  /** To a tenth of a second. */
  readonly cpuTimeSeconds: number;
  readonly hardAffinity: XlBitmap;
  /** Absent in Xen before 4.5, which had none. */
  readonly softAffinity: XlBitmap | undefined;
}

const command = 'xl vcpu-list';
const header = /^Name\s+ID\s+VCPU\s+CPU\s+State\s+Time\(s\)\s+(?:CPU )?Affinity/;
const mask = '(all|none|any cpu|no cpu|[0-9,-]+)';
const row = new RegExp(
  `^(.*) +(\\d+) +(\\d+) +(\\d+|-) +([r-])([b-])([p-]) +(\\d+\\.\\d) +${mask}(?: / ${mask})?\\s*$`,
  's',
);

/** Reads `xl vcpu-list` (print_vcpuinfo in tools/xl/xl_vcpu.c). @throws XlParseError */
export function parseXlVcpuList(text: string): readonly XlVcpu[] {
  const [first = '', ...lines] = outputLines(command, text);
  if (!header.test(first)) throw new XlParseError(command, 'not the header', first);
  return lines.filter((line) => !header.test(line)).map(parseRow);
}

function parseRow(line: string): XlVcpu {
  const match = row.exec(line);
  if (match === null) throw new XlParseError(command, 'not a vCPU', line);
  const [, name = '', domid, vcpuId, pcpu, running, blocked, , time, hard = '', soft] = match;
  const hardAffinity = parseXlBitmap(hard);
  const softAffinity = soft === undefined ? undefined : parseXlBitmap(soft);
  if (hardAffinity === undefined || (soft !== undefined && softAffinity === undefined)) {
    throw new XlParseError(command, 'not an affinity', line);
  }
  return {
    name: name.trimEnd(),
    domid: columnNumber(command, domid, line),
    vcpuId: columnNumber(command, vcpuId, line),
    pcpuId: pcpu === '-' ? undefined : columnNumber(command, pcpu, line),
    state: pcpu === '-' ? 'offline' : running === 'r' ? 'running' : blocked === 'b' ? 'blocked' : 'runnable',
    cpuTimeSeconds: columnNumber(command, time, line),
    hardAffinity,
    softAffinity,
  };
}
