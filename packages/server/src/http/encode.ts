/**
 * Answers as text. Records are replaced and never changed, so the text of one is kept as long as the record lives:
 * a thousand clients that ask for all VMs cost one encoding of each VM that changed.
 */
import { encodeJsonValue, encodeXmlValue, escapeXml, type WireType } from '@xenolith/wire';
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

type RecordType = Extract<DataType, { kind: 'record' }>;

function encoding(syntax: Syntax): Encoding {
  const known = new WeakMap<object, string>();

  const recordText = (type: DataType, record: unknown): string => {
    if (typeof record !== 'object' || record === null) return syntax.encode(toWireType(type), record);
    let text = known.get(record);
    if (text === undefined) {
      text = syntax.encode(toWireType(type), record);
      known.set(record, text);
    }
    return text;
  };

  return {
    value(type, value) {
      if (type.kind === 'record') return recordText(type, value);
      if (type.kind !== 'map' || type.value.kind !== 'record' || typeof value !== 'object' || value === null) {
        return syntax.encode(toWireType(type), value);
      }
      const of: RecordType = type.value;
      return syntax.struct(Object.entries(value).map(([ref, record]) => [ref, recordText(of, record)]));
    },
  };
}

export const jsonEncoding = encoding(json);
export const xmlEncoding = encoding(xml);
