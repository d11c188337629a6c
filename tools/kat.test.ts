/** The model makes the recorded decisions: every one, in order, at the same nanosecond. And it places as libxl did. */
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { numaPlacementDifference, type NumaPlacementCase } from '../packages/hypervisor/src/index.ts';
import { isScenario, readRecordings, runKat, scenarioFiles } from './kat.ts';

const path = process.env['XENOLITH_KAT'] ?? new URL('../../shared/hypervisor/kat', import.meta.url).pathname;
const isThere = existsSync(path);
if (!isThere && process.env['XENOLITH_TESTS_REQUIRE_ALL'] === '1') {
  throw new Error(`the recorded answers are not at ${path}; XENOLITH_KAT says where they are`);
}
const recordings = isThere ? scenarioFiles(path).flatMap(readRecordings) : [];
const scenarios = recordings.filter(isScenario);
const placements = recordings.filter((each): each is NumaPlacementCase => !isScenario(each));

// Skipped without the recordings, which are no part of the sources; XENOLITH_KAT=FOLDER enables it.
describe.skipIf(!isThere)('recorded answers of the upstream schedulers', () => {
  test.each(scenarios.map((scenario) => [scenario.name, scenario.note, scenario] as const))(
    '%s: %s',
    (_name, _note, scenario) => {
      expect(runKat(scenario).difference).toBeUndefined();
    },
    60_000,
  );

  // Every fourth of the smaller ones: each scheduler has some among them.
  const interrupted = scenarios.filter(({ result }, index) => index % 4 === 0 && result.first !== undefined);
  test.each(interrupted.map((scenario) => [scenario.name, scenario] as const))(
    '%s, gone on from a snapshot in a new machine, again and again',
    (_name, scenario) => {
      const atNs = [0.031, 1 / 3, 0.5, 0.77].map((part) => Math.floor(part * scenario.duration_ns));
      expect(runKat(scenario, { atNs, copy: structuredClone }).difference).toBeUndefined();
    },
  );
});

// Skipped without the recordings, as above.
describe.skipIf(!isThere)("recorded answers of libxl's automatic NUMA placement", () => {
  test.each(placements.map((placement) => [placement.name, placement.note, placement] as const))(
    '%s: %s',
    (_name, _note, placement) => {
      expect(numaPlacementDifference(placement)).toBeUndefined();
    },
  );
});
