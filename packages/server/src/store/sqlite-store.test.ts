import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SeededRandom } from '@xenolith/base';
import type { StoredRow } from '@xenolith/xapi';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { crashBatch, crashOnce, wholeBatchIn } from './crash-suite.ts';
import { databaseFile, openStore } from './open-sqlite-store.ts';
import { StoreError } from './sqlite-store.ts';

let directory = '';
let file = '';
const storeModule = new URL('./open-sqlite-store.ts', import.meta.url).href;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-store-'));
  file = join(directory, databaseFile);
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const nothing = { puts: [], deletes: [], settings: {}, generation: 0 };
const row = (ref: string, fields: StoredRow['fields']): StoredRow => ({ ref, class: 'VM', fields });

async function reopened(): Promise<{ readonly rows: readonly StoredRow[]; readonly generation: number }> {
  const store = openStore(directory);
  const { rows, generation } = store.load();
  await store.close();
  return { rows: [...rows], generation };
}

function refusal(action: () => void): StoreError {
  try {
    action();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('keeping', () => {
  test('a new store is empty and for its owner alone', async () => {
    const store = openStore(directory);
    expect(store.load()).toEqual({ rows: [], settings: {}, generation: 0 });
    await store.close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('rows come back in the order in which they came to be, changed or not', async () => {
    const store = openStore(directory);
    await store.commit({ ...nothing, puts: [row('z', { a: 1 }), row('a', { a: 1 }), row('m', {})], generation: 1 });
    await store.commit({ ...nothing, puts: [row('z', { a: 2 })], deletes: ['a'], generation: 2 });
    await store.close();
    expect(await reopened()).toEqual({ rows: [row('z', { a: 2 }), row('m', {})], generation: 2 });
  });

  test('every value that a field can hold comes back the same', async () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
      fc.boolean(),
      fc.constant(null),
      fc.array(fc.string()),
      fc.dictionary(
        fc.string().filter((key) => key !== '__proto__'),
        fc.double({ noNaN: true, noInteger: true }),
      ),
    );
    const store = openStore(directory);
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(
          fc.string().filter((key) => key !== '__proto__'),
          value,
        ),
        async (fields) => {
          await store.commit({ ...nothing, puts: [row('r', { ...fields })] });
          expect([...store.load().rows]).toEqual([row('r', { ...fields })]);
        },
      ),
    );
    await store.close();
  });

  test('a float that is no number is left out', async () => {
    const store = openStore(directory);
    await store.commit({ ...nothing, puts: [row('r', { progress: Number.NaN, nothing: null })] });
    expect([...store.load().rows]).toEqual([row('r', { nothing: null })]);
    await store.close();
  });

  test('a batch that fails leaves the one before it, and the store goes on', async () => {
    const store = openStore(directory);
    await store.commit(crashBatch(1));
    const broken = {
      ...crashBatch(2),
      deletes: [undefined as unknown as string],
      settings: { batch: null as unknown as string },
    };
    await expect(store.commit(broken)).rejects.toThrow(StoreError);
    expect(wholeBatchIn(store)).toBe(1);
    await store.commit(crashBatch(2));
    expect(wholeBatchIn(store)).toBe(2);
    await store.close();
  });

  test('closing twice is no mistake, committing afterwards is an error', async () => {
    const store = openStore(directory);
    await store.close();
    await store.close();
    await expect(store.commit(crashBatch(1))).rejects.toThrow(StoreError);
  });
});

describe('refusing', () => {
  test('a second store on the same file in this process', async () => {
    const store = openStore(directory);
    expect(refusal(() => openStore(directory)).code).toBe('locked');
    await store.close();
    await openStore(directory).close();
  });

  test('a second store in another process, until the first one dies', async () => {
    const program = new URL('./crash-child.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [program, storeModule, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const error = refusal(() => openStore(directory));
    expect(error).toMatchObject({ code: 'locked', message: expect.stringContaining('in use by another xenolithd') });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const store = openStore(directory);
    expect(wholeBatchIn(store)).toBeGreaterThan(0);
    await store.close();
  });

  test.each([
    ['text', 'This is not a database at all. '.repeat(100)],
    ['zeros where the header was', '\0'.repeat(8192)],
  ])('%s instead of a database', (_what, content) => {
    writeFileSync(file, content);
    expect(refusal(() => openStore(directory)).code).toBe('corrupt');
    expect(readFileSync(file, 'utf8')).toBe(content);
  });

  test('a database of something else', () => {
    const other = new DatabaseSync(file);
    other.exec('CREATE TABLE bookmark (url TEXT)');
    other.close();
    expect(refusal(() => openStore(directory)).code).toBe('foreign');
  });

  test('a later layout', async () => {
    await openStore(directory).close();
    const later = new DatabaseSync(file);
    later.exec('PRAGMA user_version = 99');
    later.close();
    expect(refusal(() => openStore(directory))).toMatchObject({
      code: 'newer',
      message: expect.stringContaining('99'),
    });
  });

  test('a file with damage in the middle', async () => {
    const store = openStore(directory);
    for (let n = 1; n < 40; n++) await store.commit(crashBatch(n));
    await store.close();
    const content = readFileSync(file);
    content.fill(0xa5, 4096, content.length);
    writeFileSync(file, content);
    expect(refusal(() => openStore(directory)).code).toBe('corrupt');
  });

  test('a directory that is not there', () => {
    expect(refusal(() => openStore(join(directory, 'missing'))).code).toBe('unwritable');
  });

  test('a file where the directory should be', () => {
    writeFileSync(join(directory, 'file'), '');
    expect(refusal(() => openStore(join(directory, 'file'))).code).toBe('unwritable');
  });
});

describe('crashing', () => {
  test(
    'a process killed at any moment keeps what it acknowledged, and nothing half',
    { timeout: 120_000 },
    async () => {
      const seed = Date.now() >>> 0;
      const random = new SeededRandom(seed);
      let before = 0;
      for (let round = 0; round < 12; round++) {
        const acknowledgements = 1 + (random.nextUint32() % 60);
        const delayMs = random.nextUint32() % 4;
        const told = await crashOnce(storeModule, directory, { acknowledgements, delayMs });
        const store = openStore(directory);
        const kept = wholeBatchIn(store);
        await store.close();
        expect(kept).toBeGreaterThanOrEqual(told);
        expect(kept).toBeGreaterThan(before);
        before = kept;
      }
    },
  );

  test('a log cut off at any byte, as after a power cut, gives back whole batches', async () => {
    const store = openStore(directory);
    await store.commit(crashBatch(1));
    // The log must not be folded into the file: it is what a cut leaves behind.
    for (let n = 2; n <= 30; n++) await store.commit(crashBatch(n));
    const copy = join(directory, 'copy');
    cpSync(file, `${copy}.db`);
    cpSync(`${file}-wal`, `${copy}.wal`);
    await store.close();
    const length = statSync(`${copy}.wal`).size;
    const random = new SeededRandom(7);
    const seen = new Set<number>();
    for (let round = 0; round < 60; round++) {
      const cut = round === 0 ? length : random.nextUint32() % length;
      rmSync(`${file}-wal`, { force: true });
      cpSync(`${copy}.db`, file);
      cpSync(`${copy}.wal`, `${file}-wal`);
      truncateSync(`${file}-wal`, cut);
      const cutStore = openStore(directory);
      const batch = wholeBatchIn(cutStore);
      await cutStore.close();
      seen.add(batch);
      if (cut === length) expect(batch).toBe(30);
    }
    expect(seen.size).toBeGreaterThan(5);
  });
});
