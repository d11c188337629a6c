import { ManualClock } from '@xenolith/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalTransport } from './local-transport.ts';

describe('LocalTransport', () => {
  let clock: ManualClock;
  let transport: LocalTransport;
  beforeEach(() => {
    clock = new ManualClock();
    transport = new LocalTransport(clock);
  });
  afterEach(() => transport.close());

  const limits = { timeLimitMs: 1000, lane: 'look' } as const;

  test('gives output, last words and exit code, and takes stdin', async () => {
    expect(await transport.run({ text: 'cat; echo no >&2; exit 3', stdin: 'in', ...limits })).toEqual({
      exitCode: 3,
      stdout: 'in',
      stderr: 'no\n',
    });
  });

  test('a look that takes too long is ended, with what it started', async () => {
    const running = transport.run({ text: 'sleep 1000 & wait', ...limits });
    const failure = expect(running).rejects.toMatchObject({ code: 'timeout' });
    // Its turn comes after the promise of its turn.
    await clock.advanceAsync(1000);
    await failure;
    // The next look has its turn, so the first one gave it back.
    expect(await transport.run({ text: 'echo next', ...limits })).toMatchObject({ stdout: 'next\n' });
  });

  test('a channel with a terminal passes bytes both ways until it is closed', async () => {
    const channel = await transport.start('echo begin; cat', { terminal: true });
    let text = '';
    const ended = new Promise<void>((resolve) => channel.onClose(() => resolve()));
    const said = (wanted: string): Promise<void> =>
      new Promise((resolve) => {
        const listening = channel.onData((data) => {
          text += new TextDecoder().decode(data);
          if (!text.includes(wanted)) return;
          listening.dispose();
          resolve();
        });
      });
    await said('begin');
    channel.write(new TextEncoder().encode('typed\n'));
    await said('typed');
    channel.close();
    await ended;
  });

  test('a channel that ends says how', async () => {
    const channel = await transport.start('echo why >&2; exit 4', { terminal: false });
    const end = await new Promise((resolve) => channel.onClose(resolve));
    expect(end).toEqual({ exitCode: 4, stderr: 'why\n' });
  });
});
