/** A command with its arguments checked, its connection opened, and both ended well. */
import type { XeArguments } from './arguments.ts';
import type { Command, CommandContext } from './command.ts';
import { findCommand } from './commands.ts';
import { printable } from './format.ts';
import { openServer } from './open-server.ts';
import { runTask, type ShowProgress } from './task.ts';
import { UsageError } from './usage-error.ts';

/**
 * Checks the keys of a command against the table.
 * @throws UsageError naming the key that is missing or that the command does not take
 */
export function checkKeys(command: Command, { values, words }: Pick<XeArguments, 'values' | 'words'>): void {
  const [stray] = words;
  if (stray !== undefined) throw new UsageError(`${stray}: expected key=value`);
  const missing = command.required.filter((key) => !values.has(key));
  if (missing.length > 0) throw new UsageError(`${command.name} needs ${missing.map((key) => `${key}=`).join(' ')}`);
  if (command.anyKey === true || command.selects !== undefined) return;
  const taken = [...command.required, ...command.optional];
  for (const key of values.keys()) {
    if (!taken.some((each) => (each.endsWith(':') ? key.startsWith(each) : each === key))) {
      throw new UsageError(`${command.name} takes no ${key}=`);
    }
  }
}

/** Runs the command of this name against the server. */
export async function runCommand(name: string, args: XeArguments): Promise<void> {
  const command = await findCommand(name);
  if (command === undefined) throw new UsageError(`there is no command ${name}`);
  checkKeys(command, args);
  const rpc = await openServer(args.server);
  const { json } = args.options;
  const outIsTerminal = process.stdout.isTTY;
  const write = (text: string): void => {
    process.stdout.write(text);
  };
  const given: unknown[] = [];
  const show = progressOn(process.stderr, args.options.progress);
  const context: CommandContext = {
    rpc,
    options: args.options,
    values: args.values,
    required(key) {
      const value = args.values.get(key);
      if (value === undefined) throw new UsageError(`${name} needs ${key}=`);
      return value;
    },
    print(line) {
      if (json) given.push(line);
      else write(`${outIsTerminal ? printable(line) : line}\n`);
    },
    give: (value) => given.push(value),
    write,
    outIsTerminal,
    task: (method, ...params) => runTask(rpc, method, params, show, interrupts),
  };
  let failed = true;
  try {
    await command.run(context);
    failed = false;
  } finally {
    // What was done before a failure is still said.
    if (json && !(failed && given.length === 0)) {
      write(`${JSON.stringify(given.length > 1 ? given : (given[0] ?? null), undefined, 2)}\n`);
    }
    await rpc.close();
  }
}

/** Ctrl-C as a task wants it: called back each time it is typed, until the answer is called. */
function interrupts(onInterrupt: () => void): () => void {
  process.on('SIGINT', onInterrupt);
  return () => {
    process.off('SIGINT', onInterrupt);
  };
}

/** One line that is written over on a terminal; elsewhere nothing or, when asked for, a line for each step. */
export function progressOn(stream: Pick<NodeJS.WriteStream, 'isTTY' | 'write'>, asked: boolean): ShowProgress {
  let last = '';
  return (label, fraction, note) => {
    if (!stream.isTTY && !asked) return;
    const line =
      fraction === undefined ? '' : `${label} ${Math.round(fraction * 100)} %${note === '' ? '' : ` ${note}`}`;
    if (stream.isTTY) stream.write(`\r\u001b[K${line}`);
    else if (line !== '' && line !== last) stream.write(`${line}\n`);
    last = line;
  };
}
