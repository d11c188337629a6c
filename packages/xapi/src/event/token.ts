/** Where a client stands in the stream of changes. XAPI: ocaml/xapi/xapi_event.ml, module Token; PROTOCOL.md §5. */
import { XapiError } from '../errors.ts';

/**
 * A generation as a token: twenty digits each for objects and for messages, so that tokens sort as text. Messages are
 * rows like others here, so both halves are the same.
 */
export function formatToken(generation: number): string {
  const digits = String(generation).padStart(20, '0');
  return `${digits},${digits}`;
}

/**
 * The generation that a token stands for; 0, the beginning of time, for the empty one.
 * @throws XapiError EVENT_FROM_TOKEN_PARSE_FAILURE [token]
 */
export function parseToken(token: string): number {
  if (token === '') return 0;
  const digits = /^(\d{1,20}),\d{1,20}$/.exec(token)?.[1];
  const generation = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(generation)) {
    throw new XapiError('EVENT_FROM_TOKEN_PARSE_FAILURE', token);
  }
  return generation;
}
