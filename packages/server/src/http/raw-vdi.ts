/** `GET /export_raw_vdi` and `PUT /import_raw_vdi`: the blocks of a disk (PROTOCOL.md §8). */
import { exportRawVdi, importRawVdi, namedVdi, XapiError } from '@xenolith/xapi';
import type { Transfer, TransferPath } from './transfer.ts';

/** @throws XapiError VALUE_NOT_SUPPORTED for a form that is not there */
function assertRaw(query: URLSearchParams): void {
  const format = query.get('format') ?? 'raw';
  if (format !== 'raw') {
    throw new XapiError('VALUE_NOT_SUPPORTED', 'format', format, 'disks are read and written as raw bytes here');
  }
}

const isOn = (query: URLSearchParams, key: string): boolean => ['', 'true', '1'].includes(query.get(key) ?? 'false');

async function serveExport({ xapi, task, query, send }: Transfer): Promise<string> {
  assertRaw(query);
  const base = query.get('base');
  if (base !== null) throw new XapiError('VALUE_NOT_SUPPORTED', 'base', base, 'what changed is not followed here');
  const vdi = namedVdi(xapi, query.get('vdi') ?? '');
  const { uuid } = xapi.db.get('VDI', vdi);
  await exportRawVdi({ xapi, task }, vdi, ({ sizeBytes, data }) =>
    send(
      {
        'Content-Type': 'application/octet-stream',
        'Content-Length': sizeBytes,
        'Content-Disposition': `attachment; filename="${uuid}.raw"`,
      },
      data,
    ),
  );
  return '';
}

async function serveImport({ xapi, task, query, body, bodyBytes }: Transfer): Promise<string> {
  assertRaw(query);
  const vdi = namedVdi(xapi, query.get('vdi') ?? '');
  await importRawVdi({ xapi, task }, vdi, { data: body, lengthBytes: bodyBytes, chunked: isOn(query, 'chunked') });
  return '';
}

export const rawVdiPaths: readonly TransferPath[] = [
  {
    method: 'GET',
    path: '/export_raw_vdi',
    action: 'get_export_raw_vdi',
    label: 'Exporting raw VDI',
    serve: serveExport,
  },
  {
    method: 'PUT',
    path: '/import_raw_vdi',
    action: 'put_import_raw_vdi',
    label: 'Importing raw VDI',
    serve: serveImport,
  },
];
