/** What must hold of a pool at any moment, whatever befell it. */
import { memoryOf } from '@xenolith/hypervisor';
import { classTables, parseDataType, type AnyRecord, type DataType, type Database } from '@xenolith/xapi';
import type { ModelPool } from './model-pool.ts';

/** What is broken, in sentences; empty when nothing is. */
export const brokenInvariants = (pool: ModelPool): readonly string[] => [
  ...twoDomains(pool),
  ...tooMuchMemory(pool),
  ...danglingReferences(pool.db),
];

/** A VM has at most one domain, wherever: also on hosts that cannot be reached. */
function twoDomains(pool: ModelPool): readonly string[] {
  const seen = new Map<string, string>();
  const twice: string[] = [];
  for (const { shape, hypervisor } of pool.machines.values()) {
    for (const { domid, spec } of hypervisor.domains()) {
      if (domid === 0) continue;
      const where = `${shape.hostname} as ${domid}`;
      const other = seen.get(spec.uuid);
      if (other !== undefined) twice.push(`VM ${spec.uuid} runs on ${other} and on ${where}`);
      seen.set(spec.uuid, where);
    }
  }
  return twice;
}

/** Neither domains nor the VMs that the records have on a host are larger together than the host. */
function tooMuchMemory({ db, machines }: ModelPool): readonly string[] {
  const wrong: string[] = [];
  for (const { shape, hypervisor } of machines.values()) {
    const used = hypervisor.domains().reduce((sum, domain) => sum + memoryOf(domain), 0);
    if (used > shape.memoryBytes) wrong.push(`domains on ${shape.hostname} have ${used} bytes of ${shape.memoryBytes}`);
  }
  for (const [, host] of db.all('host')) {
    const total = db.get('host_metrics', host.metrics).memory_total;
    const promised = host.resident_VMs.reduce((sum, vm) => sum + db.get('VM', vm).memory_dynamic_min, 0);
    if (promised > total) wrong.push(`VMs on ${host.hostname} are promised ${promised} bytes of ${total}`);
  }
  return wrong;
}

/** Fields of a class that hold references. */
interface ReferenceField {
  readonly name: string;
  readonly to: string;
}

const referenceTarget = (type: DataType): string | undefined =>
  type.kind === 'ref' ? type.class : type.kind === 'set' && type.of.kind === 'ref' ? type.of.class : undefined;

/** Each class that has rows, with its fields that hold references. */
const referenceFields: readonly (readonly [string, readonly ReferenceField[]])[] = Object.values(classTables)
  // What a role may call is a role in XAPI's table, and has no rows here.
  .filter(({ inDatabase, name }) => inDatabase && name !== 'role')
  .map(({ name, fields }) => [
    name,
    Object.entries(fields).flatMap(([field, { type, internal }]: [string, { type: string; internal?: boolean }]) => {
      const to = internal === true ? undefined : referenceTarget(parseDataType(type));
      return to === undefined ? [] : [{ name: field, to }];
    }),
  ]);

const isNull = (ref: string): boolean => ref === '' || ref === 'OpaqueRef:NULL';

/** Each reference in a record is null or one of an object that there is. */
function danglingReferences(db: Database): readonly string[] {
  const wrong: string[] = [];
  for (const [className, fields] of referenceFields) {
    if (db.count(className) === 0) continue;
    for (const [ref, record] of db.allAny(className)) {
      for (const { name, to } of fields) {
        for (const target of referencesIn(record, name)) {
          if (!isNull(target) && !db.has(to, target))
            wrong.push(`${className} ${ref} ${name} is ${target}, which is no ${to}`);
        }
      }
    }
  }
  return wrong;
}

function referencesIn(record: AnyRecord, field: string): readonly string[] {
  const value = record[field];
  return typeof value === 'string' ? [value] : Array.isArray(value) ? (value as readonly string[]) : [];
}
