import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { documentText } from './utf8.ts';
import { WireError } from './wire-error.ts';

const errorOf = (run: () => unknown): WireError => {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('documentText', () => {
  test.each([
    ['a byte that starts nothing', [0x61, 0xff], 1],
    ['a continuation alone', [0x61, 0x62, 0x80], 2],
    ['a sequence cut short', [0xe2, 0x82], 0],
    ['an overlong slash', [0xc0, 0xaf], 0],
    ['an overlong three bytes', [0x61, 0xe0, 0x80, 0x80], 1],
    ['a surrogate', [0xed, 0xa0, 0x80], 0],
    ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80], 0],
    ['after good ones', [...Buffer.from('é€😀'), 0xc3, 0x28], 9],
  ])('%s', (_what, bytes, offset) => {
    const error = errorOf(() => documentText(Uint8Array.from(bytes), 100));
    expect(error).toMatchObject({ code: 'bad-utf8', offset });
  });

  test('half a surrogate pair in text', () => {
    expect(errorOf(() => documentText('ab\ud800c', 100))).toMatchObject({ code: 'bad-utf8', offset: 2 });
  });

  test('a limit on bytes and on characters', () => {
    expect(errorOf(() => documentText(new Uint8Array(11), 10)).code).toBe('too-large');
    expect(errorOf(() => documentText('x'.repeat(11), 10)).code).toBe('too-large');
    expect(documentText('x'.repeat(10), 10)).toBe('x'.repeat(10));
  });

  test('the offset of a wrong byte is where the good prefix ends', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.uint8Array({ maxLength: 6 }), (good, tail) => {
        const bytes = Uint8Array.from([...Buffer.from(good), ...tail]);
        const lossy = Buffer.from(bytes).toString();
        if (!Buffer.from(lossy).equals(Buffer.from(bytes))) {
          const { offset = -1 } = errorOf(() => documentText(bytes, 1000));
          expect(documentText(bytes.slice(0, offset), 1000)).toBe(
            Buffer.from(bytes.slice(0, offset))
              .toString()
              .replace(/^\ufeff/, ''),
          );
          expect(() => documentText(bytes.slice(0, offset + 1), 1000)).toThrow(WireError);
        } else {
          expect(documentText(bytes, 1000)).toBe(lossy.replace(/^\ufeff/, ''));
        }
      }),
    );
  });
});
