/** Waiting for changes: `event.from` and the older `event.next`. XAPI: ocaml/xapi/xapi_event.ml. */
import type { Clock } from '@xenolith/base';
import type { Database } from '../database/database.ts';
import type { Sessions } from '../session/sessions.ts';

export class Events {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #sessions: Sessions;

  constructor(db: Database, clock: Clock, sessions: Sessions) {
    this.#db = db;
    this.#clock = clock;
    this.#sessions = sessions;
  }
}
