/** What differs between two definitions of a campaign. */
import type { Campaign } from './campaign.ts';

/** As JSON keeps it: the form in which definitions are compared. */
type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** A campaign as it is kept beside its data. What is `undefined` is not there. */
export const definitionJson = (campaign: Campaign): string => `${JSON.stringify(campaign, undefined, 2)}\n`;

/**
 * The differences of a definition to what `definitionJson` kept of it earlier, each as a line: `runs: 10 became 20`. Comments and
 * the layout of the file are none.
 * @throws SyntaxError when what was kept is no JSON
 */
export function definitionChanges(kept: string, now: Campaign): readonly string[] {
  return [...changes('', JSON.parse(kept) as Json, JSON.parse(definitionJson(now)) as Json)];
}

function* changes(path: string, before: Json | undefined, after: Json | undefined): Generator<string> {
  if (isParts(before) && isParts(after)) {
    const [a, b] = [partsOf(before), partsOf(after)];
    for (const name of new Set([...a.keys(), ...b.keys()])) {
      yield* changes(path === '' ? name : `${path}.${name}`, a.get(name), b.get(name));
    }
    // Things with names are compared by name: that their order is another is a change of its own.
    const order = (parts: ReadonlyMap<string, Json>): string => [...parts.keys()].join(', ');
    if (
      Array.isArray(before) &&
      a.size === b.size &&
      order(a) !== order(b) &&
      [...a.keys()].every((key) => b.has(key))
    ) {
      yield `${path}: the order ${order(a)} became ${order(b)}`;
    }
    return;
  }
  const [old, young] = [text(before), text(after)];
  if (old !== young) yield `${path}: ${old} became ${young}`;
}

const isParts = (value: Json | undefined): value is readonly Json[] | { readonly [name: string]: Json } =>
  typeof value === 'object' && value !== null && (!Array.isArray(value) || value.some(hasName));

const hasName = (value: Json): value is { readonly name: string } =>
  typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string';

/** The parts of a mapping by name, and of a list of things by the names that they have. */
function partsOf(value: readonly Json[] | { readonly [name: string]: Json }): ReadonlyMap<string, Json> {
  if (!isList(value)) return new Map(Object.entries(value));
  return new Map(value.map((each, index) => [hasName(each) ? each.name : String(index), each]));
}

const isList = (value: readonly Json[] | { readonly [name: string]: Json }): value is readonly Json[] =>
  Array.isArray(value);

function text(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  const json = JSON.stringify(value);
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}
