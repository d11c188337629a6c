import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseXlNumaDump } from './parse-numa-dump.ts';
import { XlParseError } from './xl-parse-error.ts';

const recorded = readFileSync(new URL('../../../../tests/fixtures/xl/numa-dump.txt', import.meta.url), 'utf8');

const expected = {
  nodes: [
    { node: 0, sizePages: 524_288, freePages: 405_325 },
    { node: 1, sizePages: 786_432, freePages: 303_476 },
  ],
  domains: [
    { domid: 0, totalPages: 262_144, pagesByNode: [84_521, 177_623] },
    { domid: 1, totalPages: 32_768, pagesByNode: [32_768, 0] },
    { domid: 2, totalPages: 32_784, pagesByNode: [0, 32_784] },
  ],
};
const dump =
  "(XEN) 'u' pressed -> dumping numa info (now = 1)\n(XEN) NODE0 start->0 size->9 free->4\n(XEN) Memory location of each domain:\n";

describe('the answer to debug key u', () => {
  test('recorded', () => {
    expect(parseXlNumaDump(recorded)).toEqual(expected);
  });

  test('the last one counts, with time stamps and domains named as later releases do', () => {
    const later = recorded
      .replaceAll('(XEN) ', '(XEN) [2026-11-30 10:00:00] ')
      .replaceAll(/Domain (\d+)/g, 'd$1')
      .replace('32768):', '5):')
      .replace('Node 0: 32768', 'Node 0: 5');
    expect(parseXlNumaDump(recorded + later).domains[1]).toEqual({ domid: 1, totalPages: 5, pagesByNode: [5, 0] });
    expect(parseXlNumaDump(later + recorded)).toEqual(expected);
  });

  test.each<[string, string, ReturnType<typeof parseXlNumaDump>]>([
    ['nothing', '', { nodes: [], domains: [] }],
    ['other messages', '(XEN) Xen version 4.17\n(XEN) Node 0: 3\n', { nodes: [], domains: [] }],
    [
      'of which the ring has lost the beginning',
      '(XEN)     Node 1: 7\n(XEN) Domain 4 (total: 3):\n(XEN)     Node 0: 1\n(XEN)     Node 1: 2\n',
      { nodes: [], domains: [{ domid: 4, totalPages: 3, pagesByNode: [1, 2] }] },
    ],
    [
      'of nodes that are not numbered in a row',
      `${dump}(XEN) Domain 1 (total: 5):\n(XEN)     Node 0: 3\n(XEN)     Node 2: 2\n(XEN)     Node 64: 9\n`,
      {
        nodes: [{ node: 0, sizePages: 9, freePages: 4 }],
        domains: [{ domid: 1, totalPages: 5, pagesByNode: [3, 0, 2] }],
      },
    ],
    [
      'with the nodes of a guest’s own',
      `${dump}(XEN) Domain 1 (total: 5):\n(XEN)     Node 0: 5\n(XEN)      1 vnodes, 2 vcpus, guest physical layout:\n(XEN)          0: pnode  0, vcpus 0-1\n`,
      { nodes: [{ node: 0, sizePages: 9, freePages: 4 }], domains: [{ domid: 1, totalPages: 5, pagesByNode: [5] }] },
    ],
    [
      'with something else in its middle',
      `${dump}(XEN) Domain 1 (total: 5):\n(XEN) d1 is gone\n(XEN)     Node 0: 5\n`,
      { nodes: [{ node: 0, sizePages: 9, freePages: 4 }], domains: [{ domid: 1, totalPages: 5, pagesByNode: [] }] },
    ],
  ])('%s', (_, text, result) => {
    expect(parseXlNumaDump(text)).toEqual(result);
  });

  test('a number that is none of Xen’s is refused', () => {
    expect(() => parseXlNumaDump(`${dump}(XEN) Domain 1 (total: 99999999999999999):\n`)).toThrow(XlParseError);
  });

  test('any text is read or refused', () => {
    const line = fc.oneof(fc.string(), fc.constantFrom(...recorded.split('\n')));
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        try {
          parseXlNumaDump(lines.join('\n'));
        } catch (error) {
          expect(error).toBeInstanceOf(XlParseError);
        }
      }),
    );
  });
});
