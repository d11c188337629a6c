import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChangeLog, type Change } from './change-log.ts';

/** Every change ever, kept: what the log must agree with for as long as it remembers. */
function naiveSince(all: readonly Change[], generation: number): readonly Change[] {
  const last = new Map<string, Change>();
  for (const change of all) last.set(change.ref, change);
  return [...last.values()]
    .filter((change) => change.generation > generation)
    .sort((a, b) => a.generation - b.generation);
}

/** Writes and deletions of a few objects, some of which come back under the same reference. */
const steps = fc.array(fc.record({ object: fc.nat(30), del: fc.boolean() }), { maxLength: 400, size: 'max' });

function play(log: ChangeLog, list: readonly { object: number; del: boolean }[]): readonly Change[] {
  const all: Change[] = [];
  const born = new Map<string, number>();
  let generation = 100;
  for (const { object, del } of list) {
    const ref = `OpaqueRef:${object}`;
    if (del && !born.has(ref)) continue;
    generation++;
    if (!born.has(ref)) born.set(ref, generation);
    const change: Change = { generation, ref, class: 'VM', kind: del ? 'del' : 'put', created: born.get(ref) ?? 0 };
    if (del) born.delete(ref);
    log.record(change);
    all.push(change);
  }
  return all;
}

describe('the change log', () => {
  test('tells the last change of whatever changed since a generation, as a log of everything would', () => {
    fc.assert(
      fc.property(steps, fc.nat(600), (list, back) => {
        const log = new ChangeLog(100);
        const all = play(log, list);
        const since = Math.max(100, 100 + all.length - back);
        expect(log.completeSince).toBe(100);
        expect(log.since(since)).toEqual(naiveSince(all, since));
      }),
    );
  });

  test('forgets old deletions, says since when it is complete, and is right from there on', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 8 }), (list, limit) => {
        const log = new ChangeLog(100, limit);
        const all = play(log, list);
        const deletions = naiveSince(all, 0).filter((change) => change.kind === 'del');
        const known = log.since(0).filter((change) => change.kind === 'del');
        expect(known.length).toBeLessThanOrEqual(limit);
        if (deletions.length <= limit && log.completeSince === 100) expect(known).toEqual(deletions);
        expect(log.since(log.completeSince)).toEqual(naiveSince(all, log.completeSince));
      }),
    );
  });

  test('does not grow with the changes of one object', () => {
    const log = new ChangeLog(0);
    for (let n = 1; n <= 10_000; n++) {
      log.record({ generation: n, ref: 'OpaqueRef:a', class: 'VM', kind: 'put', created: 1 });
    }
    expect(log.since(0)).toHaveLength(1);
    expect(log.length).toBeLessThan(2_000);
  });
});
