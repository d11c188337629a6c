import { columnNumber, outputLines } from './lines.ts';

/** Where a domain's memory is. */
export interface XlDomainPages {
  readonly domid: number;
  /** What the domain has in all. */
  readonly totalPages: number;
  /** Index is the node's number. */
  readonly pagesByNode: readonly number[];
}

/** What Xen says of its memory by node. */
export interface XlNumaDump {
  readonly nodes: readonly { readonly node: number; readonly sizePages: number; readonly freePages: number }[];
  readonly domains: readonly XlDomainPages[];
}

const command = 'xl dmesg';
/** `MAX_NUMNODES` in Xen. */
const nodesMax = 64;
const prefix = /^\(XEN\)(?: \[[^\]]*\])? /;
const beginning = /^'u' pressed -> dumping numa info/;
const nodeLine = /^(?:idx\d+ -> )?NODE(\d+) start->\d+ size->(\d+) free->(\d+)/;
const domainLine = /^(?:Domain |d)(\d+) \(total: (\d+)\):/;
const pagesLine = /^ +Node (\d+): (\d+)/;

/**
 * Reads the last answer to debug key `u` from `xl dmesg` (dump_numa in xen/arch/x86/numa.c, which names domains by `d1` since
 * 4.18). The ring of messages is short: of many domains the first may be lost, and are absent. Without the answer there is nothing.
 * @throws XlParseError for lines that are no output of xl
 */
export function parseXlNumaDump(text: string): XlNumaDump {
  const lines = outputLines(command, text).map((line) => line.replace(prefix, ''));
  const nodes: { node: number; sizePages: number; freePages: number }[] = [];
  const domains: { domid: number; totalPages: number; pagesByNode: number[] }[] = [];
  let current: number[] | undefined;
  for (const line of lines.slice(lines.findLastIndex((each) => beginning.test(each)) + 1)) {
    const [node, domain, pages] = [nodeLine.exec(line), domainLine.exec(line), pagesLine.exec(line)];
    if (node !== null) {
      const [number, size, free] = node.slice(1).map((digits) => columnNumber(command, digits, line));
      nodes.push({ node: number ?? 0, sizePages: size ?? 0, freePages: free ?? 0 });
    } else if (domain !== null) {
      current = [];
      const [domid, total] = domain.slice(1).map((digits) => columnNumber(command, digits, line));
      domains.push({ domid: domid ?? 0, totalPages: total ?? 0, pagesByNode: current });
    } else if (pages !== null && current !== undefined && isNext(Number(pages[1]), current)) {
      // Nodes that are not there have no line.
      while (current.length < Number(pages[1])) current.push(0);
      current.push(columnNumber(command, pages[2], line));
    } else if (!line.startsWith(' ')) current = undefined;
  }
  return { nodes, domains };
}

const isNext = (node: number, known: readonly number[]): boolean => node >= known.length && node < nodesMax;
