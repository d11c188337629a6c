import { describe, expect, test } from 'vitest';
import type { NumaPicture } from './numa-picture.ts';
import { numaText } from './numa-text.ts';

const gib = 2 ** 30;
const picture: NumaPicture = {
  host: 'box',
  nodes: [
    { node: 0, memoryBytes: 4 * gib, freeBytes: 2 * gib, pcpus: [0, 1], distances: [10, 20] },
    { node: 1, memoryBytes: 0, freeBytes: 0, pcpus: [2, 3], distances: [20, 10] },
  ],
  domains: [{ domid: 0, name: 'Domain-0', uuid: '', bytesByNode: [gib, 0] }],
};

describe('the picture of a host for a terminal', () => {
  test('a node without memory has no bar, and is not called free', () => {
    const bars = numaText(picture)
      .split('\n')
      .filter((line) => /^node \d/.test(line));
    expect(bars).toEqual([`node 0  [${'0'.repeat(10)}${'#'.repeat(10)}${'.'.repeat(20)}]`, 'node 1  has no memory']);
  });

  test('no name of a host or a VM moves the cursor, sets the title or turns the direction of writing', () => {
    const name = '\u001b]0;title\u0007\n\u009b2J\u202e';
    const domains = [...picture.domains, { domid: 3, name, uuid: '', bytesByNode: [0, 0] }];
    const text = numaText({ ...picture, host: `a${name}`, domains });
    expect(text).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
    expect(text).toMatch(/^a\\u001b\]0;title\\u0007\\n\\u009b2J\\u202e: 2 NUMA nodes/);
    expect(text).toContain('\n1  \\u001b]0;title\\u0007\\n\\u009b2J\\u202e ');
    expect(text.split('\n')).toHaveLength(numaText(picture).split('\n').length + 1);
  });
});
