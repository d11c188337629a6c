/**
 * The blocks of a disk over HTTP. XAPI: ocaml/xapi/export_raw_vdi.ml, import_raw_vdi.ml; it plugs the disk into the control
 * domain for it, so that it is in use meanwhile. Here the disk is marked: one that is read as by `copy`, one that is written
 * with `blocked`, for which no operation has a word.
 */
import { mibBytes, type Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import type { ImagePiece } from '../host-driver.ts';
import { updateAllocation } from '../storage/unfinished-disks.ts';
import { withVdiOperation } from '../storage/under-way.ts';
import type { Work } from '../storage/vdi-operations.ts';
import { hostOfSr, vdiPath } from '../storage/vdi-path.ts';
import type { Xapi } from '../xapi.ts';
import { chunkedPieces, piecesOf, progressOf, watched } from './stream.ts';

/** The disk that a client names by its reference or its uuid. @throws XapiError HANDLE_INVALID */
export function namedVdi({ db }: Xapi, name: string): Ref<'VDI'> {
  const vdi = db.byUuid('VDI', name) ?? (name as Ref<'VDI'>);
  db.get('VDI', vdi);
  return vdi;
}

/** All bytes of a disk, and how many they are. */
export interface RawImage {
  readonly sizeBytes: number;
  readonly data: AsyncIterable<Uint8Array>;
}

/**
 * Reads a disk; it may be read by others meanwhile.
 * @param take takes the bytes to their end
 * @throws XapiError VDI_IN_USE while a guest writes it, and the other refusals of `copy`
 */
export async function exportRawVdi(
  work: Work,
  vdi: Ref<'VDI'>,
  take: (image: RawImage) => Promise<void>,
): Promise<void> {
  const { xapi, task } = work;
  const { db, hosts } = xapi;
  await withVdiOperation(work, vdi, 'copy', async () => {
    const record = db.get('VDI', vdi);
    const sizeBytes = record.virtual_size;
    const host = hostOfSr(db, record.SR, (candidate) => hosts.isLive(candidate));
    const path = vdiPath(db, record, host);
    await hosts.onFiles(host, (files) =>
      take({ sizeBytes, data: watched(task, exactly(files.readImage(path), sizeBytes), progressOf(task, sizeBytes)) }),
    );
  });
}

/** An image that has another size than its record says is not the disk. @throws XapiError INTERNAL_ERROR */
async function* exactly(data: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const part of data) {
    bytes += part.length;
    if (bytes > sizeBytes) break;
    yield part;
  }
  if (bytes !== sizeBytes)
    throw new XapiError('INTERNAL_ERROR', `the image has not the ${sizeBytes} bytes of its disk`);
}

/** What is to be written into a disk. */
export interface RawBody {
  readonly data: AsyncIterable<Uint8Array>;
  /** How many bytes it will be, when that is known beforehand. */
  readonly lengthBytes: number | undefined;
  /** Whether they are records of {@link chunkedPieces}, not the bytes themselves. */
  readonly chunked: boolean;
}

/**
 * Writes bytes into a disk from its beginning; what is beyond them stays. Nothing is taken from `body` before all that can be
 * refused has been. When it ends early, the disk has what came until then.
 * @throws XapiError VDI_IN_USE while a VM has it, VDI_READONLY, VDI_TOO_SMALL [disk, bytes], IMPORT_ERROR_PREMATURE_EOF
 */
export async function importRawVdi(work: Work, vdi: Ref<'VDI'>, body: RawBody): Promise<void> {
  const { xapi, task } = work;
  const { db, hosts } = xapi;
  await withVdiOperation(
    work,
    vdi,
    'blocked',
    async () => {
      const record = db.get('VDI', vdi);
      const { virtual_size: sizeBytes, SR } = record;
      if (record.read_only) throw new XapiError('VDI_READONLY', vdi);
      const tooSmall = (bytes: number): XapiError => new XapiError('VDI_TOO_SMALL', vdi, String(bytes));
      const { lengthBytes, chunked } = body;
      if (!chunked && lengthBytes !== undefined && lengthBytes > sizeBytes) throw tooSmall(lengthBytes);
      const data = watched(task, body.data, progressOf(task, lengthBytes ?? sizeBytes));
      const pieces = chunked
        ? chunkedPieces(data, sizeBytes, tooSmall)
        : upTo(piecesOf(whole(data, lengthBytes)), sizeBytes, tooSmall);
      const host = hostOfSr(db, SR, (candidate) => hosts.isLive(candidate));
      const path = vdiPath(db, record, host);
      await hosts.onFiles(host, async (files) => {
        try {
          await files.writeImage(path, pieces);
        } finally {
          const sizes = await files.stat(path).catch(() => undefined);
          if (sizes !== undefined) db.update('VDI', vdi, { physical_utilisation: sizes.usedBytes });
        }
      });
      updateAllocation(xapi, SR);
    },
    'resize',
  );
}

/** @throws XapiError IMPORT_ERROR_PREMATURE_EOF when fewer bytes come than were announced */
async function* whole(data: AsyncIterable<Uint8Array>, lengthBytes: number | undefined): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const part of data) {
    bytes += part.length;
    yield part;
  }
  if (lengthBytes !== undefined && bytes < lengthBytes) throw new XapiError('IMPORT_ERROR_PREMATURE_EOF');
}

async function* upTo(
  pieces: AsyncIterable<ImagePiece>,
  sizeBytes: number,
  tooSmall: (bytes: number) => XapiError,
): AsyncGenerator<ImagePiece> {
  for await (const piece of pieces) {
    const end = piece.offset + ('data' in piece ? piece.data.length : piece.zeroBytes);
    if (end > sizeBytes) throw tooSmall(Math.ceil(end / mibBytes) * mibBytes);
    yield piece;
  }
}
