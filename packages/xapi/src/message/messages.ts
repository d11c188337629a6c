/**
 * Messages: what an administrator should know, attached to an object. XAPI: ocaml/xapi/xapi_message.ml. They are
 * rows like others here, of the class `message`.
 */
import type { Clock, Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import type { AnyRecord, Database } from '../database/database.ts';
import type { messageTypes } from '../datamodel/message-types.ts';
import { messageTypes as priorities } from '../datamodel/message-types.ts';
import type { ClassName, EnumOf, RecordOf } from '../datamodel/types.ts';

/** Messages kept; the oldest makes room (`Xapi_globs.message_limit`). */
export const messagesMax = 10_000;

/** The names of messages that the control plane writes itself. */
export type MessageType = keyof typeof messageTypes;
/** What kind of object a message is attached to. */
export type MessageClass = EnumOf<'cls'>;

/** The class of the objects that a word of the enumeration `cls` means. */
const classOfWord: Readonly<Record<MessageClass, ClassName>> = {
  VM: 'VM',
  Host: 'host',
  SR: 'SR',
  Pool: 'pool',
  VMPP: 'VMPP',
  VMSS: 'VMSS',
  PVS_proxy: 'PVS_proxy',
  VDI: 'VDI',
  Certificate: 'Certificate',
};

export class Messages {
  readonly #db: Database;
  readonly #clock: Clock;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Writes a message of the control plane's own, with the priority that XAPI gives it. */
  write(type: MessageType, cls: MessageClass, objectUuid: string, body: string): Ref<'message'> {
    return this.add({ name: type, priority: priorities[type], cls, obj_uuid: objectUuid, body });
  }

  /** Adds a message, dated now. */
  add(message: Omit<RecordOf<'message'>, 'uuid' | 'timestamp'>): Ref<'message'> {
    while (this.#db.count('message') >= messagesMax) this.#dropOldest();
    return this.#db.create('message', { ...message, timestamp: formatDateTime(this.#clock.now()) });
  }

  #dropOldest(): void {
    let oldest: Ref<'message'> | undefined;
    let time = '';
    for (const [ref, { timestamp }] of this.#db.all('message')) {
      if (oldest === undefined || timestamp < time) [oldest, time] = [ref, timestamp];
    }
    if (oldest !== undefined) this.#db.destroy('message', oldest);
  }

  /** Whether there is an object of that kind with that uuid. */
  isAbout(cls: MessageClass, objectUuid: string): boolean {
    return this.#db.byUuid(classOfWord[cls], objectUuid) !== undefined;
  }

  /** The messages that pass a test, oldest first. */
  matching(test: (message: RecordOf<'message'>) => boolean): Readonly<Record<string, RecordOf<'message'>>> {
    return Object.fromEntries([...this.#db.all('message')].filter(([, message]) => test(message)));
  }

  /** The messages that pass a compiled filter. */
  where(test: (ref: string, record: AnyRecord) => boolean): Readonly<Record<string, RecordOf<'message'>>> {
    const found = [...this.#db.allAny('message')].filter(([ref, record]) => test(ref, record));
    return Object.fromEntries(found) as unknown as Readonly<Record<string, RecordOf<'message'>>>;
  }
}
