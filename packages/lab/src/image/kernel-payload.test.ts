import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { kernelPayload } from './kernel-payload.ts';

const XZ = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1, 2, 3]);

function bzImage(change: (image: Buffer) => void = () => {}, setupSectors = 2): Buffer {
  const codeAt = ((setupSectors === 0 ? 4 : setupSectors) + 1) * 512;
  const image = Buffer.alloc(codeAt + 16 + XZ.length + 4 + 7);
  image[0x1f1] = setupSectors;
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x020f, 0x206);
  image.writeUInt32LE(16, 0x248);
  image.writeUInt32LE(XZ.length + 4, 0x24c);
  XZ.copy(image, codeAt + 16);
  image.writeUInt32LE(123_456, codeAt + 16 + XZ.length);
  change(image);
  return image;
}

describe('kernelPayload', () => {
  test.each([0, 2, 39])('cuts the payload out behind %i setup sectors', (setupSectors) => {
    const { xz, vmlinuxBytes } = kernelPayload(bzImage(undefined, setupSectors));
    expect([...xz]).toEqual([...XZ]);
    expect(vmlinuxBytes).toBe(123_456);
  });

  test.each<readonly [string, Buffer, string]>([
    ['an empty file', Buffer.alloc(0), 'too short'],
    ['no magic', bzImage((image) => image.fill(0, 0x202, 0x206)), 'no bzImage'],
    ['an old protocol', bzImage((image) => image.writeUInt16LE(0x0207, 0x206)), 'older than 2.08'],
    ['a payload that ends outside', bzImage((image) => image.writeUInt32LE(0xffff_ffff, 0x24c)), 'cut off'],
    ['another compression', bzImage((image) => image.fill(0x1f, 3 * 512 + 16, 3 * 512 + 18)), 'xz'],
  ])('refuses %s', (_, image, why) => {
    expect(() => kernelPayload(image)).toThrow(why);
  });
});
