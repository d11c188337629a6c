/** Real processes under the guard: on this machine, and through the shell that a control domain would give. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@xenolith/server';
import { transportTo, type Transport } from '@xenolith/host';
import { startFakeDom0 } from '@xenolith/host/fake-dom0';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BenchError, BenchInterrupted } from './bench-error.ts';
import type { Place, PlaceCommand } from './place.ts';
import { hostPlace } from './host-place.ts';
import { thisMachine } from './this-machine.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-place-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const sh = (script: string, over: Partial<PlaceCommand> = {}): PlaceCommand => ({
  argv: ['sh', '-c', script],
  environment: {},
  directory,
  timeLimitSeconds: 60,
  ...over,
});
const shellOfHost = transportTo({ kind: 'local' }, systemClock);
const dom0 = await startFakeDom0(() => 'hang');
// As sshd does: the leader of a session of its own.
dom0.stream = (command) => spawn('/bin/sh', ['-c', command], { detached: true });
const overSsh = transportTo(dom0.address, systemClock);
beforeAll(() => overSsh.open());
afterAll(async () => {
  await overSsh.close();
  await dom0.close();
});
const places: readonly (readonly [string, (signal: AbortSignal) => Place])[] = [
  ['this machine', thisMachine],
  ['a host', (signal) => hostPlace('a host', shellOfHost, signal)],
  ['a host over ssh', (signal) => hostPlace('a host over ssh', overSsh, signal)],
];
/** The same, where every byte that is said comes by itself. */
const slowShell = {
  start: async (text, options) => {
    const channel = await shellOfHost.start(text, options);
    return {
      onData: (listener) => channel.onData((data) => data.forEach((byte) => listener(Uint8Array.of(byte)))),
      onClose: (listener) => channel.onClose(listener),
      write: (data) => channel.write(data),
      end: () => channel.end(),
      close: () => channel.close(),
    };
  },
} satisfies Partial<Transport> as Partial<Transport> as Transport;
const pidIn = (name: string): number => Number(readFileSync(join(directory, name), 'utf8'));
/** Ended, and not only forgotten: the kernel knows no such process, or only its remains. */
const isGone = (pid: number): boolean =>
  !existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
const waitUntilGone = (name: string): Promise<void> =>
  expect.poll(() => isGone(pidIn(name)), { timeout: 15_000 }).toBe(true);

describe.each(places)('on %s', (_, placeFor) => {
  const place = placeFor(new AbortController().signal);

  describe('a command', () => {
    test('has its words, variables and directory, and its outcome is told', async () => {
      const outcome = await place.run({
        ...sh(''),
        argv: ['sh', '-c', 'printf "%s|" "$@" "$WORD" "$PWD"; echo no >&2; exit 7', 'sh', `it's`, '$HOME', ''],
        environment: { WORD: 'a  b' },
      });
      expect(outcome).toEqual({
        exitStatus: 7,
        seconds: expect.any(Number),
        isTimedOut: false,
        stdout: `it's|$HOME||a  b|${directory}|`,
        stderr: 'no\n',
      });
      expect(outcome.seconds).toBeGreaterThan(0);
    });

    test('that a signal ends has the exit status that a shell gives it', async () => {
      expect(await place.run(sh('kill -KILL $$'))).toMatchObject({ exitStatus: 137 });
    });

    test('that is not there says so', async () => {
      expect(await place.run({ ...sh(''), argv: ['/no/such/program'] })).toMatchObject({
        exitStatus: 127,
        stderr: expect.stringContaining('/no/such/program'),
      });
    });

    test('has nothing to read', async () => {
      expect(await place.run(sh('cat'))).toMatchObject({ exitStatus: 0, stdout: '' });
    });

    test('leaves nothing running, whether it ends by itself or by its time limit', async () => {
      await place.run(sh('(trap "" TERM; exec sleep 1000) & echo $! >left'));
      await waitUntilGone('left');
      const outcome = await place.run(
        sh('echo $$ >itself; sleep 1000 & echo $! >child; wait', { timeLimitSeconds: 2 }),
      );
      expect(outcome).toMatchObject({ isTimedOut: true });
      await waitUntilGone('itself');
      await waitUntilGone('child');
    });

    test('that is interrupted as it is begun ends at once', async () => {
      const interrupted = new AbortController();
      const running = placeFor(interrupted.signal).run(sh('sleep 60'));
      interrupted.abort();
      await expect(running).rejects.toThrow(BenchInterrupted);
    });

    test('has told how it ended before what it left behind goes on talking', async () => {
      const outcome = await place.run(sh('(trap "" TERM; exec yes noise) & sleep 0.2; echo figure 5'));
      expect(outcome.exitStatus).toBe(0);
      expect(outcome.stdout).toContain('figure 5');
    });

    test('that says much has its end looked at', async () => {
      const { stdout, exitStatus } = await place.run(sh('yes noise | head -c 3000000; echo; echo figure 5; exit 3'));
      expect(exitStatus).toBe(3);
      expect(stdout.length).toBeGreaterThan(2 ** 20 - 200);
      expect(stdout).toMatch(/^[^]*noise\n\n?figure 5\n$/);
    });

    test('that is interrupted is ended', async () => {
      const interrupted = new AbortController();
      const running = placeFor(interrupted.signal).run(sh('echo $$ >itself; sleep 1000'));
      await expect.poll(() => existsSync(join(directory, 'itself')) && pidIn('itself') > 0).toBe(true);
      interrupted.abort();
      await expect(running).rejects.toThrow(BenchInterrupted);
      await waitUntilGone('itself');
      await expect(placeFor(interrupted.signal).run(sh('true'))).rejects.toThrow(BenchInterrupted);
    });
  });

  describe('a service', () => {
    test('is there when it says so, and ends in its own way when it is told to', async () => {
      const service = await place.start(
        sh('trap "echo ended >end; exit" TERM; echo $$ >itself; sleep 1000 & echo starting; echo ready; wait'),
      );
      expect(isGone(pidIn('itself'))).toBe(false);
      await service.stop();
      expect(readFileSync(join(directory, 'end'), 'utf8')).toBe('ended\n');
      await waitUntilGone('itself');
    });

    test('can wait for the end of its standard input', async () => {
      const service = await place.start(sh('trap "" TERM; echo ready; read -r _; echo ended >end'));
      expect(existsSync(join(directory, 'end'))).toBe(false);
      await service.stop();
      expect(readFileSync(join(directory, 'end'), 'utf8')).toBe('ended\n');
    });

    test('that ends before it is ready is an error with what it said', async () => {
      await expect(place.start(sh('echo not ready; echo broken >&2; exit 1'))).rejects.toThrow(
        new BenchError('it did not start: broken'),
      );
    });

    test('that is not ready in time is ended', async () => {
      await expect(place.start(sh('echo $$ >itself; sleep 1000', { timeLimitSeconds: 2 }))).rejects.toThrow(BenchError);
      await waitUntilGone('itself');
    });
  });
});

test('a host whose words come byte by byte is understood', async () => {
  const place = hostPlace('a host', slowShell, new AbortController().signal);
  const outcome = await place.run(sh('echo @xenolith; printf "figure 5 ß"; exit 4'));
  expect(outcome).toMatchObject({ exitStatus: 4, stdout: '@xenolith\nfigure 5 ß' });
  const service = await place.start(sh('echo already; echo ready; read -r _'));
  await service.stop();
});
