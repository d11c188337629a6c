/** Random values of the data model's types, and random values of no type at all. */
import fc from 'fast-check';
import type { WireValue } from '@xenolith/wire';
import type { DataType } from '../datamodel/data-type.ts';

const moment = fc
  .date({ min: new Date(0), max: new Date(Date.UTC(2099, 0, 1)), noInvalidDate: true })
  .map((date) => `${date.toISOString().slice(0, 19).replaceAll('-', '')}Z`);

/** Values that a field of the type may hold; references only to what `refs` gives for the class, or null. */
export function valueOf(type: DataType, refs: (className: string) => readonly string[]): fc.Arbitrary<WireValue> {
  switch (type.kind) {
    case 'int':
      return fc.maxSafeInteger();
    case 'float':
      // As many digits as the wire has.
      return fc.integer().map((n) => n / 4);
    case 'bool':
      return fc.boolean();
    case 'datetime':
      return moment;
    case 'enum':
      return fc.constantFrom(...type.words);
    case 'ref':
      return fc.constantFrom('OpaqueRef:NULL', ...refs(type.class));
    case 'set':
      return fc.uniqueArray(valueOf(type.of, refs), { maxLength: 4 });
    case 'map':
      return fc
        .array(fc.tuple(keyOf(type.key, refs), valueOf(type.value, refs)), { maxLength: 4 })
        .map((entries) => Object.fromEntries(entries));
    default:
      return fc.string();
  }
}

/** Keys of a map, as text. */
export const keyOf = (type: DataType, refs: (className: string) => readonly string[]): fc.Arbitrary<string> =>
  valueOf(type, refs).map(String);

/** Whatever a client may send. */
export const anyWireValue: fc.Arbitrary<WireValue> = fc.letrec<{ value: WireValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string(),
    fc.constantFrom(
      '',
      'OpaqueRef:NULL',
      'true',
      '0',
      '-1',
      '1e999',
      '20260101T00:00:00Z',
      '__proto__',
      '99999999999999999999',
    ),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'uuid')), tie('value'), {
      maxKeys: 3,
    }),
  ) as fc.Arbitrary<WireValue>,
})).value;
