/** Images as streams through this machine's shell, and over SSH against a server in this process. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '@xenolith/base';
import type { ImagePiece } from '@xenolith/xapi';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startFakeDom0, type FakeDom0 } from '../testing/fake-dom0.ts';
import { LocalTransport } from './local-transport.ts';
import { SshTransport } from './ssh-transport.ts';
import type { Transport } from './transport.ts';
import { xlFiles } from './xl-files.ts';

const mib = 1024 * 1024;

describe.each(['local', 'ssh'] as const)('images over %s', (kind) => {
  let directory: string;
  let dom0: FakeDom0 | undefined;
  let transport: Transport;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'image-stream-'));
    if (kind === 'ssh') {
      dom0 = await startFakeDom0(() => ({ exitCode: 1 }));
      // A real shell behind it: what is asked of it here are streams.
      dom0.stream = (command) => spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'pipe'] });
      transport = new SshTransport(dom0.address, new ManualClock());
    } else transport = new LocalTransport(new ManualClock());
    await transport.open();
  });
  afterEach(async () => {
    await transport.close();
    await dom0?.close();
    await rm(directory, { recursive: true, force: true });
  });

  test('pieces are written where they belong, zeros as holes, and read back', async () => {
    const path = join(directory, `it's "one"`);
    await writeFile(path, Buffer.alloc(8 * mib, 7));
    const before = await stat(path);
    await xlFiles(transport).writeImage(
      path,
      (async function* (): AsyncGenerator<ImagePiece> {
        await Promise.resolve();
        yield { offset: 3, data: Buffer.from('e 0 0\nd 1 1\n') };
        yield { offset: mib, zeroBytes: 4 * mib };
        yield { offset: 6 * mib + 1, data: Buffer.alloc(mib + 5, 9) };
      })(),
    );
    const wanted = Buffer.alloc(8 * mib, 7);
    wanted.write('e 0 0\nd 1 1\n', 3);
    wanted.fill(0, mib, 5 * mib);
    wanted.fill(9, 6 * mib + 1, 7 * mib + 6);
    const parts: Uint8Array[] = [];
    for await (const part of xlFiles(transport).readImage(path)) parts.push(part);
    expect(Buffer.concat(parts).equals(wanted)).toBe(true);
    expect((await stat(path)).blocks).toBeLessThan(before.blocks);
  });

  /** Time for a host that is not held back to go on: so many commands were through meanwhile. */
  const others = async (): Promise<void> => {
    for (let round = 0; round < 40; round++) await transport.run({ text: 'true', timeLimitMs: 1000, lane: 'work' });
  };

  test('a reader that stands still holds the host back', async () => {
    const log = join(directory, 'log');
    const pipe = await transport.pipe(`head -c ${16 * mib} /dev/zero && echo all >'${log}'`);
    pipe.end();
    let bytes = 0;
    for await (const part of pipe.output) {
      if (bytes === 0) {
        await others();
        expect(await readFile(log, 'utf8').catch(() => 'none')).toBe('none');
      }
      bytes += part.length;
    }
    expect(bytes).toBe(16 * mib);
    expect((await pipe.ended).exitCode).toBe(0);
  });

  test('a host that does not take what is written holds the writer back', async () => {
    const gate = join(directory, 'gate');
    execFileSync('mkfifo', [gate]);
    const pipe = await transport.pipe(`cat '${gate}'; wc -c`);
    let written = 0;
    const writing = (async () => {
      for (; written < 16; written++) await pipe.write(Buffer.alloc(mib));
      pipe.end();
    })();
    await others();
    expect(written).toBeLessThan(12);
    await writeFile(gate, '');
    await writing;
    let said = '';
    for await (const part of pipe.output) said += Buffer.from(part).toString();
    expect(said.trim()).toBe(String(16 * mib));
  });

  test('who leaves a reading in the middle ends it: others have their turn', async () => {
    // It has no end: were it not ended, it would keep its turn.
    for (let round = 0; round < 6; round++) {
      for await (const part of xlFiles(transport).readImage('/dev/zero')) if (part.length > 0) break;
    }
  });
});
