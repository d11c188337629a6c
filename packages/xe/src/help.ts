/** `xe help`, from the table of commands. */
import { commands, findCommand } from './commands.ts';
import type { Command } from './command.ts';
import { objects } from './objects.ts';
import { UsageError } from './usage-error.ts';

const usage = `xe [-s HOST|URL] [-p PORT] [-u USER] [-pw PASSWORD | -pwf FILE] [--nossl] COMMAND [KEY=VALUE …]

Without -s, -u and -pw: XENOLITH_URL, XENOLITH_USER and XENOLITH_PASSWORD, then XE_EXTRA_ARGS and ~/.xe, or root at
http://127.0.0.1:8080.
  --minimal   only values, with commas between them     --json      one JSON value, errors too
  --multiple  the choice may match several objects      --force     as force=true
  --verify    check the server's certificate            --ca FILE   trust only the certificates of a PEM file
  --progress  show it although this is no terminal

Exit code 0: done; 1: refused, not found, or no server; 2: wrong command line; 130: Ctrl-C.
`;

const isGeneric = ({ name }: Command): boolean =>
  objects.some(({ name: object }) => name === `${object}-list` || name.startsWith(`${object}-param-`));

const keyForm = (key: string): string => (key.endsWith(':') ? `${key}KEY=` : `${key}=`);

function synopsis({ name, required, optional, selects, anyKey }: Command): string {
  const words = [name, ...required.map(keyForm), ...optional.map((key) => `[${keyForm(key)}]`)];
  if (selects !== undefined) words.push(`uuid=|${selects}=|FIELD=…`);
  else if (anyKey === true) words.push('[KEY=…]');
  return words.join(' ');
}

/** One command, in the four lines that users of xe know. */
function describe({ name, required, optional, selects, anyKey, help }: Command): string {
  const more = selects !== undefined ? [`<${selects}-selectors>`] : anyKey === true ? ['<field or key>=<value>'] : [];
  const line = (head: string, text: string): string => `${head.padEnd(24)}: ${text}`.trimEnd();
  return [
    line('command name', name),
    line('        reqd params', required.join(', ')),
    line('        optional params', [...optional, ...more].join(', ')),
    line('        description', help),
    ...(selects === undefined
      ? []
      : ['', `<${selects}-selectors>: uuid=, ${selects}=NAME-OR-UUID, or FIELD=VALUE …; --multiple for several`]),
  ].join('\n');
}

async function named(names: readonly string[]): Promise<readonly Command[]> {
  return Promise.all(
    names.map(async (name) => {
      const command = await findCommand(name);
      if (command === undefined) throw new UsageError(`there is no command ${name}`);
      return command;
    }),
  );
}

/** The text of `xe help`, of `xe help COMMAND …`, or of `xe help --all`. */
export async function helpText(words: readonly string[]): Promise<string> {
  if (words.length === 0) {
    const own = (await commands()).filter((command) => !isGeneric(command));
    const width = Math.max(...own.map(({ name }) => name.length));
    const list = own.map(({ name, help }) => `  ${name.padEnd(width)}  ${help}\n`).join('');
    const names = objects.map(({ name }) => name).join(' ');
    return `${usage}\nCommands:\n${list}\nFor every object, OBJECT-list and OBJECT-param-list|get|set|add|remove|clear:\n  ${wrap(names)}\n\nxe help COMMAND says more, xe help --all lists all; xe completion bash prints what bash completes with.\n`;
  }
  if (words[0] === 'all') return (await commands()).map((command) => `${synopsis(command)}\n`).join('');
  return `${(await named(words)).map(describe).join('\n\n')}\n`;
}

/** The same as one JSON value: an array of commands. */
export async function helpJson(words: readonly string[]): Promise<string> {
  const all = words.length === 0 || words[0] === 'all' ? await commands() : await named(words);
  const plain = all.map(({ name, help, required, optional, selects, anyKey }) => ({
    name,
    help,
    required,
    optional,
    selects: selects ?? null,
    anyKey: anyKey === true,
  }));
  return `${JSON.stringify(plain, undefined, 2)}\n`;
}

const wrap = (text: string): string => text.replaceAll(/(.{1,96})(?: |$)/g, '$1\n  ').trimEnd();
