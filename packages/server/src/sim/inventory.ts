/**
 * The inventory of a pool as one JSON file: the records of every class, as `get_all_records` has them. Captured from a live
 * pool, it becomes a simulated one: hosts become modelled hosts of their size, domains that run are put on them, and what no
 * model has (repositories of other types, GPUs, patches) stays as records.
 */
import { gibBytes, mibBytes } from '@xenolith/base';
import { modelBridge } from '@xenolith/host';
import type { WireValue } from '@xenolith/wire';
import { classTable, classTables, type StoredRow } from '@xenolith/xapi';
import type { StoreContent } from './sim-store.ts';

export const inventoryFormat = 'xenolith-inventory';

type Records = Readonly<Record<string, Readonly<Record<string, WireValue>>>>;

export interface Inventory {
  readonly format: typeof inventoryFormat;
  readonly version: 1;
  /** By class and reference. */
  readonly classes: Readonly<Record<string, Records>>;
}

/** Not part of an inventory: what belongs to logins and to work under way, secrets, and what each pool has alike. */
const leftOut = new Set(['session', 'task', 'event', 'user', 'secret', 'role', 'blob']);

/** The classes that a capture asks for: those that have objects. */
export const inventoryClasses: readonly string[] = Object.values(classTables)
  .filter(({ name, inDatabase }) => inDatabase && !leftOut.has(name))
  .map(({ name }) => name);

/** What is wrong with an inventory, in a sentence. */
export class InventoryError extends Error {
  override readonly name = 'InventoryError';
}

/** Reads an inventory. @throws InventoryError */
export function parseInventory(text: string): Inventory {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InventoryError(`it is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(value) || value['format'] !== inventoryFormat) {
    throw new InventoryError(`it is no inventory: "format" is not "${inventoryFormat}"`);
  }
  if (value['version'] !== 1) throw new InventoryError('it is of a version that is not known here');
  const { classes } = value;
  if (!isObject(classes)) throw new InventoryError('it has no "classes"');
  for (const [name, records] of Object.entries(classes)) {
    if (!isObject(records)) throw new InventoryError(`class ${name} is no object`);
    for (const [ref, record] of Object.entries(records)) {
      if (!ref.startsWith('OpaqueRef:') || !isObject(record)) throw new InventoryError(`${name} ${ref} is no record`);
    }
  }
  return value as unknown as Inventory;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The rows of a store as an inventory. */
export function inventoryOf({ rows }: StoreContent): Inventory {
  const classes: Record<string, Record<string, Readonly<Record<string, WireValue>>>> = {};
  for (const row of rows.values()) {
    if (leftOut.has(row.class)) continue;
    (classes[row.class] ??= {})[row.ref] = row.fields;
  }
  return { format: inventoryFormat, version: 1, classes };
}

const addressKey = 'xenolith:address';

/** What a pool that is to be simulated begins with. @throws InventoryError */
export function contentFrom(inventory: Inventory, seed: number): StoreContent {
  const { classes } = inventory;
  const hosts = Object.entries(classes['host'] ?? {});
  if (hosts.length === 0) throw new InventoryError('it has no host');
  const rows = new Map<string, StoredRow>();
  for (const [name, records] of Object.entries(classes)) {
    if (leftOut.has(name) || !Object.hasOwn(classTables, name)) continue;
    const { fields: known } = classTable(name);
    for (const [ref, record] of Object.entries(records)) {
      const fields: Record<string, WireValue> = Object.fromEntries(
        Object.entries(record)
          .filter(([field]) => Object.hasOwn(known, field))
          .map(([field, value]) => [field, storedValue(known[field]?.type ?? 'string', value)]),
      );
      // A model has one bridge, and every network leads to it.
      if (name === 'network') fields['bridge'] = modelBridge;
      if (rows.has(ref)) throw new InventoryError(`two objects have the reference ${ref}`);
      rows.set(ref, { ref, class: name, fields });
    }
  }
  hosts.forEach(([ref, record], at) => {
    const row = rows.get(ref);
    if (row !== undefined)
      rows.set(ref, { ...row, fields: { ...row.fields, ...hostFields(classes, record, at, seed) } });
  });
  return { rows, settings: {} };
}

/** Integers are text in XML-RPC, and numbers in a store. */
function storedValue(type: string, value: WireValue): WireValue {
  if (typeof value !== 'string' || (type !== 'int' && type !== 'float')) return value;
  const number = Number(value);
  return Number.isFinite(number) ? number : 0;
}

/** A host gets the address of a model with as many CPUs and as much memory. */
function hostFields(
  classes: Inventory['classes'],
  record: Readonly<Record<string, WireValue>>,
  at: number,
  seed: number,
): Readonly<Record<string, WireValue>> {
  const info = isObject(record['cpu_info']) ? record['cpu_info'] : {};
  const cpus = clamp(Number(info['cpu_count'] ?? 8) || 8, 1, 4095);
  const sockets = clamp(Number(info['socket_count'] ?? 1) || 1, 1, Math.min(cpus, 32));
  const metrics = classes['host_metrics']?.[textOf(record['metrics'])] ?? {};
  const memoryBytes = clamp(Number(metrics['memory_total']) || 16 * gibBytes, 4 * gibBytes, 16_384 * gibBytes);
  const cores = clamp(Math.floor(cpus / sockets), 1, 128);
  const memoryMib = Math.floor(memoryBytes / mibBytes);
  const hostSeed = (seed * 1009 + at + 1) % 1_000_000_000;
  const given = textOf(record['hostname']);
  const hostname = /^[0-9A-Za-z][0-9A-Za-z.-]{0,62}$/.test(given) ? given : `host${at + 1}`;
  const address = `model:${hostname}?nodes=1&sockets=${sockets}&cores=${cores}&threads=1&memory=${memoryMib}M&dom0=2G&seed=${hostSeed}`;
  const otherConfig = isObject(record['other_config']) ? record['other_config'] : {};
  const kept = Object.entries(otherConfig).filter(([key]) => !key.startsWith('xenolith:'));
  return { hostname, other_config: Object.fromEntries([...kept, [addressKey, address]]) as WireValue };
}

const textOf = (value: WireValue | undefined): string => (typeof value === 'string' ? value : '');

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, Math.floor(value)));
