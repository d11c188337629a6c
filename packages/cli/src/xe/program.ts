/** The run of one command of xe, from its arguments to its exit code. */
import { parseXeArguments, type Server, type XeArguments } from './arguments.ts';
import { printable } from './format.ts';
import { UsageError } from './usage-error.ts';

/** Exit codes: the server refused or could not be reached; the command line was wrong. */
const exitRefused = 1;
const exitUsage = 2;

/** Runs xe and sets the exit code of the process. */
export async function runXe(argv: readonly string[]): Promise<void> {
  // Whoever reads our output may stop reading: that is not a failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : exitRefused);
  });
  try {
    await run(parseXeArguments(argv, process.env));
  } catch (error) {
    process.exitCode = await report(error);
  }
}

async function run(args: XeArguments): Promise<void> {
  const { command: name } = args;
  if (name === undefined || name === 'help') {
    const { helpText } = await import('./help.ts');
    process.stdout.write(helpText(args.words));
    if (name === undefined) process.exitCode = exitUsage;
    return;
  }
  if (name === 'completion') {
    const { completion } = await import('./completion.ts');
    process.stdout.write(await completion(args.words, process.env));
    return;
  }
  const { runCommand } = await import('./run-command.ts');
  await runCommand(name, args, await password(args.server));
}

async function password({ password: given, passwordFile }: Server): Promise<string> {
  if (given !== undefined) return given;
  if (passwordFile === undefined) throw new UsageError('no password: give -pw, -pwf or XENOLITH_PASSWORD');
  const { readFile } = await import('node:fs/promises');
  const file = await readFile(passwordFile, 'utf8').catch((error: unknown) => {
    throw new UsageError(`${passwordFile}: ${error instanceof Error ? error.message : String(error)}`);
  });
  // As xe has it: a line with the user, a line with the password; one line alone is the password.
  const [first = '', second] = file.split(/\r?\n/);
  return second === undefined || second === '' ? first : second;
}

async function report(error: unknown): Promise<number> {
  const say = (text: string): void => {
    process.stderr.write(process.stderr.isTTY ? `${text.split('\n').map(printable).join('\n')}\n` : `${text}\n`);
  };
  if (error instanceof UsageError) {
    say(`xe: ${error.message}\nxe help says what there is.`);
    return exitUsage;
  }
  const { ApiError, ConnectionError } = await import('./rpc.ts');
  if (error instanceof ConnectionError) {
    say(`Error: ${error.message}`);
    return exitRefused;
  }
  if (error instanceof ApiError) {
    const { explain } = await import('./explain.ts');
    say(await explain(error));
    return exitRefused;
  }
  throw error;
}
