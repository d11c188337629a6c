/**
 * The storage drivers that the pool has: `file`, raw images in a directory of a host, and `iso`, images of discs in one.
 * XAPI's own are programs of the host (`SM`); these are ours, with the features under XAPI's names.
 */
import type { RecordOf } from '../datamodel/types.ts';
import type { Xapi } from '../xapi.ts';
import type { SrOperation } from './sr-operations.ts';
import type { VdiOperation } from './vdi-operations.ts';

export type SrType = 'file' | 'iso';

interface Driver {
  readonly record: Pick<RecordOf<'SM'>, 'name_label' | 'name_description' | 'capabilities'>;
  /** What a repository of the type cannot do. */
  readonly withoutSr: ReadonlySet<SrOperation>;
  readonly withoutVdi: ReadonlySet<VdiOperation>;
}

const drivers: Readonly<Record<SrType, Driver>> = {
  file: {
    record: {
      name_label: 'Files',
      name_description: 'Raw images in a directory of the host',
      capabilities: ['VDI_CREATE', 'VDI_DELETE', 'VDI_CLONE', 'VDI_RESIZE', 'SR_SCAN', 'SR_UPDATE', 'VDI_INTRODUCE'],
    },
    withoutSr: new Set(),
    withoutVdi: new Set(),
  },
  iso: {
    record: {
      name_label: 'ISO',
      name_description: 'Images of discs in a directory of the host: read, never written',
      capabilities: ['SR_SCAN', 'SR_UPDATE'],
    },
    withoutSr: new Set([
      'vdi_create',
      'vdi_clone',
      'vdi_copy',
      'vdi_resize',
      'vdi_destroy',
      'vdi_introduce',
      'vdi_snapshot',
      'destroy',
    ]),
    withoutVdi: new Set(['clone', 'snapshot', 'resize', 'destroy']),
  },
};

export const srTypes = Object.keys(drivers) as readonly SrType[];

const driverOf = (type: string): Driver | undefined =>
  Object.hasOwn(drivers, type) ? drivers[type as SrType] : undefined;

export const isSrType = (type: string): type is SrType => driverOf(type) !== undefined;

/** Whether repositories of a type can do it at all. */
export function driverDoes(
  type: string,
  operation: { readonly sr: SrOperation } | { readonly vdi: VdiOperation },
): boolean {
  const driver = driverOf(type);
  if (driver === undefined) return false;
  return 'sr' in operation ? !driver.withoutSr.has(operation.sr) : !driver.withoutVdi.has(operation.vdi);
}

/** Makes the SM records of the drivers that are missing. */
export function ensureSm(xapi: Xapi): void {
  const known = new Set([...xapi.db.all('SM')].map(([, { type }]) => type));
  for (const type of srTypes.filter((each) => !known.has(each))) {
    const { record } = drivers[type];
    xapi.db.create('SM', {
      ...record,
      type,
      vendor: 'Xenolith',
      version: xapi.version,
      required_api_version: '1.0',
      configuration: { location: 'directory on the host' },
      features: Object.fromEntries(record.capabilities.map((name) => [name, 1])),
      driver_filename: '',
    });
  }
}
