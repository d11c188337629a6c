/** What workloads run in, as the campaign's file says it. */
import type { Configuration, GuestShape, Where } from './campaign.ts';
import {
  complain,
  optional,
  readFields,
  readInteger,
  readList,
  readOneOf,
  readRegexp,
  readSeconds,
  readSize,
  readText,
  required,
  type YamlFields,
  type YamlValue,
} from './yaml-value.ts';

const guestNames = [
  'vms',
  'vcpus',
  'memory',
  'guest-command-line',
  'scheduler',
  'timeslice',
  'pool',
  'placement',
] as const;
const everywhere = ['in', 'kernel', 'environment', 'prefix', 'before', 'check'] as const;

/** The names that a configuration may have, by where it runs. */
const names: Readonly<Record<Where['kind'], readonly string[]>> = {
  'this machine': everywhere,
  host: [...everywhere, 'host'],
  guests: [...everywhere, 'host', ...guestNames],
};

export function readConfiguration(name: string, value: YamlValue): Configuration {
  const kind: Where['kind'] = optional(
    readFields(value),
    'in',
    readOneOf(['this machine', 'host', 'guests']),
    'this machine',
  );
  const fields = readFields(value, names[kind]);
  return {
    name,
    where: readWhere(kind, fields),
    kernel: optional(fields, 'kernel', readKernel, { has: [], lacks: [] }),
    environment: optional(fields, 'environment', readEnvironment, []),
    prefix: optional(fields, 'prefix', (each) => readList(each, readText), []),
    before: optional(fields, 'before', readText, undefined),
    check: optional(fields, 'check', readCheck, undefined),
  };
}

function readWhere(kind: Where['kind'], fields: YamlFields): Where {
  if (kind === 'this machine') return { kind };
  const host = required(fields, 'host', readText);
  return kind === 'host' ? { kind, host } : { kind, host, ...readGuests(fields) };
}

function readGuests(fields: YamlFields): GuestShape {
  const scheduler = optional(fields, 'scheduler', readOneOf(['credit', 'credit2', 'rtds', 'null']), undefined);
  const timeslice = fields.values.get('timeslice');
  // Only credit has one (`xl sched-credit -s -t`), in whole milliseconds from 1 to 1000.
  if (timeslice !== undefined && scheduler !== 'credit') complain(timeslice, 'only scheduler: credit has a timeslice');
  return {
    vms: optional(fields, 'vms', readInteger(1, 256), 1),
    vcpus: optional(fields, 'vcpus', readInteger(1, 512), 1),
    memoryBytes: optional(fields, 'memory', readSize, 2 ** 30),
    commandLine: optional(fields, 'guest-command-line', readText, ''),
    scheduler,
    timesliceMs: timeslice === undefined ? undefined : readTimesliceMs(timeslice),
    pool: optional(fields, 'pool', readText, undefined),
    placement: optional(fields, 'placement', readPlacement, undefined),
  };
}

function readTimesliceMs(value: YamlValue): number {
  const ms = readSeconds(0.001, 1)(value) * 1000;
  if (Math.abs(ms - Math.round(ms)) > 1e-6) complain(value, 'expected whole milliseconds');
  return Math.round(ms);
}

function readPlacement(value: YamlValue): string {
  const text = readText(value);
  if (!/^\d+(-\d+)?(,\^?\d+(-\d+)?)*$/.test(text)) complain(value, 'expected pCPUs such as 0-3,6');
  return text;
}

function readKernel(value: YamlValue): Configuration['kernel'] {
  const fields = readFields(value, ['has', 'lacks']);
  const words = (each: YamlValue): readonly string[] => readList(each, readWord);
  return { has: optional(fields, 'has', words, []), lacks: optional(fields, 'lacks', words, []) };
}

function readWord(value: YamlValue): string {
  const word = readText(value);
  if (/\s/.test(word)) complain(value, 'expected one word of the command line, without blanks');
  return word;
}

/** What the campaign itself tells its commands. */
const ownVariables: readonly string[] = ['THREADS', 'THREADS_MAX', 'DATA', 'OWN', 'PATH', 'LC_ALL'];

function readEnvironment(value: YamlValue): Configuration['environment'] {
  return [...readFields(value).values].map(([name, each]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) complain(each, 'no name of a variable');
    if (ownVariables.includes(name)) complain(each, `${name} is set by the campaign itself`);
    return [name, readText(each)] as const;
  });
}

function readCheck(value: YamlValue): NonNullable<Configuration['check']> {
  const fields = readFields(value, ['command', 'says']);
  return { command: required(fields, 'command', readText), says: required(fields, 'says', readRegexp(0)) };
}
