/** TypeScript's view of the tables: the types of records and of calls, derived from the same truth. */
import type { Ref } from '@xenolith/base';
import type { classTables } from './classes.ts';
import type { enums } from './enums.ts';
import type { extensionMessages } from './extensions.ts';

export type ClassName = keyof typeof classTables;
export type EnumName = keyof typeof enums;
export type EnumOf<E extends string> = E extends EnumName ? (typeof enums)[E][number] : string;

/** The value of a data model type, as records hold it. Datetimes are texts `YYYYMMDDTHH:MM:SSZ`. */
export type TypeOf<T extends string> = T extends 'string' | 'secret' | 'datetime'
  ? string
  : T extends 'int' | 'float'
    ? number
    : T extends 'bool'
      ? boolean
      : T extends 'void'
        ? void
        : T extends `enum(${infer E})`
          ? EnumOf<E>
          : T extends `ref(${infer C})`
            ? Ref<C>
            : T extends `set(${infer U})`
              ? readonly TypeOf<U>[]
              : T extends `map(${string},${infer V})`
                ? Readonly<Record<string, TypeOf<V>>>
                : T extends `option(${infer U})`
                  ? TypeOf<U> | undefined
                  : T extends `record(${infer C})`
                    ? C extends ClassName
                      ? RecordOf<C>
                      : Readonly<Record<string, unknown>>
                    : unknown;

type Tables = typeof classTables;
type FieldsOf<C extends ClassName> = Tables[C]['fields'];
type FieldType<F> = F extends { readonly type: infer T extends string } ? TypeOf<T> : never;

/** A record of a class as clients see it: internal columns left out. */
export type RecordOf<C extends ClassName> = {
  readonly [F in keyof FieldsOf<C> as FieldsOf<C>[F] extends { readonly internal: true } ? never : F]: FieldType<
    FieldsOf<C>[F]
  >;
};

/** What a client gives to create: the members that its table requires, and those that it allows. */
export type CreationOf<C extends ClassName> = Tables[C] extends {
  readonly create: {
    readonly required: readonly (infer R extends string)[];
    readonly optional: readonly (infer O extends string)[];
  };
}
  ? Pick<RecordOf<C>, R & keyof RecordOf<C>> & Partial<Pick<RecordOf<C>, O & keyof RecordOf<C>>>
  : never;

export type FieldName<C extends ClassName> = keyof RecordOf<C> & string;

type ExtensionsOf<C> = C extends keyof typeof extensionMessages ? (typeof extensionMessages)[C] : object;
type MessagesOf<C extends ClassName> = Tables[C]['messages'] & ExtensionsOf<C>;
export type MessageName<C extends ClassName> = keyof MessagesOf<C> & string;

type Required<M> = M extends { readonly params: infer P extends Readonly<Record<string, string>> }
  ? { readonly [K in keyof P]: TypeOf<P[K]> }
  : object;
type Optional<M> = M extends { readonly optional: infer P extends Readonly<Record<string, { readonly type: string }>> }
  ? { readonly [K in keyof P]: TypeOf<P[K]['type']> }
  : object;

/** The arguments of a call by name, without the session; optional ones are filled in from the table. */
export type ArgumentsOf<C extends ClassName, M extends MessageName<C>> = Required<MessagesOf<C>[M]> &
  Optional<MessagesOf<C>[M]>;

/** What a call answers. */
export type ResultOf<C extends ClassName, M extends MessageName<C>> = MessagesOf<C>[M] extends {
  readonly result: infer R extends string;
}
  ? TypeOf<R>
  : never;
