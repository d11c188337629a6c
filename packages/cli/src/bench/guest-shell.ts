/** The shell that waits at a guest's text console, as something that runs scripts. */
import { randomBytes } from 'node:crypto';
import type { CommandOutcome } from '@xenolith/experiments/campaign';
import type { Disposable } from '@xenolith/base';
import type { HostConsole } from '@xenolith/xapi';
import { BenchError } from './bench-error.ts';

/** Characters of a line that is typed: below what a terminal takes in one (N_TTY_BUF_SIZE in Linux is 4096), and what xenconsoled's ring holds. */
const lineMax = 600;
/** Characters of what a guest says that are kept. */
const saidMax = 1024 * 1024;
/** Bytes of a command's output that are brought out of a guest. */
const stdoutMax = 32 * 1024;
const stderrMax = 4096;
/** How long a line that is typed may take to be taken. */
const answerLimitMs = 5 * 60_000;
/** A guest that boots says something now and then. Its shell is spoken to when what it said looks like a prompt, or after so long without a word. */
const quietMs = 20_000;
/** As each try is typed ahead where no shell is there yet, there cannot be many. */
const triesMax = 12;

export interface GuestShell {
  /** Types a script in, and gives what starts it. It must say its outcome as {@link outcomeScript} does. */
  arm(script: string): Promise<() => Promise<CommandOutcome>>;
  close(): void;
}

/** What a script says last: its outcome, with the exit status, the clock of begin and end in ns, and the files of its output. */
const mark = '@xenolith-bench';

/**
 * For a script that has set `status`, `began` and `now`, and has its output in the files `$o` and `$e`. Each mark begins a line, whatever
 * else was said at the console without ending its own.
 */
export const outcomeScript = `
command -v base64 >/dev/null || base64() { busybox base64 "$@"; }
tail -c ${stdoutMax} "$o" >"$o.end"; tail -c ${stderrMax} "$e" >"$e.end"
printf '\\n%s\\n' "${mark} $nonce outcome $status $began $now $(wc -c <"$o.end") $(wc -c <"$e.end")"
base64 <"$o.end"
printf '\\n%s\\n' "${mark} $nonce stderr"
base64 <"$e.end"
printf '\\n%s\\n' "${mark} $nonce end"
`;

/**
 * Waits until a shell answers at the console.
 * @param limitMs how long the guest may take to boot
 * @param signal ends every waiting, as if the guest had ended
 * @throws BenchError with the last of what it said
 */
export async function openGuestShell(
  name: string,
  console: HostConsole,
  limitMs: number,
  signal: AbortSignal,
): Promise<GuestShell> {
  const listener = new Listener(name, console);
  const end = (): void => listener.close();
  signal.addEventListener('abort', end);
  if (signal.aborted) end();
  const nonce = randomBytes(8).toString('hex');
  const deadline = performance.now() + limitMs;
  const promptly = /[#$>] *$/;
  for (let tries = 0; ; tries++) {
    await listener.quiet(tries === 0 ? promptly : undefined, quietMs, deadline);
    if (tries < triesMax) {
      // Its echo has no `$nonce` in it. What the kernel says stays in its log. From then on lines are read without a shell's editing of them.
      console.write(
        Buffer.from(
          ` stty -echo; PS1= PS2=; echo 0 >/proc/sys/kernel/printk; command -v base64 >/dev/null || base64() { busybox base64 "$@"; }; nonce=${nonce}; export nonce; echo "${mark}" "$nonce" up; while read -r line; do eval "$line"; done\n`,
        ),
      );
    }
    if ((await listener.wait(`${mark} ${nonce} up\n`, Math.min(quietMs, deadline - performance.now()))) !== undefined)
      break;
    if (performance.now() > deadline) {
      throw new BenchError(
        `${name}: no shell answered at its console within ${(limitMs / 1000).toFixed(0)} s: ${listener.last()}`,
      );
    }
  }
  let lines = 0;
  const type = async (line: string): Promise<string> => {
    const about = `${mark} ${nonce} ${++lines}`;
    console.write(Buffer.from(`${line}; echo; echo "${mark}" "$nonce" ${lines} "$w"\n`));
    const answer = await listener.wait(new RegExp(`^${about} ?(.*)\n`, 'm'), answerLimitMs);
    if (answer === undefined) throw new BenchError(`${name}: its console does not answer: ${listener.last()}`);
    return answer;
  };
  return {
    arm: async (script) => {
      const encoded = Buffer.from(script).toString('base64');
      await type('b= w=');
      for (let at = 0; at < encoded.length; at += lineMax) await type(`b=\${b}${encoded.slice(at, at + lineMax)}`);
      const length = Number(await type('w=${#b}'));
      if (length !== encoded.length)
        throw new BenchError(`${name}: of ${encoded.length} characters that were typed it has ${length}`);
      await type('w=; s=$(echo "$b" | base64 -d)');
      return async () => {
        console.write(Buffer.from('sh -c "$s" </dev/null\n'));
        const text = await listener.wait(
          new RegExp(`^${mark} ${nonce} outcome ([^]*?)^${mark} ${nonce} end\n`, 'm'),
          undefined,
        );
        return outcomeOf(name, nonce, text ?? '');
      };
    },
    close: () => {
      signal.removeEventListener('abort', end);
      listener.close();
    },
  };
}

function outcomeOf(name: string, nonce: string, text: string): CommandOutcome {
  const garbled = (): BenchError => new BenchError(`${name}: its console gave something else: ${text.slice(0, 200)}`);
  const [stdoutPart = '', stderrPart = ''] = text.split(`${mark} ${nonce} stderr\n`);
  const numbers = /^(\d+) (\d+) (\d+) +(\d+) +(\d+)\n/.exec(stdoutPart);
  if (numbers === null) throw garbled();
  const [head = '', status, began, ended, outBytes, errBytes] = numbers;
  const [stdout, stderr] = [Buffer.from(stdoutPart.slice(head.length), 'base64'), Buffer.from(stderrPart, 'base64')];
  if (stdout.length !== Number(outBytes) || stderr.length !== Number(errBytes)) throw garbled();
  return {
    exitStatus: Number(status),
    seconds: Number(BigInt(ended!) - BigInt(began!)) / 1e9,
    isTimedOut: false,
    stdout: stdout.toString(),
    stderr: stderr.toString(),
  };
}

/** What a console says, as text without carriage returns, and who waits for something in it. */
class Listener {
  readonly #name: string;
  readonly #subscriptions: readonly Disposable[];
  readonly #console: HostConsole;
  readonly #decoder = new TextDecoder();
  #said = '';
  #last = '';
  #isClosed = false;
  readonly #waiters = new Set<() => void>();

  constructor(name: string, console: HostConsole) {
    this.#name = name;
    this.#console = console;
    this.#subscriptions = [
      console.onData((data) => {
        const text = this.#decoder.decode(data, { stream: true }).replaceAll('\r', '');
        this.#said = (this.#said + text).slice(-saidMax);
        this.#last = (this.#last + text).slice(-1000);
        for (const waiter of this.#waiters) waiter();
      }),
      console.onClose(() => {
        this.#isClosed = true;
        for (const waiter of this.#waiters) waiter();
      }),
    ];
  }

  last(): string {
    return this.#last.replaceAll(/[^\P{Cc}\n]/gu, '').trim();
  }

  /** The first group of the first match, or all of it; what is up to its end is gone then. */
  take(wanted: string | RegExp): string | undefined {
    const match = typeof wanted === 'string' ? undefined : wanted.exec(this.#said);
    const at = typeof wanted === 'string' ? this.#said.indexOf(wanted) : (match?.index ?? -1);
    if (at < 0) return undefined;
    const found = match?.[0] ?? String(wanted);
    this.#said = this.#said.slice(at + found.length);
    return match?.[1] ?? found;
  }

  /** Waits for something; `undefined` when it does not come in time. @throws BenchError when the guest ends */
  wait(wanted: string | RegExp, limitMs: number | undefined): Promise<string | undefined> {
    return this.#until(() => this.take(wanted), limitMs);
  }

  /** Waits until nothing has been said for a while, or what was said ends as `enough` has it. */
  async quiet(enough: RegExp | undefined, forMs: number, deadline: number): Promise<void> {
    while (performance.now() < deadline) {
      const before = this.#said;
      const isEnough = (): true | undefined => (enough?.test(this.#said.slice(-40)) === true ? true : undefined);
      const more = await this.#until(
        () => isEnough() ?? (this.#said === before ? undefined : false),
        Math.min(forMs, deadline - performance.now()),
      );
      if (more !== false) return;
    }
  }

  #until<T>(look: () => T | undefined, limitMs: number | undefined): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const end = (act: () => void): void => {
        clearTimeout(timer);
        this.#waiters.delete(check);
        act();
      };
      const check = (): void => {
        const found = look();
        if (found !== undefined) end(() => resolve(found));
        else if (this.#isClosed) end(() => reject(new BenchError(`${this.#name} has ended: ${this.last()}`)));
      };
      const timer =
        limitMs === undefined ? undefined : setTimeout(() => end(() => resolve(undefined)), Math.max(0, limitMs));
      this.#waiters.add(check);
      check();
    });
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
    this.#console.close();
    this.#isClosed = true;
    for (const waiter of this.#waiters) waiter();
  }
}
