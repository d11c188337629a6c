/** A command with its arguments checked, its connection opened, and both ended well. */
import type { XeArguments } from './arguments.ts';
import type { Command, CommandContext } from './command.ts';
import { findCommand } from './commands.ts';
import { printable } from './format.ts';
import { connect } from './rpc.ts';
import { runTask, type ShowProgress } from './task.ts';
import { UsageError } from './usage-error.ts';

/**
 * Checks the keys of a command against the table.
 * @throws UsageError naming the key that is missing or that the command does not take
 */
export function checkKeys(command: Command, { values, words }: Pick<XeArguments, 'values' | 'words'>): void {
  const [stray] = words;
  if (stray !== undefined) throw new UsageError(`${stray}: expected key=value`);
  const missing = command.required.find((key) => !values.has(key));
  if (missing !== undefined) throw new UsageError(`${command.name} needs ${missing}=`);
  if (command.anyKey === true || command.selects !== undefined) return;
  const taken = [...command.required, ...command.optional];
  for (const key of values.keys()) {
    if (!taken.some((each) => (each.endsWith(':') ? key.startsWith(each) : each === key))) {
      throw new UsageError(`${command.name} takes no ${key}=`);
    }
  }
}

/** Runs the command of this name against the server. */
export async function runCommand(name: string, args: XeArguments, password: string): Promise<void> {
  const command = findCommand(name);
  if (command === undefined) throw new UsageError(`there is no command ${name}`);
  checkKeys(command, args);
  const rpc = await connect(args.server.url, args.server.user, password);
  const outIsTerminal = process.stdout.isTTY;
  const write = (text: string): void => {
    process.stdout.write(text);
  };
  const show = progressOn(process.stderr);
  const context: CommandContext = {
    rpc,
    options: args.options,
    values: args.values,
    required(key) {
      const value = args.values.get(key);
      if (value === undefined) throw new UsageError(`${name} needs ${key}=`);
      return value;
    },
    print: (line) => write(`${outIsTerminal ? printable(line) : line}\n`),
    write,
    outIsTerminal,
    task: (method, ...params) => runTask(rpc, method, params, show),
  };
  try {
    await command.run(context);
  } finally {
    await rpc.close();
  }
}

/** One line that is written over on a terminal, and nothing elsewhere. */
function progressOn(stream: NodeJS.WriteStream): ShowProgress {
  if (!stream.isTTY) return () => {};
  return (label, fraction) => {
    stream.write(fraction === undefined ? '\r\u001b[K' : `\r\u001b[K${label} ${Math.round(fraction * 100)} %`);
  };
}
