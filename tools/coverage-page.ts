/**
 * Writes docs/reference/xenapi-coverage.md: which calls of the XenAPI do something here, taken from the tables and
 * the dispatcher themselves.
 *
 *   node tools/coverage-page.ts
 */
import { writeFileSync } from 'node:fs';
import {
  classTables,
  hasBehaviour,
  methods,
  notImplementedReason,
  onlyOn,
  type ClassTable,
  type Method,
} from '../packages/xapi/src/index.ts';

export const coveragePage = new URL('../docs/reference/xenapi-coverage.md', import.meta.url);
/** What to run when the page is out of date. */
export const coverageCommand = 'node tools/coverage-page.ts';

type State = 'implemented' | 'NOT_IMPLEMENTED' | 'removed';

const stateOf = (method: Method): State =>
  method.removed ? 'removed' : hasBehaviour(method) ? 'implemented' : 'NOT_IMPLEMENTED';

/** The calls that a class declares by itself, and create and destroy where objects are made by clients. */
const listed = (className: string, extension: boolean): readonly Method[] =>
  [...methods().values()].filter(
    (method) =>
      method.className === className &&
      method.extension === extension &&
      (method.kind === 'declared' || method.kind === 'create' || method.kind === 'destroy'),
  );

const count = (list: readonly Method[], state: State): number =>
  list.filter((method) => stateOf(method) === state).length;

/** A call by its name, with the driver that alone can do it. */
const nameOf = ({ name, fullName }: Method): string =>
  onlyOn[fullName] === undefined ? `\`${name}\`` : `\`${name}\` (${onlyOn[fullName]} hosts only)`;

function namesOf(list: readonly Method[], state: State): readonly string[] {
  const names = list.filter((method) => stateOf(method) === state).map(nameOf);
  return names.length === 0 ? [] : [`- ${state}: ${names.join(', ')}`];
}

/** What is missing, a line for each reason. */
function missing(list: readonly Method[]): readonly string[] {
  const without = list.filter((method) => stateOf(method) === 'NOT_IMPLEMENTED');
  const groups = Map.groupBy(without, (method) => notImplementedReason(method) ?? '');
  return [...groups].map(
    ([reason, calls]) => `- NOT_IMPLEMENTED (${reason}): ${calls.map((method) => nameOf(method)).join(', ')}`,
  );
}

/** Fields of ours in a class of XAPI. */
const ownFields = (table: ClassTable): readonly string[] =>
  Object.entries(table.fields).flatMap(([name, field]) => (field.extension === true ? [`\`${name}\``] : []));

function section(table: ClassTable): readonly string[] {
  const fields = ownFields(table);
  const calls = listed(table.name, false);
  const extensions = listed(table.name, true).map((method) => `\`${method.name}\` (${stateOf(method)})`);
  return [
    `## ${table.name}`,
    '',
    table.help,
    '',
    ...namesOf(calls, 'implemented'),
    ...missing(calls),
    ...namesOf(calls, 'removed'),
    ...(extensions.length === 0 ? [] : [`- calls of ours: ${extensions.join(', ')}`]),
    ...(fields.length === 0 ? [] : [`- fields of ours: ${fields.join(', ')}`]),
    ...(calls.length + extensions.length === 0 ? ['- no calls of its own'] : []),
    '',
  ];
}

/** The whole page. */
export function coverageText(): string {
  const every: readonly ClassTable[] = Object.values(classTables);
  const tables = every.filter((table) => table.extension !== true);
  const ours = every.filter((table) => table.extension === true);
  const all = tables.flatMap((table) => listed(table.name, false));
  const rows = tables.map((table) => {
    const calls = listed(table.name, false);
    const numbers = (['implemented', 'NOT_IMPLEMENTED', 'removed'] as const).map((state) => count(calls, state));
    return `| [${table.name}](#${table.name.toLowerCase()}) | ${numbers.join(' | ')} |`;
  });
  return [
    '# XenAPI coverage',
    '',
    `Written by \`${coverageCommand}\` from the tables in packages/xapi: do not edit by hand.`,
    '',
    'Every class and every field of XAPI exists here, and what follows from the tables alone works for all of them:',
    '`get_record`, `get_all`, `get_all_records`, `get_all_where`, `get_all_records_where`, `get_by_uuid`,',
    '`get_by_name_label`, for each field `get_`, and for each field that clients write by its table alone `set_`,',
    '`add_to_`, `remove_from_`, `add_`, `remove_`. Fields whose setter is a call of its own are written by the calls',
    'below, or not at all. Below are the calls that a class has besides. Those that are implemented work on model hosts',
    'and on real Xen through `xl` alike, but where a driver is named. One that is listed as NOT_IMPLEMENTED answers with',
    'that error and its name, for the reason that is given (`packages/xapi/src/datamodel/not-implemented.ts`); one that is',
    'removed answers MESSAGE_REMOVED, as XAPI does.',
    '',
    '| class | implemented | NOT_IMPLEMENTED | removed |',
    '| --- | ---: | ---: | ---: |',
    ...rows,
    `| all ${tables.length} | ${count(all, 'implemented')} | ${count(all, 'NOT_IMPLEMENTED')} | ${count(all, 'removed')} |`,
    '',
    ...tables.flatMap(section),
    '## Classes of ours',
    '',
    'Additive: a client of plain XenAPI never meets them. `packages/xapi/src/datamodel/extensions.ts` lists all that is ours.',
    '',
    ...ours.flatMap(section),
  ].join('\n');
}

if (import.meta.main) writeFileSync(coveragePage, coverageText());
