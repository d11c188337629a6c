/**
 * `npm run kat -- PATH…`: runs the recorded experiments in files or folders on the model and compares them with their
 * answers: schedulers decision by decision, automatic NUMA placements figure by figure. A line each; exit 1 where one differs.
 */
import { createHash, type Hash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  isNumaPlacementCases,
  numaPlacementDifference,
  runScenario,
  type NumaPlacementCase,
  type Scenario,
  type ScenarioInterruptions,
  type ScenarioListener,
  type ScenarioOutcome,
} from '../packages/hypervisor/src/index.ts';

/** A scenario and what became of it: undefined, or the first thing that differs. */
export interface KatVerdict {
  readonly name: string;
  readonly difference: string | undefined;
  readonly decisions: number;
  readonly events: number;
  readonly elapsedMs: number;
}

const flushBytes = 1 << 16;

/** SHA-256 over the lines of decisions, with the answer's checkpoints on the way. */
class DecisionHash {
  readonly #hash: Hash = createHash('sha256');
  #text = '';
  lines = 0;

  add(line: string): void {
    this.#text += line;
    this.lines++;
    if (this.#text.length > flushBytes) this.#flush();
  }

  #flush(): void {
    this.#hash.update(this.#text);
    this.#text = '';
  }

  /** The hash so far. */
  soFar(): string {
    this.#flush();
    return this.#hash.copy().digest('hex');
  }
}

/** Runs one scenario and compares, with interruptions if there are any: the answer must be the same. */
export function runKat(scenario: Scenario, interruptions?: ScenarioInterruptions): KatVerdict {
  const { result } = scenario;
  const decisions = new DecisionHash();
  const switches = new DecisionHash();
  const on: string[] = scenario.topology.node.map(() => 'idle');
  const checkpoints = new Map(result.checkpoints);
  let difference: string | undefined;
  const begin = performance.now();
  const listener: ScenarioListener = (nowNs, pcpu, vcpu, sliceNs) => {
    const line = `${nowNs},${pcpu},${vcpu}\n`;
    const expected = result.first?.[decisions.lines];
    if (difference === undefined && expected !== undefined) {
      const [atNs, where, what, slice] = expected;
      if (atNs !== nowNs || where !== pcpu || what !== vcpu || slice !== sliceNs) {
        difference = `decision ${decisions.lines}: expected ${atNs} pCPU ${where} ${what} for ${slice}, not ${nowNs} pCPU ${pcpu} ${vcpu} for ${sliceNs}`;
      }
    }
    decisions.add(line);
    if (on[pcpu] !== vcpu) {
      on[pcpu] = vcpu;
      switches.add(line);
    }
    const checkpoint = checkpoints.get(decisions.lines);
    if (difference === undefined && checkpoint !== undefined && !decisions.soFar().startsWith(checkpoint)) {
      difference = `among the first ${decisions.lines} decisions`;
    }
  };
  const outcome = runScenario(scenario, listener, interruptions);
  const elapsedMs = performance.now() - begin;
  difference ??= differenceOf(scenario, outcome, decisions, switches);
  return { name: scenario.name, difference, decisions: outcome.decisions, events: outcome.events, elapsedMs };
}

function differenceOf(
  { result }: Scenario,
  outcome: ScenarioOutcome,
  decisions: DecisionHash,
  switches: DecisionHash,
): string | undefined {
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ['number of decisions', result.decisions, decisions.lines],
    ['decisions', result.decisions_sha256, decisions.soFar()],
    ['number of switches', result.switches, switches.lines],
    ['switches', result.switches_sha256, switches.soFar()],
    ['return codes', result.actions_rc ?? [], outcome.actionsRc],
    ['vCPUs', result.vcpus, outcome.vcpus],
    ['pCPUs', result.pcpus, outcome.pcpus],
    ['deadline misses', result.deadline_misses, outcome.deadlineMisses],
  ];
  for (const [what, expected, actual] of pairs) {
    const [a, b] = [JSON.stringify(expected), JSON.stringify(actual)];
    if (a !== b) return `${what}: expected ${a}, not ${b}`;
  }
  return undefined;
}

/** The scenario files under a path. */
export function scenarioFiles(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(path, name))
    .sort();
}

export type Recording = Scenario | NumaPlacementCase;

/** What a file has: a scenario, or placements; nothing where its answers are of other kinds. */
export function readRecordings(path: string): readonly Recording[] {
  const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (isNumaPlacementCases(value)) return value;
  return isScenario(value) ? [value] : [];
}

export const isScenario = (value: unknown): value is Scenario =>
  typeof value === 'object' && value !== null && 'format' in value && value.format === 1 && 'scheduler' in value;

/** @returns what differs from the recorded answer; undefined where nothing does */
const differenceFrom = (recording: Recording): string | undefined =>
  isScenario(recording) ? runKat(recording).difference : numaPlacementDifference(recording);

function main(paths: readonly string[]): number {
  if (paths.length === 0) {
    process.stderr.write('usage: npm run kat -- PATH…\n');
    return 2;
  }
  let passed = 0;
  let failed = 0;
  for (const file of paths.flatMap(scenarioFiles)) {
    for (const recording of readRecordings(file)) {
      let difference: string | undefined;
      try {
        difference = differenceFrom(recording);
      } catch (error) {
        difference = error instanceof Error ? error.message : String(error);
      }
      if (difference === undefined) passed++;
      else failed++;
      process.stdout.write(`${recording.name}: ${difference === undefined ? 'equal' : difference.slice(0, 400)}\n`);
    }
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
