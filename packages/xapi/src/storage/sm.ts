/** The storage drivers that the pool has: `file`, raw images in a directory of a host. */
import type { Xapi } from '../xapi.ts';

/** Makes the SM record of the file driver when it is missing. */
export function ensureSm(xapi: Xapi): void {
  if (xapi.db.count('SM') > 0) return;
  xapi.db.create('SM', {
    name_label: 'Files',
    name_description: 'Raw images in a directory of the host',
    type: 'file',
    vendor: 'Xenolith',
    version: xapi.version,
    required_api_version: '1.0',
    configuration: { location: 'directory on the host' },
    capabilities: ['VDI_CREATE', 'VDI_DELETE', 'VDI_CLONE', 'VDI_RESIZE', 'SR_SCAN', 'SR_UPDATE'],
    features: { VDI_CREATE: 1, VDI_DELETE: 1, VDI_CLONE: 1, VDI_RESIZE: 1, SR_UPDATE: 1 },
    driver_filename: '',
  });
}
