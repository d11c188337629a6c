import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ForwardingTable } from './forwarding-table.ts';
import { encodeFrame, FRAME_BYTES_MAX, FrameDecoder } from './framing.ts';
import { createSwitch } from './switch.ts';

const BROADCAST = 'ffffffffffff';
const A = '020000000001';
const B = '020000000002';
const frame = (to: string, from: string, payload = 'x'): Buffer =>
  Buffer.concat([Buffer.from(to + from, 'hex'), Buffer.from([8, 0]), Buffer.from(payload)]);

describe('framing', () => {
  test('frames come back however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 10 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
        (frames, cuts) => {
          const stream = Buffer.concat(frames.map((content) => encodeFrame(Buffer.from(content))));
          const decoder = new FrameDecoder();
          const out: number[][] = [];
          for (let at = 0, turn = 0; at < stream.length; turn += 1) {
            const length = cuts[turn % cuts.length] ?? 1;
            const decoded = decoder.push(stream.subarray(at, at + length));
            expect(decoded.error).toBeUndefined();
            out.push(...decoded.frames.map((content) => [...content]));
            at += length;
          }
          expect(out).toEqual(frames.map((content) => [...content]));
        },
      ),
    );
  });

  test.each([0, FRAME_BYTES_MAX + 1])('a frame of %i bytes ends the stream', (length) => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    expect(new FrameDecoder().push(Buffer.concat([encodeFrame(frame(A, B)), head]))).toMatchObject({
      frames: [frame(A, B)],
      error: `a frame of ${length} bytes`,
    });
  });
});

describe('forwarding', () => {
  test('floods what it does not know, then sends to one port', () => {
    const table = new ForwardingTable();
    expect(table.forward(frame(B, A), 1, [1, 2, 3])).toEqual([2, 3]);
    expect(table.forward(frame(A, B), 2, [1, 2, 3])).toEqual([1]);
    expect(table.forward(frame(B, A), 1, [1, 2, 3])).toEqual([2]);
    expect(table.forward(frame(BROADCAST, A), 1, [1, 2, 3])).toEqual([2, 3]);
  });

  test('never sends back where a frame came from; a station that moved is found again', () => {
    const table = new ForwardingTable();
    table.forward(frame(BROADCAST, A), 1, [1, 2]);
    expect(table.forward(frame(A, B), 1, [1, 2])).toEqual([]);
    table.forward(frame(BROADCAST, A), 2, [1, 2]);
    expect(table.forward(frame(A, B), 1, [1, 2])).toEqual([2]);
    table.removePort(2);
    expect(table.forward(frame(A, B), 1, [1, 3])).toEqual([3]);
  });

  test('short frames and stations without end do no harm', () => {
    const table = new ForwardingTable();
    expect(table.forward(Buffer.alloc(13), 1, [1, 2])).toEqual([]);
    for (let index = 0; index < 5000; index += 1) {
      table.forward(frame(BROADCAST, `02${index.toString(16).padStart(10, '0')}`), 1, [1]);
    }
    expect(table.stations).toBe(4096);
    table.forward(frame(BROADCAST, BROADCAST), 1, [1]);
    expect(table.stations).toBe(4096);
  });
});

async function nextFrame(socket: Socket): Promise<string> {
  const decoder = new FrameDecoder();
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    const [first] = decoder.push(chunk).frames;
    if (first !== undefined) return first.subarray(14).toString();
  }
}

test('the switch joins its ports and counts them', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'xenolith-switch-'));
  const path = join(directory, 's');
  const counts: number[] = [];
  const server = createSwitch((count) => counts.push(count));
  try {
    await once(server.listen(path), 'listening');
    const [first, second] = [connect(path), connect(path)];
    await Promise.all([once(first, 'connect'), once(second, 'connect')]);
    await expect.poll(() => counts.at(-1)).toBe(2);
    const arrived = nextFrame(second);
    first.write(encodeFrame(frame(BROADCAST, A, 'hello')));
    expect(await arrived).toBe('hello');
    const answered = nextFrame(first);
    second.write(encodeFrame(frame(A, B, 'and you')));
    expect(await answered).toBe('and you');
    const closed = once(second, 'close');
    second.write(Buffer.alloc(4));
    await closed;
    await expect.poll(() => counts.at(-1)).toBe(1);
    first.destroy();
    await expect.poll(() => counts.at(-1)).toBe(0);
  } finally {
    server.close();
    await rm(directory, { recursive: true, force: true });
  }
});
