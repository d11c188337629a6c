/** What `xl cpupool-create` is given: a file, words `key=value`, or both. The form is that of xlcpupool.cfg. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseCpuList, UsageError } from '@xenolith/xe';

export interface PoolConfig {
  readonly name: string;
  readonly scheduler: string | undefined;
  readonly cpus: readonly number[];
  /** All free CPUs of these nodes. */
  readonly nodes: readonly number[] | undefined;
  readonly source: string;
}

const fileBytesMax = 65_536;

/** `"text"`, `["a", "b"]` or a bare word; lists come with commas between their members. */
function readValue(text: string, line: string): string {
  const word = /^(?:"([^"]*)"|'([^']*)'|([\w.,:^-]*))$/.exec(text);
  if (word !== null) return word[1] ?? word[2] ?? word[3] ?? '';
  const list = /^\[(.*)\]$/.exec(text)?.[1];
  if (list === undefined) throw new UsageError(`${line}: expected key=value`);
  return list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
    .map((item) => readValue(item, line))
    .join(',');
}

/** Its keys and values; later ones win. Throws UsageError. */
export function readSettings(text: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const match = /^(name|sched|cpus|nodes)\s*=\s*(.*)$/.exec(line);
    if (match === null) throw new UsageError(`${line}: expected name=, sched=, cpus= or nodes=`);
    settings.set(match[1] ?? '', readValue((match[2] ?? '').trim(), line));
  }
  return settings;
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(0, fileBytesMax);
  } catch (error) {
    throw new UsageError(
      `Failed to read config file: ${path}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** Throws UsageError. */
export function readPoolConfig(file: string | undefined, words: readonly string[]): PoolConfig {
  const [first] = words;
  const isPath = file === undefined && first !== undefined && !first.includes('=');
  const path = isPath ? first : file;
  const given = isPath ? words.slice(1) : words;
  const settings = readSettings([path === undefined ? '' : readFile(path), ...given].join('\n'));
  const name = settings.get('name') ?? (path === undefined ? '' : basename(path));
  if (name === '') throw new UsageError('the cpupool needs a name');
  const [cpus, nodes] = [settings.get('cpus'), settings.get('nodes')];
  return {
    name,
    scheduler: settings.get('sched'),
    cpus: cpus === undefined || cpus === '' ? [] : parseCpuList(cpus),
    nodes: nodes === undefined || nodes === '' ? undefined : parseCpuList(nodes),
    source: path ?? 'command line',
  };
}
