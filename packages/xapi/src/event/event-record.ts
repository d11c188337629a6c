/** An event as clients see it, and its shape on the wire (PROTOCOL.md §5). */
import type { TypedValue, WireType } from '@xenolith/wire';
import type { DataType } from '../datamodel/data-type.ts';

export interface EventRecord {
  /** The generation, as text. */
  readonly id: string;
  readonly timestamp: string;
  /** In lower case. */
  readonly class: string;
  readonly operation: 'add' | 'mod' | 'del';
  readonly ref: string;
  /** The whole record as it is now, with its own type; absent once the object is gone. */
  readonly snapshot?: TypedValue;
}

/** The answer of `event.from`. */
export interface EventBatch {
  readonly events: readonly EventRecord[];
  /** How many objects there are of each class, in lower case, whatever was asked for. */
  readonly valid_ref_counts: Readonly<Record<string, number>>;
  readonly token: string;
}

const text: WireType = { kind: 'string' };

const events: WireType = {
  kind: 'set',
  of: {
    kind: 'record',
    members: [
      { name: 'id', type: text },
      { name: 'timestamp', type: text },
      { name: 'class', type: text },
      { name: 'operation', type: text },
      { name: 'ref', type: text },
      { name: 'snapshot', type: { kind: 'typed' } },
    ],
  },
};

export const eventsType: DataType = { kind: 'wire', wire: events };

export const eventBatchType: DataType = {
  kind: 'wire',
  wire: {
    kind: 'record',
    members: [
      { name: 'events', type: events },
      { name: 'valid_ref_counts', type: { kind: 'map', of: { kind: 'int32' } } },
      { name: 'token', type: text },
    ],
  },
};
