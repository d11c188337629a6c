import type { WireValue } from '@xenolith/wire';
import { describe, expect, test } from 'vitest';
import { ApiError, InterruptedError, type Rpc } from './call.ts';
import { progressOn } from './progress.ts';
import { runTask } from './task.ts';

const event = (record: Readonly<Record<string, WireValue>>): WireValue => ({
  token: 't',
  events: [{ ref: 'T', snapshot: { uuid: 'u', progress: 0.5, result: '', error_info: [], ...record } }],
});

/** Begins a task on a server that answers as told, with Ctrl-C typed once the task was seen to be under way. */
async function run(typed: number, cancel: () => WireValue, end: Readonly<Record<string, WireValue>>) {
  const calls: string[] = [];
  const shown: string[] = [];
  let interrupt = (): void => {};
  let polls = 0;
  const answers: Readonly<Record<string, () => WireValue>> = {
    'Async.VM.start': () => 'T',
    'task.cancel': cancel,
    'task.destroy': () => null,
    'event.from': () => (++polls === 1 ? event({ status: 'pending' }) : event(end)),
  };
  const rpc: Rpc = {
    async call(method) {
      calls.push(method);
      // A server waits until there is something new, and here nothing comes after the end.
      if (method === 'event.from' && polls === 2) return new Promise(() => {});
      if (method === 'event.from' && polls === 1) for (let i = 0; i < typed; i++) interrupt();
      return answers[method]?.() ?? null;
    },
  };
  const show = progressOn({ isTTY: false, write: (text: string) => shown.push(text) > 0 }, true);
  const ended = await runTask(rpc, 'VM.start', [], show, (onInterrupt) => {
    interrupt = onInterrupt;
    return () => calls.push('no more interrupts');
  }).catch((error: unknown) => error);
  return { ended, calls, shown };
}

const refused = (): never => {
  throw new ApiError(['OPERATION_NOT_ALLOWED']);
};

describe('a task', () => {
  test('gives its result and is forgotten', async () => {
    const { ended, calls, shown } = await run(0, () => null, { status: 'success', result: '<value>R</value>' });
    expect(ended).toBe('R');
    expect(calls).not.toContain('task.cancel');
    expect(calls.slice(-2)).toEqual(['no more interrupts', 'task.destroy']);
    expect(shown).toEqual(['VM.start 50 %\n']);
  });

  test('is cancelled by Ctrl-C, which is said', async () => {
    const { ended, calls, shown } = await run(1, () => null, { status: 'cancelled' });
    expect(ended).toEqual(new InterruptedError('VM.start was cancelled'));
    expect(calls).toContain('task.cancel');
    expect(calls.at(-1)).toBe('task.destroy');
    expect(shown).toContain('VM.start 50 % cancelling\n');
  });

  test('may be done before it is cancelled', async () => {
    const { ended } = await run(1, refused, { status: 'success' });
    expect(ended).toEqual(new InterruptedError('VM.start was done before it could be cancelled'));
  });

  test('fails with its own error also after Ctrl-C', async () => {
    const { ended } = await run(1, refused, { status: 'failure', error_info: ['VM_BAD_POWER_STATE', 'x'] });
    expect(ended).toMatchObject({ code: 'VM_BAD_POWER_STATE', params: ['x'] });
  });

  test('is left to the server by a second Ctrl-C', async () => {
    const { ended, calls } = await run(2, refused, { status: 'pending' });
    expect(ended).toEqual(new InterruptedError('VM.start goes on without us, as task u (xe task-list)'));
    expect(calls).not.toContain('task.destroy');
  });
});

test('progress is written over on a terminal, and elsewhere only when asked for', () => {
  for (const [isTTY, asked, text] of [
    [true, false, '\r\u001b[KVM.start 50 %\r\u001b[KVM.start 50 %\r\u001b[K'],
    [false, true, 'VM.start 50 %\n'],
    [false, false, ''],
  ] as const) {
    let written = '';
    const show = progressOn({ isTTY, write: (each: string) => ((written += each), true) }, asked);
    show('VM.start', 0.5, '');
    show('VM.start', 0.5, '');
    show('VM.start', undefined, '');
    expect(written).toBe(text);
  }
});
