/**
 * `xenolith xl …`: the habits and scripts of `xl`, over the XenAPI, for a host of the pool. What it sets goes through
 * the records, and so outlasts a reboot of the host.
 */
import { ApiError, report, UsageError } from '@xenolith/xe';
import type { ServerRpc } from '../xe/rpc.ts';
import { parseXeArguments, type Environment } from '../xe/arguments.ts';
import { openServer } from '../xe/open-server.ts';
import type { XlCommand } from './command.ts';
import { cpupoolCommands } from './cpupool-commands.ts';
import { listCommands } from './list-commands.ts';
import { readOptions } from './options.ts';
import { schedCommands } from './sched-commands.ts';
import { chooseHost, XlError } from './world.ts';

export const xlCommands: readonly XlCommand[] = [...listCommands, ...schedCommands, ...cpupoolCommands];

export interface XlOutput {
  readonly print: (text: string) => void;
  readonly warn: (line: string) => void;
}

function helpText(name: string | undefined): string {
  if (name === undefined) {
    const rows = xlCommands.map((command) => ` ${command.name.padEnd(19)} ${command.help}`);
    return ['Usage xenolith xl [--host NAME|UUID] <subcommand> [args]', '', ...rows, ''].join('\n');
  }
  const { usage, help } = commandNamed(name);
  return `Usage: xenolith xl ${name} ${usage}\n\n${help}\n`;
}

function commandNamed(name: string): XlCommand {
  const command = xlCommands.find((each) => each.name === name);
  if (command === undefined) throw new UsageError(`there is no xl ${name} here`);
  return command;
}

/** Takes `--host NAME` off the front; the rest is the subcommand and its words. */
function splitHost(argv: readonly string[]): { readonly host: string | undefined; readonly rest: readonly string[] } {
  const [first, second] = argv;
  if (first === '--host') {
    if (second === undefined) throw new UsageError('--host needs a name');
    return { host: second, rest: argv.slice(2) };
  }
  const named = /^--host=(.+)$/.exec(first ?? '')?.[1];
  return named === undefined ? { host: undefined, rest: argv } : { host: named, rest: argv.slice(1) };
}

/** Runs one subcommand. Throws UsageError before anything is asked of the server when the words are wrong. */
export async function runXlCommand(
  argv: readonly string[],
  open: () => Promise<Pick<ServerRpc, 'call' | 'close'>>,
  { print, warn }: XlOutput,
): Promise<void> {
  const { host: wanted, rest } = splitHost(argv);
  const [name, ...words] = rest;
  if (name === undefined || name === 'help' || name === '-h' || name === '--help') {
    print(helpText(words[0]));
    return;
  }
  const command = commandNamed(name);
  const options = readOptions(words, command.options);
  const count = options.words.length;
  if (count < (command.wordsMin ?? 0) || count > command.wordsMax)
    throw new UsageError(`Usage: xenolith xl ${name} ${command.usage}`);
  const rpc = await open();
  try {
    await command.run({ rpc, ref: await chooseHost(rpc, wanted), print, warn }, options);
  } finally {
    await rpc.close();
  }
}

/** Runs `xenolith xl` and sets the exit code of the process: 1 for a refusal, 2 for a wrong command line. */
export async function runXl(argv: readonly string[], environment: Environment, rcText: string): Promise<void> {
  const say = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  try {
    await runXlCommand(argv, () => openServer(parseXeArguments([], environment, rcText).server), {
      print: (text) => {
        process.stdout.write(text);
      },
      warn: say,
    });
  } catch (error) {
    if (error instanceof XlError) {
      say(error.message);
      process.exitCode = 1;
    } else if (error instanceof ApiError && error.code === 'XEN_REFUSED') {
      say(error.params[2] ?? error.message);
      process.exitCode = 1;
    } else if (error instanceof UsageError) {
      say(`xl: ${error.message}`);
      process.exitCode = 2;
    } else {
      const { code, text } = await report(error, false);
      say(text);
      process.exitCode = code;
    }
  }
}
