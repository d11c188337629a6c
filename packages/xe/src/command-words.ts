/** What commands share: words of the command line as values, and commands that are one call. */
import type { WireValue } from '@xenolith/wire';
import { parseBool } from './quantity.ts';
import type { Command, CommandContext } from './command.ts';
import { nullRef } from './records.ts';
import { refByUuid } from './select.ts';
import { UsageError } from './usage-error.ts';
import { isArray, textOf } from './wire-text.ts';

/** A command that is one call on the object with the uuid. */
export function byUuid(name: string, method: string, help: string): Command {
  const className = method.slice(0, method.indexOf('.'));
  return {
    name,
    help,
    required: ['uuid'],
    optional: [],
    async run(context) {
      await context.rpc.call(method, await refByUuid(context.rpc, className, context.required('uuid')));
    },
  };
}

/** The command that takes a device from a guest; its timeout is the guest's. */
export function unplug(name: string, className: 'VBD' | 'VIF', help: string): Command {
  return {
    name,
    help,
    required: ['uuid'],
    optional: ['force', 'timeout'],
    async run({ rpc, options, required }) {
      const device = await refByUuid(rpc, className, required('uuid'));
      await rpc.call(`${className}.unplug${options.force ? '_force' : ''}`, device);
    },
  };
}

/** The entries of `PREFIX:KEY=VALUE` words; of `PREFIX-KEY=VALUE` for a prefix that is given with its hyphen. */
export function mapOf({ values }: CommandContext, prefix: string): Readonly<Record<string, string>> {
  const whole = prefix.endsWith('-') ? prefix : `${prefix}:`;
  const entries = [...values].filter(([key]) => key.startsWith(whole));
  return Object.fromEntries(entries.map(([key, value]) => [key.slice(whole.length), value]));
}

export const text = ({ values }: CommandContext, key: string, otherwise = ''): string => values.get(key) ?? otherwise;

export function bool({ values }: CommandContext, key: string, otherwise: boolean): boolean {
  const given = values.get(key);
  return given === undefined ? otherwise : parseBool(given, key);
}

export async function printUuid({ rpc, print }: CommandContext, className: string, ref: WireValue): Promise<void> {
  print(textOf(await rpc.call(`${className}.get_uuid`, ref)));
}

/** A whole number. Throws UsageError for what is none. */
export function whole(word: string, key: string): number {
  const value = Number(word);
  if (!/^-?\d+$/.test(word) || !Number.isSafeInteger(value)) throw new UsageError(`${key}=${word}: expected a number`);
  return value;
}

/** Reference of the pool: there is exactly one. */
export async function thePool({ rpc }: CommandContext): Promise<string> {
  const pools = await rpc.call('pool.get_all');
  return textOf(isArray(pools) ? pools[0] : undefined);
}

/** The pool's default SR, as reference. Throws UsageError when it has none. */
export async function defaultSr(context: CommandContext): Promise<string> {
  const sr = textOf(await context.rpc.call('pool.get_default_SR', await thePool(context)));
  if (sr === nullRef) throw new UsageError('the pool has no default SR: give sr-uuid=');
  return sr;
}
