import { columnNumber, outputLines } from './lines.ts';
import { XlParseError } from './xl-parse-error.ts';

/** A line of `xl uptime`. */
export interface XlUptime {
  readonly name: string;
  readonly domid: number;
  readonly uptimeSeconds: number;
}

const command = 'xl uptime';
const header = /^Name\s+ID\s+Uptime\s*$/;
const row = /^(.*) +(\d+) +(?:(\d+) days?, +)?(\d+):(\d\d):(\d\d)\s*$/;

/** Reads `xl uptime` (print_uptime in tools/xl/xl_info.c), not its short form -s. @throws XlParseError */
export function parseXlUptime(text: string): readonly XlUptime[] {
  const [first = '', ...lines] = outputLines(command, text);
  if (!header.test(first)) throw new XlParseError(command, 'not the header', first);
  return lines.map((line) => {
    const match = row.exec(line);
    if (match === null) throw new XlParseError(command, 'not a domain', line);
    const [, name = '', domid, days = '0', hours, minutes, seconds] = match;
    return {
      name: name.trimEnd(),
      domid: columnNumber(command, domid, line),
      uptimeSeconds: ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds),
    };
  });
}
