/** Charts below each other as one SVG document. */
import { label, panel, panelHeight } from './panel.ts';
import { element, svgText, type SvgElement } from './svg.ts';

const headHeight = 52;

/** @param source where the figures come from, below the title */
export function chartDocument(title: string, source: string, charts: readonly SvgElement[]): string {
  const height = headHeight + charts.length * panelHeight;
  const placed = charts.map((chart, index) =>
    element('g', { transform: `translate(0 ${headHeight + index * panelHeight})` }, chart),
  );
  const document = element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width: panel.width,
      height,
      viewBox: `0 0 ${panel.width} ${height}`,
      'font-family': 'system-ui, sans-serif',
      role: 'img',
    },
    element('title', {}, title),
    element('rect', { width: panel.width, height, fill: '#ffffff' }),
    label(16, 26, title, { size: 18, weight: 'bold' }),
    label(16, 44, source, { size: 11, colour: '#666666' }),
    ...placed,
  );
  return `${svgText(document)}\n`;
}
