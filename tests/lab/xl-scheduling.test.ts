/** The xl driver's memory, scheduling and NUMA against real Xen: the rest of the suite of xl-driver.test.ts, beside it. */
import { describe } from 'vitest';
import { labNeeds, requires } from '../requires.ts';
import { describeRealXen } from './xl-harness.ts';

const needs = requires(labNeeds);

describe.skipIf(needs.skip)('real Xen', () => {
  describeRealXen(['memory', 'scheduling', 'NUMA nodes']);
});
