/** Values and records as xe prints them. */
import type { WireValue } from '@xenolith/wire';
import { isArray, isStruct, textOf } from './wire-text.ts';

/** One field of a record, ready to be shown. */
export interface Cell {
  readonly name: string;
  readonly tag: string;
  readonly value: string;
}

/** The text of one value of a data model type: sets and maps joined with `; `, maps as `key: value`. */
export function formatValue(type: string, value: WireValue | undefined): string {
  if (value === undefined || value === null) return '';
  if (isArray(value)) {
    const inner = /^set\((.*)\)$/.exec(type)?.[1] ?? 'string';
    return value.map((item) => formatValue(inner, item)).join('; ');
  }
  if (isStruct(value)) {
    const inner = /^map\([^,]*,(.*)\)$/.exec(type)?.[1] ?? 'string';
    return Object.entries(value)
      .map(([key, item]) => `${key}: ${formatValue(inner, item)}`)
      .join('; ');
  }
  if (type === 'float' && typeof value === 'number') return value.toFixed(3);
  // xe writes the power state in small letters, as the errors of the XenAPI do.
  const text = textOf(value);
  return type === 'enum(vm_power_state)' ? text.toLowerCase() : text;
}

/**
 * Text that a terminal shows as it is: control characters and what turns the direction of writing are written as
 * escapes, so that a name cannot move the cursor or change the title.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, (character) => {
    switch (character) {
      case '\n':
        return '\\n';
      case '\t':
        return '\\t';
      case '\r':
        return '\\r';
      default:
        return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
    }
  });
}

/** How far xe indents the fields after the first one. */
const indent = 4;

/** A record as a block of lines, the colons below each other, with the two empty lines that xe puts after it. */
export function formatRecord(cells: readonly Cell[]): string {
  const heads = cells.map(({ name, tag }) => `${name} (${tag.padStart(3)})`);
  const width = Math.max(0, ...heads.map((head) => head.length)) + indent;
  const lines = cells.map(({ value }, i) => {
    const head = heads[i] ?? '';
    return `${i === 0 ? head.padEnd(width) : head.padStart(width)}: ${value}\n`;
  });
  return `${lines.join('')}\n\n`;
}

/** Values for scripts: commas between them, commas within them escaped. */
export const formatMinimal = (values: readonly string[]): string =>
  `${values.map((value) => value.replaceAll(',', '\\,')).join(',')}\n`;
