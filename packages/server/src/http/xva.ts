/** `GET /export`, `/export_metadata` and `PUT /import`: VMs as XVA (PROTOCOL.md §8 and §11). */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { PassThrough, Readable, type Duplex, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { escapeXml } from '@xenolith/wire';
import {
  exportMetadata,
  exportVm,
  importSr,
  importVm,
  namedVm,
  progressOf,
  XapiError,
  type Write,
} from '@xenolith/xapi';
import type { Transfer, TransferPath } from './transfer.ts';

const sha1 = (data: Uint8Array): string => createHash('sha1').update(data).digest('hex');

const isTrue = (query: URLSearchParams, key: string): boolean => ['true', '1'].includes(query.get(key) ?? '');

/** @throws XapiError VALUE_NOT_SUPPORTED for another compression */
function compressor(query: URLSearchParams): Duplex {
  const wanted = query.get('use_compression') ?? 'false';
  switch (wanted) {
    case 'false':
    case '':
      return new PassThrough();
    case 'true':
    case 'gzip':
      return createGzip({ level: 1 });
    case 'zstd':
      return createZstdCompress();
    default:
      throw new XapiError('VALUE_NOT_SUPPORTED', 'use_compression', wanted, 'one of true, gzip, zstd, false');
  }
}

const writerTo =
  (stream: Writable): Write =>
  async (data) => {
    if (!stream.write(data)) await once(stream, 'drain');
  };

/** Sends what is written, compressed as the query wants it. */
async function sendWritten({ query, send }: Transfer, work: (write: Write) => Promise<void>): Promise<string> {
  const stream = compressor(query);
  const headers = {
    'Content-Type': 'application/octet-stream',
    'Content-Disposition': 'attachment; filename="export.xva"',
  };
  const working = (async () => {
    try {
      await work(writerTo(stream));
      stream.end();
    } catch (error) {
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  })();
  const sending = send(headers, stream).catch((error: unknown) => {
    stream.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  const [worked, sent] = await Promise.allSettled([working, sending]);
  // What broke first broke the other: both have its words.
  if (sent.status === 'rejected') throw sent.reason;
  if (worked.status === 'rejected') throw worked.reason;
  return '';
}

/** What of a VM is left out, or put in, is not the client's to say. @throws XapiError VALUE_NOT_SUPPORTED */
function assertUsual(query: URLSearchParams): void {
  const excluded = query.get('excluded_device_types') ?? '';
  if (excluded !== '') {
    throw new XapiError('VALUE_NOT_SUPPORTED', 'excluded_device_types', excluded, 'all devices are exported here');
  }
  const snapshots = query.get('export_snapshots') ?? 'false';
  if (snapshots !== 'false') {
    throw new XapiError(
      'VALUE_NOT_SUPPORTED',
      'export_snapshots',
      snapshots,
      'snapshots are exported by themselves here',
    );
  }
}

const vmOf = ({ xapi, query }: Transfer): ReturnType<typeof namedVm> =>
  namedVm(xapi, query.get('uuid') ?? query.get('ref') ?? '');

function serveExport(transfer: Transfer): Promise<string> {
  assertUsual(transfer.query);
  const vm = vmOf(transfer);
  return sendWritten(transfer, (write) => exportVm(transfer.call, vm, sha1, write));
}

function serveMetadata(transfer: Transfer): Promise<string> {
  if (isTrue(transfer.query, 'all')) {
    throw new XapiError('VALUE_NOT_SUPPORTED', 'all', 'true', 'the records of one VM at a time are exported here');
  }
  assertUsual(transfer.query);
  const vm = vmOf(transfer);
  return sendWritten(transfer, (write) => exportMetadata(transfer.call, vm, write));
}

/** The bytes of an archive, whichever way it is compressed: the first of them tell. @throws XapiError IMPORT_ERROR */
async function* decompressed(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const parts = body[Symbol.asyncIterator]();
  try {
    let first = Buffer.alloc(0);
    while (first.length < 4) {
      const { done, value } = await parts.next();
      if (done === true) break;
      first = Buffer.concat([first, value]);
    }
    const rest = async function* (): AsyncGenerator<Uint8Array> {
      yield first;
      for (let part = await parts.next(); part.done !== true; part = await parts.next()) yield part.value;
    };
    const isGzip = first[0] === 0x1f && first[1] === 0x8b;
    const isZstd = first.length >= 4 && first.readUInt32LE(0) === 0xfd2fb528;
    if (!isGzip && !isZstd) {
      yield* rest();
      return;
    }
    const unpacked = isGzip ? createGunzip() : createZstdDecompress();
    const unpacking = pipeline(Readable.from(rest()), unpacked);
    unpacking.catch(() => undefined);
    try {
      yield* unpacked as AsyncIterable<Uint8Array>;
      await unpacking;
    } catch (error) {
      throw error instanceof XapiError ? error : new XapiError('IMPORT_ERROR', `decompression: ${String(error)}`);
    }
  } finally {
    await parts.return?.();
  }
}

/** Shows how much of an announced body has come; it may be compressed, so that nothing behind it knows. */
async function* counted({ task, body, bodyBytes }: Transfer): AsyncGenerator<Uint8Array> {
  const show = bodyBytes === undefined ? () => undefined : progressOf(task, bodyBytes);
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    show(bytes);
    yield part;
  }
}

async function serveImport(transfer: Transfer): Promise<string> {
  const { call, query } = transfer;
  const vms = await importVm(call, decompressed(counted(transfer)), {
    sr: importSr(call, query.get('sr_id') ?? query.get('sr_uuid') ?? undefined),
    restore: isTrue(query, 'restore'),
    force: isTrue(query, 'force'),
    sha1,
  });
  return `<value><array><data>${vms.map((vm) => `<value>${escapeXml(vm)}</value>`).join('')}</data></array></value>`;
}

export const xvaPaths: readonly TransferPath[] = [
  { method: 'GET', path: '/export', action: 'get_export', label: 'VM.export', serve: serveExport },
  {
    method: 'GET',
    path: '/export_metadata',
    action: 'get_export_metadata',
    label: 'VM.export_metadata',
    serve: serveMetadata,
  },
  { method: 'PUT', path: '/import', action: 'put_import', label: 'VM.import', serve: serveImport },
];
