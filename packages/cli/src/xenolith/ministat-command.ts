/** `xenolith ministat`: whether measurements differ, with the arguments and the output of FreeBSD's ministat. */
import type { DataSet } from '@xenolith/experiments/statistics';
import { Command, CommanderError } from 'commander';
import { DataError, ministatProcess, type MinistatWorld } from './ministat-world.ts';

interface MinistatOptions {
  readonly A?: true;
  readonly n?: true;
  readonly s?: true;
  readonly C?: string;
  readonly c?: string;
  readonly d?: string;
  readonly w?: string;
  readonly json?: true;
}

const widthMin = 2;
const widthMax = 100_000;

/** The statistics are loaded when the command runs: `xenolith --help` does not wait for them. */
export function ministatCommand(open: () => MinistatWorld = ministatProcess): Command {
  return new Command('ministat')
    .description("compare measurements as FreeBSD's ministat does: up to seven files, the first is the reference")
    .argument('[files...]', 'a number on each line; - is standard input, as is no file')
    .option('-A', 'no picture')
    .option('-n', 'neither picture nor comparison')
    .option('-s', 'a line of its own for the bar of each file')
    .option('-C <column>', 'which column of the lines (1)')
    .option('-c <confidence>', 'level of confidence in per cent: 80, 90, 95, 98, 99 or 99.5 (95)')
    .option('-d <delimiters>', 'the characters between columns (space and tab)')
    .option('-w <width>', 'width of the picture (that of the terminal, else 74)')
    .option('--json', 'print the figures as JSON')
    .addHelpText('after', '\nExit codes: 1 a file cannot be read; 2 wrong data, or a wrong command line.')
    .exitOverride()
    .action((files: readonly string[], options: MinistatOptions) => ministat(files, options, open()));
}

const usage = (message: string): CommanderError => new CommanderError(2, 'xenolith.ministat', `error: ${message}`);

interface Settings {
  readonly column: number;
  readonly confidencePercent: number;
  readonly delimiters: Uint8Array;
  readonly width: number;
}

async function ministat(files: readonly string[], options: MinistatOptions, world: MinistatWorld): Promise<void> {
  const statistics = await import('@xenolith/experiments/statistics');
  const settings = await settingsOf(options, world);
  const names = files.length === 0 ? ['-'] : files;
  if (names.length > statistics.marks.length) throw usage(`at most ${statistics.marks.length} files`);
  const sets: DataSet[] = [];
  try {
    for (const name of names) sets.push(await readDataSet(name, settings, world));
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    world.fail(error);
    return;
  }
  const confidencePercent = options.n === true ? undefined : settings.confidencePercent;
  if (options.json === true) {
    await world.print([statistics.ministatJson(sets, confidencePercent)]);
    return;
  }
  await world.print(statistics.legendLines(sets));
  if (options.n !== true && options.A !== true) {
    await world.print(statistics.plotLines(sets, { width: settings.width, separateBars: options.s === true }));
  }
  await world.print(statistics.tableLines(sets, confidencePercent));
  for (const note of statistics.ministatNotes(sets)) world.warn(note);
}

async function settingsOf({ C, c, d, w }: MinistatOptions, world: MinistatWorld): Promise<Settings> {
  const { confidencesPercent, strtod } = await import('@xenolith/experiments/statistics');
  const confidencePercent = c === undefined ? 95 : strtod(c);
  if (confidencePercent === undefined || !confidencesPercent.includes(confidencePercent)) {
    throw usage(`no confidence ${c}: there is ${confidencesPercent.join(', ')}`);
  }
  const column = C === undefined ? 1 : wholeNumber(C);
  if (!(column >= 1)) throw usage(`no column ${C}: they count from 1`);
  if (d === '') throw usage('no delimiter');
  const width = w === undefined ? Math.max(world.width(), widthMin) : wholeNumber(w);
  if (!(width >= widthMin && width <= widthMax)) throw usage(`a width of ${w}: from ${widthMin} to ${widthMax}`);
  return { column, confidencePercent, delimiters: new TextEncoder().encode(d ?? ' \t'), width };
}

/** Of up to nine digits, as C reads it; NaN for what is none. */
const wholeNumber = (text: string): number => (/^\s*[+-]?\d{1,9}$/.test(text) ? Number(text) : Number.NaN);

/** @throws DataError */
async function readDataSet(file: string, options: Settings, world: MinistatWorld): Promise<DataSet> {
  const { dataSet, parseData, valuesMin } = await import('@xenolith/experiments/statistics');
  const name = file === '-' ? '<stdin>' : file;
  const values = parseData(await world.read(file), options);
  if (!values.ok) {
    const { line } = values.error;
    throw new DataError('wrong data', `${name}: line ${line} has no finite number in column ${options.column}`);
  }
  const n = values.value.length;
  if (n < valuesMin) throw new DataError('wrong data', `${name}: ${n} values, and at least ${valuesMin} are needed`);
  return dataSet(name, values.value);
}
