/** `xenolith lab validate`: the model of Xen's schedulers against real Xen in the lab. */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus as cpusOfMachine, loadavg } from 'node:os';
import type { Asked, AskedQuestion, Question, QuestionResult, ValidationReport } from '@xenolith/experiments';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import type { ValidationLab } from './validation-lab.ts';

interface ValidateOptions {
  readonly only: readonly string[];
  readonly runs: number;
  readonly seconds: number;
  readonly trace: number;
  readonly icount?: true;
  readonly json?: true;
  readonly markdown?: string;
  readonly results?: string;
}

/** Eight pCPUs are measured in Q4, and one in each node is left for Domain-0. */
const cpusOfQ4 = 10;
const cpus = 8;

/** What a run of the suite may ask for: an hour of CPU time in each window. */
const secondsMax = 3600;
const runsMax = 100;

/** The suite is loaded when the command runs: `xenolith --help` does not wait for it. */
export function validateCommand(): Command {
  return new Command('validate')
    .description('compare the model of the schedulers with real Xen: boots a host of its own, and ends it')
    .option('--only <ids>', 'only these questions, such as Q1,Q7 (all)', ids, [])
    .option('--runs <n>', 'windows that are measured', number(1, runsMax), 5)
    .option('--seconds <s>', 'model time whose CPU time a window waits for', number(1, secondsMax), 20)
    .option('--trace <s>', 'how long the scheduler is traced in a run', number(1, secondsMax), 5)
    .option(
      '--icount',
      'emulate on one thread, with a clock that counts instructions: slower, and whatever else runs here',
    )
    .option('--json', 'print everything as JSON instead of the page')
    .option('--results <file>', 'keep the answers in this file, beside those that are in it already; all are printed')
    .option('--markdown <file>', 'write the page into a file')
    .exitOverride()
    .action(validate);
}

function ids(text: string): readonly string[] {
  const words = text.split(',').map((each) => each.trim());
  if (!words.every((word) => /^Q\d{1,2}$/.test(word))) throw new InvalidArgumentError('Expected such as Q1,Q7.');
  return words;
}

const number =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d{1,6}$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    }
    return value;
  };

async function validate(options: ValidateOptions): Promise<void> {
  const { emptyReport, validationPage, validationQuestions, verdictCounts, withAnswers } =
    await import('@xenolith/experiments');
  const questions = chosen(validationQuestions, options.only);
  const before = options.results === undefined ? emptyReport : await readResults(options.results);
  const answers: AskedQuestion[] = [];
  // An answer takes minutes: each is kept as soon as it is there.
  await ask(questions, options, async (answer) => {
    answers.push(answer);
    if (options.results !== undefined) await writeFile(options.results, jsonText(withAnswers(before, answers)));
  });
  const report = withAnswers(before, answers);
  const page = validationPage(report, validationQuestions);
  if (options.markdown !== undefined) await writeFile(options.markdown, page);
  if (options.json === true) process.stdout.write(jsonText(report));
  else if (options.markdown === undefined) process.stdout.write(page);
  const counts = verdictCounts({ ...report, questions: answers });
  if (counts.fails > 0 || counts['not measured'] > 0) process.exitCode = 1;
}

const jsonText = (report: ValidationReport): string => `${JSON.stringify(report, undefined, 2)}\n`;

/** A file of answers; none when there is no such file. */
async function readResults(path: string): Promise<ValidationReport> {
  const { emptyReport } = await import('@xenolith/experiments');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return emptyReport;
    throw error;
  }
  const value = JSON.parse(text) as ValidationReport;
  if (value.format !== emptyReport.format) {
    throw new CommanderError(2, 'xenolith.validate', `error: ${path} holds no answers of this suite`);
  }
  return value;
}

function chosen(all: readonly Question[], only: readonly string[]): readonly Question[] {
  const unknown = only.find((id) => !all.some((question) => question.id === id));
  if (unknown !== undefined) {
    const known = all.map(({ id }) => id).join(', ');
    throw new CommanderError(2, 'xenolith.validate', `error: no question ${unknown}: there is ${known}`);
  }
  return only.length === 0 ? all : all.filter(({ id }) => only.includes(id));
}

/** Says on stderr what is being done: one line that is overwritten on a terminal, a line each elsewhere. */
function say(what: string): void {
  const { stderr } = process;
  stderr.write(stderr.isTTY ? `\r\u001b[K${what}`.slice(0, stderr.columns + 3) : `${what}\n`);
}

async function ask(
  questions: readonly Question[],
  options: ValidateOptions,
  onAnswer: (answer: AskedQuestion) => Promise<void>,
): Promise<void> {
  const { openValidationLab } = await import('./validation-lab.ts');
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);
  const { LabError } = await import('@xenolith/lab');
  // Whatever is under way says soon what comes next: there it ends.
  const goOn = (what: string): void => {
    if (interrupted.signal.aborted) throw new LabError('INTERRUPTED', 'interrupted');
    say(what);
  };
  const lab = await openValidationLab({
    cpus: questions.some(({ id }) => id === 'Q4') ? cpusOfQ4 : cpus,
    accelerator: options.icount === true ? 'icount' : 'tcg',
    say: goOn,
    progress: (step) => say(step),
    signal: interrupted.signal,
  });
  try {
    for (const question of questions) {
      const result = await askOne(lab, question, options);
      await onAnswer({ asked: askedNow(lab, options, question.id), result });
    }
  } finally {
    await lab.close();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  }
}

async function askOne(lab: ValidationLab, question: Question, options: ValidateOptions): Promise<QuestionResult> {
  const suite = await import('@xenolith/host/validation');
  const { host, shape } = lab;
  const { seconds, runs, trace } = options;
  const within = { ...host, say: (what: string) => host.say(`${question.id}: ${what}`) };
  if (question.parts.length > 0) {
    return await suite.askMeasured(within, question, { shape, seconds, runs, traceSeconds: trace });
  }
  const isPools = question.id === 'Q7';
  const [steps, look] = isPools ? [suite.poolSteps, suite.poolsLook] : [suite.pinSteps, suite.pinsLook];
  const model = await lab.model();
  try {
    return await suite.askExact(question, steps, look, { model, real: { ...host }, xl: lab.xl, say: within.say });
  } finally {
    await model.driver.close();
    await suite.tidyUp(within);
  }
}

function askedNow({ facts }: ValidationLab, { runs, seconds, trace, icount }: ValidateOptions, id: string): Asked {
  const load = loadavg()[0] ?? 0;
  return {
    date: new Date().toISOString().slice(0, 10),
    command: `xenolith lab validate --only ${id} --runs ${runs} --seconds ${seconds} --trace ${trace}${icount === true ? ' --icount' : ''}`,
    host: {
      Xen: facts.xenVersion,
      'Command line of Xen': `\`${facts.xenCommandLine}\``,
      'Control domain': `Linux ${facts.kernelRelease}`,
      Machine: `${facts.pcpus.length} pCPUs in ${facts.nodes.length} nodes, emulated by QEMU ${icount === true ? 'with a clock that counts instructions' : 'with a thread for each'}`,
      Load: `load of the machine that emulates it: ${load.toFixed(1)} on ${cpusOfMachine().length} CPUs`,
    },
    seconds,
    runs,
  };
}
