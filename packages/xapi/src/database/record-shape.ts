/** What the database needs to know of a class: its empty record, what a store keeps of it, and where references sit. */
import type { WireValue } from '@xenolith/wire';
import { classTables } from '../datamodel/classes.ts';
import { classTable, emptyValue, parseDataType } from '../datamodel/data-type.ts';
import { hasRows } from '../datamodel/registry.ts';
import { relations } from '../datamodel/relations.ts';
import type { ClassTable } from '../datamodel/schema.ts';

/** A record whose class is not known to the checker. */
export type AnyRecord = Readonly<Record<string, WireValue>>;

/** A field that holds a reference or a set of them. */
export interface ReferenceField {
  readonly name: string;
  readonly many: boolean;
  /** What the relation index knows the field by: `VBD.VM`. */
  readonly key: string;
  /** The other end, when that is computed from this one: `VM.VBDs`. */
  readonly computes?: { readonly className: string; readonly field: string };
}

/** What follows from the table of one class. */
export interface RecordShape {
  readonly table: ClassTable;
  /** A record with nothing filled in but the defaults. */
  readonly empty: AnyRecord;
  /** Whether a store keeps rows of the class at all. */
  readonly persistent: boolean;
  /** The fields that a store keeps. */
  readonly persisted: ReadonlySet<string>;
  /** The fields that follow from other objects and so are never written, with the index key of their other end. */
  readonly computed: ReadonlyMap<string, string>;
  readonly references: ReadonlyMap<string, ReferenceField>;
}

/** A relation of a field with itself (`role.subroles`) is a plain set without another end. */
const isSelfRelation = ([a, aField, b, bField]: readonly string[]): boolean => a === b && aField === bField;
const twoEnded = relations.filter((relation) => !isSelfRelation(relation));
const selfRelated = new Set(relations.filter(isSelfRelation).map(([a, field]) => `${a}.${field}`));

const shapes = new Map<string, RecordShape>();

/** The shape of a class that has rows, worked out once. */
export function recordShape(className: string): RecordShape {
  let shape = shapes.get(className);
  if (shape === undefined) shapes.set(className, (shape = shapeOf(classTable(className))));
  return shape;
}

function shapeOf(table: ClassTable): RecordShape {
  const fields = Object.entries(table.fields).filter(([, field]) => field.internal !== true);
  const computed = new Map<string, string>();
  for (const [fromClass, fromField, toClass, toField] of twoEnded) {
    if (toClass !== table.name || !isComputed(table, toField)) continue;
    computed.set(toField, `${fromClass}.${fromField}`);
  }
  const kept = fields.filter(([name, field]) => field.notPersisted !== true && !computed.has(name));
  return {
    table,
    empty: emptyRecord(table),
    persistent: table.persist || table.name === 'message',
    persisted: new Set(kept.map(([name]) => name)),
    computed,
    references: referenceFields(table, computed),
  };
}

/** Whether the far end of a relation is a field that clients see and that follows from the near end. */
const isComputed = ({ fields }: ClassTable, name: string): boolean =>
  fields[name]?.internal !== true && fields[name]?.ignoreForeignKey !== true;

function emptyRecord(table: ClassTable): AnyRecord {
  const entries: [string, WireValue][] = [];
  for (const [name, field] of Object.entries(table.fields)) {
    const type = parseDataType(field.type);
    if (field.internal === true || type.kind === 'option') continue;
    entries.push([name, field.default ?? emptyValue(type)]);
  }
  return Object.fromEntries(entries);
}

function referenceFields(
  table: ClassTable,
  computed: ReadonlyMap<string, string>,
): ReadonlyMap<string, ReferenceField> {
  const found = new Map<string, ReferenceField>();
  for (const [name, field] of Object.entries(table.fields)) {
    const key = `${table.name}.${name}`;
    if (computed.has(name) || selfRelated.has(key)) continue;
    const type = parseDataType(field.type);
    const many = type.kind === 'set' && type.of.kind === 'ref';
    if (!many && type.kind !== 'ref') continue;
    const relation = twoEnded.find(([fromClass, fromField]) => fromClass === table.name && fromField === name);
    const computes =
      relation === undefined || !isComputed(classTable(relation[2]), relation[3])
        ? undefined
        : { className: relation[2], field: relation[3] };
    found.set(name, { name, many, key, ...(computes === undefined ? {} : { computes }) });
  }
  return found;
}

/** The classes whose objects live in the database, in the order of the tables. */
export const rowClasses: readonly string[] = (Object.values(classTables) as readonly ClassTable[])
  .filter(hasRows)
  .map((table) => table.name);

/** The references in a field that holds one or a set of them; null references are left out. */
export function referencesIn(value: WireValue | undefined): readonly string[] {
  const list = typeof value === 'string' ? [value] : Array.isArray(value) ? (value as readonly string[]) : [];
  return list.filter((ref) => ref !== 'OpaqueRef:NULL' && ref !== '');
}
