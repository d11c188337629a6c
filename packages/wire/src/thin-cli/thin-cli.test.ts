import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WireError } from '../wire-error.ts';
import { ThinCliDecoder, type ThinCliItem } from './decode.ts';
import { encodeThinCli, thinCliHello } from './encode.ts';
import type { ThinCliMessage } from './message.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** A decoder that has had its greeting. */
function greeted(limits = {}): ThinCliDecoder {
  const decoder = new ThinCliDecoder(limits);
  expect(decoder.push(thinCliHello())).toEqual([{ kind: 'hello', major: 0, minor: 2 }]);
  return decoder;
}

// By hand from PROTOCOL.md §10: length, family, kind, body; all numbers little endian.
test.each<readonly [ThinCliMessage, string]>([
  [{ kind: 'print', text: 'ä' }, '0e000000 09000000 00000000 02000000 c3a4'],
  [{ kind: 'load', file: 'f' }, '0d000000 09000000 01000000 01000000 66'],
  [{ kind: 'prompt' }, '08000000 09000000 03000000'],
  [{ kind: 'exit', code: -1 }, '0c000000 09000000 04000000 ffffffff'],
  [{ kind: 'http-get', file: '', url: '/x' }, '12000000 09000000 0c000000 00000000 02000000 2f78'],
  [{ kind: 'http-put', file: 'a', url: '/' }, '12000000 09000000 0d000000 01000000 61 01000000 2f'],
  [
    { kind: 'error', code: 'X', params: ['a', ''] },
    '1a000000 09000000 0e000000 01000000 58 02000000 01000000 61 00000000',
  ],
  [{ kind: 'debug', text: '' }, '0c000000 09000000 0f000000 00000000'],
  [{ kind: 'print-stderr', text: 'e' }, '0d000000 09000000 10000000 01000000 65'],
  [{ kind: 'http-connect', url: '/' }, '0d000000 09000000 11000000 01000000 2f'],
  [{ kind: 'ok' }, '08000000 0a000000 05000000'],
  [{ kind: 'failed' }, '08000000 0a000000 06000000'],
  [{ kind: 'wait' }, '08000000 0a000000 12000000'],
  [{ kind: 'chunk', bytes: 258 }, '0c000000 0b000000 07000000 02010000'],
  [{ kind: 'end' }, '08000000 0b000000 08000000'],
])('%j', (message, frame) => {
  expect(hex(encodeThinCli(message))).toBe(frame.replaceAll(' ', ''));
  expect(greeted().push(bytesOf(frame))).toEqual([message]);
});

test('the greeting', () => {
  expect(Buffer.from(thinCliHello()).toString('latin1')).toBe(
    'XenSource thin CLI protocol\u0000\u0000\u0000\u0000\u0002\u0000\u0000\u0000',
  );
});

test('bytes of a chunk lie outside the frames, and whatever the pieces are, the same comes out', () => {
  const stream = Buffer.concat([
    thinCliHello(),
    encodeThinCli({ kind: 'ok' }),
    encodeThinCli({ kind: 'chunk', bytes: 5 }),
    Buffer.from('12345'),
    encodeThinCli({ kind: 'chunk', bytes: 0 }),
    encodeThinCli({ kind: 'end' }),
  ]);
  const whole = ['hello', 'ok', 'chunk', '12345', 'chunk', 'end'];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 12 }), (cuts) => {
      const ends = [...cuts, stream.length].sort((a, b) => a - b);
      const decoder = new ThinCliDecoder();
      const items: ThinCliItem[] = ends.flatMap((end, i) => [
        ...decoder.push(stream.subarray(i === 0 ? 0 : ends[i - 1], end)),
      ]);
      const data = Buffer.concat(items.flatMap((item) => (item.kind === 'data' ? [item.bytes] : []))).toString();
      expect(data).toBe('12345');
      expect(items.filter(({ kind }) => kind !== 'data').map(({ kind }) => kind)).toEqual(
        whole.filter((word) => word !== '12345'),
      );
    }),
  );
});

describe('what is not of the protocol is refused', () => {
  test.each([
    ['another tag', '08000000 0a000000 63000000', 'bad-request'],
    ['another family', '08000000 63000000 05000000', 'bad-request'],
    ['an empty frame', '00000000', 'bad-request'],
    ['a negative frame', 'ffffffff', 'bad-request'],
    ['a frame that goes on', '0c000000 0a000000 05000000 00000000', 'bad-request'],
    ['a string beyond the frame', '0c000000 09000000 00000000 05000000', 'bad-request'],
    ['a negative string', '0c000000 09000000 00000000 ffffffff', 'bad-request'],
    ['more strings than fit', '14000000 09000000 0e000000 00000000 ffffff7f 00000000', 'bad-request'],
    ['a negative chunk', '0c000000 0b000000 07000000 ffffffff', 'bad-request'],
    ['a huge frame', 'ffffff7f', 'too-large'],
    ['a huge chunk', '0c000000 0b000000 07000000 ffffff7f', 'too-large'],
    ['text that is not UTF-8', '0d000000 09000000 00000000 01000000 ff', 'bad-utf8'],
  ])('%s', (_name, frame, code) => {
    expect(() => greeted().push(bytesOf(frame))).toThrow(expect.objectContaining({ name: 'WireError', code }));
  });

  test('a greeting of something else, at its first wrong byte', () => {
    expect(() => new ThinCliDecoder().push(Buffer.from('XenSourcf'))).toThrow(WireError);
    expect(new ThinCliDecoder().push(Buffer.from('XenSourc'))).toEqual([]);
  });
});
