/** A command with its arguments checked, run over a session. */
import type { Rpc } from './call.ts';
import type { Command, CommandContext, Exchange, XeOptions } from './command.ts';
import { findCommand } from './commands.ts';
import { printable } from './format.ts';
import { runTask, runTransfer, type Interrupts, type ShowProgress } from './task.ts';
import { UsageError } from './usage-error.ts';

/** What was asked for: `xe COMMAND key=value …`. */
export interface CommandLine {
  readonly options: XeOptions;
  readonly values: ReadonlyMap<string, string>;
  /** Words that are no `key=value`. */
  readonly words: readonly string[];
}

/** Who asked. */
export interface Terminal {
  /** Whether people read what is printed. */
  readonly outIsTerminal: boolean;
  readonly write: (text: string) => void;
  readonly progress: ShowProgress;
  readonly interrupts: Interrupts;
  readonly exchange: Exchange;
}

/**
 * Checks the keys of a command against the table.
 * @throws UsageError naming the key that is missing or that the command does not take
 */
export function checkKeys(command: Command, { values, words }: Pick<CommandLine, 'values' | 'words'>): void {
  const [stray] = words;
  if (stray !== undefined) throw new UsageError(`${stray}: expected key=value`);
  const missing = command.required.filter((key) => !values.has(key));
  if (missing.length > 0) throw new UsageError(`${command.name} needs ${missing.map((key) => `${key}=`).join(' ')}`);
  if (command.anyKey === true || command.selects !== undefined) return;
  const taken = [...command.required, ...command.optional];
  for (const key of values.keys()) {
    if (!taken.some((each) => (/[:-]$/.test(each) ? key.startsWith(each) : each === key))) {
      throw new UsageError(`${command.name} takes no ${key}=`);
    }
  }
}

/**
 * The command of this name, its keys checked.
 * @throws UsageError for a name that there is not, a key that is missing or that the command does not take
 */
export async function preparedCommand(name: string, line: CommandLine): Promise<Command> {
  const command = await findCommand(name);
  if (command === undefined) throw new UsageError(`there is no command ${name}`);
  checkKeys(command, line);
  return command;
}

/** Runs a command. Throws what it fails with, after what was done before is printed. */
export async function runCommand(command: Command, line: CommandLine, rpc: Rpc, terminal: Terminal): Promise<void> {
  const { options, values } = line;
  const { outIsTerminal, write } = terminal;
  const given: unknown[] = [];
  const context: CommandContext = {
    name: command.name,
    rpc,
    options,
    values,
    required(key) {
      const value = values.get(key);
      if (value === undefined) throw new UsageError(`${command.name} needs ${key}=`);
      return value;
    },
    print(text) {
      if (options.json) given.push(text);
      else write(`${outIsTerminal ? printable(text) : text}\n`);
    },
    give: (value) => given.push(value),
    write,
    outIsTerminal,
    exchange: terminal.exchange,
    task: (method, ...params) => runTask(rpc, method, params, terminal.progress, terminal.interrupts),
    transfer: (label, begin) => runTransfer(rpc, label, begin, terminal.progress, terminal.interrupts),
  };
  let failed = true;
  try {
    await command.run(context);
    failed = false;
  } finally {
    if (options.json && !(failed && given.length === 0)) {
      write(`${JSON.stringify(given.length > 1 ? given : (given[0] ?? null), undefined, 2)}\n`);
    }
  }
}
