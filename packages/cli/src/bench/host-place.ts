/** The control domain of a host as a place for a campaign's commands, through its shell. */
import { randomBytes } from 'node:crypto';
import type { CommandOutcome } from '@xenolith/experiments/campaign';
import type { Channel, Transport } from '@xenolith/host';
import { shellCommand, shellQuote } from '@xenolith/wire';
import { HostError } from '@xenolith/xapi';
import { BenchError, BenchInterrupted } from './bench-error.ts';
import { farHead, timedScript, withEnvironment } from './far-command.ts';
import { guardScript } from './guard.ts';
import { outputEnd } from './output-end.ts';
import type { Place, PlaceCommand, Service } from './place.ts';

/** The guard kills after ten seconds what does not end when it is told to. */
const endLimitMs = 30_000;

/**
 * @param transport is open
 * @param signal ends whatever runs
 */
export function hostPlace(name: string, transport: Transport, signal: AbortSignal): Place {
  return {
    name,
    run: (command) => telling(name, () => run(transport, command, signal)),
    start: (command) => telling(name, () => start(transport, command, signal)),
  };
}

/** What goes wrong on the way to a host ends the campaign, which can be gone on with. */
export async function telling<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    throw new BenchError(`${name}: ${error.message}`, { cause: error });
  }
}

async function run(transport: Transport, command: PlaceCommand, signal: AbortSignal): Promise<CommandOutcome> {
  if (signal.aborted) throw new BenchInterrupted();
  // What a command prints cannot have it: it is drawn for each.
  const mark = `@xenolith ${randomBytes(16).toString('hex')}`;
  // Once it has told, it is told to end: that must not be the end of it that the guard reports.
  const script = `${timedScript(command)}trap '' TERM\nprintf '\\n%s %s %s %s\\n' ${shellQuote(mark)} $status $began $now\nexit $status\n`;
  const beganMs = performance.now();
  const running = await startGuarded(transport, 'run', script);
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    running.end();
  }, command.timeLimitSeconds * 1000);
  let told: Told | undefined;
  // When the command has told how it ended, what it left behind is ended too, and what that says does not count.
  // All that was said is not looked through at each piece: only where the mark is.
  let near = '';
  running.onOutput((text) => {
    if (told !== undefined) return;
    near += text;
    if (near.includes(mark)) told = toldIn(running.stdout(), mark);
    if (told === undefined) near = near.slice(-toldMax);
    else running.end();
  });
  signal.addEventListener('abort', running.end);
  // It may have been interrupted while the connection was asked for the command: then nobody is told any more.
  if (signal.aborted) running.end();
  try {
    const { exitCode, stderr } = await running.ended;
    if (signal.aborted) throw new BenchInterrupted();
    if (told !== undefined && !isTimedOut) return { ...told, isTimedOut, stderr };
    const seconds = (performance.now() - beganMs) / 1000;
    if (exitCode === undefined && !isTimedOut)
      throw new BenchError(`the connection was lost after ${seconds.toFixed(0)} s`);
    return { exitStatus: exitCode ?? 128 + 9, seconds, isTimedOut, stdout: running.stdout(), stderr };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', running.end);
  }
}

/** No longer is what a command tells of its end: the mark, and three numbers of at most 20 digits. */
const toldMax = 128;

type Told = Pick<CommandOutcome, 'exitStatus' | 'seconds' | 'stdout'>;

/** How a command ended by what it said last, and what it said before. */
function toldIn(output: string, mark: string): Told | undefined {
  const at = output.lastIndexOf(`\n${mark} `);
  const numbers = at < 0 ? null : /^\n\S+ \S+ (\d+) (\d+) (\d+)\n/.exec(output.slice(at));
  if (numbers === null) return undefined;
  const [, status, began, ended] = numbers;
  const seconds = Number(BigInt(ended!) - BigInt(began!)) / 1e9;
  return { exitStatus: Number(status), seconds, stdout: output.slice(0, at) };
}

async function start(transport: Transport, command: PlaceCommand, signal: AbortSignal): Promise<Service> {
  if (signal.aborted) throw new BenchInterrupted();
  const { argv, environment, directory } = command;
  const script = `cd -- ${shellQuote(directory)} || exit 126\nexec ${withEnvironment(argv, environment)}\n`;
  const running = await startGuarded(transport, 'service', script);
  const timer = setTimeout(running.end, command.timeLimitSeconds * 1000);
  signal.addEventListener('abort', running.end);
  if (signal.aborted) running.end();
  const isReady = await new Promise<boolean>((resolve, reject) => {
    let isSaid = false;
    running.onOutput(() => {
      isSaid ||= /^ready$/m.test(running.stdout());
      if (isSaid) resolve(true);
    });
    running.ended.then(() => resolve(false), reject);
  }).finally(() => clearTimeout(timer));
  if (!isReady) {
    signal.removeEventListener('abort', running.end);
    if (signal.aborted) throw new BenchInterrupted();
    const { stderr } = await running.ended;
    throw new BenchError(`it did not start: ${stderr.trim() || 'it ended, or took too long, and said nothing'}`);
  }
  return {
    stop: async () => {
      signal.removeEventListener('abort', running.end);
      running.end();
      await running.ended;
    },
  };
}

interface Running {
  readonly stdout: () => string;
  /** Is told what was said so far, and then whatever more is said. */
  onOutput(listener: (text: string) => void): void;
  /** Closes the guard's pipe. */
  readonly end: () => void;
  readonly ended: Promise<{ readonly exitCode?: number; readonly stderr: string }>;
}

/** The guard must lead its process group: what sshd starts does, and where it does not, `setsid` sees to it. */
const asLeader = `read -r _ _ _ _ group _ </proc/self/stat; [ "$group" = $$ ] && s= || s='setsid -w'\n`;

async function startGuarded(transport: Transport, kind: 'run' | 'service', script: string): Promise<Running> {
  const guarded = shellCommand(['/bin/sh', '-c', guardScript, 'guard', kind, '/bin/sh', '-c', script]);
  const text = `${farHead}${asLeader}exec $s ${guarded}`;
  const channel = await transport.start(text, { terminal: false });
  return runningOf(channel);
}

function runningOf(channel: Channel): Running {
  const decoder = new TextDecoder();
  const said = outputEnd();
  let listener: (text: string) => unknown = () => undefined;
  channel.onData((data) => {
    const text = decoder.decode(data, { stream: true });
    said.add(text);
    listener(text);
  });
  const ended = new Promise<{ readonly exitCode?: number; readonly stderr: string }>((resolve) => {
    channel.onClose(resolve);
  });
  let isEnding = false;
  return {
    stdout: said.text,
    onOutput(told) {
      listener = told;
      told(said.text());
    },
    end() {
      if (isEnding) return;
      isEnding = true;
      channel.end();
      const timer = setTimeout(() => channel.close(), endLimitMs);
      channel.onClose(() => clearTimeout(timer));
    },
    ended,
  };
}
