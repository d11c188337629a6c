/** Some seconds of what `npm run soak -- fuzz` does for longer, and what was made by hand to be hard. */
import { SeededRandom } from '@xenolith/base';
import { parseJsonRpcRequest, parseXmlRpcCall, WireError } from '@xenolith/wire';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { complaint, mutated, targets } from '../soak/decoder-fuzz.ts';

describe.each(targets.map((target) => [target.name, target] as const))('%s', (_name, target) => {
  test('messages that are made wrong, each by its seed', () => {
    for (let seed = 0; seed < 600; seed++) {
      const random = new SeededRandom(seed);
      const bytes = mutated(target, random);
      expect(complaint(target, bytes, random), `seed ${seed}`).toBeUndefined();
    }
  });

  test('any bytes at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer(), (bytes, seed) => {
        expect(complaint(target, bytes, new SeededRandom(seed))).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  test('the messages that they are made of are read, or refused by their kind alone', () => {
    expect(target.seeds.filter((seed) => complaint(target, seed, new SeededRandom(1)) !== undefined)).toEqual([]);
  });
});

describe('hard ones', () => {
  const deep = 100_000;
  const bomb = `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "${'ha'.repeat(100)}"><!ENTITY b "${'&a;'.repeat(100)}">]>`;
  const call = (value: string): string =>
    `<methodCall><methodName>a</methodName><params><param>${value}</param></params></methodCall>`;
  test.each([
    ['nested arrays', call('<value><array><data>'.repeat(deep))],
    ['nested structs', call('<value><struct><member><name>a</name>'.repeat(deep))],
    ['entities of entities', `${bomb}${call('<value>&b;</value>')}`],
    ['an entity of the outside', `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>${call('<value>&a;</value>')}`],
    ['a comment without an end', `<!--${'-'.repeat(deep)}`],
    ['attributes without an end', `<methodCall ${'a="b" '.repeat(deep)}`],
    ['a number of many digits', call(`<value><int>${'9'.repeat(deep)}</int></value>`)],
    ['a character beyond Unicode', call('<value>&#x110000;</value>')],
  ])('XML-RPC: %s', (_what, text) => {
    expect(() => parseXmlRpcCall(text)).toThrow(WireError);
  });

  test.each([
    ['nested arrays', '['.repeat(deep)],
    ['nested objects', '{"a":'.repeat(deep)],
    ['a string without an end', `"${'a'.repeat(deep)}`],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])],
  ])('JSON-RPC: %s', (_what, input) => {
    expect(() => parseJsonRpcRequest(input)).toThrow(WireError);
  });

  test('a key that is the prototype’s name is a key like others', () => {
    const { params } = parseJsonRpcRequest('{"method":"a","params":[{"__proto__":{"polluted":1}}],"id":1}');
    expect(Object.keys(params[0] as object)).toEqual(['__proto__']);
    expect(({} as { readonly polluted?: unknown }).polluted).toBeUndefined();
  });
});
