import fc from 'fast-check';
import { SaxesParser } from 'saxes';
import { describe, expect, test } from 'vitest';
import { WireError, type WireErrorCode } from '../wire-error.ts';
import { newStruct, type WireValue } from '../wire-value.ts';
import { encodeXmlAny } from './encode-value.ts';
import { encodeXmlRpcCall } from './envelope.ts';
import { parseXmlRpcCall, parseXmlRpcResponse, parseXmlValue } from './parse.ts';

const call = (params: string): string =>
  `<methodCall><methodName>m</methodName><params>${params}</params></methodCall>`;

function errorOf(run: () => unknown): WireError {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('values', () => {
  test.each<[string, WireValue]>([
    ['<value>text</value>', 'text'],
    ['<value> kept  </value>', ' kept  '],
    ['<value>   </value>', '   '],
    ['<value></value>', ''],
    ['<value/>', ''],
    ['<value ></value >', ''],
    ['<value><string> s </string></value>', ' s '],
    ['<value>\n <string>s</string>\n</value>', 's'],
    ['<value><string/></value>', ''],
    ['<value><int>42</int></value>', 42],
    ['<value><i4> -7 </i4></value>', -7],
    ['<value><int>+7</int></value>', 7],
    ['<value><int>-0</int></value>', 0],
    ['<value><i8>9007199254740991</i8></value>', 9007199254740991],
    ['<value><i8>9223372036854775807</i8></value>', '9223372036854775807'],
    ['<value><i8>-9223372036854775808</i8></value>', '-9223372036854775808'],
    ['<value><double>0.5</double></value>', 0.5],
    ['<value><double>1e3</double></value>', 1000],
    ['<value><double>-inf</double></value>', -Infinity],
    ['<value><double>NaN</double></value>', NaN],
    ['<value><boolean>1</boolean></value>', true],
    ['<value><boolean>0</boolean></value>', false],
    ['<value><dateTime.iso8601>20260101T00:00:00Z</dateTime.iso8601></value>', '20260101T00:00:00Z'],
    ['<value><base64>aGVs\nbG8=</base64></value>', 'hello'],
    ['<value><base64>4oKs</base64></value>', '€'],
    ['<value><nil/></value>', null],
    ['<value><nil></nil></value>', null],
    ['<value><array><data></data></array></value>', []],
    ['<value><array><data/></array></value>', []],
    ['<value> <array> <data> <value>a</value> <value>b</value> </data> </array> </value>', ['a', 'b']],
    ['<value><struct/></value>', {}],
    ['<value><struct><member><name>a</name><value>1</value></member></struct></value>', { a: '1' }],
    ['<value><struct>\n<member>\n<name>a</name>\n<value>1</value>\n</member>\n</struct></value>', { a: '1' }],
    ['<value>&lt;&gt;&amp;&quot;&apos;</value>', '<>&"\''],
    ['<value>&#65;&#x41;&#x1F600;&#13;</value>', 'AA😀\r'],
    ['<value><![CDATA[<a> & ]]></value>', '<a> & '],
    ['<value>a<![CDATA[ ]]>b</value>', 'a b'],
    ['<value>a<!-- c -->b<?pi x?>c</value>', 'abc'],
    ['<value><!-- c --><int>1</int><!-- d --></value>', 1],
    ['<value>a\r\nb\rc</value>', 'a\nb\nc'],
    ['<value xmlns:x="y" a=\'1\'>t</value>', 't'],
  ])('%j', (xml, value) => {
    expect(parseXmlValue(xml)).toEqual(value);
    expect(parseXmlRpcCall(call(`<param>${xml}</param>`)).params).toEqual([value]);
  });

  test('members named __proto__ and constructor are only members', () => {
    const member = (name: string): string => `<member><name>${name}</name><value>v</value></member>`;
    const value = parseXmlValue(`<value><struct>${member('__proto__')}${member('constructor')}</struct></value>`);
    expect(Object.keys(value as object)).toEqual(['__proto__', 'constructor']);
    expect((value as { readonly [k: string]: WireValue })['toString']).toBeUndefined();
  });

  test('the last of two members of one name counts', () => {
    const xml =
      '<value><struct><member><name>a</name><value>1</value></member><member><name>a</name><value>2</value></member></struct></value>';
    expect(parseXmlValue(xml)).toEqual({ a: '2' });
  });

  test('a long text does not stay a view of its document', () => {
    const name = 'a name longer than a slice';
    expect(parseXmlValue(`<value>${name}</value>`)).toBe(name);
  });
});

describe('calls and answers', () => {
  test.each([
    '<?xml version="1.0"?><methodCall><methodName>m</methodName></methodCall>',
    '<?xml version=\'1.0\' encoding="UTF-8" standalone="yes" ?>\n<methodCall>\n<methodName> m </methodName>\n<params/>\n</methodCall>\n',
    '\ufeff<methodCall><methodName>m</methodName><params></params></methodCall>',
    '<!-- a --><?b c?><methodCall><methodName>m</methodName></methodCall><!-- d -->\n',
  ])('%j', (xml) => {
    expect(parseXmlRpcCall(xml)).toEqual({ methodName: 'm', params: [] });
    expect(parseXmlRpcCall(Buffer.from(xml))).toEqual({ methodName: 'm', params: [] });
  });

  test.each<[string, WireErrorCode]>([
    ['', 'bad-request'],
    ['hello', 'bad-request'],
    ['<html></html>', 'bad-request'],
    ['<methodCall/>', 'bad-request'],
    ['<methodCall></methodCall>', 'bad-request'],
    ['<methodCall><methodName/></methodCall>', 'bad-request'],
    ['<methodCall><methodName> </methodName></methodCall>', 'bad-request'],
    ['<methodCall><methodName>m</methodName>', 'bad-xml'],
    ['<methodCall><methodName>m</methodCall>', 'bad-xml'],
    ['<methodCall><methodName>m</methodName></methodCall>x', 'bad-xml'],
    ['<methodCall><methodName>m</methodName></methodCall><a/>', 'bad-xml'],
    ['<methodCall><methodName>m</methodName><other/></methodCall>', 'bad-xml'],
    ['<!DOCTYPE a [<!ENTITY b "c">]><methodCall><methodName>&b;</methodName></methodCall>', 'bad-xml'],
    ['<!DOCTYPE a SYSTEM "file:///etc/passwd"><methodCall/>', 'bad-xml'],
    [' <?xml version="1.0"?><methodCall><methodName>m</methodName></methodCall>', 'bad-xml'],
    ['<?xml version="2.0"?><methodCall/>', 'bad-xml'],
    ['<?xml version="1.0" encoding="utf-16"?><methodCall/>', 'bad-xml'],
    ['<?xml version="1.0"', 'bad-xml'],
    ['<!-- a -- b --><methodCall/>', 'bad-xml'],
    ['<!-- a', 'bad-xml'],
    ['<?a', 'bad-xml'],
    [call('<param/>'), 'bad-xml'],
    [call('<param></param>'), 'bad-xml'],
    [call('<value>1</value>'), 'bad-xml'],
    [call('<param><value>1</value><value>2</value></param>'), 'bad-xml'],
    [call('text'), 'bad-xml'],
  ])('%j is refused', (xml, code) => {
    expect(errorOf(() => parseXmlRpcCall(xml)).code).toBe(code);
  });

  test.each([
    '<value>&nope;</value>',
    '<value>&toString;</value>',
    '<value>&amp</value>',
    '<value>& b;</value>',
    '<value>&#0;</value>',
    '<value>&#xD800;</value>',
    '<value>&#x110000;</value>',
    '<value>&#99999999999999999999999999999999;</value>',
    '<value>a]]>b</value>',
    '<value>\u0001</value>',
    '<value>a<int>1</int></value>',
    '<value><int>1</int>b</value>',
    '<value><int>1</int><int>2</int></value>',
    '<value><int>one</int></value>',
    '<value><int></int></value>',
    '<value><int>9223372036854775808</int></value>',
    '<value><int>0x10</int></value>',
    '<value><double>1,5</double></value>',
    '<value><double>0x10</double></value>',
    '<value><boolean>2</boolean></value>',
    '<value><base64>a</base64></value>',
    '<value><base64>!!!!</base64></value>',
    '<value><array/></value>',
    '<value><array><value>1</value></array></value>',
    '<value><struct><member><value>1</value></member></struct></value>',
    '<value><struct><member><name>a</name></member></struct></value>',
    '<value><struct><member/></struct></value>',
    '<value><nil>x</nil></value>',
    '<value><widget/></value>',
    '<value a=1>x</value>',
    '<value a="1" a="2">x</value>',
    '<value a="<">x</value>',
    '<value a="&nope;">x</value>',
    '<value><![CDATA[x</value>',
    '<VALUE>x</VALUE>',
    '<valuex>1</valuex>',
    '< value>1</value>',
    '<value>1</ value>',
    '<value>',
    '<value',
    '<',
  ])('%j is bad XML', (xml) => {
    const error = errorOf(() => parseXmlValue(xml));
    expect(error.code).toBe('bad-xml');
    expect(error.offset).toBeGreaterThanOrEqual(0);
    expect(error.message).toContain(`at offset ${error.offset}`);
  });

  test('bytes that are no text', () => {
    expect(errorOf(() => parseXmlRpcCall(Uint8Array.of(0x3c, 0xff))).code).toBe('bad-utf8');
    expect(errorOf(() => parseXmlValue('<value><base64>/w==</base64></value>')).code).toBe('bad-utf8');
  });

  test.each([
    '<methodResponse/>',
    '<methodResponse><params/></methodResponse>',
    '<methodResponse><params><param><value>1</value></param><param><value>2</value></param></params></methodResponse>',
    '<methodResponse><fault><value>1</value></fault></methodResponse>',
  ])('%j is no answer', (xml) => {
    expect(errorOf(() => parseXmlRpcResponse(xml)).code).toBe('bad-request');
  });
});

describe('limits', () => {
  const nested = (depth: number): string =>
    '<value><array><data>'.repeat(depth) + '</data></array></value>'.repeat(depth);

  test('nesting', () => {
    expect(parseXmlValue(nested(5), { maxDepth: 5 })).toEqual([[[[[]]]]]);
    expect(errorOf(() => parseXmlValue(nested(6), { maxDepth: 5 })).code).toBe('too-deep');
    expect(errorOf(() => parseXmlValue(nested(100_000))).code).toBe('too-deep');
    expect(errorOf(() => parseXmlValue(nested(100_000), { maxDepth: 1e9 })).code).toBe('too-deep');
  });

  test('values', () => {
    const many = `<value><array><data>${'<value/>'.repeat(9)}</data></array></value>`;
    expect(parseXmlValue(many, { maxNodes: 10 })).toHaveLength(9);
    expect(errorOf(() => parseXmlValue(many, { maxNodes: 9 })).code).toBe('too-large');
  });

  test('length', () => {
    expect(errorOf(() => parseXmlValue('<value>1234</value>', { maxLength: 18 })).code).toBe('too-large');
    expect(parseXmlValue('<value>1234</value>', { maxLength: 19 })).toBe('1234');
  });
});

const xmlText = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(...Array.from('<>&"\' ]\r\n\ta')),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
    ),
  })
  // oxlint-disable-next-line no-control-regex
  .map((text) => text.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, ''));

const wireValue: fc.Arbitrary<WireValue> = fc.letrec<{ value: WireValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    xmlText,
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .dictionary(fc.oneof(xmlText, fc.constantFrom('__proto__', 'constructor')), tie('value'), { maxKeys: 4 })
      .map((members) => {
        const struct = newStruct();
        for (const [name, value] of Object.entries(members)) struct[name] = value;
        return struct;
      }),
  ),
})).value;

/** What a value becomes: whole numbers beyond 32 bits travel as text. */
const sent = (value: WireValue): WireValue => {
  if (typeof value === 'number' && Number.isSafeInteger(value) && (value | 0) !== value) return String(value);
  if (Array.isArray(value)) return value.map(sent);
  if (typeof value !== 'object' || value === null) return value;
  const struct = newStruct();
  for (const [name, member] of Object.entries(value)) struct[name] = sent(member);
  return struct;
};

/** The slow, plain decoder: a tree from a SAX parser, read by name. `undefined` when the document is not well formed. */
interface Element {
  readonly name: string;
  readonly children: Element[];
  text: string;
}

function saxTree(xml: string): Element | undefined {
  const root: Element = { name: '', children: [], text: '' };
  const stack = [root];
  const parser = new SaxesParser();
  let broken = false;
  const text = (data: string): void => {
    const top = stack.at(-1);
    if (top !== undefined) top.text += data;
  };
  parser.on('error', () => (broken = true));
  parser.on('text', text);
  parser.on('cdata', text);
  parser.on('opentag', (tag) => {
    const element = { name: tag.name, children: [], text: '' };
    stack.at(-1)?.children.push(element);
    stack.push(element);
  });
  parser.on('closetag', () => stack.pop());
  parser.write(xml).close();
  return broken ? undefined : root.children[0];
}

function plainValue(element: Element): WireValue {
  const [typed] = element.children;
  if (typed === undefined) return element.text;
  switch (typed.name) {
    case 'string':
      return typed.text;
    case 'int':
      return Number(typed.text);
    case 'double':
      return typed.text === 'nan' ? NaN : Number(typed.text.replace('inf', 'Infinity'));
    case 'boolean':
      return typed.text === '1';
    case 'nil':
      return null;
    case 'array':
      return (typed.children[0]?.children ?? []).map(plainValue);
    default: {
      const struct = newStruct();
      for (const member of typed.children) {
        const [name, value] = member.children;
        if (name !== undefined && value !== undefined) struct[name.text] = plainValue(value);
      }
      return struct;
    }
  }
}

describe('properties', () => {
  test('what is encoded is read back, also by another parser', () => {
    fc.assert(
      fc.property(wireValue, (value) => {
        const xml = encodeXmlAny(value);
        expect(parseXmlValue(xml)).toEqual(sent(value));
        expect(parseXmlValue(Buffer.from(xml))).toEqual(sent(value));
        const tree = saxTree(xml);
        expect(tree === undefined ? undefined : plainValue(tree)).toEqual(sent(value));
      }),
      { numRuns: 500 },
    );
  });

  test('white space, comments, instructions and CDATA change nothing', () => {
    const between = fc.constantFrom('', ' ', '\n\t', '<!-- x -->', '<?p q?>', ' <!---->\r\n');
    fc.assert(
      fc.property(wireValue, fc.array(between, { minLength: 1 }), (value, gaps) => {
        let n = 0;
        const gap = (): string => gaps[n++ % gaps.length] ?? '';
        // Only where no character data can be: behind these tags.
        const xml = encodeXmlAny(value).replaceAll(
          /<\/?(?:array|data|struct|member)>|<\/name>|<\/(?:int|double|boolean)>|<nil\/>/g,
          (tag) => tag + gap(),
        );
        expect(parseXmlValue(xml)).toEqual(sent(value));
      }),
    );
  });

  const mutation = fc.oneof(
    fc.record({ kind: fc.constant('delete' as const), at: fc.nat(), length: fc.integer({ min: 1, max: 8 }) }),
    fc.record({
      kind: fc.constant('insert' as const),
      at: fc.nat(),
      what: fc.constantFrom(
        '<',
        '>',
        '&',
        '/',
        '"',
        ']]>',
        '<![CDATA[',
        '<!--',
        '-->',
        '<?',
        '?>',
        '&amp;',
        '&#',
        ';',
        ' ',
        '\0',
        'é',
        '<value>',
        '</value>',
        '<int>',
        '<!DOCTYPE x>',
        '<?xml version="1.0"?>',
      ),
    }),
    fc.record({
      kind: fc.constant('copy' as const),
      at: fc.nat(),
      from: fc.nat(),
      length: fc.integer({ min: 1, max: 30 }),
    }),
  );

  function mutate(
    xml: string,
    mutations: readonly (typeof mutation extends fc.Arbitrary<infer T> ? T : never)[],
  ): string {
    let text = xml;
    for (const change of mutations) {
      const at = change.at % (text.length + 1);
      const inserted =
        change.kind === 'insert'
          ? change.what
          : change.kind === 'copy'
            ? text.slice(change.from % (text.length + 1)).slice(0, change.length)
            : '';
      text = text.slice(0, at) + inserted + text.slice(change.kind === 'delete' ? at + change.length : at);
    }
    return text;
  }

  test('a broken document gives a WireError, and what is accepted another parser accepts too', () => {
    fc.assert(
      fc.property(
        fc.array(wireValue, { maxLength: 3 }),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        (params, mutations) => {
          const xml = mutate(encodeXmlRpcCall('VM.start', params), mutations);
          let accepted = true;
          try {
            parseXmlRpcCall(xml);
          } catch (error) {
            if (!(error instanceof WireError)) throw error;
            accepted = false;
          }
          if (accepted) expect(saxTree(xml)?.name).toBe('methodCall');
        },
      ),
      { numRuns: 5000 },
    );
  });

  test('any bytes give a WireError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => parseXmlRpcCall(bytes)).toThrow(WireError);
      }),
    );
  });
});
