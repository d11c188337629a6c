/** What runs, as the campaign's file says it. */
import { unreachable } from '@xenolith/base';
import type {
  BuildWorkload,
  CommandWorkload,
  Figure,
  Pbzip2Workload,
  PgbenchWorkload,
  ProgramVersion,
  Workload,
} from './campaign.ts';
import {
  complain,
  optional,
  readFields,
  readInteger,
  readOneOf,
  readRegexp,
  readSeconds,
  readSize,
  readText,
  required,
  type YamlFields,
  type YamlValue,
} from './yaml-value.ts';

/** What a workload has from the campaign unless it says otherwise. */
export interface WorkloadContext {
  readonly threads: readonly number[];
  readonly readThreads: (value: YamlValue) => readonly number[];
}

const kinds = ['pgbench', 'pbzip2', 'build', 'command'] as const;

/** The names that each kind has beside `kind` and `threads`. */
const names: Readonly<Record<(typeof kinds)[number], readonly string[]>> = {
  pgbench: ['scale', 'seconds', 'transactions', 'script', 'protocol', 'settings'],
  pbzip2: ['size', 'block-size'],
  build: ['source', 'prepare', 'clean', 'command', 'versions'],
  command: ['prepare', 'before', 'command', 'figure', 'versions'],
};

export function readWorkload(name: string, value: YamlValue, context: WorkloadContext): Workload {
  const all = readFields(value);
  const isKnown = all.values.has('kind');
  const kind = required(all, 'kind', readOneOf(kinds));
  const fields = isKnown ? readFields(value, ['kind', 'threads', ...names[kind]]) : all;
  const base = { name, threads: optional(fields, 'threads', context.readThreads, context.threads) };
  switch (kind) {
    case 'pgbench':
      return readPgbench(fields, base);
    case 'pbzip2':
      return readPbzip2(fields, base);
    case 'build':
      return readBuild(fields, base);
    case 'command':
      return readCommand(fields, base);
    default:
      return unreachable(kind);
  }
}

type Base = Pick<Workload, 'name' | 'threads'>;

function readPgbench(fields: YamlFields, base: Base): PgbenchWorkload {
  const transactions = fields.values.get('transactions');
  const seconds = fields.values.get('seconds');
  if (transactions !== undefined && seconds !== undefined) complain(transactions, 'either seconds or transactions');
  return {
    ...base,
    kind: 'pgbench',
    scale: optional(fields, 'scale', readInteger(1, 100_000), 10),
    length:
      transactions === undefined
        ? { kind: 'seconds', seconds: optional(fields, 'seconds', readWholeSeconds, 30) }
        : { kind: 'transactions', count: readInteger(1, 1e9)(transactions) },
    script: optional(fields, 'script', readOneOf(['tpcb-like', 'simple-update', 'select-only']), 'tpcb-like'),
    protocol: optional(fields, 'protocol', readOneOf(['simple', 'extended', 'prepared']), 'simple'),
    settings: optional(fields, 'settings', readSettings, []),
  };
}

/** pgbench takes no fractions. */
function readWholeSeconds(value: YamlValue): number {
  const seconds = readSeconds(1, 86_400)(value);
  if (!Number.isInteger(seconds)) complain(value, 'expected whole seconds');
  return seconds;
}

/** Where the server is and who may talk to it is the campaign's own matter. */
const ownSettings = /^(?:listen_addresses|unix_socket_.*|port|data_directory|hba_file|max_connections)$/;

function readSettings(value: YamlValue): PgbenchWorkload['settings'] {
  return [...readFields(value).values].map(([name, each]) => {
    if (!/^[a-z][a-z0-9_.]{0,62}$/.test(name)) complain(each, 'no name of a setting of PostgreSQL');
    if (ownSettings.test(name)) complain(each, `${name} is set by the campaign itself`);
    return [name, readText(each)] as const;
  });
}

function readPbzip2(fields: YamlFields, base: Base): Pbzip2Workload {
  return {
    ...base,
    kind: 'pbzip2',
    sizeBytes: required(fields, 'size', readSize),
    blockSize: optional(fields, 'block-size', readInteger(1, 9), 9),
  };
}

function readBuild(fields: YamlFields, base: Base): BuildWorkload {
  return {
    ...base,
    kind: 'build',
    source: required(fields, 'source', readPath),
    prepare: optional(fields, 'prepare', readText, undefined),
    clean: optional(fields, 'clean', readText, 'make clean'),
    command: optional(fields, 'command', readText, 'make -j"$THREADS"'),
    versions: optional(fields, 'versions', readVersions, []),
  };
}

function readPath(value: YamlValue): string {
  const path = readText(value);
  if (path !== '' && !path.startsWith('/')) complain(value, 'expected an absolute path');
  return path;
}

function readCommand(fields: YamlFields, base: Base): CommandWorkload {
  return {
    ...base,
    kind: 'command',
    prepare: optional(fields, 'prepare', readText, undefined),
    before: optional(fields, 'before', readText, undefined),
    command: required(fields, 'command', readText),
    figure: optional(fields, 'figure', readFigureRule, seconds),
    versions: optional(fields, 'versions', readVersions, []),
  };
}

/** Wall-clock time of the command. */
export const seconds: Figure = { kind: 'seconds', unit: 's', better: 'less' };

function readFigureRule(value: YamlValue): Figure {
  const fields = readFields(value, ['regexp', 'unit', 'better']);
  return {
    kind: 'regexp',
    regexp: required(fields, 'regexp', readRegexp(1)),
    unit: required(fields, 'unit', readText),
    better: required(fields, 'better', readOneOf(['more', 'less'])),
  };
}

function readVersions(value: YamlValue): readonly ProgramVersion[] {
  return [...readFields(value).values].map(([program, each]) => ({ program, script: readText(each) }));
}
