import { join } from 'node:path';
import { SqliteStore } from './sqlite-store.ts';

/** The file in a data directory that the database is in. */
export const databaseFile = 'state.db';

/** The store of a data directory. @throws StoreError */
export const openStore = (directory: string): SqliteStore => new SqliteStore(join(directory, databaseFile));
