import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LabError } from '../lab-error.ts';
import type { Accelerator, MachineShape } from '../machine/shape.ts';

const LAB_FILE = 'lab.json';
const FORMAT_VERSION = 1;

/** How to reach a host's root over ssh: only with this key, and only if it shows the key in this known_hosts file. */
export type LabSsh = {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly keyPath: string;
  readonly knownHostsPath: string;
};

/** A host of the lab: a QEMU process that runs real Xen. */
export type LabHost = {
  readonly name: string;
  /** 1 for the first host. */
  readonly index: number;
  readonly pid: number;
  readonly ssh: LabSsh;
  /** Its address on the network the hosts share, on bridge xenbr0. */
  readonly bridgeAddress: string;
  readonly macAddress: string;
  /** A directory with the host's disk, sockets and console log. */
  readonly directory: string;
  readonly consoleLogPath: string;
  readonly consoleSocketPath: string;
  readonly agentSocketPath: string;
  readonly qmpSocketPath: string;
};

/** The process that joins the hosts' networks. */
export type LabSwitch = { readonly pid: number; readonly socketPath: string };

/** A lab as it was handed out; whether its hosts still live is another question (labStatus). */
export type Lab = {
  readonly startedAt: string;
  readonly stateDirectory: string;
  readonly imageDirectory: string;
  readonly accelerator: Accelerator;
  readonly shape: MachineShape;
  readonly hosts: readonly LabHost[];
  readonly switch?: LabSwitch | undefined;
};

type Fields = { readonly [key: string]: unknown };

function bad(where: string, wanted: string): LabError {
  return new LabError(
    'STATE_UNREADABLE',
    `lab.json is damaged: ${where} is not ${wanted}. "xenolith lab down" clears it away`,
  );
}

function fields(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(where, 'an object');
  return { ...value };
}

function text(from: Fields, key: string, where: string): string {
  const value = from[key];
  if (typeof value !== 'string' || value === '') throw bad(`${where}.${key}`, 'a text');
  return value;
}

function count(from: Fields, key: string, where: string, max: number): number {
  const value = from[key];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1 || value > max)
    throw bad(`${where}.${key}`, `a number from 1 to ${max}`);
  return value;
}

const PID_MAX = 2 ** 22;

function parseHost(value: unknown, where: string): LabHost {
  const host = fields(value, where);
  const ssh = fields(host['ssh'], `${where}.ssh`);
  const string = (key: string): string => text(host, key, where);
  return {
    name: string('name'),
    index: count(host, 'index', where, 254),
    pid: count(host, 'pid', where, PID_MAX),
    ssh: {
      address: text(ssh, 'address', `${where}.ssh`),
      port: count(ssh, 'port', `${where}.ssh`, 65535),
      user: text(ssh, 'user', `${where}.ssh`),
      keyPath: text(ssh, 'keyPath', `${where}.ssh`),
      knownHostsPath: text(ssh, 'knownHostsPath', `${where}.ssh`),
    },
    bridgeAddress: string('bridgeAddress'),
    macAddress: string('macAddress'),
    directory: string('directory'),
    consoleLogPath: string('consoleLogPath'),
    consoleSocketPath: string('consoleSocketPath'),
    agentSocketPath: string('agentSocketPath'),
    qmpSocketPath: string('qmpSocketPath'),
  };
}

/** Reads the text of lab.json. Throws LabError STATE_UNREADABLE that names the first wrong field. */
export function parseLab(json: string): Lab {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw bad('it', 'JSON');
  }
  const lab = fields(value, 'it');
  if (lab['version'] !== FORMAT_VERSION) throw bad('version', `${FORMAT_VERSION}`);
  const accelerator = text(lab, 'accelerator', 'lab');
  if (accelerator !== 'tcg' && accelerator !== 'kvm' && accelerator !== 'icount')
    throw bad('lab.accelerator', 'tcg, kvm or icount');
  const shape = fields(lab['shape'], 'shape');
  const hosts = lab['hosts'];
  if (!Array.isArray(hosts)) throw bad('hosts', 'a list');
  const parsed = {
    startedAt: text(lab, 'startedAt', 'lab'),
    stateDirectory: text(lab, 'stateDirectory', 'lab'),
    imageDirectory: text(lab, 'imageDirectory', 'lab'),
    accelerator,
    shape: {
      cpus: count(shape, 'cpus', 'shape', 4096),
      nodes: count(shape, 'nodes', 'shape', 64),
      memoryMiB: count(shape, 'memoryMiB', 'shape', 2 ** 30),
    },
    hosts: hosts.map((host: unknown, index) => parseHost(host, `hosts[${index}]`)),
  } as const;
  if (lab['switch'] === undefined) return parsed;
  const wire = fields(lab['switch'], 'switch');
  return {
    ...parsed,
    switch: { pid: count(wire, 'pid', 'switch', PID_MAX), socketPath: text(wire, 'socketPath', 'switch') },
  };
}

/** The text of lab.json. */
export function printLab(lab: Lab): string {
  return `${JSON.stringify({ version: FORMAT_VERSION, ...lab }, null, 2)}\n`;
}

/** The lab described in a state directory, or undefined when there is none. Throws LabError STATE_UNREADABLE. */
export async function readLab(stateDirectory: string): Promise<Lab | undefined> {
  const json = await readFile(join(stateDirectory, LAB_FILE), 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new LabError('STATE_UNREADABLE', `${join(stateDirectory, LAB_FILE)} cannot be read`, { cause: error });
  });
  return json === undefined ? undefined : parseLab(json);
}

/** Writes lab.json at once: a reader sees the old or the new one, never half of it. */
export async function writeLab(lab: Lab): Promise<void> {
  const path = join(lab.stateDirectory, LAB_FILE);
  await writeFile(`${path}.new`, printLab(lab), { mode: 0o600 });
  await rename(`${path}.new`, path);
}
