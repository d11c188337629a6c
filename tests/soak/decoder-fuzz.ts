/**
 * Decoders of what comes from the network, given messages that are wrong in every way that we could think of. Each must
 * give a value or its typed error, and what it gives is no larger than what it was given.
 */
import type { Random } from '@xenolith/base';
import {
  encodeJsonRpcRequest,
  encodeThinCli,
  encodeXmlRpcCall,
  parseJsonRpcRequest,
  parseJsonRpcResponse,
  parseXmlRpcCall,
  parseXmlRpcResponse,
  parseXmlValue,
  ThinCliDecoder,
  thinCliHello,
  WireError,
  type ThinCliMessage,
  type WireValue,
} from '@xenolith/wire';

/** A reader, messages that it reads, and words of its language. */
export interface Target {
  readonly name: string;
  readonly decode: (bytes: Uint8Array, random: Random) => unknown;
  readonly seeds: readonly Uint8Array[];
  readonly words: readonly Uint8Array[];
}

/** As a server has them, but smaller, so that they are met. */
const limits = { maxDepth: 32, maxNodes: 5000, maxLength: 200_000 };

const utf8 = (text: string): Uint8Array => Buffer.from(text);
const raw = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes);
/** Overlong forms, halves of pairs, what never begins a character, and a mark of byte order. */
const wrongText = [
  raw(0xc0, 0x80),
  raw(0xed, 0xa0, 0x80),
  raw(0xff),
  raw(0xf4, 0x90, 0x80, 0x80),
  raw(0xef, 0xbb, 0xbf),
  raw(0),
];

const values: readonly WireValue[] = [
  'OpaqueRef:1',
  '<&>"\' ]]> \u{1F600}',
  -1,
  true,
  0.5,
  [],
  {},
  { a: [1, 'two', { three: null }], 'b<': '' },
  [[['deep']]],
];
const xmlWords = [
  '<value>',
  '</value>',
  '<array><data>',
  '</data></array>',
  '<struct>',
  '<member><name>',
  '</name>',
  '<string/>',
  '<int>',
  '99999999999999999999',
  '-',
  '1e999',
  '<double>',
  '<boolean>2',
  '<base64>!',
  '<nil/>',
  '&lt;',
  '&#x110000;',
  '&#0;',
  '&amp;amp;',
  '&#xD800;',
  '&a;',
  '<!DOCTYPE a [<!ENTITY a "&a;&a;">]>',
  '<!ENTITY % b SYSTEM "file:///etc/passwd">',
  '<![CDATA[',
  ']]>',
  '<!--',
  '-->',
  '<?xml version="1.0" encoding="utf-7"?>',
  '<value xmlns="x" a=\'>\'>',
  '<methodCall>',
  '<params><param>',
  '<fault>',
  '\r\n\t ',
];
const jsonWords = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\u',
  '\\ud800',
  '\\udc00',
  '\\',
  '1e999',
  '-',
  '0x1',
  '1'.repeat(400),
  '-0',
  'null',
  'true',
  'NaN',
  '//',
  '"method":',
  '"params":',
  '"id":',
  '"jsonrpc":"2.0"',
  '"__proto__":',
  '"constructor":',
  '[[[[[[[[',
  '{"a":{"a":',
  ' \n\t',
  '\u{2028}',
];
const messages: readonly ThinCliMessage[] = [
  { kind: 'ok' },
  { kind: 'chunk', bytes: 3 },
  { kind: 'end' },
  { kind: 'error', code: 'X', params: ['a', ''] },
  { kind: 'print', text: 'ä' },
  { kind: 'http-get', file: 'f', url: '/' },
  { kind: 'exit', code: 1 },
];

export const targets: readonly Target[] = [
  ...(
    [
      ['XML-RPC call', parseXmlRpcCall],
      ['XML-RPC answer', parseXmlRpcResponse],
      ['XML-RPC value', parseXmlValue],
    ] as const
  ).map(([name, parse]) => ({
    name,
    decode: (bytes: Uint8Array) => parse(bytes, limits),
    seeds: [
      ...values.map((value) => utf8(encodeXmlRpcCall('VM.start', [value, 'x']))),
      utf8('<methodResponse><params><param><value><struct/></value></param></params></methodResponse>'),
      utf8('<methodResponse><fault><value><struct/></value></fault></methodResponse>'),
      utf8('<value><array><data><value>a</value><value><i4>1</i4></value></data></array></value>'),
    ],
    words: [...xmlWords.map(utf8), ...wrongText],
  })),
  ...(
    [
      ['JSON-RPC call', parseJsonRpcRequest],
      ['JSON-RPC answer', parseJsonRpcResponse],
    ] as const
  ).map(([name, parse]) => ({
    name,
    decode: (bytes: Uint8Array) => parse(bytes, limits),
    seeds: [
      ...values.map((value) => utf8(encodeJsonRpcRequest('VM.start', [value, 'x'], 1))),
      utf8('{"jsonrpc":"2.0","error":{"code":1,"message":"X","data":["a"]},"id":"1"}'),
      utf8('{"result":[1,"a",{"b":null}],"error":null,"id":1}'),
    ],
    words: [...jsonWords.map(utf8), ...wrongText],
  })),
  {
    name: 'thin CLI',
    decode: decodeInPieces,
    seeds: messages.map((message) => Buffer.concat([thinCliHello(), encodeThinCli(message), Buffer.from('abc')])),
    words: [
      ...messages.map(encodeThinCli),
      thinCliHello(),
      raw(255, 255, 255, 127),
      raw(255, 255, 255, 255),
      raw(0, 0, 0, 0),
      ...wrongText,
    ],
  },
];

/** The pieces of a stream come as the network has it. */
function decodeInPieces(bytes: Uint8Array, random: Random): unknown {
  const decoder = new ThinCliDecoder({ payloadBytesMax: 4096, chunkBytesMax: 1 << 20 });
  const items: unknown[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = 1 + (random.nextUint32() % 64);
    items.push(...decoder.push(bytes.subarray(at, at + length)));
    at += length;
  }
  return items;
}

const below = (random: Random, limit: number): number => (limit <= 0 ? 0 : random.nextUint32() % limit);
const pick = <T>(random: Random, items: readonly T[], otherwise: T): T =>
  items[below(random, items.length)] ?? otherwise;
const nothing = new Uint8Array(0);
/** Longer ones only take longer. */
const bytesMax = 100_000;

/** A message made wrong: some of its bytes changed, cut, doubled, or mixed with words and with other messages. */
export function mutated(target: Target, random: Random): Uint8Array {
  let bytes = pick(random, target.seeds, nothing);
  for (let times = below(random, 7); times > 0; times--) bytes = change(target, random, bytes).subarray(0, bytesMax);
  return bytes;
}

function change(target: Target, random: Random, bytes: Uint8Array): Uint8Array {
  const at = below(random, bytes.length + 1);
  const length = below(random, Math.min(64, bytes.length - at) + 1);
  const [head, middle, tail] = [bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at + length)];
  const word = pick(random, target.words, nothing);
  switch (below(random, 8)) {
    case 0:
      return Buffer.concat([head, tail]);
    case 1:
      return head;
    case 2:
      return Buffer.concat([head, middle, middle, tail]);
    case 3:
      return Buffer.concat([head, word, middle, tail]);
    case 4:
      return Buffer.concat([head, word, tail]);
    case 5:
      return Buffer.concat([head, ...Array.from({ length: below(random, 2000) }, () => word), middle, tail]);
    case 6:
      return Buffer.concat([head, pick(random, target.seeds, nothing), tail]);
    default: {
      const changed = Buffer.from(bytes);
      if (at < changed.length) changed[at] = below(random, 256);
      return changed;
    }
  }
}

/** Characters of all texts and keys in a value, and how many values it has. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (value instanceof Uint8Array) return value.length;
  if (typeof value !== 'object' || value === null) return 1;
  return Object.entries(value).reduce(
    (sum, [key, each]) => sum + (Array.isArray(value) ? 0 : key.length) + sizeOf(each),
    1,
  );
}

/** Names of the fields of a message or call, which it has beside what came. */
const overhead = 2000;
/** A thin CLI frame of two numbers is an object with a name. */
const growthMax = 8;

/** What is wrong with how a reader took the bytes: undefined when it gave a value of their size, or its own error. */
export function complaint(target: Target, bytes: Uint8Array, random: Random): string | undefined {
  try {
    const size = sizeOf(target.decode(bytes, random));
    return size <= bytes.length * growthMax + overhead ? undefined : `gave ${size} for ${bytes.length} bytes`;
  } catch (error) {
    return error instanceof WireError ? undefined : String(error instanceof Error ? error.stack : error);
  }
}
