/** Truth values and sizes as users of xe write them. */
import { UsageError } from './usage-error.ts';

/** A yes or no as xe's users write it. */
export function parseBool(text: string, key: string): boolean {
  switch (text.toLowerCase()) {
    case 'true':
    case 'yes':
    case '1':
    case 't':
      return true;
    case 'false':
    case 'no':
    case '0':
    case 'f':
    case '':
      return false;
    default:
      throw new UsageError(`${key}=${text}: expected true or false`);
  }
}

const units: Readonly<Record<string, number>> = {
  '': 1,
  bytes: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** A number of bytes, with or without a unit: `512MiB`, `1GiB`, `1048576`. */
export function parseBytes(text: string, key: string): number {
  const [, digits = '', unit = ''] = /^(\d+)\s*([A-Za-z]*)$/.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  const bytes = Number(digits) * (factor ?? NaN);
  if (digits === '' || !Number.isSafeInteger(bytes)) {
    throw new UsageError(`${key}=${text}: expected bytes, with KiB, MiB, GiB or TiB or without`);
  }
  return bytes;
}
