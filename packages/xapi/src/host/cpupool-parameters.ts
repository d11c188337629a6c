/** Parameters of a cpupool's scheduler: as texts by key in records, as numbers by name to a host. */
import { XapiError } from '../errors.ts';
import type { CpupoolParameters } from '../host-scheduling.ts';

const keys = {
  tslice_ms: 'tsliceMs',
  ratelimit_us: 'ratelimitUs',
  migration_delay_us: 'migrationDelayUs',
} as const satisfies Readonly<Record<string, keyof CpupoolParameters>>;

type Key = keyof typeof keys;
const isKey = (key: string): key is Key => Object.hasOwn(keys, key);

/**
 * Reads what a client gives; which values a scheduler takes is for Xen to say.
 * @throws XapiError INVALID_VALUE for a key that there is not, or a value that is no number
 */
export function readCpupoolParameters(given: Readonly<Record<string, string>>): CpupoolParameters {
  const entries = Object.entries(given).map(([key, text]) => {
    if (!isKey(key) || !/^\d{1,9}$/.test(text)) throw new XapiError('INVALID_VALUE', `parameters:${key}`, text);
    return [keys[key], Number(text)] as const;
  });
  return Object.fromEntries(entries);
}

/** As records have them. */
export function cpupoolParameterTexts(parameters: CpupoolParameters): Readonly<Record<string, string>> {
  const entries = (Object.keys(keys) as Key[]).flatMap((key) => {
    const value = parameters[keys[key]];
    return value === undefined ? [] : [[key, String(value)] as const];
  });
  return Object.fromEntries(entries);
}
