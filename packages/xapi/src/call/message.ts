/** Messages, as clients write, read and remove them. XAPI: ocaml/xapi/xapi_message.ml. */
import { parseDateTime } from '@xenolith/wire';
import { classTable } from '../datamodel/data-type.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { parseQuery } from '../query.ts';
import type { CallsOf } from './call.ts';

/** Messages of before a moment are left out; XAPI compares whole seconds, and leaves out the moment itself. */
const isSince = (timestamp: string, since: string): boolean =>
  (parseDateTime(timestamp) ?? 0) > (parseDateTime(since) ?? 0);

/**
 * Which messages a client means, by `before`, `after` and `priority`; all of them by none.
 * @throws XapiError INVALID_VALUE for what is no moment, no number, or another word
 */
function readFilters(filters: Readonly<Record<string, string>>): (message: RecordOf<'message'>) => boolean {
  const tests = Object.entries(filters).map(([name, text]) => {
    const moment = parseDateTime(text);
    const bad = new XapiError('INVALID_VALUE', `filters:${name}`.slice(0, 100), text.slice(0, 100));
    if (name === 'priority') {
      if (!/^\d{1,9}$/.test(text)) throw bad;
      return ({ priority }: RecordOf<'message'>): boolean => priority === Number(text);
    }
    if ((name !== 'before' && name !== 'after') || moment === undefined) throw bad;
    return ({ timestamp }: RecordOf<'message'>): boolean =>
      name === 'after' ? isSince(timestamp, text) : (parseDateTime(timestamp) ?? 0) < moment;
  });
  return (message) => tests.every((test) => test(message));
}

export const messageCalls: CallsOf<'message'> = {
  create({ xapi }, { name, priority, cls, obj_uuid: objectUuid, body }) {
    if (!xapi.messages.isAbout(cls, objectUuid)) throw new XapiError('UUID_INVALID', cls, objectUuid);
    return xapi.messages.add({ name, priority, cls, obj_uuid: objectUuid, body });
  },

  destroy({ xapi }, { self }) {
    xapi.db.get('message', self);
    xapi.db.destroy('message', self);
  },

  destroy_many({ xapi }, { messages }) {
    for (const message of messages) xapi.db.get('message', message);
    for (const message of messages) xapi.db.destroy('message', message);
  },

  destroy_all({ xapi }, { filters }) {
    const test = readFilters(filters);
    const unwanted = [...xapi.db.all('message')].filter(([, record]) => test(record));
    for (const [message] of unwanted) xapi.db.destroy('message', message);
  },

  get({ xapi }, { cls, obj_uuid: objectUuid, since }) {
    return xapi.messages.matching(
      (message) => message.cls === cls && message.obj_uuid === objectUuid && isSince(message.timestamp, since),
    );
  },

  get_since({ xapi }, { since }) {
    return xapi.messages.matching((message) => isSince(message.timestamp, since));
  },

  get_all({ xapi }) {
    return xapi.db.refs('message');
  },

  get_record({ xapi }, { self }) {
    return xapi.db.get('message', self);
  },

  get_by_uuid({ xapi }, { uuid }) {
    const found = xapi.db.byUuid('message', uuid);
    if (found === undefined) throw new XapiError('UUID_INVALID', 'message', uuid);
    return found;
  },

  get_all_records({ xapi }) {
    return Object.fromEntries(xapi.db.all('message'));
  },

  get_all_records_where({ xapi }, { expr }) {
    return xapi.messages.where(parseQuery(classTable('message'), expr));
  },
};
