import { LabError } from '../lab-error.ts';

/** Offsets of the x86 boot protocol's setup header (Documentation/arch/x86/boot.rst in Linux). */
const SETUP_SECTS_AT = 0x1f1;
const HEADER_MAGIC_AT = 0x202;
const VERSION_AT = 0x206;
const PAYLOAD_OFFSET_AT = 0x248;
const PAYLOAD_LENGTH_AT = 0x24c;
const HEADER_MAGIC = 'HdrS';
/** payload_offset and payload_length exist from protocol 2.08 on. */
const VERSION_MIN = 0x0208;
const SECTOR_BYTES = 512;
/** The kernel's build appends the uncompressed size to an xz payload. */
const SIZE_TRAILER_BYTES = 4;
const XZ_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);

/** The compressed vmlinux inside a bzImage, and the size it must have once uncompressed. */
export type KernelPayload = { readonly xz: Buffer; readonly vmlinuxBytes: number };

function bad(why: string): LabError {
  return new LabError('BUILD_FAILED', `the kernel image cannot be used: ${why}`);
}

/**
 * Cuts the xz payload (an ELF vmlinux) out of a bzImage. Xen starts a guest about four times faster from the ELF than from the bzImage.
 * Throws LabError BUILD_FAILED for anything that is not a bzImage with an xz payload.
 */
export function kernelPayload(bzImage: Buffer): KernelPayload {
  if (bzImage.length < PAYLOAD_LENGTH_AT + 4) throw bad('it is too short');
  if (bzImage.toString('latin1', HEADER_MAGIC_AT, HEADER_MAGIC_AT + 4) !== HEADER_MAGIC) throw bad('it is no bzImage');
  if (bzImage.readUInt16LE(VERSION_AT) < VERSION_MIN) throw bad('its boot protocol is older than 2.08');
  const setupSectors = bzImage[SETUP_SECTS_AT] ?? 0;
  // By the protocol 0 means 4.
  const codeAt = ((setupSectors === 0 ? 4 : setupSectors) + 1) * SECTOR_BYTES;
  const start = codeAt + bzImage.readUInt32LE(PAYLOAD_OFFSET_AT);
  const end = start + bzImage.readUInt32LE(PAYLOAD_LENGTH_AT);
  if (end > bzImage.length || end - start <= XZ_MAGIC.length + SIZE_TRAILER_BYTES) throw bad('its payload is cut off');
  if (!bzImage.subarray(start, start + XZ_MAGIC.length).equals(XZ_MAGIC))
    throw bad('its payload is not compressed with xz');
  return {
    xz: bzImage.subarray(start, end - SIZE_TRAILER_BYTES),
    vmlinuxBytes: bzImage.readUInt32LE(end - SIZE_TRAILER_BYTES),
  };
}
