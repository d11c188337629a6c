/** The run of one command of xe, from its arguments to its exit code. */
import { endWithOutput } from '../output-closed.ts';
import { parseXeArguments, type XeArguments } from './arguments.ts';
import { UsageError } from '@xenolith/xe';

/** Exit code for a wrong command line. */
const exitUsage = 2;

/** Runs xe and sets the exit code of the process. */
export async function runXe(argv: readonly string[]): Promise<void> {
  endWithOutput();
  try {
    await run(parseXeArguments(argv, process.env, rcText()));
  } catch (error) {
    const { printable, report } = await import('@xenolith/xe');
    const { code, text } = await report(error, argv.includes('--json') || argv.includes('json=true'));
    process.stderr.write(process.stderr.isTTY ? `${text.split('\n').map(printable).join('\n')}\n` : `${text}\n`);
    process.exitCode = code;
  }
}

/** The text of `~/.xe`, where users of xe keep how they log in; empty when there is none. */
export function rcText(): string {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  const home = process.env['HOME'];
  if (home === undefined || home === '') return '';
  try {
    return readFileSync(`${home}/.xe`, 'utf8');
  } catch (error) {
    // Most people have none.
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return '';
    throw new UsageError(`~/.xe: ${message}`);
  }
}

async function run(args: XeArguments): Promise<void> {
  const { command: name } = args;
  if (name === undefined || name === 'help') {
    const { helpJson, helpText } = await import('@xenolith/xe');
    process.stdout.write(args.options.json ? await helpJson(args.words) : await helpText(args.words));
    if (name === undefined) process.exitCode = exitUsage;
    return;
  }
  if (name === 'completion') {
    const { completion } = await import('./completion.ts');
    process.stdout.write(await completion(args.words, process.env, rcText()));
    return;
  }
  const { runHere } = await import('./run-command.ts');
  await runHere(name, args);
}
