/**
 * The computed ends of relations. `VBD.VM` is stored; `VM.VBDs` follows from it and is kept here, so that no writer
 * has to think of two places.
 */
import type { WireValue } from '@xenolith/wire';
import { classTable } from '../datamodel/data-type.ts';
import { relations } from '../datamodel/relations.ts';

/** A stored end: which class and field point at which computed set. */
interface Relation {
  readonly fromField: string;
  readonly toClass: string;
  readonly toField: string;
}

const stored = new Map<string, Relation[]>();
const computed = new Map<string, Set<string>>();

for (const [fromClass, fromField, toClass, toField] of relations) {
  // A relation of a field with itself (subject.roles) is a plain set.
  if (fromClass === toClass && String(fromField) === toField) continue;
  if (classTable(toClass).fields[toField]?.ignoreForeignKey === true) continue;
  let list = stored.get(fromClass);
  if (list === undefined) stored.set(fromClass, (list = []));
  list.push({ fromField, toClass, toField });
  let fields = computed.get(toClass);
  if (fields === undefined) computed.set(toClass, (fields = new Set()));
  fields.add(toField);
}

/** The relations whose stored end is in `className`. */
export const relationsFrom = (className: string): readonly Relation[] => stored.get(className) ?? [];

/** The fields of `className` that are computed, and so never written. */
export const computedFields = (className: string): ReadonlySet<string> => computed.get(className) ?? new Set();

/** The references in a stored end, which holds one or a set of them; null references are left out. */
export function referencesIn(value: WireValue | undefined): readonly string[] {
  const list = typeof value === 'string' ? [value] : Array.isArray(value) ? (value as readonly string[]) : [];
  return list.filter((ref) => ref !== 'OpaqueRef:NULL' && ref !== '');
}

/** Who points where: for every (object, computed field) the objects that name it, in the order in which they came. */
export class RelationIndex {
  readonly #members = new Map<string, Map<string, Set<string>>>();

  add(target: string, field: string, member: string): void {
    let fields = this.#members.get(target);
    if (fields === undefined) this.#members.set(target, (fields = new Map()));
    let members = fields.get(field);
    if (members === undefined) fields.set(field, (members = new Set()));
    members.add(member);
  }

  remove(target: string, field: string, member: string): void {
    this.#members.get(target)?.get(field)?.delete(member);
  }

  members(target: string, field: string): readonly string[] {
    return [...(this.#members.get(target)?.get(field) ?? [])];
  }

  forget(target: string): void {
    this.#members.delete(target);
  }
}
