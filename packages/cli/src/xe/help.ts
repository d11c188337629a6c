/** `xe help`, from the table of commands. */
import { commands, findCommand } from './commands.ts';
import type { Command } from './command.ts';
import { objects } from './objects.ts';
import { UsageError } from './usage-error.ts';

const usage = `xe [-s HOST|URL] [-p PORT] [-u USER] [-pw PASSWORD | -pwf FILE] [--nossl] COMMAND [KEY=VALUE …]

Without -s, -u and -pw: XENOLITH_URL, XENOLITH_USER and XENOLITH_PASSWORD, or root at http://127.0.0.1:8080.
  --minimal   only values, with commas between them     --json      JSON
  --multiple  the choice may match several objects      --force     as force=true
`;

const isGeneric = ({ name }: Command): boolean =>
  objects.some(({ name: object }) => name === `${object}-list` || name.startsWith(`${object}-param-`));

function synopsis({ name, required, optional, selects, anyKey }: Command): string {
  const words = [
    name,
    ...required.map((key) => `${key}=`),
    ...optional.map((key) => `[${key}${key.endsWith(':') ? 'KEY=' : '='}]`),
  ];
  if (selects !== undefined) words.push(`uuid=|${selects}=|FIELD=…`);
  else if (anyKey === true) words.push('[KEY=…]');
  return words.join(' ');
}

/** The text of `xe help`, of `xe help COMMAND`, or of `xe help --all`'s equivalent, `xe help all`. */
export function helpText(words: readonly string[]): string {
  const [topic] = words;
  if (topic === undefined) {
    const own = commands().filter((command) => !isGeneric(command));
    const width = Math.max(...own.map(({ name }) => name.length));
    const list = own.map(({ name, help }) => `  ${name.padEnd(width)}  ${help}\n`).join('');
    const names = objects.map(({ name }) => name).join(' ');
    return `${usage}\nCommands:\n${list}\nFor every object, OBJECT-list and OBJECT-param-list|get|set|add|remove|clear:\n  ${wrap(names)}\n\nxe help COMMAND says more; xe completion bash prints what bash completes with.\n`;
  }
  if (topic === 'all')
    return commands()
      .map((command) => `${synopsis(command)}\n`)
      .join('');
  const command = findCommand(topic);
  if (command === undefined) throw new UsageError(`there is no command ${topic}`);
  return `${synopsis(command)}\n  ${command.help}\n`;
}

const wrap = (text: string): string => text.replaceAll(/(.{1,96})(?: |$)/g, '$1\n  ').trimEnd();
