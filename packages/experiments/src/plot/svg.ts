/** SVG as a tree of elements; all text and attributes are escaped when it is written. */

export interface SvgElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly children: readonly (SvgElement | string)[];
}

export const element = (
  name: string,
  attributes: SvgElement['attributes'],
  ...children: SvgElement['children']
): SvgElement => ({ name, attributes, children });

/** An element as text. */
export function svgText(of: SvgElement | string): string {
  if (typeof of === 'string') return escaped(of);
  const attributes = Object.entries(of.attributes)
    .map(([name, value]) => ` ${name}="${escaped(typeof value === 'number' ? coordinate(value) : value)}"`)
    .join('');
  if (of.children.length === 0) return `<${of.name}${attributes}/>`;
  return `<${of.name}${attributes}>${of.children.map(svgText).join('')}</${of.name}>`;
}

/** Hundredths of a pixel are enough. */
const coordinate = (value: number): string => String(Math.round(value * 100) / 100);

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for XML; characters that XML 1.0 has no place for become U+FFFD. */
const escaped = (text: string): string =>
  text
    // oxlint-disable-next-line no-control-regex -- these are what must not come through
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    .toWellFormed()
    .replaceAll(/[&<>"']/g, (character) => entities[character]!);
