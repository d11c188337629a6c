/** Long calls as tasks: followed by events to their end, with progress for people. */
import type { WireStruct, WireValue } from '@xenolith/wire';
import { ApiError, type Rpc } from './rpc.ts';
import { isArray, isStruct, textOf } from './wire-text.ts';

/** How long one `event.from` waits, in seconds. */
const waitSeconds = 30;

/** Shows how far a task is, from 0 to 1, and in the end undefined. */
export type ShowProgress = (label: string, fraction: number | undefined) => void;

/**
 * Begins `Async.METHOD` and waits until the task has ended; the task is forgotten afterwards.
 * @returns what the task gave: a reference or text, empty for nothing
 * @throws ApiError with the task's own error
 */
export async function runTask(
  rpc: Rpc,
  method: string,
  params: readonly WireValue[],
  show: ShowProgress,
): Promise<string> {
  const task = textOf(await rpc.call(`Async.${method}`, ...params));
  try {
    const record = await ended(rpc, task, (progress) => show(method, progress));
    if (record['status'] === 'success') return plainResult(textOf(record['result']));
    const error = record['error_info'];
    throw new ApiError(isArray(error) && error.length > 0 ? error.map(textOf) : ['TASK_CANCELLED', task]);
  } finally {
    show(method, undefined);
    await rpc.call('task.destroy', task).catch(() => {});
  }
}

async function ended(rpc: Rpc, task: string, progress: (fraction: number) => void): Promise<WireStruct> {
  for (let token = ''; ;) {
    const batch = await rpc.call('event.from', [`task/${task}`], token, waitSeconds);
    const events = isStruct(batch) && isArray(batch['events']) ? batch['events'] : [];
    token = isStruct(batch) ? textOf(batch['token']) : '';
    for (const event of events) {
      if (!isStruct(event) || event['ref'] !== task) continue;
      const record = event['snapshot'];
      if (!isStruct(record)) throw new ApiError(['HANDLE_INVALID', 'task', task]);
      if (record['status'] !== 'pending' && record['status'] !== 'cancelling') return record;
      progress(Number(record['progress']));
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
