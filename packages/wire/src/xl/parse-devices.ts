import { columnNumber, outputLines } from './lines.ts';
import { XlParseError } from './xl-parse-error.ts';

/** State of a device in xenstore (`enum xenbus_state` in xen/include/public/io/xenbus.h); 4 is connected. */
export type XenbusState = number;

/** A line of `xl network-list`. */
export interface XlNetworkDevice {
  readonly devid: number;
  readonly backendDomid: number;
  readonly mac: string;
  readonly handle: number;
  readonly state: XenbusState;
  /** -1 until the frontend has connected. */
  readonly eventChannel: number;
  readonly txRingRef: number;
  readonly rxRingRef: number;
  /** The backend's directory in xenstore. */
  readonly backendPath: string;
}

/** A line of `xl block-list`. */
export interface XlBlockDevice {
  /** The virtual device's number, 51712 = xvda. */
  readonly vdev: number;
  readonly backendDomid: number;
  /** The frontend's domid: xl's column is called handle but holds this. */
  readonly handle: number;
  readonly state: XenbusState;
  readonly eventChannel: number;
  readonly ringRef: number;
  readonly backendPath: string;
}

const networkHeader = /^Idx\s+BE\s+Mac Addr\.\s+handle\s+state\s+evt-ch\s+tx-\/rx-ring-ref\s+BE-path\s*$/;
const networkRow =
  /^(\d+)\s+(\d+)\s+([0-9a-fA-F:]{17})\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)\/\s*(-?\d+)\s+(\S.*?)\s*$/;
const blockHeader = /^Vdev\s+BE\s+handle\s+state\s+evt-ch\s+ring-ref\s+BE-path\s*$/;
const blockRow = /^(\d+)\s+(\d+)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)\s+(\S.*?)\s*$/;

/** Reads `xl network-list` of one or several domains (main_networklist in tools/xl/xl_nic.c). @throws XlParseError */
export function parseXlNetworkList(text: string): readonly XlNetworkDevice[] {
  const command = 'xl network-list';
  return rows(command, text, networkHeader, networkRow).map(({ match, line }) => ({
    devid: columnNumber(command, match[1], line),
    backendDomid: columnNumber(command, match[2], line),
    mac: (match[3] ?? '').toLowerCase(),
    handle: columnNumber(command, match[4], line),
    state: columnNumber(command, match[5], line),
    eventChannel: columnNumber(command, match[6], line),
    txRingRef: columnNumber(command, match[7], line),
    rxRingRef: columnNumber(command, match[8], line),
    backendPath: match[9] ?? '',
  }));
}

/** Reads `xl block-list` of one or several domains (main_blocklist in tools/xl/xl_block.c). @throws XlParseError */
export function parseXlBlockList(text: string): readonly XlBlockDevice[] {
  const command = 'xl block-list';
  return rows(command, text, blockHeader, blockRow).map(({ match, line }) => ({
    vdev: columnNumber(command, match[1], line),
    backendDomid: columnNumber(command, match[2], line),
    handle: columnNumber(command, match[3], line),
    state: columnNumber(command, match[4], line),
    eventChannel: columnNumber(command, match[5], line),
    ringRef: columnNumber(command, match[6], line),
    backendPath: match[7] ?? '',
  }));
}

interface Row {
  readonly match: RegExpExecArray;
  readonly line: string;
}

function rows(command: string, text: string, header: RegExp, row: RegExp): readonly Row[] {
  const [first = '', ...lines] = outputLines(command, text);
  if (!header.test(first)) throw new XlParseError(command, 'not the header', first);
  const found: Row[] = [];
  for (const line of lines) {
    if (line === '' || header.test(line)) continue;
    const match = row.exec(line);
    if (match === null) throw new XlParseError(command, 'not a device', line);
    found.push({ match, line });
  }
  return found;
}
