import { expect, test } from 'vitest';
import { readXentrace, XentraceError, type XentraceRecord } from './xentrace.ts';

/** The beginning of a file that xentrace 4.17 wrote: pCPU 2, then Domain-0 blocks and the idle vCPU runs. */
const words = [
  0x2001f003, 2, 40, 0x90021021, 0x01020304, 0x00000005, 0x00000000, 0x90021101, 0x01020305, 0x00000005, 0x7fff0002,
];

const fileOf = (values: readonly number[]): Uint8Array => {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (const [index, value] of values.entries()) view.setUint32(index * 4, value, true);
  return new Uint8Array(view.buffer);
};

function read(file: Uint8Array): { readonly records: readonly XentraceRecord[]; readonly lost: number } {
  const records: XentraceRecord[] = [];
  const lost = readXentrace(file, (record) => records.push(record));
  return { records, lost };
}

const expected = [
  { event: 0x21021, pcpu: 2, cycles: 0x501020304, words: [0] },
  { event: 0x21101, pcpu: 2, cycles: 0x501020305, words: [0x7fff0002] },
];

test('records have the pCPU that was named before them, and the counter in 64 bits', () => {
  expect(read(fileOf(words))).toEqual({ records: expected, lost: 0 });
  expect(read(fileOf([...words, 0x2001f003, 7, 8, 0x10000042, 9])).records.at(-1)).toEqual({
    event: 0x42,
    pcpu: 7,
    words: [9],
  });
});

test('what the end cuts off is left out, wherever it is cut', () => {
  const file = fileOf(words);
  for (let length = 12; length < file.length; length++) {
    expect(read(file.subarray(0, length)).records).toEqual(length < 28 ? [] : expected.slice(0, 1));
  }
  expect(read(new Uint8Array()).records).toEqual([]);
});

test('lost records are counted', () => {
  expect(read(fileOf([...words, 0x4001f001, 30, 0, 0, 0, 0x4001f001, 12, 0, 0, 0])).lost).toBe(42);
});

test('what is no trace is refused', () => {
  expect(() => read(fileOf(words.slice(3)))).toThrow(XentraceError);
});
