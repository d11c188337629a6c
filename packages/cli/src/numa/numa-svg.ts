import { colourOf, element, label, svgText, type SvgElement } from '@xenolith/experiments';
import { formatCpuList, type NumaPicture } from '@xenolith/xe';

const width = 760;
const left = 24;
const barTop = 92;
const barHeight = 34;
const rowHeight = 78;
const barWidth = width - 2 * left;
const legendRow = 20;
const pale = '#666666';
const mib = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;

/** The nodes as bars as long as they have memory, with what each domain has of it. */
export function numaSvg(picture: NumaPicture): string {
  const { host, nodes, domains } = picture;
  const largest = Math.max(...nodes.map(({ memoryBytes }) => memoryBytes), 1);
  const total = nodes.reduce((sum, { pcpus }) => sum + pcpus.length, 0);
  const bars = nodes.flatMap((node, row): readonly SvgElement[] => {
    const y = barTop + row * rowHeight;
    const scale = (bytes: number): number => (bytes / largest) * barWidth;
    let x = left;
    const boxes = domains.flatMap(({ name, bytesByNode }, index): readonly SvgElement[] => {
      const bytes = bytesByNode[node.node] ?? 0;
      if (bytes === 0) return [];
      const box = { x, y, width: scale(bytes), height: barHeight, fill: colourOf(index) };
      x += scale(bytes);
      return [element('rect', box, element('title', {}, `${name}: ${mib(bytes)} on node ${node.node}`))];
    });
    const about = `${mib(node.memoryBytes)}, ${mib(node.freeBytes)} free, pCPUs ${formatCpuList(node.pcpus, total)}, distances ${node.distances.join(' ')}`;
    return [
      label(left, y - 8, `node ${node.node}: ${about}`, { size: 12 }),
      ...boxes,
      element('rect', {
        x: left,
        y,
        width: scale(node.memoryBytes),
        height: barHeight,
        fill: 'none',
        stroke: '#222222',
      }),
    ];
  });
  const legendTop = barTop + nodes.length * rowHeight;
  const legend = domains.flatMap(({ name, domid }, index) => {
    const y = legendTop + index * legendRow;
    return [
      element('rect', { x: left, y: y - 9, width: 10, height: 10, fill: colourOf(index) }),
      label(left + 16, y, `${name} (${domid})`, { size: 12 }),
    ];
  });
  const height = legendTop + domains.length * legendRow + 16;
  const document = element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      'font-family': 'system-ui, sans-serif',
      role: 'img',
    },
    element('title', {}, `NUMA nodes of ${host}`),
    element('rect', { width, height, fill: '#ffffff' }),
    label(left, 28, `NUMA nodes of ${host}`, { size: 18, weight: 'bold' }),
    label(left, 48, 'Memory of each domain where it really is; what is blank is free, or Xen’s own.', {
      size: 11,
      colour: pale,
    }),
    ...bars,
    ...legend,
  );
  return `${svgText(document)}\n`;
}
