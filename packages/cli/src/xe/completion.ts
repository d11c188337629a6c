/** Completion in bash: a few lines of shell that ask xe itself, so that they always know what it knows. */
import { parseXeArguments, type Environment } from './arguments.ts';
import { columnsOf, loadClass } from './columns.ts';
import { commands, findCommand } from './commands.ts';
import { objects, objectNamed } from './objects.ts';
import { UsageError } from './usage-error.ts';

const script = `# bash completion of xe: eval "$(xe completion bash)"
_xe() {
  local IFS=$'\\n'
  COMPREPLY=($("\${COMP_WORDS[0]}" completion words "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
  if [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -F _xe xe
`;

const flags = ['-s', '-p', '-u', '-pw', '-pwf', '--nossl', '--minimal', '--json', '--multiple', '--force'];
/** A shell would take other characters for its own. */
const plain = /^[\w.,+@%-]+$/;

/** `xe completion bash`: the script; `xe completion words LINE`: what may follow LINE, a word a line. */
export async function completion(words: readonly string[], environment: Environment): Promise<string> {
  const [what, line] = words;
  if (what === 'bash') return script;
  if (what !== 'words' || line === undefined) throw new UsageError('expected: xe completion bash');
  const found = await candidates(line, environment);
  return found.map((word) => `${word}\n`).join('');
}

/** What may follow a line: bash takes `=` and `:` for ends of words, so only what comes after the last one is given. */
async function candidates(line: string, environment: Environment): Promise<readonly string[]> {
  const typed = line.split(/\s+/);
  const last = typed.pop() ?? '';
  const rest = typed.slice(1);
  const args = parseXeArguments(rest, environment);
  if (args.command === undefined) {
    const names = ['help', 'completion', ...commands().map(({ name }) => name)];
    return startingWith(last.startsWith('-') ? flags : names, last);
  }
  if (args.command === 'help')
    return startingWith(
      commands().map(({ name }) => name),
      last,
    );
  const mark = last.indexOf('=');
  if (mark >= 0)
    return startingWith(await valuesOf(args.command, last.slice(0, mark), environment, rest), last.slice(mark + 1));
  const keys = (await keysOf(args.command)).filter((key) => !args.values.has(key.replace(/=$/, '')));
  const colon = last.lastIndexOf(':');
  return startingWith([...new Set(keys)], last).map((key) => key.slice(colon + 1));
}

const startingWith = (words: readonly string[], start: string): readonly string[] =>
  words.filter((word) => word.startsWith(start));

async function keysOf(name: string): Promise<readonly string[]> {
  const command = findCommand(name);
  if (command === undefined) return [];
  const keys = [...command.required, ...command.optional].map((key) => (key.endsWith(':') ? key : `${key}=`));
  if (command.selects !== undefined) return [...keys, 'uuid=', `${command.selects}=`];
  const object = /^(.*)-(?:list|param-set)$/.exec(name)?.[1];
  return object === undefined ? keys : [...keys, ...(await fieldsOf(object)).map((field) => `${field}=`)];
}

async function fieldsOf(objectName: string): Promise<readonly string[]> {
  const object = objectNamed(objectName);
  return object === undefined ? [] : columnsOf(await loadClass(object.className)).map(({ name }) => name);
}

/** Values that can be chosen from: fields, yes or no, and the objects that the server has. */
async function valuesOf(
  commandName: string,
  key: string,
  environment: Environment,
  rest: readonly string[],
): Promise<readonly string[]> {
  const own = [...objects]
    .sort((a, b) => b.name.length - a.name.length)
    .find(({ name }) => commandName.startsWith(`${name}-`));
  if (key === 'params') return own === undefined ? [] : ['all', ...(await fieldsOf(own.name))];
  if (key === 'param-name') return own === undefined ? [] : fieldsOf(own.name);
  if (key === 'force' || key === 'paused') return ['true', 'false'];
  if (key === 'class') return objects.map(({ name }) => name);
  const wanted =
    key === 'uuid'
      ? (findCommand(commandName)?.selects ?? own?.name)
      : key === 'on'
        ? 'host'
        : key.replace(/-uuid$/, '');
  const object = objectNamed(wanted ?? '');
  if (object === undefined) return [];
  return (await namesOnServer(object.name, key.endsWith('uuid'), environment, rest)).filter((text) => plain.test(text));
}

async function namesOnServer(
  objectName: string,
  uuidsOnly: boolean,
  environment: Environment,
  rest: readonly string[],
): Promise<readonly string[]> {
  const { server } = parseXeArguments(rest, environment);
  const object = objectNamed(objectName);
  if (server.password === undefined || object === undefined) return [];
  const [{ connect }, { fetchRows, loadKind }] = await Promise.all([import('./rpc.ts'), import('./records.ts')]);
  const rpc = await connect(server.url, server.user, server.password);
  try {
    const rows = await fetchRows(rpc, await loadKind(object));
    return rows.flatMap(({ record }) =>
      [record['uuid'], ...(uuidsOnly ? [] : [record['name_label']])].filter((text) => typeof text === 'string'),
    );
  } finally {
    await rpc.close();
  }
}
