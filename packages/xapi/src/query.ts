/**
 * The filter language of `get_all_records_where`. XAPI: ocaml/database/db_filter_parse.mly, db_filter_lex.mll;
 * PROTOCOL.md §4. Only equality; `and` and `or` bind alike, from the left; `not` reaches as far as it can.
 */
import type { WireValue } from '@xenolith/wire';
import type { AnyRecord } from './database/database.ts';
import { parseDataType, type DataType } from './datamodel/data-type.ts';
import type { ClassTable } from './datamodel/schema.ts';
import { XapiError } from './errors.ts';

type Test = (ref: string, record: AnyRecord) => boolean;
type Value = (ref: string, record: AnyRecord) => string;

/** Expressions nested deeper than this are refused, before they fill the stack. */
const depthMax = 200;

/**
 * Compiles a filter for the objects of a class. Fields go by their names in the database (`name__label`), `_ref` is
 * the reference; values compare as the texts that XAPI stores.
 * @throws XapiError INTERNAL_ERROR for bad syntax or a field that the class does not have
 */
export function parseQuery(table: ClassTable, expression: string): Test {
  const parser = new QueryParser(table, tokens(expression), expression);
  return parser.parse();
}

interface Token {
  readonly kind: 'text' | 'word' | 'symbol';
  readonly text: string;
}

const tokenPattern = /[ \t\r\n]*(?:"([^"']*)"|([a-z]+)|([=()]))/y;

function tokens(expression: string): readonly Token[] {
  const found: Token[] = [];
  tokenPattern.lastIndex = 0;
  const end = expression.replace(/[ \t\r\n]+$/, '').length;
  while (tokenPattern.lastIndex < end) {
    const match = tokenPattern.exec(expression);
    if (match === null) throw badQuery(expression);
    const [, text, word, symbol] = match;
    if (text !== undefined) found.push({ kind: 'text', text });
    else if (word !== undefined) found.push({ kind: 'word', text: word });
    else found.push({ kind: 'symbol', text: symbol ?? '' });
  }
  return found;
}

const badQuery = (expression: string): XapiError => new XapiError('INTERNAL_ERROR', `bad filter: ${expression}`);

class QueryParser {
  readonly #table: ClassTable;
  readonly #tokens: readonly Token[];
  readonly #expression: string;
  #at = 0;
  #depth = 0;

  constructor(table: ClassTable, list: readonly Token[], expression: string) {
    this.#table = table;
    this.#tokens = list;
    this.#expression = expression;
  }

  parse(): Test {
    const test = this.#chain();
    if (this.#at !== this.#tokens.length) throw badQuery(this.#expression);
    return test;
  }

  #chain(): Test {
    if (++this.#depth > depthMax) throw badQuery(this.#expression);
    const first = this.#operand();
    const rest: { readonly and: boolean; readonly test: Test }[] = [];
    for (;;) {
      const and = this.#takeWord('and');
      if (!and && !this.#takeWord('or')) break;
      rest.push({ and, test: this.#operand() });
    }
    this.#depth--;
    if (rest.length === 0) return first;
    return (ref, record) => {
      let truth = first(ref, record);
      for (const { and, test } of rest) truth = and ? truth && test(ref, record) : truth || test(ref, record);
      return truth;
    };
  }

  #operand(): Test {
    if (this.#takeWord('not')) {
      const test = this.#chain();
      return (ref, record) => !test(ref, record);
    }
    if (this.#takeWord('true')) return () => true;
    if (this.#takeWord('false')) return () => false;
    if (this.#takeSymbol('(')) {
      const test = this.#chain();
      if (!this.#takeSymbol(')')) throw badQuery(this.#expression);
      return test;
    }
    const left = this.#value();
    if (!this.#takeSymbol('=')) throw badQuery(this.#expression);
    const right = this.#value();
    return (ref, record) => left(ref, record) === right(ref, record);
  }

  #value(): Value {
    const isField = this.#takeWord('field');
    const token = this.#tokens[this.#at++];
    if (token?.kind !== 'text') throw badQuery(this.#expression);
    return isField ? fieldValue(this.#table, token.text) : () => token.text;
  }

  #takeWord(word: string): boolean {
    return this.#take('word', word);
  }

  #takeSymbol(symbol: string): boolean {
    return this.#take('symbol', symbol);
  }

  #take(kind: Token['kind'], text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== kind || token.text !== text) return false;
    this.#at++;
    return true;
  }
}

function fieldValue(table: ClassTable, databaseName: string): Value {
  if (databaseName === '_ref') return (ref) => ref;
  const found = Object.entries(table.fields).find(
    ([name, field]) =>
      field.internal !== true &&
      databaseName === (field.group === undefined ? name : `${field.group}__${name.slice(field.group.length + 1)}`),
  );
  if (found === undefined) throw new XapiError('INTERNAL_ERROR', `no field ${databaseName} in ${table.name}`);
  const [name, field] = found;
  const type = parseDataType(field.type);
  return (_ref, record) => storedText(type, record[name]);
}

/** A value as XAPI's database holds it: plain text, and S-expressions of quoted atoms for sets and maps. */
function storedText(type: DataType, value: WireValue | undefined): string {
  if (value === undefined || value === null) return '';
  if (type.kind === 'set' && Array.isArray(value)) {
    return `(${(value as readonly WireValue[]).map((item) => quoted(storedText(type.of, item))).join(' ')})`;
  }
  if (type.kind === 'map' && typeof value === 'object') {
    const pairs = Object.entries(value).map(
      ([key, item]) => `(${quoted(key)} ${quoted(storedText(type.value, item))})`,
    );
    return `(${pairs.join(' ')})`;
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
