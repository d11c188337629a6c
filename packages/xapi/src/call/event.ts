/** Waiting for changes. XAPI: ocaml/xapi/xapi_event.ml. */
import { eventBatchType, eventsType } from '../event/event-record.ts';
import { ShapedResult, type CallsOf } from './call.ts';

export const eventCalls: CallsOf<'event'> = {
  async from({ xapi, ...caller }, { classes, token, timeout }) {
    return new ShapedResult(eventBatchType, await xapi.events.from(caller, classes, token, timeout));
  },

  async next({ xapi, ...caller }) {
    return new ShapedResult(eventsType, await xapi.events.next(caller));
  },

  register({ xapi, session }, { classes }) {
    xapi.events.register(session, classes);
  },

  unregister({ xapi, session }, { classes }) {
    xapi.events.unregister(session, classes);
  },

  inject({ xapi }, { class: className, ref }) {
    return xapi.events.inject(className, ref);
  },

  get_current_id({ xapi }) {
    return xapi.events.currentId;
  },
};
