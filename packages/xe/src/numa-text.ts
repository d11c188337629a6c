import { formatCpuList } from './cpu-list.ts';
import { printable } from './format.ts';
import type { NumaPicture, NumaPictureNode } from './numa-picture.ts';

const barWidth = 40;
const mib = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;

/** The letter of a domain in the bars: 0 is Domain-0's; from the 36th on it is `+`. */
const letterOf = (index: number): string => (index < 36 ? index.toString(36) : '+');

/** A table as lines: the first column at the left, the others at the right. */
function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('   ')
      .trimEnd(),
  );
}

/** How full a node is and with what: a letter a domain, `.` for what is free; what is left is Xen's own. */
function bar({ node, memoryBytes, freeBytes }: NumaPictureNode, picture: NumaPicture): string {
  if (memoryBytes === 0) return `node ${node}  has no memory`;
  const cells: string[] = [];
  let filledBytes = 0;
  const fill = (bytes: number, letter: string): void => {
    filledBytes += bytes;
    const end = Math.round((filledBytes / memoryBytes) * barWidth);
    while (cells.length < Math.min(barWidth, end)) cells.push(letter);
  };
  for (const [index, { bytesByNode }] of picture.domains.entries()) fill(bytesByNode[node] ?? 0, letterOf(index));
  fill(Math.max(0, memoryBytes - freeBytes - filledBytes), '#');
  fill(freeBytes, '.');
  return `node ${node}  [${cells.join('').padEnd(barWidth, '.')}]`;
}

/** The picture for a terminal. */
export function numaText(picture: NumaPicture): string {
  const { host, nodes, domains } = picture;
  const total = nodes.reduce((sum, { pcpus }) => sum + pcpus.length, 0);
  const nodeRows = nodes.map(({ node, memoryBytes, freeBytes, pcpus, distances }) => [
    String(node),
    mib(memoryBytes),
    mib(freeBytes),
    formatCpuList(pcpus, total),
    distances.join(' '),
  ]);
  const domainRows = domains.map(({ name, domid, bytesByNode }, index) => [
    `${letterOf(index)}  ${printable(name)}`,
    String(domid),
    ...nodes.map(({ node }) => ((bytesByNode[node] ?? 0) === 0 ? '-' : mib(bytesByNode[node] ?? 0))),
  ]);
  return [
    `${printable(host)}: ${nodes.length} NUMA node${nodes.length === 1 ? '' : 's'}, ${total} pCPUs`,
    '',
    ...table([['node', 'memory', 'free', 'pCPUs', 'distances'], ...nodeRows]),
    '',
    ...table([['   domain', 'domid', ...nodes.map(({ node }) => `node ${node}`)], ...domainRows]),
    '',
    ...nodes.map((node) => bar(node, picture)),
    '        a letter a domain, # for Xen and tables, . for what is free',
    '',
  ].join('\n');
}
