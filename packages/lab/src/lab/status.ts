import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { defaultStateDirectory } from '../cache.ts';
import { isProcessWithArgument } from '../machine/process.ts';
import { qmpCommand } from '../machine/qmp.ts';
import type { Lab, LabHost } from './lab-state.ts';
import { readLab } from './lab-state.ts';
import { sshGreets } from './ssh.ts';

const ANSWER_TIMEOUT_MS = 5_000;

/**
 * What a host is doing now, by looking:
 * - `gone`: its process is not there;
 * - `hung`: the process is there, QEMU does not answer;
 * - `paused`: QEMU answers, the machine is stopped;
 * - `running`: the machine runs; `sshGreets` says whether dom0's ssh answers.
 */
export type HostCondition = 'gone' | 'hung' | 'paused' | 'running';

export type HostStatus = {
  readonly host: LabHost;
  readonly condition: HostCondition;
  readonly sshGreets: boolean;
  /** Resident memory of the process, in bytes; absent when it is gone. */
  readonly residentBytes?: number;
  /** Why Xen ended, in its words, when it is gone and its console says so. */
  readonly panic?: string;
};

export type LabStatus = {
  readonly lab: Lab;
  readonly hosts: readonly HostStatus[];
  /** `none` for a lab of one host. */
  readonly switch: 'none' | 'running' | 'gone';
};

function vmStatus(answer: unknown): HostCondition {
  const running = typeof answer === 'object' && answer !== null && 'running' in answer && answer.running === true;
  return running ? 'running' : 'paused';
}

async function residentBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  return match === null ? undefined : Number(match[1]) * 1024;
}

/** The last panic on a console: its pCPU, and the lines up to the rule of stars below (xen/drivers/char/console.c, panic). */
export function panicOnConsole(text: string): string | undefined {
  const lines = text.split(/\r?\n/).map((line) => line.replace(/^\(XEN\) ?/, ''));
  const first = lines.findLastIndex((line) => /^Panic on CPU \d+:/.test(line));
  if (first === -1) return undefined;
  const rule = lines.findIndex((line, index) => index > first && line.startsWith('****'));
  return lines
    .slice(first, rule === -1 ? undefined : rule)
    .join(' ')
    .trim();
}

/** Looks at one host. */
export async function hostStatus(host: LabHost): Promise<HostStatus> {
  if (!(await isProcessWithArgument(host.pid, join(host.directory, 'qemu.pid')))) {
    const panic = panicOnConsole(await readFile(host.consoleLogPath, 'latin1').catch(() => ''));
    return { host, condition: 'gone', sshGreets: false, ...(panic === undefined ? {} : { panic }) };
  }
  const memory = await residentBytes(host.pid);
  const known = memory === undefined ? {} : { residentBytes: memory };
  const condition = await qmpCommand(host.qmpSocketPath, 'query-status', undefined, {
    timeoutMs: ANSWER_TIMEOUT_MS,
  }).then(vmStatus, () => 'hung' as const);
  const greets = condition === 'running' && (await sshGreets(host, ANSWER_TIMEOUT_MS));
  return { host, condition, sshGreets: greets, ...known };
}

/** Looks at the lab of a state directory; undefined when there is none. Throws LabError STATE_UNREADABLE. */
export async function labStatus(
  options: { readonly stateDirectory?: string | undefined } = {},
): Promise<LabStatus | undefined> {
  const lab = await readLab(resolve(options.stateDirectory ?? defaultStateDirectory()));
  if (lab === undefined) return undefined;
  const hosts = await Promise.all(lab.hosts.map(hostStatus));
  const wire = lab.switch;
  const wireRuns = wire !== undefined && (await isProcessWithArgument(wire.pid, wire.socketPath));
  return { lab, hosts, switch: wire === undefined ? 'none' : wireRuns ? 'running' : 'gone' };
}

/** One line about a host, for people. */
export function hostStatusText(status: HostStatus): string {
  const { host, condition } = status;
  const memory =
    status.residentBytes === undefined ? '' : `, ${Math.round(status.residentBytes / 1024 ** 2)} MiB resident`;
  const panic = status.panic === undefined ? '' : ` (Xen said: ${status.panic})`;
  const ssh = condition === 'running' ? (status.sshGreets ? ', ssh answers' : ', ssh does not answer') : '';
  return `${host.name}: ${condition}${panic}${ssh}, root@${host.ssh.address}:${host.ssh.port}, ${host.bridgeAddress} on xenbr0, pid ${host.pid}${memory}`;
}
