/** Waiting until the records say something, without asking again and again. */
import type { Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import type { Task } from '../task/tasks.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';

export interface Patience {
  readonly timeoutMs: number;
  /** What is refused when the time is up. */
  readonly late: () => XapiError;
  /** Cancelling it ends the waiting. */
  readonly task: Task;
}

/** Resolves once `test` holds for the VM's record, or that of its metrics, as they change. @throws XapiError `late`, TASK_CANCELLED, or HANDLE_INVALID */
export function waitForVm(
  xapi: Xapi,
  ref: Ref<'VM'>,
  test: (vm: RecordOf<'VM'>) => boolean,
  patience: Patience,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const releases: { dispose(): void }[] = [];
    const end = (settle: () => void): void => {
      for (const release of releases) release.dispose();
      settle();
    };
    const look = (): void => {
      const vm = xapi.db.find('VM', ref);
      if (vm === undefined) end(() => reject(new XapiError('HANDLE_INVALID', 'VM', ref)));
      else if (test(vm)) end(resolve);
    };
    releases.push(
      xapi.db.changed.listen((change) => {
        if (change.ref === ref || change.ref === xapi.db.find('VM', ref)?.metrics) look();
      }),
      xapi.clock.after(patience.timeoutMs, () => end(() => reject(patience.late()))),
      patience.task.onCancel(() => end(() => reject(new XapiError('TASK_CANCELLED', patience.task.ref)))),
    );
    look();
  });
}

/** Lets time pass. Cancelling the task ends it. @throws XapiError TASK_CANCELLED */
export function pause({ clock }: Pick<Xapi, 'clock'>, durationMs: number, task: Task): Promise<void> {
  if (durationMs <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = clock.after(durationMs, () => {
      listening.dispose();
      resolve();
    });
    const listening = task.onCancel(() => {
      timer.dispose();
      reject(new XapiError('TASK_CANCELLED', task.ref));
    });
  });
}
