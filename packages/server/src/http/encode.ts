/**
 * Answers as text. Records are replaced and never changed, so the text of one is kept as long as the record lives:
 * a thousand clients that ask for all VMs cost one encoding of each VM that changed.
 */
import {
  encodeJsonValue,
  encodeXmlValue,
  escapeXml,
  type TypedValue,
  type WireMember,
  type WireType,
} from '@xenolith/wire';
import { toWireType, type DataType } from '@xenolith/xapi';

/** How values are written in one of the two encodings. */
export interface Encoding {
  value(type: DataType, value: unknown): string;
}

interface Syntax {
  encode(type: WireType, value: unknown): string;
  /** A struct of members that are text already. */
  struct(members: readonly (readonly [name: string, text: string])[]): string;
  list(items: readonly string[]): string;
}

const json: Syntax = {
  encode: encodeJsonValue,
  struct: (members) => `{${members.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`,
  list: (items) => `[${items.join(',')}]`,
};

const xml: Syntax = {
  encode: encodeXmlValue,
  struct: (members) =>
    `<value><struct>${members
      .map(([name, text]) => `<member><name>${escapeXml(name)}</name>${text}</member>`)
      .join('')}</struct></value>`,
  list: (items) => `<value><array><data>${items.join('')}</data></array></value>`,
};

const shaped = new WeakMap<WireType, boolean>();

/** Whether values of a type hold values that bring their own type, as events hold records of any class. */
function holdsTyped(type: WireType): boolean {
  let holds = shaped.get(type);
  if (holds === undefined) {
    holds =
      type.kind === 'typed' ||
      (type.kind === 'set' && holdsTyped(type.of)) ||
      (type.kind === 'record' && type.members.some((member) => holdsTyped(member.type)));
    shaped.set(type, holds);
  }
  return holds;
}

function encoding(syntax: Syntax): Encoding {
  const known = new WeakMap<object, string>();

  /** Kept by the object alone: it is of one type. */
  const keptText = (type: WireType, record: unknown): string => {
    if (typeof record !== 'object' || record === null) return syntax.encode(type, record);
    let text = known.get(record);
    if (text === undefined) {
      text = syntax.encode(type, record);
      known.set(record, text);
    }
    return text;
  };

  const wireText = (type: WireType, value: unknown): string => {
    if (!holdsTyped(type) || typeof value !== 'object' || value === null) return syntax.encode(type, value);
    switch (type.kind) {
      case 'typed': {
        const typed = value as TypedValue;
        return typed.type.kind === 'record'
          ? keptText(typed.type, typed.value)
          : syntax.encode(typed.type, typed.value);
      }
      case 'set':
        return syntax.list((value as readonly unknown[]).map((item) => wireText(type.of, item)));
      case 'record': {
        const members = value as Readonly<Record<string, unknown>>;
        const present = type.members.filter(({ name }) => members[name] !== undefined);
        // The counts beside events are one object for as long as they hold, as a record is.
        const text = ({ name, type: of }: WireMember): string =>
          of.kind === 'map' ? keptText(of, members[name]) : wireText(of, members[name]);
        return syntax.struct(present.map((member) => [member.name, text(member)]));
      }
      default:
        return syntax.encode(type, value);
    }
  };

  return {
    value(type, value) {
      if (type.kind === 'record') return keptText(toWireType(type), value);
      if (type.kind === 'map' && type.value.kind === 'record' && typeof value === 'object' && value !== null) {
        const of = toWireType(type.value);
        return syntax.struct(Object.entries(value).map(([ref, record]) => [ref, keptText(of, record)]));
      }
      return wireText(toWireType(type), value);
    },
  };
}

export const jsonEncoding = encoding(json);
export const xmlEncoding = encoding(xml);
