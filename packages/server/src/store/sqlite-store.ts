/**
 * The database of a pool in one SQLite file: each batch a transaction, on disk (write-ahead log, `synchronous=FULL`)
 * before it is acknowledged. The file is locked for as long as the store is open, so that there is never a second
 * manager of the same state; the kernel drops that lock when the process dies, however it dies.
 */
import { closeSync, existsSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Batch, Store, StoredRow } from '@xenolith/xapi';

/** Marks our files (`PRAGMA application_id`): "Xeno". */
const applicationId = 0x58656e6f;
/** Layout of the tables (`PRAGMA user_version`); rises with each change of it. */
const schemaVersion = 1;

const schema = `
  CREATE TABLE object (ref TEXT PRIMARY KEY NOT NULL, class TEXT NOT NULL, fields TEXT NOT NULL) STRICT;
  CREATE TABLE setting (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE generation (only INTEGER PRIMARY KEY NOT NULL CHECK (only = 1), value INTEGER NOT NULL) STRICT;
  INSERT INTO generation VALUES (1, 0);
`;

/**
 * Why a store cannot be used:
 * - `locked`: another process has it open;
 * - `foreign`: a SQLite file of something else;
 * - `newer`: written by a later version;
 * - `corrupt`: not, or no longer, a readable database;
 * - `unwritable`: the directory or file may not be written, or there is no space.
 */
export type StoreErrorCode = 'locked' | 'foreign' | 'newer' | 'corrupt' | 'unwritable';

/** A store that cannot be opened or written; the message says what to do. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Primary result codes of SQLite (sqlite.org/rescode.html) that have a story of their own. */
const sqliteCode = { busy: 5, locked: 6, readonly: 8, ioerr: 10, corrupt: 11, full: 13, cantopen: 14, notadb: 26 };

function storeError(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const extended = (error as { readonly errcode?: unknown }).errcode;
  const words = error instanceof Error ? error.message : String(error);
  // The low byte of an extended code is the primary one.
  switch (typeof extended === 'number' ? extended & 0xff : 0) {
    case sqliteCode.busy:
    case sqliteCode.locked:
      return new StoreError('locked', `${path} is in use by another xenolithd`, error);
    case sqliteCode.readonly:
    case sqliteCode.cantopen:
    case sqliteCode.full:
    case sqliteCode.ioerr:
      return new StoreError('unwritable', `${path} cannot be written: ${words}`, error);
    default:
      return new StoreError('corrupt', `${path} is damaged: ${words}. Put back a copy, or start anew elsewhere`, error);
  }
}

interface Statements {
  readonly begin: StatementSync;
  readonly commit: StatementSync;
  readonly rollback: StatementSync;
  readonly put: StatementSync;
  readonly drop: StatementSync;
  readonly set: StatementSync;
  readonly generation: StatementSync;
}

export class SqliteStore implements Store {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  #open = true;

  /**
   * Opens a store, which is made when there is none.
   * @throws StoreError when it cannot be used; nothing is changed then
   */
  constructor(path: string) {
    this.#path = path;
    let db: DatabaseSync | undefined;
    try {
      // The file holds secrets, so it is made before SQLite would make it for everybody to read.
      if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
      db = new DatabaseSync(path, { timeout: 0 });
      prepareFile(db, path);
      this.#statements = prepareStatements(db);
      this.#db = db;
    } catch (error) {
      if (db?.isOpen === true) db.close();
      if (error instanceof Error && 'syscall' in error) {
        throw new StoreError('unwritable', `${path} cannot be made: ${error.message}`, error);
      }
      throw storeError(path, error);
    }
  }

  load(): ReturnType<Store['load']> {
    try {
      // In the order in which they came to be: a change keeps the rowid.
      const rows = this.#db.prepare('SELECT ref, class, fields FROM object ORDER BY rowid').all().map(decodeRow);
      const settings: Record<string, string> = {};
      for (const row of this.#db.prepare('SELECT key, value FROM setting').all()) {
        settings[text(row['key'])] = text(row['value']);
      }
      const generation = Number(this.#db.prepare('SELECT value FROM generation').get()?.['value']);
      if (!Number.isSafeInteger(generation)) throw new StoreError('corrupt', `${this.#path} has no generation`);
      return { rows, settings, generation };
    } catch (error) {
      throw storeError(this.#path, error);
    }
  }

  commit(batch: Batch): Promise<void> {
    const { begin, commit, rollback, put, drop, set, generation } = this.#statements;
    try {
      begin.run();
      try {
        for (const row of batch.puts) put.run(row.ref, row.class, encodeFields(row.fields));
        for (const ref of batch.deletes) drop.run(ref);
        for (const [key, value] of Object.entries(batch.settings)) set.run(key, value);
        generation.run(batch.generation);
        commit.run();
      } catch (error) {
        // SQLite has rolled back by itself where it had to (a full disk); then there is nothing left to undo.
        if (this.#db.isTransaction) rollback.run();
        throw error;
      }
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(storeError(this.#path, error));
    }
  }

  /** The changes of one turn of the event loop, whoever made them, ride on one commit. */
  soon(action: () => void): void {
    setImmediate(action);
  }

  close(): Promise<void> {
    if (this.#open) {
      this.#open = false;
      this.#db.close();
    }
    return Promise.resolve();
  }
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}

/** Takes the lock, checks whose file it is, and makes the tables of a new one. */
function prepareFile(db: DatabaseSync, path: string): void {
  // Before anything is read: the mode decides that the first access takes the lock, and that there is no shared memory.
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  const version = pragma(db, 'user_version');
  const owner = pragma(db, 'application_id');
  const empty = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n']) === 0;
  if (owner !== applicationId && !(empty && owner === 0 && version === 0)) {
    throw new StoreError('foreign', `${path} is not a database of xenolithd`);
  }
  if (version > schemaVersion) {
    throw new StoreError(
      'newer',
      `${path} was written by a later version of xenolithd (layout ${version}, known ${schemaVersion})`,
    );
  }
  const mode = db.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode'];
  if (mode !== 'wal') throw new StoreError('unwritable', `${path} cannot have a write-ahead log here`);
  db.exec('PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY');
  // A write transaction, also when nothing is to be made: it takes the lock that keeps others out.
  db.exec('BEGIN IMMEDIATE');
  if (empty) {
    db.exec(schema);
    db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion}`);
  }
  db.exec('COMMIT');
  const problem = text(db.prepare('PRAGMA quick_check(1)').get()?.['quick_check']);
  if (problem !== 'ok') throw new StoreError('corrupt', `${path} is damaged: ${problem}. Put back a copy`);
}

function prepareStatements(db: DatabaseSync): Statements {
  return {
    begin: db.prepare('BEGIN IMMEDIATE'),
    commit: db.prepare('COMMIT'),
    rollback: db.prepare('ROLLBACK'),
    put: db.prepare(
      'INSERT INTO object (ref, class, fields) VALUES (?, ?, ?) ' +
        'ON CONFLICT (ref) DO UPDATE SET class = excluded.class, fields = excluded.fields',
    ),
    drop: db.prepare('DELETE FROM object WHERE ref = ?'),
    set: db.prepare(
      'INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    ),
    generation: db.prepare('UPDATE generation SET value = ?'),
  };
}

const text = (value: unknown): string => {
  if (typeof value !== 'string') throw new StoreError('corrupt', 'a text was expected in the database');
  return value;
};

/**
 * The fields as JSON. Infinities have no word in JSON, but a number too large to hold reads back as one; a float that
 * is no number at all is left out, and its field takes the default again.
 */
function encodeFields(fields: StoredRow['fields']): string {
  const json = JSON.stringify(fields);
  // Only a null can stand where such a number was: the common row needs no second look.
  return json.includes('null') ? JSON.stringify(fields, writeNumber) : json;
}

/** Node has `JSON.rawJSON` (ECMAScript 2026); the checker's library does not yet. */
const rawJson = (JSON as unknown as { readonly rawJSON: (json: string) => unknown }).rawJSON;

function writeNumber(_key: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isFinite(value)) return value;
  return Number.isNaN(value) ? undefined : rawJson(value > 0 ? '1e999' : '-1e999');
}

function decodeRow(row: Readonly<Record<string, unknown>>): StoredRow {
  const fields = JSON.parse(text(row['fields'])) as StoredRow['fields'];
  return { ref: text(row['ref']), class: text(row['class']), fields };
}
