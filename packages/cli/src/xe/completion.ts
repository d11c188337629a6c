/** Completion in bash: a few lines of shell that ask xe itself, so that they always know what it knows. */
import { parseXeArguments, type Environment } from './arguments.ts';
import {
  columnsOf,
  commands,
  fetchRows,
  findColumn,
  findCommand,
  loadClass,
  loadKind,
  objectNamed,
  objects,
  UsageError,
} from '@xenolith/xe';
import { readShellLine, shellForm } from './shell-line.ts';

// compopt fails outside a completion, such as in a test of the function: then there is no space to keep away.
const script = `# bash completion of xe: eval "$(xe completion bash)"
_xe() {
  local line=\${COMP_LINE:0:COMP_POINT}
  local word=\${line##*[ =]}
  if [[ $line =~ (-pwf|--ca)\\ [^\\ ]*$ || $line =~ \\ [a-z-]*file=[^\\ ]*$ ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    compopt -o filenames 2>/dev/null
    return
  fi
  mapfile -t COMPREPLY < <("\${COMP_WORDS[0]}" completion words "$line" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *[=:] ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -F _xe xe
`;

const flags = [
  '-s',
  '-p',
  '-u',
  '-pw',
  '-pwf',
  '--nossl',
  '--verify',
  '--ca',
  '--minimal',
  '--json',
  '--multiple',
  '--force',
  '--progress',
  '--help',
];
const yesOrNo = ['true', 'false'];

/** `xe completion bash`: the script; `xe completion words LINE`: what may follow LINE, a word a line. */
export async function completion(words: readonly string[], environment: Environment, rcText: string): Promise<string> {
  const [what, line] = words;
  if (what === 'bash') return script;
  if (what !== 'words' || line === undefined) throw new UsageError('expected: xe completion bash');
  const { words: typed, last, from, quote } = readShellLine(line);
  const rest = typed.slice(1);
  const found = await candidates({ rest, last, environment, rcText });
  return [...new Set(found)]
    .filter((word) => word.startsWith(last))
    .map((word) => `${isOwnWord(word) ? word.slice(from) : shellForm(word.slice(from), quote)}\n`)
    .join('');
}

interface Typed {
  readonly rest: readonly string[];
  readonly last: string;
  readonly environment: Environment;
  readonly rcText: string;
}

/** Words that are nothing but a key stand as they are: their `=` is the end of a word to bash too. */
const isOwnWord = (word: string): boolean => /^[\w.-]+[=:]?$/.test(word);

/** Whole words that may stand where the last one is being written. */
async function candidates(typed: Typed): Promise<readonly string[]> {
  const { rest, last } = typed;
  // The value of an option: a file, or what only people know.
  if (/^-(s|p|u|pw|pwf|-ca)$/.test(rest.at(-1) ?? '')) return [];
  const { command, values } = parseXeArguments(rest, typed.environment, typed.rcText);
  if (last.startsWith('-')) return flags;
  const names = async (): Promise<readonly string[]> => (await commands()).map(({ name }) => name);
  if (command === undefined) return ['help', 'completion', ...(await names())];
  if (command === 'help') return names();
  const mark = last.indexOf('=');
  if (mark >= 0) {
    const key = last.slice(0, mark);
    return (await valuesOf(command, key, last.slice(mark + 1), typed)).map((value) => `${key}=${value}`);
  }
  return (await keysOf(command)).filter((key) => !values.has(key.replace(/=$/, '')));
}

async function keysOf(name: string): Promise<readonly string[]> {
  const command = await findCommand(name);
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

const ownObject = (commandName: string): string | undefined =>
  [...objects].sort((a, b) => b.name.length - a.name.length).find(({ name }) => commandName.startsWith(`${name}-`))
    ?.name;

/** Values that can be chosen from: fields, yes or no, words of an enumeration, and the objects that the server has. */
async function valuesOf(commandName: string, key: string, text: string, typed: Typed): Promise<readonly string[]> {
  const own = ownObject(commandName);
  if (key === 'params' || key === 'param-name') {
    const fields = own === undefined ? [] : await fieldsOf(own);
    if (key === 'param-name') return fields;
    // Each name of the list is completed, not only the first one.
    const before = text.slice(0, text.lastIndexOf(',') + 1);
    return ['all', ...fields].map((field) => `${before}${field}`);
  }
  if (/^(force|paused|multiple|shared|sharable|read-only|bootable|managed)$/.test(key)) return yesOrNo;
  if (key === 'class') return objects.map(({ name }) => name);
  const wanted =
    key === 'uuid'
      ? ((await findCommand(commandName))?.selects ?? own)
      : key === 'on'
        ? 'host'
        : key.replace(/-(uuid|name-label)$/, '');
  const object = objectNamed(wanted ?? '');
  if (object !== undefined && key !== 'name-label') return namesOnServer(object.name, key, typed);
  return own === undefined ? [] : fieldValues(own, key, typed);
}

/** Values that a field may have by its type, or of names those that there are. */
async function fieldValues(objectName: string, key: string, typed: Typed): Promise<readonly string[]> {
  if (key === 'name-label') return namesOnServer(objectName, key, typed);
  const object = objectNamed(objectName);
  if (object === undefined) return [];
  const type = findColumn(columnsOf(await loadClass(object.className)), key)?.type ?? '';
  if (type === 'bool') return yesOrNo;
  const enumName = /^enum\((.*)\)$/.exec(type)?.[1];
  if (enumName === undefined) return [];
  const { enums } = await import('@xenolith/xapi');
  const words: readonly string[] = Object.entries(enums).find(([name]) => name === enumName)?.[1] ?? [];
  return enumName === 'vm_power_state' ? words.map((word) => word.toLowerCase()) : words;
}

/** Uuids, names, or both, as the key takes them. */
async function namesOnServer(
  objectName: string,
  key: string,
  { rest, environment, rcText }: Typed,
): Promise<readonly string[]> {
  const { server } = parseXeArguments(rest, environment, rcText);
  const object = objectNamed(objectName);
  if (object === undefined) return [];
  const { openServer } = await import('./open-server.ts');
  const rpc = await openServer(server);
  try {
    const rows = await fetchRows(rpc, await loadKind(object));
    const fields = key.endsWith('name-label')
      ? ['name_label']
      : key.endsWith('uuid')
        ? ['uuid']
        : ['uuid', 'name_label'];
    return rows
      .flatMap(({ record }) => fields.map((field) => record[field]))
      .filter((text): text is string => typeof text === 'string' && text !== '' && !/\p{Cc}/u.test(text));
  } finally {
    await rpc.close();
  }
}
