import { columnNumber, outputLines } from './lines.ts';
import { XlParseError } from './xl-parse-error.ts';

/** A cpupool; `xl cpupool-list` gives all but the pCPUs, `xl cpupool-list -c` the name and the pCPUs. */
export interface XlCpupool {
  readonly name: string;
  /** pCPUs in it. */
  readonly nrCpus: number;
  /** With -c. */
  readonly pcpuIds: readonly number[] | undefined;
  /** Without -c: `credit2`, `credit`, … */
  readonly scheduler: string | undefined;
  /** Without -c. */
  readonly active: boolean | undefined;
  /** Without -c: how many domains are in it. */
  readonly domains: number | undefined;
}

const command = 'xl cpupool-list';
const longHeader = /^Name\s+CPUs\s+Sched\s+Active\s+Domain count\s*$/;
const cpusHeader = /^Name\s+CPU list\s*$/;
const longRow = /^(.*?)\s+(\d+)\s+(\S+)\s+([yn])\s+(\d+)\s*$/;
/** Column where the CPU list starts when the name leaves room for it. */
const nameWidth = 19;

/** Reads `xl cpupool-list`, with -c or without (main_cpupoollist in tools/xl/xl_cpupool.c). @throws XlParseError */
export function parseCpupoolList(text: string): readonly XlCpupool[] {
  const [first = '', ...lines] = outputLines(command, text);
  if (longHeader.test(first)) return lines.map(longPool);
  if (cpusHeader.test(first)) return lines.map(poolWithCpus);
  throw new XlParseError(command, 'not the header', first);
}

function longPool(line: string): XlCpupool {
  const match = longRow.exec(line);
  if (match === null) throw new XlParseError(command, 'not a cpupool', line);
  const [, name = '', cpus, scheduler, active, domains] = match;
  return {
    name,
    nrCpus: columnNumber(command, cpus, line),
    pcpuIds: undefined,
    scheduler,
    active: active === 'y',
    domains: columnNumber(command, domains, line),
  };
}

function poolWithCpus(line: string): XlCpupool {
  const padded = line.charAt(nameWidth - 1) === ' ' || line.length < nameWidth;
  // A name of 19 characters or more touches its list: only digits and commas at the end can be the list then.
  const listStart = padded ? nameWidth : line.search(/\d+(?:,\d+)*\s*$/);
  const name = (listStart < 0 ? line : line.slice(0, listStart)).trimEnd();
  const list = listStart < 0 ? '' : line.slice(listStart).trim();
  if (name === '' || !/^(?:\d+(?:,\d+)*)?$/.test(list)) throw new XlParseError(command, 'not a cpupool', line);
  const pcpuIds = list === '' ? [] : list.split(',').map((cpu) => columnNumber(command, cpu, line));
  return { name, nrCpus: pcpuIds.length, pcpuIds, scheduler: undefined, active: undefined, domains: undefined };
}

/**
 * Reads both forms of the listing of one moment: together they tell where a name ends that is longer than its column,
 * and the numbers begin. @throws XlParseError also when they do not list the same pools
 */
export function parseCpupoolLists(text: string, textWithCpus: string): readonly XlCpupool[] {
  const [header = '', ...lines] = outputLines(command, text);
  const [cpusFirst = '', ...cpusLines] = outputLines(command, textWithCpus);
  if (!longHeader.test(header)) throw new XlParseError(command, 'not the header', header);
  if (!cpusHeader.test(cpusFirst)) throw new XlParseError(command, 'not the header', cpusFirst);
  if (lines.length !== cpusLines.length) throw new XlParseError(command, 'not the same cpupools', cpusFirst);
  return lines.map((line, index) => bothForms(line, cpusLines[index] ?? ''));
}

const countedRow = /^(.*?)(\d+)\s+([^\s\d]\S*)\s+([yn])\s+(\d+)\s*$/;

function bothForms(line: string, cpusLine: string): XlCpupool {
  const match = countedRow.exec(line);
  if (match === null) throw new XlParseError(command, 'not a cpupool', line);
  const [, head = '', digits = '', scheduler, active, domains] = match;
  const numbers = `${head}${digits}`;
  // The name may end in digits too; the widest number comes first, as nothing else follows a blank.
  for (let width = Math.min(digits.length, 4); width > 0; width--) {
    const name = numbers.slice(0, -width).trimEnd();
    const list = cpusLine.startsWith(name) ? cpusLine.slice(name.length).trim() : 'another name';
    if (name === '' || !/^(?:\d+(?:,\d+)*)?$/.test(list)) continue;
    const pcpuIds = list === '' ? [] : list.split(',').map((cpu) => columnNumber(command, cpu, cpusLine));
    const nrCpus = Number(numbers.slice(-width));
    if (pcpuIds.length !== nrCpus) continue;
    return {
      name,
      nrCpus,
      pcpuIds,
      scheduler,
      active: active === 'y',
      domains: columnNumber(command, domains, line),
    };
  }
  throw new XlParseError(command, 'not the same cpupool in both lists', line);
}
