/** Tasks that clients make, and what they may do to others. XAPI: ocaml/xapi/xapi_task.ml. */
import type { Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { allows } from '../session/rbac.ts';
import type { Call, CallsOf } from './call.ts';
import { plainAddTo, plainRemoveFrom, plainSet } from './plain.ts';

/**
 * One's own tasks are free to change; for those of others it takes the permission `task.destroy/any`.
 * @throws XapiError HANDLE_INVALID, RBAC_PERMISSION_DENIED
 */
function assertMayChange({ xapi, session, rights }: Call, task: Ref<'task'>): void {
  xapi.db.get('task', task);
  if (xapi.tasks.isOwn(task, session) || allows(rights, 'pool-operator')) return;
  throw new XapiError('RBAC_PERMISSION_DENIED', 'task.destroy/any', "another user's task");
}

/** The same, before a call that is no more than a write. */
const onOwn =
  <A extends { readonly self: Ref<'task'> }>(action: (call: Call, args: A) => void) =>
  (call: Call, args: A): void => {
    assertMayChange(call, args.self);
    action(call, args);
  };

export const taskCalls: CallsOf<'task'> = {
  create({ xapi, session }, { label, description }) {
    return xapi.tasks.createForClient(label, { description, session });
  },

  destroy: onOwn(({ xapi }, { self }) => {
    xapi.tasks.destroy(self);
  }),

  cancel(call, { task }) {
    assertMayChange(call, task);
    call.xapi.tasks.cancel(task);
  },

  set_status: onOwn(({ xapi }, { self, value }) => {
    xapi.tasks.setStatus(self, value);
  }),

  set_progress: onOwn(({ xapi }, { self, value }) => {
    if (!(value >= 0 && value <= 1)) throw new XapiError('INVALID_VALUE', 'progress', String(value));
    xapi.tasks.setByClient(self, { progress: value });
  }),

  set_result: onOwn(({ xapi }, { self, value }) => {
    xapi.tasks.setByClient(self, { result: value });
  }),

  set_error_info: onOwn(({ xapi }, { self, value }) => {
    xapi.tasks.setByClient(self, { error_info: value });
  }),

  set_other_config: onOwn(plainSet('task', 'other_config')),
  add_to_other_config: onOwn(plainAddTo('task', 'other_config')),
  remove_from_other_config: onOwn(plainRemoveFrom('task', 'other_config')),
};
