/** The statements of the post as the specification has them (numa.md, section 6: T1 to T6), and their judges. */
import type { Expectation, MeanOf } from '../experiment.ts';
import { countName, placements, vmCounts } from './post-names.ts';

const crowds = vmCounts.filter((count) => count >= 2);

const above =
  (more: string, less: string) =>
  (mean: MeanOf, count: number): number =>
    (mean(countName(count), more) / mean(countName(count), less) - 1) * 100;
const localAboveRemote = above('local', 'remote');
const defaultAboveRemote = above('default', 'remote');
const localAboveDefault = above('local', 'default');

/** How far a value is out of a range; 0 inside. */
const outside = (value: number, from: number, to: number): number => Math.max(0, from - value, value - to);

/** The value that is furthest out of a range, or the one nearest to its ends. */
const furthest = (values: readonly number[], from: number, to: number): number =>
  values.toSorted(
    (a, b) =>
      outside(b, from, to) - outside(a, from, to) || Math.abs(b - (from + to) / 2) - Math.abs(a - (from + to) / 2),
  )[0]!;

/** The largest fall from a value to the next; negative where all rise. */
const largestFall = (values: readonly number[]): number =>
  Math.max(...values.slice(1).map((value, index) => values[index]! - value));

export const postStatements: readonly Expectation[] = [
  {
    statement: 'T1: local is not below default, nor default below remote, with any number of VMs; the smallest gain is',
    unit: '%',
    value: (mean) =>
      Math.min(...vmCounts.flatMap((count) => [localAboveDefault(mean, count), defaultAboveRemote(mean, count)])),
    holds: (gain) => gain >= 0,
  },
  {
    statement: 'T2: local is 10 to 21 % (±2) above remote; furthest off is',
    unit: '%',
    value: (mean) =>
      furthest(
        vmCounts.map((count) => localAboveRemote(mean, count)),
        10,
        21,
      ),
    holds: (gain) => outside(gain, 8, 23) === 0,
  },
  {
    statement: 'T2: and that does not fall from 2 VMs on (by 2 points at most); the largest fall is',
    unit: 'points',
    value: (mean) => largestFall(crowds.map((count) => localAboveRemote(mean, count))),
    holds: (fall) => fall <= 2,
  },
  {
    statement: 'T3: default is 10 % (±3.5) above remote from 2 VMs on; furthest off is',
    unit: '%',
    value: (mean) =>
      furthest(
        crowds.map((count) => defaultAboveRemote(mean, count)),
        10,
        10,
      ),
    holds: (gain) => outside(gain, 6.5, 13.5) === 0,
  },
  {
    statement: 'T4: pinned is within 3 % of default; furthest off is',
    unit: '%',
    value: (mean) =>
      furthest(
        vmCounts.map((count) => above('pinned', 'default')(mean, count)),
        0,
        0,
      ),
    holds: (gain) => Math.abs(gain) <= 3,
  },
  {
    statement: 'T5: what local gains over default rises from 2 to 8 VMs, by',
    unit: 'points',
    value: (mean) => localAboveDefault(mean, 8) - localAboveDefault(mean, 2),
    holds: (rise) => rise > 0,
  },
  {
    statement: 'T5: and is at least 7 % from 6 VMs on; the least is',
    unit: '%',
    value: (mean) => Math.min(...[6, 7, 8].map((count) => localAboveDefault(mean, count))),
    holds: (gain) => gain >= 7,
  },
  {
    statement: 'T6: the standard deviation over seeds is at most 2 % of the score; the largest is',
    unit: '%',
    value: (mean, deviation) =>
      Math.max(
        ...vmCounts.flatMap((count) =>
          placements.map(
            (placement) => (deviation(countName(count), placement) / mean(countName(count), placement)) * 100,
          ),
        ),
      ),
    holds: (percent) => percent <= 2,
  },
];
