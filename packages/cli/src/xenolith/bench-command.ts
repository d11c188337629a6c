/** `xenolith bench`: benchmark campaigns on real machines. */
import { readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type { Campaign, CampaignResult } from '@xenolith/experiments/campaign';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import type { CampaignOutcome, Progress } from '../bench/run-campaign.ts';

interface RunOptions {
  readonly directory?: string;
  readonly plan?: true;
  readonly rounds?: number;
  readonly json?: true;
}

interface ReportOptions {
  readonly json?: true;
  readonly csv?: true;
  readonly svg?: string;
  readonly html?: string;
  readonly confidence?: number;
}

const exitFailed = 1;
const exitWaiting = 3;
const exitInterrupted = 130;

/** Campaigns are loaded when a command runs: `xenolith --help` does not wait for them. */
export function benchCommand(): Command {
  const bench = new Command('bench')
    .description(
      'benchmark campaigns on this machine, on hosts and in guests: run them, go on with them, report on them',
    )
    .helpCommand(false)
    .exitOverride();
  bench
    .command('run')
    .description('make the runs of a campaign that are still to be made, and report')
    .argument('<campaign>', 'its definition, a YAML file (docs/guide/campaigns.md)')
    .option('--directory <dir>', "where its samples are kept (the definition's name without .yaml)")
    .option('--rounds <n>', 'make so many runs of each configuration and stop (all that are to be made)', whole)
    .option('--plan', 'print the runs in their order, and make none')
    .option('--json', 'print the report as JSON')
    .exitOverride()
    .action((file: string, options: RunOptions) => reportingTrouble(() => run(file, options)));
  bench
    .command('report')
    .description('report on what a campaign has measured so far')
    .argument('<dir>', 'where its samples are kept')
    .option('--confidence <percent>', "of intervals and comparisons (the definition's)", percent)
    .option('--json', 'print everything as JSON instead of the tables')
    .option('--csv', 'print a line for each configuration, workload and number of threads instead of the tables')
    .option('--svg <file>', 'write the charts into a file as well')
    .option('--html <file>', 'write the page with charts, tables and all figures into a file as well')
    .exitOverride()
    .action((directory: string, options: ReportOptions) => reportingTrouble(() => report(directory, options)));
  return bench;
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('Expected a whole number from 1.');
  return Number(text);
}

function percent(text: string): number {
  const value = Number(text);
  if (!/^\d{2}(\.\d{1,3})?$/.test(text) || value < 50) throw new InvalidArgumentError('Expected 50 to 99.999.');
  return value;
}

const usage = (message: string): CommanderError => new CommanderError(2, 'xenolith.bench', message);

/** Says what a campaign cannot go on for, and files that cannot be read or written. */
async function reportingTrouble(work: () => Promise<void>): Promise<void> {
  const { BenchError, BenchInterrupted } = await import('../bench/bench-error.ts');
  const { printable } = await import('@xenolith/xe');
  try {
    await work();
  } catch (error) {
    const isOurs = error instanceof BenchError || (error instanceof Error && 'syscall' in error);
    if (!isOurs) throw error;
    process.stderr.write(`xenolith: ${error.message.split('\n').map(printable).join('\n')}\n`);
    process.exitCode = error instanceof BenchInterrupted ? exitInterrupted : exitFailed;
  }
}

async function readDefinition(file: string): Promise<Campaign> {
  const { parseCampaign, problemText } = await import('@xenolith/experiments/campaign');
  const { parseHostAddress } = await import('@xenolith/host');
  const campaign = parseCampaign(await readFile(file, 'utf8'), (address) => {
    const parsed = parseHostAddress(address, { homeDirectory: homedir() });
    return parsed.ok ? undefined : parsed.error.message;
  });
  if (campaign.ok) return campaign.value;
  throw usage(campaign.error.map((problem) => problemText(file, problem)).join('\n'));
}

async function run(file: string, options: RunOptions): Promise<void> {
  const campaign = await readDefinition(file);
  if (options.plan === true) {
    const { planSteps } = await import('@xenolith/experiments/campaign');
    const ids = planSteps(campaign).map(({ id }) => id);
    process.stdout.write(options.json === true ? `${JSON.stringify(ids, undefined, 2)}\n` : `${ids.join('\n')}\n`);
    return;
  }
  const directory = options.directory ?? basename(file).replace(/\.ya?ml$/, '');
  if (directory === basename(file)) throw usage('error: a definition is not named .yaml: give --directory');
  const outcome = await makeRuns(campaign, { directory, definition: file, rounds: options.rounds ?? Infinity });
  const { campaignJson, campaignPage, campaignResult, campaignText } = await import('@xenolith/experiments/campaign');
  const { writeWhole } = await import('../bench/campaign-directory.ts');
  const result = campaignResult(campaign, outcome.samples);
  await writeWhole(directory, 'report.html', campaignPage(result, aboutPage(directory)));
  process.stdout.write(options.json === true ? campaignJson(result) : campaignText(result));
  process.stderr.write(`${join(directory, 'report.html')} has charts and all figures\n`);
  for (const [name, why] of outcome.waiting) {
    process.stderr.write(`${name} waits for another kernel: this one's command line ${why.join(' and ')}\n`);
  }
  if (outcome.failed > 0) {
    process.stderr.write(`${outcome.failed} runs failed: the same command tries them again\n`);
    process.exitCode = exitFailed;
  } else if (outcome.left > 0) {
    if (options.rounds !== undefined) {
      process.stderr.write(
        `stopped after ${options.rounds} of the rounds: ${outcome.left} runs are still to be made\n`,
      );
    }
    process.exitCode = exitWaiting;
  }
}

async function makeRuns(
  campaign: Campaign,
  options: { readonly directory: string; readonly definition: string; readonly rounds: number },
): Promise<CampaignOutcome> {
  const { runCampaign } = await import('../bench/run-campaign.ts');
  const { thisMachine } = await import('../bench/this-machine.ts');
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, interrupt);
  try {
    return await runCampaign({
      campaign,
      directory: options.directory,
      definitionDirectory: dirname(resolve(options.definition)),
      place: thisMachine(interrupted.signal),
      openHost: async (host, directory, signal) =>
        (await import('../bench/bench-host.ts')).openBenchHost(host, directory, signal),
      signal: interrupted.signal,
      rounds: options.rounds,
      now: () => new Date().toISOString(),
      progress: sayProgress,
    });
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  }
}

/** One line that is overwritten on a terminal, a line for each run that was made elsewhere. */
function sayProgress({ done, total, what, isEnd }: Progress): void {
  const { stderr } = process;
  const line = `${done}/${total} ${what}`;
  if (stderr.isTTY) stderr.write(`\r\u001b[K${line}`.slice(0, stderr.columns + 3));
  else if (isEnd) stderr.write(`${line}\n`);
}

async function report(directory: string, options: ReportOptions): Promise<void> {
  if (options.json === true && options.csv === true) throw usage('error: --json and --csv are two different outputs');
  const { keptCampaign, readSamples } = await import('../bench/campaign-directory.ts');
  const reports = await import('@xenolith/experiments/campaign');
  const campaign = await keptCampaign(directory);
  const result: CampaignResult = reports.campaignResult(campaign, await readSamples(directory), options.confidence);
  if (options.svg !== undefined) await writeFile(options.svg, reports.campaignSvg(result));
  if (options.html !== undefined) await writeFile(options.html, reports.campaignPage(result, aboutPage(directory)));
  if (options.json === true) process.stdout.write(reports.campaignJson(result));
  else if (options.csv === true) process.stdout.write(reports.campaignCsv(result));
  else process.stdout.write(reports.campaignText(result));
}

const aboutPage = (directory: string): string =>
  `Written by xenolith bench. The samples, each with its machine, kernel and versions, are in ${join(directory, 'samples.jsonl')}; the definition is in campaign.json beside it.`;
