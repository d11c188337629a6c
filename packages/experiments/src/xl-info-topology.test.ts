import { readFileSync } from 'node:fs';
import { buildTopology, topologyPresets } from '@xenolith/hypervisor';
import { XlParseError } from '@xenolith/wire';
import { describe, expect, test } from 'vitest';
import { topologyOfXlInfo } from './xl-info-topology.ts';

/** A recording, without the command line above it. */
const read = (name: string): string =>
  readFileSync(new URL(`../../../tests/fixtures/xl/${name}.txt`, import.meta.url), 'utf8').replace(/^\$.*\n/, '');
const recorded = read('guests-xl-info-n');
const withoutTables = read('guests-xl-info');

test('the lab, as its host tells it, is the preset of that name', () => {
  expect(topologyOfXlInfo(recorded)).toEqual(topologyPresets['lab-2n8c']!.topology);
});

test('distances are those of the host; where it gives none they are 20', () => {
  const distancesOf = (text: string): unknown => topologyOfXlInfo(text).nodes.map(({ distances }) => distances);
  expect(distancesOf(recorded.replace('10,20\n', '10,31\n'))).toEqual([
    [10, 31],
    [20, 10],
  ]);
  expect(distancesOf(recorded.replaceAll(/1?2?0,[12]0\n/g, '\n'))).toEqual([
    [10, 20],
    [20, 10],
  ]);
});

test('cores are told apart by their socket, and threads by their core', () => {
  const threads = recorded.replace('  1:       1        0        0', '  1:       0        0        0');
  expect(topologyOfXlInfo(threads).pcpus.slice(0, 2)).toEqual([
    { pcpu: 0, thread: 0, core: 0, socket: 0, node: 0 },
    { pcpu: 1, thread: 1, core: 0, socket: 0, node: 0 },
  ]);
  expect(topologyOfXlInfo(recorded).pcpus).toEqual(
    buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 1 }).pcpus,
  );
});

describe('is refused', () => {
  test.each([
    ['something else', 'hello', /xl info/],
    ['the output without -n', withoutTables, /there is no cpu_topology/],
    ['a pCPU that is left out', recorded.replace(/^ {2}3:.*\n/m, ''), /the row of pCPU 3 should be here/],
    ['a node that no Xen has', recorded.replace(/^( {2}7:.*)1$/m, '$164'), /there is no such node/],
    ['a node that is left out', recorded.replace(/^ {3}0:.*\n/m, ''), /the row of node 0 should be here/],
  ])('%s', (_, text, message) => {
    expect(() => topologyOfXlInfo(text)).toThrow(XlParseError);
    expect(() => topologyOfXlInfo(text)).toThrow(message);
  });
});
