import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { constants } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { defaultCacheDirectory, defaultStateDirectory, ensureImage } from '../cache.ts';
import { withFileLock } from '../file-lock.ts';
import { startSwitch } from '../link/switch-process.ts';
import { LabError } from '../lab-error.ts';
import { chooseAccelerator, probeKvm } from '../machine/kvm-probe.ts';
import type { HostLink, QemuMachine } from '../machine/qemu-argv.ts';
import { ensureSavedState, imageParts, machineFiles, startQemu } from '../machine/saved-state.ts';
import type { Accelerator, MachineShape, WantedShape } from '../machine/shape.ts';
import { machineShape } from '../machine/shape.ts';
import { xenOptions, type WantedXenOptions, type XenOptions } from '../machine/xen-options.ts';
import { requireTools, RUN_TOOLS } from '../needed-tool.ts';
import type { Progress } from '../progress.ts';
import { partOfProgress } from '../progress.ts';
import { runProgram } from '../program.ts';
import { hostsDirectory, labLockPath, stopLab } from './down.ts';
import { giveIdentity, hostKeyPath, hostName } from './give-identity.ts';
import { bridgeAddress, linkMac } from './identity.ts';
import type { Lab, LabHost, LabSwitch } from './lab-state.ts';
import { readLab, writeLab } from './lab-state.ts';
import { CLIENT_KEY_FILE, sshGreets } from './ssh.ts';
import { hostStatus } from './status.ts';

const HOSTS_MAX = 32;
const LOCK_TIMEOUT_MS = 10_000;
const KEYGEN_TIMEOUT_MS = 30_000;
const SSH_TIMEOUT_MS = 60_000;
/** The port is chosen free, but somebody may take it before QEMU does. */
const PORT_TRIES = 3;
/** sun_path of a unix socket's address holds 108 bytes, the last of them zero. */
const SOCKET_PATH_BYTES_MAX = 107;
const LOOPBACK = '127.0.0.1';

/** What a lab is asked to be; everything has a default. */
export type LabUpOptions = {
  readonly hosts?: number | undefined;
  readonly shape?: WantedShape | undefined;
  /** For Xen's command line; each value is another saved state. */
  readonly xenOptions?: WantedXenOptions | undefined;
  /** `auto`, the default, takes KVM only where a probe boots Xen under it. */
  readonly accelerator?: Accelerator | 'auto' | undefined;
  /** Images and saved states, shared by all labs of a user. */
  readonly cacheDirectory?: string | undefined;
  /** What belongs to this lab: two labs at a time need two state directories. */
  readonly stateDirectory?: string | undefined;
  readonly progress?: Progress | undefined;
  /** Aborting ends all that was started and gives LabError INTERRUPTED. */
  readonly signal?: AbortSignal | undefined;
};

/** Makes a key pair and gives the public half. */
async function makeKey(path: string, comment: string, signal: AbortSignal | undefined): Promise<string> {
  await runProgram(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', path], {
    timeoutMs: KEYGEN_TIMEOUT_MS,
    signal,
  });
  return (await readFile(`${path}.pub`, 'utf8')).trim();
}

/** A port of 127.0.0.1 that nobody listens on just now. */
function freePort(): Promise<number> {
  return new Promise((settle, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, LOOPBACK, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => settle(port));
    });
  });
}

/** A known_hosts line for a host; the public key without its comment. */
export function knownHostsLine(port: number, publicKey: string): string {
  return `[${LOOPBACK}]:${port} ${publicKey.split(' ').slice(0, 2).join(' ')}\n`;
}

type Plan = {
  readonly stateDirectory: string;
  readonly imageDirectory: string;
  readonly savedDisk: string;
  readonly shape: MachineShape;
  readonly xen: XenOptions;
  readonly accelerator: Accelerator;
  readonly link: HostLink;
  readonly authorizedKey: string;
  readonly hostCount: number;
  readonly signal: AbortSignal | undefined;
};

async function startOnFreePort(
  machine: QemuMachine,
  signal: AbortSignal | undefined,
): Promise<{ readonly pid: number; readonly port: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      return { pid: await startQemu({ ...machine, sshPort: port }, signal), port };
    } catch (error) {
      const portTaken = error instanceof LabError && /host forwarding rule/.test(error.message);
      if (!portTaken || attempt === PORT_TRIES) throw error;
    }
  }
}

async function restoreHost(
  plan: Plan,
  index: number,
): Promise<{ readonly host: LabHost; readonly knownHosts: string }> {
  const { signal, stateDirectory } = plan;
  const name = hostName(index);
  const directory = join(hostsDirectory(stateDirectory), name);
  await mkdir(directory);
  const files = machineFiles(directory);
  // A copy, or shared blocks where the file system can: the saved state must be in the very file the host writes to.
  await copyFile(plan.savedDisk, files.diskPath, constants.COPYFILE_FICLONE);
  await chmod(files.diskPath, 0o600);
  const hostKey = await makeKey(hostKeyPath(directory), name, signal);
  const macAddress = linkMac(index);
  const { pid, port } = await startOnFreePort(
    {
      ...files,
      image: imageParts(plan.imageDirectory),
      shape: plan.shape,
      xen: plan.xen,
      accelerator: plan.accelerator,
      link: plan.link,
      linkMac: macAddress,
      restore: true,
    },
    signal,
  );
  await giveIdentity({ index, directory, agentSocketPath: files.agentSocketPath }, plan, signal);
  const host: LabHost = {
    name,
    index,
    pid,
    ssh: {
      address: LOOPBACK,
      port,
      user: 'root',
      keyPath: join(stateDirectory, CLIENT_KEY_FILE),
      knownHostsPath: join(stateDirectory, 'known_hosts'),
    },
    bridgeAddress: bridgeAddress(index),
    macAddress,
    directory,
    consoleLogPath: files.consoleLogPath,
    consoleSocketPath: files.consoleSocketPath,
    agentSocketPath: files.agentSocketPath,
    qmpSocketPath: files.qmpSocketPath,
  };
  if (!(await sshGreets(host, SSH_TIMEOUT_MS, signal)))
    throw new LabError('BOOT_FAILED', `${name} is up, but its ssh does not answer`);
  return { host, knownHosts: knownHostsLine(port, hostKey) };
}

async function refuseWhenUp(stateDirectory: string): Promise<void> {
  const lab = await readLab(stateDirectory);
  if (lab === undefined) return;
  const states = await Promise.all(lab.hosts.map(hostStatus));
  if (states.some(({ condition }) => condition !== 'gone')) {
    throw new LabError(
      'ALREADY_UP',
      `a lab of ${lab.hosts.length} host(s) is up already: "xenolith lab status" shows it, "xenolith lab down" ends it`,
    );
  }
}

function checkSocketPaths(stateDirectory: string): void {
  const longest = machineFiles(join(hostsDirectory(stateDirectory), hostName(HOSTS_MAX))).consoleSocketPath;
  if (Buffer.byteLength(longest) > SOCKET_PATH_BYTES_MAX) {
    throw new LabError('BAD_OPTION', `the state directory's path is too long for unix sockets: ${stateDirectory}`);
  }
}

async function startHosts(plan: Omit<Plan, 'link' | 'authorizedKey'>, progress: Progress): Promise<Lab> {
  const { stateDirectory, hostCount, signal } = plan;
  await stopLab(stateDirectory);
  await mkdir(hostsDirectory(stateDirectory), { mode: 0o700 });
  const clientKey = await makeKey(join(stateDirectory, CLIENT_KEY_FILE), 'xenolith-lab', signal);
  let wire: LabSwitch | undefined;
  if (hostCount > 1) wire = await startSwitch(stateDirectory);
  const link: HostLink = wire === undefined ? { kind: 'alone' } : { kind: 'switch', socketPath: wire.socketPath };
  let ready = 0;
  progress(`restoring ${hostCount} host(s)`, 0);
  // All are waited for even when one fails: what is started later than the clean-up would be left over.
  const results = await Promise.allSettled(
    Array.from({ length: hostCount }, async (_, index) => {
      const restored = await restoreHost({ ...plan, link, authorizedKey: clientKey }, index + 1);
      ready += 1;
      progress(`${restored.host.name} is ready`, ready / hostCount);
      return restored;
    }),
  );
  const restored = results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  await writeFile(join(stateDirectory, 'known_hosts'), restored.map(({ knownHosts }) => knownHosts).join(''), {
    mode: 0o600,
  });
  const lab: Lab = {
    startedAt: new Date().toISOString(),
    stateDirectory,
    imageDirectory: plan.imageDirectory,
    accelerator: plan.accelerator,
    shape: plan.shape,
    hosts: restored.map(({ host }) => host),
    switch: wire,
  };
  await writeLab(lab);
  return lab;
}

/**
 * Brings a lab up: builds the dom0 image and boots the machine shape for the first time unless both are cached, then restores each host from the saved
 * state and gives it its own clock, name, addresses and keys. The hosts outlive this process. When it fails or is interrupted, nothing is left running.
 * Throws LabError: TOOL_MISSING, BAD_OPTION, ALREADY_UP, BUILD_FAILED, BOOT_FAILED, PROGRAM_FAILED, TIMED_OUT, INTERRUPTED, STATE_UNREADABLE.
 */
export async function labUp(options: LabUpOptions = {}): Promise<Lab> {
  const { signal } = options;
  const hostCount = options.hosts ?? 1;
  if (!Number.isSafeInteger(hostCount) || hostCount < 1 || hostCount > HOSTS_MAX) {
    throw new LabError('BAD_OPTION', `hosts must be a whole number from 1 to ${HOSTS_MAX}, not ${hostCount}`);
  }
  const shape = machineShape(options.shape);
  const xen = await xenOptions(options.xenOptions, shape.memoryMiB);
  const cacheDirectory = resolve(options.cacheDirectory ?? defaultCacheDirectory());
  const stateDirectory = resolve(options.stateDirectory ?? defaultStateDirectory());
  const progress = options.progress ?? (() => {});
  checkSocketPaths(stateDirectory);
  await requireTools(RUN_TOOLS);
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  await chmod(stateDirectory, 0o700);
  const onWait = (): void => progress('waiting for another lab command', 0);
  return withFileLock(labLockPath(stateDirectory), { timeoutMs: LOCK_TIMEOUT_MS, signal, onWait }, async () => {
    await refuseWhenUp(stateDirectory);
    const imageDirectory = await ensureImage({ cacheDirectory, progress: partOfProgress(progress, 0, 0.4), signal });
    const { accelerator } = await chooseAccelerator(options.accelerator ?? 'auto', () =>
      probeKvm(cacheDirectory, imageDirectory, signal),
    );
    const savedDisk = await ensureSavedState({
      cacheDirectory,
      imageDirectory,
      shape,
      xen,
      accelerator,
      progress: partOfProgress(progress, 0.4, 0.8),
      signal,
    });
    try {
      return await startHosts(
        { stateDirectory, imageDirectory, savedDisk, shape, xen, accelerator, hostCount, signal },
        partOfProgress(progress, 0.8, 1),
      );
    } catch (error) {
      await stopLab(stateDirectory);
      throw error;
    }
  });
}
