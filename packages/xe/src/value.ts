/** Words of the command line as values of the data model. */
import type { WireValue } from '@xenolith/wire';
import { parseBool, parseBytes } from './quantity.ts';
import { nullRef } from './records.ts';
import type { Rpc } from './call.ts';
import { UsageError } from './usage-error.ts';

/**
 * A word as a value of a type in the notation of the data model. References are given by uuid; an empty word is the
 * null reference. Sets have commas between their members.
 * @throws UsageError when the word is no such value
 */
export async function parseValue(rpc: Rpc, type: string, text: string, key: string): Promise<WireValue> {
  const set = /^set\((.*)\)$/.exec(type)?.[1];
  if (set !== undefined) {
    const words = text.split(',').filter((word) => word !== '');
    return Promise.all(words.map((word) => parseValue(rpc, set, word, key)));
  }
  const className = /^ref\((.*)\)$/.exec(type)?.[1];
  if (className !== undefined) {
    if (text === '' || text === nullRef || text === 'NULL') return nullRef;
    return rpc.call(`${className}.get_by_uuid`, text);
  }
  const enumName = /^enum\((.*)\)$/.exec(type)?.[1];
  if (enumName !== undefined) return parseEnum(enumName, text, key);
  switch (type) {
    case 'int':
      if (/^\d+\s*[KMGT]iB$/.test(text)) return parseBytes(text, key);
      if (!/^-?\d{1,19}$/.test(text)) throw new UsageError(`${key}=${text}: expected a whole number`);
      // JSON's numbers are exact to 2^53; the server takes text as well.
      return Number.isSafeInteger(Number(text)) ? Number(text) : text;
    case 'float': {
      const number = Number(text);
      if (text.trim() === '' || !Number.isFinite(number)) throw new UsageError(`${key}=${text}: expected a number`);
      return number;
    }
    case 'bool':
      return parseBool(text, key);
    default:
      if (type.startsWith('map(')) throw new UsageError(`${key} is a map: ${key}:KEY=VALUE sets one of its keys`);
      return text;
  }
}

async function parseEnum(enumName: string, text: string, key: string): Promise<string> {
  const { enums } = await import('@xenolith/xapi');
  const words: readonly string[] = Object.entries(enums).find(([name]) => name === enumName)?.[1] ?? [];
  const word = words.find((each) => each === text) ?? words.find((each) => each.toLowerCase() === text.toLowerCase());
  if (word === undefined) throw new UsageError(`${key}=${text}: expected one of ${words.join(', ')}`);
  return word;
}
