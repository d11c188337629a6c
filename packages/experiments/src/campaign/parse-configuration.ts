/** What workloads run in, as the campaign's file says it. */
import type { CampaignHost, Configuration, GuestFile, GuestPool, GuestShape, Where } from './campaign.ts';
import {
  complain,
  isMapping,
  optional,
  readFields,
  readInteger,
  readLineOfText,
  readList,
  readMemory,
  readOneOf,
  readRegexp,
  readSeconds,
  readText,
  required,
  type YamlFields,
  type YamlValue,
} from './yaml-value.ts';

const guestNames = [
  'type',
  'vms',
  'vcpus',
  'memory',
  'guest-command-line',
  'guest-kernel',
  'guest-ramdisk',
  'disk',
  'files',
  'scheduler',
  'timeslice',
  'pool',
  'placement',
] as const;
const inGuests = ['in', 'environment', 'prefix', 'before', 'check'] as const;
const everywhere = [...inGuests, 'kernel'] as const;

/** The names that a configuration may have, by where it runs. */
const names: Readonly<Record<Where['kind'], readonly string[]>> = {
  'this machine': everywhere,
  host: [...everywhere, 'host'],
  guests: [...inGuests, 'host', ...guestNames],
};

/** What is wrong with the address of a host, as {@link CampaignHost} has it; undefined for nothing. */
export type AddressCheck = (address: string) => string | undefined;

export function readConfiguration(name: string, value: YamlValue, problemOf: AddressCheck): Configuration {
  const all = readFields(value);
  const kind: Where['kind'] = optional(all, 'in', readOneOf(['this machine', 'host', 'guests']), 'this machine');
  const kernel = all.values.get('kernel');
  if (kind === 'guests' && kernel !== undefined) {
    complain(kernel, 'guests are booted with guest-kernel and guest-command-line: use those, and a check');
  }
  const fields = readFields(
    value,
    kind === 'guests' && kernel !== undefined ? [...names[kind], 'kernel'] : names[kind],
  );
  return {
    name,
    where: readWhere(kind, fields, problemOf),
    kernel: kind === 'guests' ? anyKernel : optional(fields, 'kernel', readKernel, anyKernel),
    environment: optional(fields, 'environment', readEnvironment, []),
    prefix: optional(fields, 'prefix', (each) => readList(each, readText), []),
    before: optional(fields, 'before', readText, undefined),
    check: optional(fields, 'check', readCheck, undefined),
  };
}

const anyKernel: Configuration['kernel'] = { has: [], lacks: [] };

function readWhere(kind: Where['kind'], fields: YamlFields, problemOf: AddressCheck): Where {
  if (kind === 'this machine') return { kind };
  const host = required(fields, 'host', (value) => readHost(value, problemOf));
  return kind === 'host' ? { kind, host } : { kind, host, ...readGuests(fields) };
}

/** `lab`, `lab:NAME`, or an address, which may be in a mapping with its files. */
function readHost(value: YamlValue, problemOf: AddressCheck): CampaignHost {
  if (!isMapping(value)) return readAddress(value, problemOf);
  const fields = readFields(value, ['address', 'identity-file', 'known-hosts-file']);
  const [identityFile, knownHostsFile] = ['identity-file', 'known-hosts-file'].map((name) =>
    optional(fields, name, readAbsolutePath, undefined),
  );
  return required(fields, 'address', (each) => readAddress(each, problemOf, { identityFile, knownHostsFile }));
}

interface HostFiles {
  readonly identityFile?: string | undefined;
  readonly knownHostsFile?: string | undefined;
}

function readAddress(
  value: YamlValue,
  problemOf: AddressCheck,
  { identityFile, knownHostsFile }: HostFiles = {},
): CampaignHost {
  const address = readText(value);
  const lab = /^lab(?::(?<name>[A-Za-z0-9.-]+))?$/.exec(address);
  if (lab !== null) {
    if (identityFile !== undefined || knownHostsFile !== undefined) complain(value, 'the lab has its own keys');
    return { kind: 'lab', name: lab.groups?.['name'] };
  }
  if (address.startsWith('model:')) {
    complain(value, 'a campaign measures, and a model cannot be measured: xenolith experiment asks the model');
  } else if (address !== '' && !/^(?:ssh:\/\/.|local:$)/.test(address)) {
    complain(value, 'expected lab, lab:NAME, ssh://user@host:port or local:');
  } else if (address !== '') {
    const problem = problemOf(address);
    if (problem !== undefined) complain(value, problem);
  }
  return { kind: 'address', address, identityFile, knownHostsFile };
}

function readAbsolutePath(value: YamlValue): string {
  const path = readLineOfText(value);
  if (path !== '' && !path.startsWith('/')) complain(value, 'expected an absolute path');
  return path;
}

function readGuests(fields: YamlFields): GuestShape {
  return {
    type: optional(fields, 'type', readOneOf(['pv', 'pvh']), 'pv'),
    vms: optional(fields, 'vms', readInteger(1, vmsMax), 1),
    vcpus: optional(fields, 'vcpus', readInteger(1, 512), 1),
    memoryBytes: optional(fields, 'memory', readMemory, 2 ** 30),
    commandLine: optional(fields, 'guest-command-line', readLine, ''),
    kernel: optional(fields, 'guest-kernel', readAbsolutePath, undefined),
    ramdisk: optional(fields, 'guest-ramdisk', readAbsolutePath, undefined),
    disk: optional(fields, 'disk', readAbsolutePath, undefined),
    files: optional(fields, 'files', readGuestFiles, []),
    pool: readPool(fields),
  };
}

/** Each has a console open, and sshd takes ten sessions a connection unless it is told otherwise. */
const vmsMax = 64;

function readLine(value: YamlValue): string {
  const text = readText(value);
  if (/[^\x20-\x7e]/.test(text)) complain(value, 'expected one line of ASCII');
  if (text.length > commandLineMax) complain(value, `over ${commandLineMax} characters`);
  return text;
}

/** A PV guest is handed 1024 (MAX_GUEST_CMDLINE in Xen's public xen.h), and the small guest's own words come before. */
const commandLineMax = 960;

/** What Xen does with guests depends on these four together. */
function readPool(fields: YamlFields): GuestPool {
  const [schedulerAt, timesliceAt, poolAt, placementAt] = ['scheduler', 'timeslice', 'pool', 'placement'].map((name) =>
    fields.values.get(name),
  );
  const scheduler = schedulerAt === undefined ? undefined : readOneOf(schedulers)(schedulerAt);
  const pcpus = placementAt === undefined ? undefined : readPlacement(placementAt);
  const timesliceMs = timesliceAt === undefined ? undefined : readTimesliceMs(timesliceAt);
  if (timesliceAt !== undefined && scheduler !== 'credit') {
    // Only credit has one (`xl sched-credit -s -t`), and a pool that is there keeps its own.
    complain(timesliceAt, "a timeslice is of scheduler: credit, with a cpupool of the campaign's own");
  }
  if (poolAt !== undefined) {
    if (schedulerAt !== undefined)
      complain(schedulerAt, 'a cpupool that is there has its scheduler: leave one of the two away');
    return { kind: 'named', name: readLineOfText(poolAt), hardAffinity: pcpus };
  }
  if (scheduler === undefined) return { kind: 'first', hardAffinity: pcpus };
  if (pcpus === undefined) {
    complain(schedulerAt!, 'a cpupool with this scheduler is made of the pCPUs of placement: say which');
  }
  return { kind: 'own', scheduler, pcpus: pcpus ?? [], timesliceMs };
}

const schedulers = ['credit', 'credit2', 'rtds', 'null'] as const;

/** In whole milliseconds from 1 to 1000. */
function readTimesliceMs(value: YamlValue): number {
  const ms = readSeconds(0.001, 1)(value) * 1000;
  if (Math.abs(ms - Math.round(ms)) > 1e-6) complain(value, 'expected whole milliseconds');
  return Math.round(ms);
}

/** pCPUs as `xl vcpu-pin` takes them, ascending. */
function readPlacement(value: YamlValue): readonly number[] {
  const text = readText(value);
  const pcpus = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(?<not>\^)?(?<first>\d{1,4})(?:-(?<last>\d{1,4}))?$/.exec(part)?.groups;
    const first = Number(match?.['first']);
    const last = Number(match?.['last'] ?? match?.['first']);
    if (match === undefined || last < first) {
      complain(value, 'expected pCPUs such as 0-3,6');
      return [];
    }
    for (let pcpu = first; pcpu <= last; pcpu++) {
      if (match['not'] === undefined) pcpus.add(pcpu);
      else pcpus.delete(pcpu);
    }
  }
  if (pcpus.size === 0) complain(value, 'no pCPU is left');
  return [...pcpus].toSorted((a, b) => a - b);
}

function readGuestFiles(value: YamlValue): readonly GuestFile[] {
  const fields = readFields(value).values;
  return [...fields].map(([path, each]): GuestFile => {
    const above = [...fields.keys()].find((other) => path.startsWith(`${other}/`));
    if (!/^(?:\/[A-Za-z0-9._+-]+)+$/.test(path) || path.split('/').some((part) => part === '.' || part === '..')) {
      complain(each, 'its name is an absolute path in the guest, of letters, digits and . _ + -');
    } else if (ofGuest.has(path.split('/')[1]!)) {
      complain(each, `/${path.split('/')[1]} is the guest's own: put it into a directory beside, such as /bench`);
    } else if (above !== undefined) {
      complain(each, `it cannot be in ${above}, which is a file here`);
    }
    if (!isMapping(each)) return { path, from: { kind: 'file', path: readText(each) } };
    const made = readFields(each, ['make']);
    return { path, from: { kind: 'make', command: required(made, 'make', readText) } };
  });
}

/**
 * What a guest has itself at the top: an archive in front of its ramdisk that makes a directory where the ramdisk has a link (to `usr`, of most distributions)
 * leaves it without its programs, what the ramdisk has too is written over, and what is mounted there covers the rest (Linux's init/initramfs.c).
 */
const ofGuest: ReadonlySet<string> = new Set(
  'bin boot dev etc init lib lib32 lib64 libx32 linuxrc proc run sbin sys tmp usr var'.split(' '),
);

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
