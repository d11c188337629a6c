/** The file that defines a campaign. */
import { err, ok, type Result } from '@xenolith/base';
import type { Campaign, DataDirectory } from './campaign.ts';
import { readConfiguration, type AddressCheck } from './parse-configuration.ts';
import { readWorkload } from './parse-workload.ts';
import { planSteps } from './plan.ts';
import {
  complain,
  optional,
  readFields,
  readInteger,
  readList,
  readNumber,
  readOneOf,
  readSeconds,
  readSize,
  readText,
  readYaml,
  readYesNo,
  required,
  type YamlFields,
  type YamlProblem,
  type YamlValue,
} from './yaml-value.ts';

const threadsMax = 1024;
const runsMax = 10_000;
const warmUpsMax = 100;
const stepsMax = 100_000;
const weekSeconds = 7 * 24 * 3600;
const kinds = { workloads: 100, configurations: 100 } as const;

/** Names go into tables, into the data directory and after `--`: letters, digits and a few signs. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,39}$/;

/**
 * Reads the definition of a campaign. Everything that is wrong with it is found at once, in the order of the file.
 * @param problemOf what is wrong with the address of a host, by whoever can go there
 */
export function parseCampaign(text: string, problemOf: AddressCheck): Result<Campaign, readonly YamlProblem[]> {
  const root = readYaml(text);
  const { problems } = root.file;
  if (problems.length > 0) return err(problems);
  const fields = readFields(root, [
    'name',
    'what',
    'runs',
    'warm-up',
    'order',
    'seed',
    'confidence',
    'reference',
    'time-limit',
    'threads',
    'data',
    'workloads',
    'configurations',
  ]);
  const threads = optional(fields, 'threads', readThreads, [1]);
  const configurations = required(fields, 'configurations', (value) =>
    readNamed(value, kinds.configurations, (name, each) => readConfiguration(name, each, problemOf)),
  );
  const campaign: Campaign = {
    name: required(fields, 'name', readName),
    what: optional(fields, 'what', readText, ''),
    runs: optional(fields, 'runs', readInteger(1, runsMax), 10),
    warmUps: optional(fields, 'warm-up', readInteger(0, warmUpsMax), 1),
    order: readOrder(fields),
    confidencePercent: optional(fields, 'confidence', readNumber(50, 99.99), 95),
    reference: optional(fields, 'reference', readText, configurations[0]?.name ?? ''),
    timeLimitSeconds: optional(fields, 'time-limit', readSeconds(1, weekSeconds), 3600),
    data: optional(fields, 'data', readData, temporary),
    workloads: required(fields, 'workloads', (value) =>
      readNamed(value, kinds.workloads, (name, each) => readWorkload(name, each, { threads, readThreads })),
    ),
    configurations,
  };
  checkWhole(campaign, fields);
  // A mapping that is read for what kind it is, and then as that, complains twice.
  const once = problems.filter((each, at) => at === problems.findIndex((other) => isSame(each, other)));
  return once.length === 0 ? ok(campaign) : err(once.toSorted((a, b) => a.line - b.line || a.column - b.column));
}

const isSame = (a: YamlProblem, b: YamlProblem): boolean =>
  a.line === b.line && a.column === b.column && a.message === b.message;

/** What no single value can be wrong in. */
function checkWhole(campaign: Campaign, fields: YamlFields): void {
  const { configurations, reference, workloads } = campaign;
  const at = fields.values.get('reference');
  if (at !== undefined && !configurations.some(({ name }) => name === reference)) {
    complain(at, `no configuration ${reference}; there is ${configurations.map(({ name }) => name).join(', ')}`);
  }
  // More than can be planned cannot be counted by planning it.
  const cells = workloads.reduce((sum, { threads }) => sum + threads.length, 0) * configurations.length;
  const steps = cells * (campaign.runs + campaign.warmUps);
  if (steps > stepsMax) complain(fields.of, `${steps} runs altogether: the most are ${stepsMax}`);
  else if (fields.of.file.problems.length === 0 && planSteps(campaign).length === 0)
    complain(fields.of, 'nothing to run');
}

function readOrder(fields: YamlFields): Campaign['order'] {
  const kind = optional(fields, 'order', readOneOf(['round', 'shuffled']), 'round');
  const seed = fields.values.get('seed');
  if (kind === 'shuffled') {
    return { kind, seed: optional(fields, 'seed', readInteger(0, 2 ** 31 - 1), 1) };
  }
  if (seed !== undefined) complain(seed, 'a seed is of order: shuffled');
  return { kind: 'round' };
}

const temporary: DataDirectory = { directory: '/tmp', isTmpfs: false, freeBytes: 0 };

/** Sockets are made below it, and the path of a socket has 107 bytes at most (unix(7)). */
const directoryLengthMax = 60;

function readData(value: YamlValue): DataDirectory {
  const fields = readFields(value, ['directory', 'tmpfs', 'free']);
  const isTmpfs = optional(fields, 'tmpfs', readYesNo, false);
  return {
    directory: optional(fields, 'directory', readDirectory, isTmpfs ? '/dev/shm' : temporary.directory),
    isTmpfs,
    freeBytes: optional(fields, 'free', readSize, 0),
  };
}

function readDirectory(value: YamlValue): string {
  const path = readText(value);
  if (!/^\/[A-Za-z0-9_./+-]*$/.test(path) || path.length > directoryLengthMax) {
    complain(value, `expected an absolute path of at most ${directoryLengthMax} letters, digits and _ . / + -`);
  }
  return path;
}

function readName(value: YamlValue): string {
  const name = readText(value);
  if (!namePattern.test(name)) complain(value, 'expected a name of up to 40 letters, digits, blanks and . _ + -');
  return name;
}

/** A mapping from names to things of one kind. */
function readNamed<T>(value: YamlValue, most: number, read: (name: string, value: YamlValue) => T): readonly T[] {
  const { values, isOther } = readFields(value);
  if (values.size === 0 && !isOther) complain(value, 'expected at least one');
  if (values.size > most) complain(value, `${values.size}: the most are ${most}`);
  return [...values].slice(0, most).map(([name, each]) => {
    if (!namePattern.test(name)) complain(each, 'its name may have up to 40 letters, digits, blanks and . _ + -');
    return read(name, each);
  });
}

/** Numbers of threads, ascending. */
function readThreads(value: YamlValue): readonly number[] {
  const threads = readList(value, readInteger(1, threadsMax));
  if (threads.length === 0) complain(value, 'expected at least one number of threads');
  if (new Set(threads).size !== threads.length) complain(value, 'a number of threads is there twice');
  return threads.toSorted((a, b) => a - b);
}
