/** The filter language of `get_all_records_where`. XAPI: ocaml/database/db_filter_parse.mly, db_filter.ml. */
import type { AnyRecord } from './database/database.ts';
import type { ClassTable } from './datamodel/schema.ts';
import { XapiError } from './errors.ts';

export function parseQuery(table: ClassTable, expression: string): (ref: string, record: AnyRecord) => boolean {
  throw new XapiError('INTERNAL_ERROR', `${table.name}: ${expression}`);
}
