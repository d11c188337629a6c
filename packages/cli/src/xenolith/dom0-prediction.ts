/** `xenolith experiment dom0-memory --memory 48G …`: what is left of one dom0's memory. */
import { readFile } from 'node:fs/promises';
import { fromMib, gibBytes, mibBytes } from '@xenolith/base';
import type { Dom0QuestionText } from '@xenolith/experiments';
import type { E820Entry } from '@xenolith/hypervisor';
import { InvalidArgumentError, type Command } from 'commander';

/** Options of one prediction; the others are the experiment's. */
export interface Dom0Options {
  readonly memory?: number;
  readonly dom0Mem?: string;
  readonly kernel?: string;
  readonly map?: string;
  readonly vcpus?: number;
}

export const addDom0Options = (command: Command): Command =>
  command
    .option(
      '--memory <size>',
      'dom0-memory: instead, predict one dom0 on a typical machine of this memory, as 48G',
      size,
    )
    .option('--map <file>', 'dom0-memory: instead, on the machine whose xl dmesg or dmesg is in a file')
    .option('--dom0-mem <value>', 'dom0-memory: what dom0_mem= says, as 3G,max:3G')
    .option('--kernel <release>', "dom0-memory: dom0's Linux (6.1)")
    .option('--vcpus <n>', "dom0-memory: dom0's vCPUs (1)", vcpus);

export const asksForDom0 = (options: Dom0Options): boolean =>
  [options.memory, options.map, options.dom0Mem, options.kernel, options.vcpus].some((each) => each !== undefined);

const memoryMaxGib = 65_536;
const mapLengthMax = 4 * mibBytes;

function size(text: string): number {
  const match = /^(\d{1,9})([MGT])(?:i?B)?$/i.exec(text);
  const unitBytes = { m: mibBytes, g: gibBytes, t: 1024 * gibBytes }[match?.[2]?.toLowerCase() ?? ''];
  const bytes = match === null || unitBytes === undefined ? 0 : Number(match[1]) * unitBytes;
  if (bytes < fromMib(64) || bytes > memoryMaxGib * gibBytes) {
    throw new InvalidArgumentError('Expected memory from 64M to 64T, as 48G.');
  }
  return bytes;
}

function vcpus(text: string): number {
  if (!/^\d{1,4}$/.test(text) || Number(text) < 1) throw new InvalidArgumentError('Expected 1 to 9999.');
  return Number(text);
}

export interface Dom0Output {
  readonly stdout: string;
  readonly svg: string | undefined;
}

/**
 * Makes the prediction. @param usage makes an error of a command line that asks for something that cannot be
 * @throws what `usage` makes; an error of the file system for a map that cannot be read
 */
export async function predictDom0(
  options: Dom0Options & { readonly json?: true; readonly csv?: true; readonly svg?: string; readonly seed: number },
  usage: (message: string) => Error,
): Promise<Dom0Output> {
  const [experiments, hypervisor] = await Promise.all([
    import('@xenolith/experiments'),
    import('@xenolith/hypervisor'),
  ]);
  const kernel = options.kernel ?? '6.1';
  const release = hypervisor.parseLinuxRelease(kernel);
  if (!release.ok) throw usage(release.error);
  const spec = hypervisor.parseDom0Mem(options.dom0Mem ?? '');
  if (!spec.ok && options.dom0Mem !== undefined) {
    throw usage(`${spec.error.message}; Xen ignores it and what follows`);
  }
  const question = {
    map: await mapOf(options, usage),
    dom0Mem: spec.ok ? spec.value : {},
    release: release.value,
    vcpus: options.vcpus ?? 1,
  };
  const prediction = experiments.predictDom0Memory(question);
  if (!prediction.ok) throw usage(prediction.error);
  const text: Dom0QuestionText = {
    kernel,
    dom0Mem: options.dom0Mem,
    map: options.map ?? 'typical',
    vcpus: question.vcpus,
  };
  const charts =
    options.svg === undefined
      ? undefined
      : experiments.svgReport(
          experiments.runExperiment(experiments.predictionExperiment(text, question), {
            seed: options.seed,
            durationNs: 0,
            repetitions: 1,
          }),
        );
  if (options.json === true) return { stdout: experiments.predictionJson(text, prediction.value), svg: charts };
  if (options.csv === true) return { stdout: experiments.predictionCsv(prediction.value), svg: charts };
  return { stdout: experiments.predictionTable(text, prediction.value), svg: charts };
}

async function mapOf({ memory, map }: Dom0Options, usage: (message: string) => Error): Promise<readonly E820Entry[]> {
  if (map !== undefined && memory !== undefined)
    throw usage('--map says how much memory there is: no --memory with it');
  if (map === undefined) {
    if (memory === undefined) throw usage('a prediction needs --memory or --map');
    const { typicalE820 } = await import('@xenolith/hypervisor');
    return typicalE820(memory);
  }
  const { parseE820, XlParseError } = await import('@xenolith/wire');
  const text = await readFile(map, 'utf8');
  if (text.length > mapLengthMax) throw usage(`${map} is too long to be a log`);
  try {
    return parseE820(text).entries;
  } catch (error) {
    if (error instanceof XlParseError) throw usage(`${map}: ${error.message}`);
    throw error;
  }
}
