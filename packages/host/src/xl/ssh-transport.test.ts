import { ManualClock } from '@xenolith/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startFakeDom0, type FakeDom0 } from '../testing/fake-dom0.ts';
import { SshTransport } from './ssh-transport.ts';

describe('a host whose whole answer comes in one piece', () => {
  let dom0: FakeDom0;
  let transport: SshTransport;
  beforeEach(async () => {
    dom0 = await startFakeDom0((command) => {
      const [stdout = '', stderr = '', exitCode = ''] = command.match(/[^ ]+/g) ?? [];
      return { stdout, stderr, exitCode: Number(exitCode) };
    });
    dom0.allAtOnce = true;
    transport = new SshTransport(dom0.address, new ManualClock());
    await transport.open();
  });
  afterEach(async () => {
    await transport.close();
    await dom0.close();
  });

  test('loses neither output nor last words nor exit code of a command', async () => {
    const told = await transport.run({ text: 'output words 7', timeLimitMs: 1000, lane: 'work' });
    expect(told).toEqual({ exitCode: 7, stdout: 'output', stderr: 'words' });
  });

  test('nor of one that goes on', async () => {
    const channel = await transport.start('output words 7', { terminal: false });
    let text = '';
    channel.onData((data) => {
      text += new TextDecoder().decode(data);
    });
    const end = await new Promise((resolve) => channel.onClose(resolve));
    expect(text).toBe('output');
    expect(end).toEqual({ exitCode: 7, stderr: 'words' });
  });
});
