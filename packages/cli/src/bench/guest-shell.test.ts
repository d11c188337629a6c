/** A shell at a terminal as a guest has one: echoing, with a prompt and something said before. */
import { Signal } from '@xenolith/base';
import { transportTo } from '@xenolith/host';
import { systemClock } from '@xenolith/server';
import type { HostConsole } from '@xenolith/xapi';
import { afterEach, describe, expect, test } from 'vitest';
import { BenchError } from './bench-error.ts';
import { timedScript } from './far-command.ts';
import { openGuestShell, outcomeScript } from './guest-shell.ts';

const open: HostConsole[] = [];
const never = new AbortController().signal;
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

async function consoleOf(program: string): Promise<HostConsole> {
  const channel = await transportTo({ kind: 'local' }, systemClock).start(`stty sane; ${program}`, { terminal: true });
  const closed = new Signal<void>();
  channel.onClose(() => closed.emit());
  const made: HostConsole = {
    write: (data) => channel.write(data),
    onData: (listener) => channel.onData(listener),
    onClose: (listener) => closed.listen(listener),
    close: () => channel.close(),
  };
  open.push(made);
  return made;
}

const scriptOf = (argv: readonly string[]): string =>
  `d=$(mktemp -d); o=$d/out e=$d/err\n${timedScript({ argv, environment: { WORD: `it's "$d"` }, directory: '/', timeLimitSeconds: 1 }, ' >"$o" 2>"$e"')}${outcomeScript}rm -r "$d"\n`;

describe('a shell at a console', () => {
  test('runs scripts of any length, and their outcome is told as it is', async () => {
    const shell = await openGuestShell('guest', await consoleOf('echo booting; PS1="~ # " exec sh -i'), 20_000, never);
    const long = 'x'.repeat(5000);
    const go = await shell.arm(
      scriptOf(['sh', '-c', `printf '%s|' "$@" "$WORD" "$PWD"; cat; echo bad >&2; exit 7`, 'sh', long]),
    );
    const outcome = await go();
    expect(outcome).toEqual({
      exitStatus: 7,
      seconds: expect.any(Number),
      isTimedOut: false,
      stdout: `${long}|it's "$d"|/|`,
      stderr: 'bad\n',
    });
    expect(outcome.seconds).toBeGreaterThan(0);
    expect(outcome.seconds).toBeLessThan(20);
    // What looks like an outcome is none.
    const again = await (await shell.arm(scriptOf(['echo', '@xenolith-bench $nonce end'])))();
    expect(again).toMatchObject({ exitStatus: 0, stdout: '@xenolith-bench $nonce end\n' });
  });

  test('is heard beside what others leave unfinished at the console', async () => {
    const shell = await openGuestShell('guest', await consoleOf('exec sh -i'), 20_000, never);
    const go = await shell.arm(scriptOf(['sh', '-c', 'printf "no end of line" >/dev/tty; echo well']));
    expect(await go()).toMatchObject({ exitStatus: 0, stdout: 'well\n' });
  });

  test('that ends is an error with the last that was said', async () => {
    await expect(openGuestShell('guest', await consoleOf('echo panic; exit'), 20_000, never)).rejects.toThrow(
      new BenchError('guest has ended: panic'),
    );
  });

  test('that does not answer in time is an error', async () => {
    await expect(openGuestShell('guest', await consoleOf('echo "login: "; sleep 100'), 500, never)).rejects.toThrow(
      /^guest: no shell answered at its console within 1 s: login:/,
    );
  });
});
