/** `xenolith experiment`: what-if questions to the model of Xen. */
import { readFile, writeFile } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import type { Experiment, ExperimentCase, WhatIfQuestion } from '@xenolith/experiments';
import type { Machine, Topology } from '@xenolith/hypervisor';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { rcText } from '../xe/program.ts';
import { addDom0Options, asksForDom0, predictDom0, type Dom0Options } from './dom0-prediction.ts';
import {
  addNumaOptions,
  asksForCapacity,
  asksForLive,
  asksForPlacement,
  capacityQuestion,
  liveAsk,
  numaQuestion,
  type KnownMachine,
  type NumaOptions,
} from './numa-question.ts';

interface ExperimentOptions extends Dom0Options, NumaOptions {
  readonly case: readonly string[];
  readonly variant?: string;
  readonly json?: true;
  readonly csv?: true;
  readonly svg?: string;
  readonly trace?: string;
  readonly topology?: string;
  readonly seed: number;
  readonly duration?: number;
  readonly runs?: number;
  readonly threads?: number;
}

const nsPerSecond = 1e9;
const durationMaxSeconds = 3600;
const threadsMax = 256;

/** Decisions of a trace that are kept, the latest: 32 MiB of them. */
const traceEntries = 1 << 20;

/** The experiments are loaded when the command runs: `xenolith --help` does not wait for them. */
export function experimentCommand(): Command {
  const command = new Command('experiment')
    .description('try a what-if question on the model of Xen; without a name, list the experiments')
    .argument('[name]')
    .option(
      '--case <name>',
      'only this case; may be given several times',
      (name, names: string[]) => [...names, name],
      [],
    )
    .option('--seed <n>', 'seed of the first run; the others follow', seed, 1)
    .option('--duration <seconds>', 'model time that each run measures', seconds)
    .option('--runs <n>', 'runs of each variant', runs)
    .option(
      '--threads <n>',
      'threads that do the runs; the result is the same (one for each processor, if there is enough to do)',
      threads,
    )
    .option(
      '--topology <name>',
      'on another machine: one by name (a wrong name lists them), or the file with what `xl info -n` says of yours',
    )
    .option('--json', 'print everything as JSON')
    .option('--csv', 'print a line for each measure as CSV')
    .option('--svg <file>', 'write the charts')
    .option(
      '--trace <file>',
      'instead, run one variant of one case once and write its decisions: for xentrace tools if the name ends in .xentrace, else for chrome://tracing and Perfetto',
    )
    .option('--variant <name>', 'which variant to trace (the first)');
  return addNumaOptions(addDom0Options(command)).exitOverride().action(runExperimentCommand);
}

function seed(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of at most 9 digits.');
  return Number(text);
}

function seconds(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value < 0.001 || value > durationMaxSeconds) {
    throw new InvalidArgumentError(`Expected seconds from 0.001 to ${durationMaxSeconds}.`);
  }
  return value;
}

function runs(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) < 1) throw new InvalidArgumentError('Expected 1 to 999.');
  return Number(text);
}

function threads(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) < 1 || Number(text) > threadsMax) {
    throw new InvalidArgumentError(`Expected 1 to ${threadsMax}.`);
  }
  return Number(text);
}

const usage = (message: string): CommanderError => new CommanderError(2, 'xenolith.experiment', `error: ${message}`);

async function runExperimentCommand(name: string | undefined, options: ExperimentOptions): Promise<void> {
  const { experiments } = await import('@xenolith/experiments');
  if (name === undefined) {
    process.stdout.write(experiments.map(listText).join('\n'));
    return;
  }
  const experiment = experiments.find((each) => each.name === name);
  if (experiment === undefined) {
    throw usage(`no experiment ${name}: there is ${experiments.map((each) => each.name).join(', ')}`);
  }
  if (options.json === true && options.csv === true) throw usage('--json and --csv are two different outputs');
  if (asksForDom0(options)) {
    if (name !== 'dom0-memory') throw usage(`--memory, --map, --dom0-mem, --kernel and --vcpus are of dom0-memory`);
    await reportDom0(options);
    return;
  }
  if (asksForCapacity(options) || (name === 'capacity' && options.vms !== undefined)) {
    if (name !== 'capacity') throw usage('--vm, --pool, --live, --disk and --domain-type are of capacity');
    if (options.case.length > 0 || options.trace !== undefined) throw usage('--vm has no --case and no --trace');
    await (asksForLive(options) ? reportLiveCapacity(options) : reportCapacity(options));
    return;
  }
  if (asksForPlacement(options)) {
    if (name !== 'numa') throw usage('--vms and --policy are of numa');
    await reportPlacement(options);
    return;
  }
  const chosen = { ...experiment, cases: chosenCases(experiment, options.case) };
  const durationNs = Math.round((options.duration ?? experiment.durationNs / nsPerSecond) * nsPerSecond);
  const topology = options.topology === undefined ? undefined : await topologyOf(options.topology, experiment);
  const on = topology === undefined ? chosen : { ...chosen, title: `${chosen.title}, on ${options.topology}` };
  const run = { seed: options.seed, durationNs, ...(topology && { topology }) };
  if (options.trace !== undefined) await writeTrace(on, options.trace, run, options);
  else await report(on, run, options);
}

const listText = ({ name, title, cases }: Experiment): string =>
  `${name}  ${title}\n${cases.map((each) => `    --case ${each.name}  ${each.what}\n`).join('')}`;

function chosenCases({ name, cases }: Experiment, wanted: readonly string[]): readonly ExperimentCase[] {
  const unknown = wanted.find((each) => !cases.some((other) => other.name === each));
  if (unknown !== undefined) {
    throw usage(`no case ${unknown} of ${name}: there is ${cases.map((each) => each.name).join(', ')}`);
  }
  return wanted.length === 0
    ? cases.filter(({ isExtra }) => isExtra !== true)
    : cases.filter((each) => wanted.includes(each.name));
}

/** What every run is given. */
interface Run {
  readonly seed: number;
  readonly durationNs: number;
  readonly topology?: Topology;
}

/** The most of a file that is read as output of `xl info -n`. */
const xlInfoMaxBytes = 1 << 20;

/** A machine by its name, or from what `xl info -n` printed on it, in a file. */
async function machineOf(name: string): Promise<KnownMachine> {
  const [{ topologyOfXlInfo }, { topologyPresets }, { XlParseError }] = await Promise.all([
    import('@xenolith/experiments'),
    import('@xenolith/hypervisor'),
    import('@xenolith/wire'),
  ]);
  if (Object.hasOwn(topologyPresets, name)) return { topology: topologyPresets[name]!.topology, xlInfo: undefined };
  let content: Buffer;
  try {
    content = await readFile(name);
  } catch (error) {
    const presets = Object.entries(topologyPresets).map(
      ([each, { what, distances }]) =>
        `  ${each.padEnd(16)} ${what}\n${distances === undefined ? '' : `  ${' '.repeat(16)} distances ${distances}\n`}`,
    );
    const reason = error instanceof Error ? error.message : String(error);
    throw usage(`--topology ${name}: no machine of that name, and no file (${reason}). Machines:\n${presets.join('')}`);
  }
  if (content.length > xlInfoMaxBytes) throw usage(`--topology ${name}: over ${xlInfoMaxBytes} bytes`);
  try {
    const xlInfo = content.toString();
    return { topology: topologyOfXlInfo(xlInfo), xlInfo };
  } catch (error) {
    if (!(error instanceof XlParseError)) throw error;
    throw usage(`--topology ${name}: ${error.message}`);
  }
}

/** A machine that an experiment can be tried on. */
async function topologyOf(name: string, experiment: Experiment): Promise<Topology> {
  const [{ isRoom }, { topology }] = await Promise.all([import('@xenolith/experiments'), machineOf(name)]);
  if (isRoom(experiment, topology)) return topology;
  if (experiment.pcpusMin === undefined) throw usage(`${experiment.name} is for a machine of its own`);
  throw usage(`${experiment.name} needs ${experiment.pcpusMin} pCPUs, and ${name} has ${topology.pcpus.length}`);
}

async function report(
  experiment: Experiment,
  run: Run,
  options: ExperimentOptions,
  question?: WhatIfQuestion,
): Promise<void> {
  const { csvReport, jsonReport, plannedRuns, svgReport, tableReport } = await import('@xenolith/experiments');
  const { runOnThreads, threadsFor } = await import('./experiment-threads.ts');
  const { machineV8Flags } = await import('@xenolith/hypervisor');
  setFlagsFromString(machineV8Flags);
  const { stderr, stdout } = process;
  const plan = {
    ...run,
    repetitions: options.runs ?? experiment.repetitions,
    ...(stderr.isTTY
      ? {
          onProgress: (done: number, total: number, what: string) => {
            const percent = String(Math.floor((done / total) * 100)).padStart(3);
            stderr.write(done === total ? '\r\u001b[K' : `\r\u001b[K${percent} % ${what}`.slice(0, stderr.columns + 4));
          },
        }
      : {}),
  };
  const count = options.threads ?? threadsFor(plannedRuns(experiment, plan).length);
  const result = await runOnThreads(experiment, plan, count, question);
  if (options.svg !== undefined && !(await write(options.svg, svgReport(result)))) return;
  if (options.json === true) stdout.write(jsonReport(result));
  else if (options.csv === true) stdout.write(csvReport(result));
  else stdout.write(tableReport(result));
  if (result.cases.some(({ verdicts }) => verdicts.some(({ holds }) => !holds))) process.exitCode = 1;
}

async function reportPlacement(options: ExperimentOptions): Promise<void> {
  if (options.case.length > 0 || options.trace !== undefined) throw usage('--vms has no --case and no --trace');
  const machine = options.topology === undefined ? undefined : await machineOf(options.topology);
  const question = await numaQuestion(options, machine, usage);
  const { whatIfExperiment } = await import('@xenolith/experiments');
  const experiment = whatIfExperiment(question);
  if (!experiment.ok) throw usage(experiment.error);
  const durationNs = Math.round((options.duration ?? experiment.value.durationNs / nsPerSecond) * nsPerSecond);
  await report(experiment.value, { seed: options.seed, durationNs }, options, question);
}

async function reportCapacity(options: ExperimentOptions): Promise<void> {
  const machine = options.topology === undefined ? undefined : await machineOf(options.topology);
  const question = await capacityQuestion(options, machine, usage);
  const { capacityExperiment } = await import('@xenolith/experiments');
  const run = { seed: options.seed, durationNs: 0 };
  await report(capacityExperiment(question), run, { ...options, runs: 1, threads: 1 });
}

async function reportLiveCapacity(options: ExperimentOptions): Promise<void> {
  if (options.topology !== undefined) throw usage('a pool has machines of its own: no --topology');
  const ask = liveAsk(options, usage);
  const [{ withServer }, { readLiveCapacity }, { liveCapacityExperiment }] = await Promise.all([
    import('../numa/with-server.ts'),
    import('../numa/live-capacity.ts'),
    import('@xenolith/experiments'),
  ]);
  await withServer({ environment: process.env, rcText: rcText() }, options.json === true, async (rpc) => {
    const experiment = liveCapacityExperiment(await readLiveCapacity(rpc, ask));
    await report(experiment, { seed: options.seed, durationNs: 0 }, { ...options, runs: 1, threads: 1 });
  });
}

async function reportDom0(options: ExperimentOptions): Promise<void> {
  if (options.case.length > 0 || options.trace !== undefined) throw usage('a prediction has no --case and no --trace');
  try {
    const { stdout, svg } = await predictDom0(options, usage);
    if (options.svg !== undefined && svg !== undefined && !(await write(options.svg, svg))) return;
    process.stdout.write(stdout);
  } catch (error) {
    // A map that cannot be read.
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    process.stderr.write(`xenolith: ${error.message}\n`);
    process.exitCode = 1;
  }
}

async function writeTrace({ cases }: Experiment, path: string, run: Run, options: ExperimentOptions): Promise<void> {
  const [only] = cases;
  if (only === undefined || cases.length > 1) throw usage('--trace is of one --case');
  const { variants } = only;
  const variant = options.variant === undefined ? variants[0] : variants.find(({ name }) => name === options.variant);
  if (variant === undefined) {
    throw usage(
      `no variant ${options.variant} of ${only.name}: there is ${variants.map(({ name }) => `"${name}"`).join(', ')}`,
    );
  }
  const [{ runVariant }, { chromeTrace, TraceRing, xentraceBytes }] = await Promise.all([
    import('@xenolith/experiments'),
    import('@xenolith/hypervisor'),
  ]);
  const ring = new TraceRing(traceEntries);
  const machines: Machine[] = [];
  runVariant(only, variant, {
    ...run,
    trace: ring,
    onMachine: (machine) => machines.push(machine),
  });
  const title = `${only.name}: ${variant.name}`;
  const [machine] = machines;
  if (machine === undefined) throw usage(`${title} has no scheduler to trace`);
  const names = { title, vcpu: machine.nameOf.bind(machine) };
  const content = path.endsWith('.xentrace') ? xentraceBytes(ring) : chromeTrace(ring, machine.core.now, names);
  if (!(await write(path, content))) return;
  const lost = ring.lost === 0 ? '' : `, ${ring.lost} earlier ones were lost`;
  process.stdout.write(`${title}, seed ${options.seed}: ${ring.size} decisions${lost}\n`);
}

/** Writes a file. @returns whether it could; if not, it has been said */
async function write(path: string, content: string | Uint8Array): Promise<boolean> {
  try {
    await writeFile(path, content);
    return true;
  } catch (error) {
    process.stderr.write(`xenolith: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
    return false;
  }
}
