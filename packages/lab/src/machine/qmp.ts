import { LabError } from '../lab-error.ts';
import { openLineSocket } from './line-socket.ts';

const CONNECT_TIMEOUT_MS = 5_000;

type QmpMessage = { readonly [key: string]: unknown };

function parseMessage(line: string): QmpMessage | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** A connection to QEMU's machine protocol (docs/interop/qmp-spec.txt in QEMU); QEMU serves one at a time, so keep it no longer than needed. */
export type Qmp = {
  /** Gives the command's `return` value. Throws LabError BOOT_FAILED with QEMU's own words, or TIMED_OUT. */
  readonly execute: (
    command: string,
    argument?: Readonly<Record<string, unknown>>,
    timeoutMs?: number,
  ) => Promise<unknown>;
  readonly close: () => void;
};

/** Connects and leaves the negotiation mode. Throws LabError BOOT_FAILED when nobody listens on `path`, TIMED_OUT. */
export async function openQmp(
  path: string,
  signal?: AbortSignal,
  connectTimeoutMs: number = CONNECT_TIMEOUT_MS,
): Promise<Qmp> {
  const socket = await openLineSocket(path, connectTimeoutMs, signal);
  let lastId = 0;
  const execute: Qmp['execute'] = async (command, argument, timeoutMs = CONNECT_TIMEOUT_MS) => {
    lastId += 1;
    const id = lastId;
    socket.send(
      `${JSON.stringify({ execute: command, id, ...(argument === undefined ? {} : { arguments: argument }) })}\n`,
    );
    const lines = await socket.waitFor((line) => parseMessage(line)?.['id'] === id, timeoutMs, `QEMU's ${command}`);
    const answer = parseMessage(lines.at(-1) ?? '') ?? {};
    if ('error' in answer) throw new LabError('BOOT_FAILED', `QEMU's ${command}: ${JSON.stringify(answer['error'])}`);
    return answer['return'];
  };
  try {
    await socket.waitFor((line) => parseMessage(line)?.['QMP'] !== undefined, connectTimeoutMs, "QEMU's greeting");
    await execute('qmp_capabilities', undefined, connectTimeoutMs);
  } catch (error) {
    socket.close();
    throw error;
  }
  return { execute, close: socket.close };
}

/** Runs one command on a connection of its own. */
export async function qmpCommand(
  path: string,
  command: string,
  argument?: Readonly<Record<string, unknown>>,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<unknown> {
  const qmp = await openQmp(path, options.signal, options.timeoutMs);
  try {
    return await qmp.execute(command, argument, options.timeoutMs);
  } finally {
    qmp.close();
  }
}

/** Runs a command of the human monitor, which alone has savevm; what it prints is a complaint. */
export async function monitorCommand(qmp: Qmp, commandLine: string, timeoutMs: number): Promise<void> {
  const said = await qmp.execute('human-monitor-command', { 'command-line': commandLine }, timeoutMs);
  if (typeof said === 'string' && said.trim() !== '')
    throw new LabError('BOOT_FAILED', `QEMU's ${commandLine}: ${said.trim()}`);
}
