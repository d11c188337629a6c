/** Every call that has behaviour of its own, by class. */
import type { ClassName } from '../datamodel/types.ts';
import type { CallsOf } from './call.ts';
import { eventCalls } from './event.ts';
import { messageCalls } from './message.ts';
import { poolCalls } from './pool.ts';
import { roleCalls } from './role.ts';
import { secretCalls } from './secret.ts';
import { sessionCalls } from './session.ts';
import { taskCalls } from './task.ts';

export const calls: { readonly [C in ClassName]?: CallsOf<C> } = {
  event: eventCalls,
  message: messageCalls,
  pool: poolCalls,
  role: roleCalls,
  secret: secretCalls,
  session: sessionCalls,
  task: taskCalls,
};
