/** Long calls as tasks: followed by events to their end, with progress for people. */
import type { WireStruct, WireValue } from '@xenolith/wire';
import { ApiError, InterruptedError, type Rpc } from './call.ts';
import { isArray, isStruct, textOf } from './wire-text.ts';

/** How long one `event.from` waits, in seconds. */
const waitSeconds = 30;

/** Shows how far a task is, from 0 to 1, and in the end undefined; with what is to be said besides. */
export type ShowProgress = (label: string, fraction: number | undefined, note: string) => void;

/** Has a function called whenever somebody types Ctrl-C; answers what ends that. */
export type Interrupts = (onInterrupt: () => void) => () => void;

/**
 * Begins `Async.METHOD` and waits until the task has ended; the task is forgotten afterwards. Ctrl-C cancels the task
 * and waits on; typed again, it leaves the task to the server.
 * @returns what the task gave: a reference or text, empty for nothing
 * @throws ApiError with the task's own error, InterruptedError when Ctrl-C was typed, saying how it ended
 */
export async function runTask(
  rpc: Rpc,
  method: string,
  params: readonly WireValue[],
  show: ShowProgress,
  interrupts: Interrupts,
): Promise<string> {
  const task = textOf(await rpc.call(`Async.${method}`, ...params));
  return plainResult(await followTask(rpc, method, task, show, interrupts));
}

/**
 * Makes a task for data that goes over a path of the server, begins that, and follows the task as {@link runTask} does.
 * @returns the XML-RPC text of what the task gave
 * @param begin names the task to the path, and resolves when the data went to its end
 * @throws what `begin` fails with, unless the task itself tells why
 */
export async function runTransfer(
  rpc: Rpc,
  label: string,
  begin: (task: string) => Promise<void>,
  show: ShowProgress,
  interrupts: Interrupts,
): Promise<string> {
  const task = textOf(await rpc.call('task.create', label, ''));
  const transfer = begin(task);
  const broken = transfer.then(
    () => new Promise<never>(() => {}),
    async (error: unknown) => {
      const record = await rpc.call('task.get_record', task).catch(() => null);
      // The server knows better why it refused, or ended, what came or went.
      if (!isStruct(record) || record['status'] === 'pending' || record['status'] === 'success') throw error;
      return new Promise<never>(() => {});
    },
  );
  const result = await followTask(rpc, label, task, show, interrupts, broken).catch(async (error: unknown) => {
    // That we left is no news here: why we did is.
    const isOurs = error instanceof ApiError && ['CLIENT_ERROR', 'IMPORT_ERROR_PREMATURE_EOF'].includes(error.code);
    if (isOurs) await transfer;
    throw error;
  });
  await transfer;
  return result;
}

/** Waits until a task has ended, and gives the XML-RPC text of its result. */
async function followTask(
  rpc: Rpc,
  method: string,
  task: string,
  show: ShowProgress,
  interrupts: Interrupts,
  broken?: Promise<never>,
): Promise<string> {
  let times = 0;
  let isLeft = false;
  let uuid = '';
  let progress = 0;
  let note = '';
  const left = Promise.withResolvers<never>();
  // Nobody may be waiting for it yet.
  left.promise.catch(() => {});
  const stop = interrupts(() => {
    times++;
    if (times > 1) {
      isLeft = true;
      left.reject(
        new InterruptedError(`${method} goes on without us, as task ${uuid === '' ? task : uuid} (xe task-list)`),
      );
      return;
    }
    note = 'cancelling';
    show(method, progress, note);
    rpc.call('task.cancel', task).catch((error: unknown) => {
      // It has ended in the meantime, or is not to be cancelled: its end is waited for.
      note = `not cancelled (${error instanceof ApiError ? error.code : String(error)}), Ctrl-C again leaves it`;
      show(method, progress, note);
    });
  });
  try {
    const follow = (record: WireStruct): void => {
      uuid = textOf(record['uuid']);
      progress = Number(record['progress']);
      show(method, progress, note);
    };
    const record = await Promise.race([
      ended(rpc, task, follow),
      left.promise,
      ...(broken === undefined ? [] : [broken]),
    ]);
    if (record['status'] === 'success') {
      if (times > 0) throw new InterruptedError(`${method} was done before it could be cancelled`);
      return textOf(record['result']);
    }
    if (times > 0 && record['status'] === 'cancelled') throw new InterruptedError(`${method} was cancelled`);
    const error = record['error_info'];
    throw new ApiError(isArray(error) && error.length > 0 ? error.map(textOf) : ['TASK_CANCELLED', task]);
  } finally {
    stop();
    show(method, undefined, '');
    if (!isLeft) await rpc.call('task.destroy', task).catch(() => {});
  }
}
async function ended(rpc: Rpc, task: string, follow: (record: WireStruct) => void): Promise<WireStruct> {
  for (let token = ''; ;) {
    const batch = await rpc.call('event.from', [`task/${task}`], token, waitSeconds);
    const events = isStruct(batch) && isArray(batch['events']) ? batch['events'] : [];
    token = isStruct(batch) ? textOf(batch['token']) : '';
    for (const event of events) {
      if (!isStruct(event) || event['ref'] !== task) continue;
      const record = event['snapshot'];
      if (!isStruct(record)) throw new ApiError(['HANDLE_INVALID', 'task', task]);
      if (record['status'] !== 'pending' && record['status'] !== 'cancelling') return record;
      follow(record);
    }
  }
}

/** A task's result is the XML-RPC text of a value; those of interest are one string, or nothing. */
export function plainResult(xml: string): string {
  const text = /^(?:<value>)?(?:<string>)?([^<]*)(?:<\/string>)?(?:<\/value>)?$/.exec(xml.trim())?.[1] ?? '';
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
}
