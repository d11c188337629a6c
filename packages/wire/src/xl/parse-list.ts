import { parseXlBitmap, type XlBitmap } from './bitmap.ts';
import { columnNumber, outputLines } from './lines.ts';
import { XlParseError } from './xl-parse-error.ts';

/** The run state of a domain; several may hold at once, none when it is runnable but not on a pCPU just now. */
export interface XlDomainState {
  readonly running: boolean;
  readonly blocked: boolean;
  readonly paused: boolean;
  /** The guest has shut down and its domain is still there; `XlDomain.shutdownReason` says how. */
  readonly shutdown: boolean;
  /** Shut down by a crash. */
  readonly crashed: boolean;
  /** The domain is being torn down. */
  readonly dying: boolean;
}

/** Why a guest shut down (`libxl_shutdown_reason`). */
export type XlShutdownReason = 'poweroff' | 'reboot' | 'suspend' | 'crash' | 'watchdog' | 'soft-reset' | 'unknown';

/** A line of `xl list`. Columns that the options did not ask for are absent. */
export interface XlDomain {
  /** May contain anything, also spaces; `(null)` while a domain has no name yet. */
  readonly name: string;
  readonly domid: number;
  /** Memory that it has now, with outstanding claims, whole MiB. */
  readonly memoryMib: number;
  /** vCPUs online. */
  readonly vcpus: number;
  readonly state: XlDomainState;
  /** Absent unless `state.shutdown`. */
  readonly shutdownReason: XlShutdownReason | undefined;
  /** CPU time of all its vCPUs since it was created, to a tenth of a second. */
  readonly cpuTimeSeconds: number;
  /** With -v. */
  readonly uuid: string | undefined;
  /** With -v or -Z; absent when there is none. */
  readonly securityLabel: string | undefined;
  /** `xl claims` only. */
  readonly claimedMib: number | undefined;
  /** With -c. */
  readonly cpupool: string | undefined;
  /** With -n: its nodes. */
  readonly nodeAffinity: XlBitmap | undefined;
}

const reasons: { readonly [letter: string]: XlShutdownReason } = {
  '-': 'poweroff',
  r: 'reboot',
  s: 'suspend',
  c: 'crash',
  w: 'watchdog',
  S: 'soft-reset',
};

interface Layout {
  readonly row: RegExp;
  readonly fields: readonly ('uuid' | 'claimed' | 'label' | 'cpupool' | 'nodes')[];
}

const header = /^Name\s+ID\s+Mem\s+VCPUs\s+State\s+Time\(s\)(.*)$/;
const command = 'xl list';

/**
 * Reads `xl list` with any of -v, -Z, -c and -n, and `xl claims`: the header line says which columns there are
 * (list_domains in tools/xl/xl_list.c). Rows are read from the right, because a name may hold spaces and digits; a name that
 * holds a line end takes several lines. @throws XlParseError
 */
export function parseXlList(text: string): readonly XlDomain[] {
  const [first = '', ...rows] = outputLines(command, text);
  const match = header.exec(first);
  if (match === null) throw new XlParseError(command, 'not the header', first);
  const layout = layoutOf(match[1] ?? '');
  const domains: XlDomain[] = [];
  let pending: string | undefined;
  for (const line of rows) {
    if (header.test(line)) continue;
    const row: string = pending === undefined ? line : `${pending}\n${line}`;
    const domain = parseRow(row, layout);
    if (domain !== undefined) domains.push(domain);
    pending = domain === undefined ? row : undefined;
  }
  if (pending !== undefined) throw new XlParseError(command, 'not a domain', pending);
  return domains;
}

function layoutOf(titles: string): Layout {
  const fields: Layout['fields'][number][] = [];
  let pattern = '^([^]*) +(\\d+) +(\\d+) +(\\d+) +([r-][b-][p-][s-][-rscwS?][d-]) +(\\d+\\.\\d)';
  if (titles.includes('UUID')) {
    fields.push('uuid');
    pattern += ' +([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) +(?:-|[0-9a-f]+)';
  }
  if (titles.includes('Claimed')) {
    fields.push('claimed');
    pattern += ' +(\\d+)';
  }
  if (titles.includes('Security Label')) {
    fields.push('label');
    // A label never begins with a dash; after the dash that stands for none, a long name of a cpupool may follow at once.
    pattern += ' +(-|[^\\s-]\\S*)';
  }
  if (titles.includes('Cpupool')) {
    fields.push('cpupool');
    // The pool's name is padded to 16 with no space before it: a longer one touches the column on its left.
    pattern += ' *(.*?)';
  }
  if (titles.includes('NODE Affinity')) {
    fields.push('nodes');
    pattern += ' +(all|none|any node|no node|[0-9,-]+)';
  }
  return { row: new RegExp(`${pattern}\\s*$`), fields };
}

function parseRow(line: string, layout: Layout): XlDomain | undefined {
  const match = layout.row.exec(line);
  if (match === null) return undefined;
  const [, name = '', domid, memory, vcpus, letters = '', time, ...rest] = match;
  const field = (name: Layout['fields'][number]): string | undefined => {
    const index = layout.fields.indexOf(name);
    return index < 0 ? undefined : rest[index];
  };
  const claimed = field('claimed');
  const nodes = field('nodes');
  const label = field('label');
  const shutdown = letters[3] === 's';
  const shutdownReason = shutdown ? (reasons[letters[4] ?? '?'] ?? 'unknown') : undefined;
  return {
    name: name.trimEnd(),
    domid: columnNumber(command, domid, line),
    memoryMib: columnNumber(command, memory, line),
    vcpus: columnNumber(command, vcpus, line),
    state: {
      running: letters[0] === 'r',
      blocked: letters[1] === 'b',
      paused: letters[2] === 'p',
      shutdown,
      crashed: shutdownReason === 'crash',
      dying: letters[5] === 'd',
    },
    shutdownReason,
    cpuTimeSeconds: columnNumber(command, time, line),
    uuid: field('uuid'),
    securityLabel: label === '-' ? undefined : label,
    claimedMib: claimed === undefined ? undefined : columnNumber(command, claimed, line),
    cpupool: field('cpupool')?.trim(),
    nodeAffinity: nodes === undefined ? undefined : parseXlBitmap(nodes),
  };
}
