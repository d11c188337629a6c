/**
 * What every durable {@link Store} must keep through a crash. A child process writes batches, tells which ones were
 * acknowledged, and is killed at a random moment; what is read back must be one whole batch, and none older than the
 * last one acknowledged.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Batch, Store, StoredRow } from '@xenolith/xapi';

/** A module that exports `openStore`; the child imports it too. */
export interface StoreModule {
  readonly openStore: (directory: string) => Store;
}

/** Rows that stay through all batches, and rows of each batch that the next but one deletes. */
const lastingRows = 20;
const passingRows = 5;

const row = (ref: string, batch: number): StoredRow => ({
  ref,
  class: 'VM',
  fields: {
    name_label: `"; '$(${batch})`,
    batch,
    tags: [String(batch), 'ü\n'],
    other_config: { batch: String(batch) },
  },
});

/** Batch number `n` (from 1) of the suite: what it leaves behind can be told from its number alone. */
export function crashBatch(n: number): Batch {
  const puts = Array.from({ length: lastingRows }, (_, i) => row(`OpaqueRef:lasting-${i}`, n));
  for (let i = 0; i < passingRows; i++) puts.push(row(`OpaqueRef:passing-${n}-${i}`, n));
  const deletes = n < 3 ? [] : Array.from({ length: passingRows }, (_, i) => `OpaqueRef:passing-${n - 2}-${i}`);
  return { puts, deletes, settings: { batch: String(n), [`of-${n % 3}`]: String(n) }, generation: n * 10 };
}

/**
 * The number of the batch whose state a store holds, 0 for none.
 * @throws Error saying what is wrong when the state is not that of any one batch
 */
export function wholeBatchIn(store: Store): number {
  const { rows, settings, generation } = store.load();
  const n = generation / 10;
  const expected = new Map<string, StoredRow>();
  for (const batch of [n - 1, n].filter((number) => number > 0)) {
    for (const put of crashBatch(batch).puts) expected.set(put.ref, put);
  }
  const found = new Map([...rows].map((item) => [item.ref, item]));
  for (const [ref, item] of expected) {
    const got = JSON.stringify(found.get(ref));
    if (got !== JSON.stringify(item)) throw new Error(`after batch ${n}, ${ref} is ${got ?? 'missing'}`);
    found.delete(ref);
  }
  if (found.size > 0) throw new Error(`after batch ${n}, ${[...found.keys()].join(' ')} should be gone`);
  if ((settings['batch'] ?? '0') !== String(n))
    throw new Error(`after batch ${n}, the setting is ${settings['batch']}`);
  return n;
}

/** The program of the child: writes batches from where the store stands, for ever, telling each acknowledged one. */
export async function writeUntilKilled(store: Store, tell: (n: number) => void): Promise<never> {
  for (let n = wholeBatchIn(store) + 1; ; n++) {
    await store.commit(crashBatch(n));
    tell(n);
  }
}

/**
 * One crash: starts a child on `directory`, kills it with SIGKILL `delayMs` after its `acknowledgements`-th word, and
 * gives the last batch it told of.
 */
export async function crashOnce(
  moduleUrl: string,
  directory: string,
  when: { readonly acknowledgements: number; readonly delayMs: number },
): Promise<number> {
  const program = new URL('./crash-child.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, moduleUrl, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  let last = 0;
  let count = 0;
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    count++;
    if (count === when.acknowledgements) setTimeout(kill, when.delayMs);
  }
  const [code, signal] = (await ended) as [number | null, string | null];
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself with ${code}`);
  return last;
}
