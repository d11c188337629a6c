import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 50;

/** The pid in a pid file, or undefined when there is none. */
export async function readPid(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const pid = Number(text.trim());
  return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
}

async function processArguments(pid: number): Promise<readonly string[]> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.split('\0');
}

/**
 * Whether process `pid` is alive and has exactly `argument` among its arguments. Pids are used again, so a pid in a file says nothing alone; a path under
 * the lab's own directory in the command line does. (A zombie has no command line.)
 */
export async function isProcessWithArgument(pid: number, argument: string): Promise<boolean> {
  return (await processArguments(pid)).includes(argument);
}

/** The processes that have an argument `matches` says yes to, whatever pid files say: this is what remains after crashes. */
export async function findProcesses(
  matches: (argument: string) => boolean,
): Promise<readonly { readonly pid: number; readonly argument: string }[]> {
  const found: { pid: number; argument: string }[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const argument = (await processArguments(Number(name))).find(matches);
    if (argument !== undefined) found.push({ pid: Number(name), argument });
  }
  return found;
}

/**
 * Whether a process that was ours still holds something. One that is being killed has no command line any more while the kernel takes back its memory,
 * thread by thread; a zombie of one thread holds nothing, and how long it stays is up to its parent.
 */
async function isEnding(pid: number): Promise<boolean> {
  if ((await processArguments(pid)).join('') !== '') return false;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  if (stat === '') return false;
  // The state is the field after the name, which stands in parentheses and may hold any character (proc(5)).
  const isZombie = /^\) [ZX]/.test(stat.slice(stat.lastIndexOf(')')));
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  return !isZombie || threads.length > 1;
}

/** Waits until the process, which had `argument`, is gone; gives whether it went within `timeoutMs`. */
export async function waitForEnd(pid: number, argument: string, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while ((await isProcessWithArgument(pid, argument)) || (await isEnding(pid))) {
    if (performance.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** Sends a signal to the process if it is ours (see isProcessWithArgument); gives whether it was sent. */
export async function signalOwn(pid: number, argument: string, signal: NodeJS.Signals): Promise<boolean> {
  if (!(await isProcessWithArgument(pid, argument))) return false;
  try {
    return process.kill(pid, signal);
  } catch {
    // It ended between the look and the signal.
    return false;
  }
}
