/** Making, copying and removing disk images, records and files together. XAPI: ocaml/xapi/xapi_vdi.ml. */
import { bytes, mibBytes, type Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';
import { hostOfSr, vdiPath } from './vdi-path.ts';

/** Largest disk: what a raw file and a 64-bit sector count bear is more, what anybody means is not. */
const virtualSizeMaxBytes = 64 * 1024 ** 4;

const hostFor = (xapi: Xapi, sr: Ref<'SR'>): Ref<'host'> => hostOfSr(xapi.db, sr, (host) => xapi.hosts.isLive(host));

/** Sizes are whole mebibytes, as XAPI's file drivers round them. @throws XapiError INVALID_VALUE */
export function diskSize(size: number): number {
  if (!(size > 0 && size <= virtualSizeMaxBytes)) throw new XapiError('INVALID_VALUE', 'virtual_size', String(size));
  return Math.ceil(size / mibBytes) * mibBytes;
}

function assertFileSr(xapi: Xapi, sr: Ref<'SR'>): void {
  const { type } = xapi.db.get('SR', sr);
  if (type !== 'file') throw new XapiError('SR_OPERATION_NOT_SUPPORTED', sr);
}

function newVdi(xapi: Xapi, fields: Partial<RecordOf<'VDI'>>): Ref<'VDI'> {
  const vdi = xapi.db.create('VDI', {
    ...fields,
    managed: true,
    allowed_operations: ['clone', 'copy', 'resize', 'destroy', 'forget', 'update'],
  });
  xapi.db.update('VDI', vdi, { location: `${xapi.db.get('VDI', vdi).uuid}.raw` });
  return vdi;
}

/** The record comes first and is durable, then the file: a crash between leaves a disk that a scan marks missing. */
async function withRecord(xapi: Xapi, vdi: Ref<'VDI'>, makeFile: () => Promise<void>): Promise<Ref<'VDI'>> {
  await xapi.db.durable();
  try {
    await makeFile();
  } catch (error) {
    xapi.db.destroy('VDI', vdi);
    throw error;
  }
  return vdi;
}

/** A new disk of zeros. */
export function createDisk(
  xapi: Xapi,
  fields: Partial<RecordOf<'VDI'>> & Pick<RecordOf<'VDI'>, 'SR' | 'virtual_size'>,
): Promise<Ref<'VDI'>> {
  assertFileSr(xapi, fields.SR);
  const size = diskSize(fields.virtual_size);
  const host = hostFor(xapi, fields.SR);
  const vdi = newVdi(xapi, { ...fields, virtual_size: size, physical_utilisation: 0 });
  const path = vdiPath(xapi.db, xapi.db.get('VDI', vdi), host);
  return withRecord(xapi, vdi, () => xapi.hosts.onFiles(host, (files) => files.createImage(path, bytes(size))));
}

/** A full copy of a disk in the same repository. */
export function copyDisk(xapi: Xapi, from: Ref<'VDI'>): Promise<Ref<'VDI'>> {
  const source = xapi.db.get('VDI', from);
  assertFileSr(xapi, source.SR);
  const host = hostFor(xapi, source.SR);
  const { name_label, name_description, SR, type, sharable, read_only, virtual_size, other_config, sm_config, tags } =
    source;
  const vdi = newVdi(xapi, {
    name_label,
    name_description,
    SR,
    type,
    sharable,
    read_only,
    virtual_size,
    other_config,
    sm_config,
    tags,
  });
  const to = vdiPath(xapi.db, xapi.db.get('VDI', vdi), host);
  return withRecord(xapi, vdi, () =>
    xapi.hosts.onFiles(host, (files) => files.copyImage(vdiPath(xapi.db, source, host), to)),
  );
}

/** Removes a disk with its file and its VBDs. @throws XapiError VDI_IN_USE while a running VM has it */
export async function destroyDisk(xapi: Xapi, vdi: Ref<'VDI'>): Promise<void> {
  const { db } = xapi;
  const record = db.get('VDI', vdi);
  assertNotInUse(xapi, vdi, 'destroy');
  const host = hostFor(xapi, record.SR);
  const path = vdiPath(db, record, host);
  await xapi.hosts.onFiles(host, (files) => files.remove(path));
  for (const vbd of db.get('VDI', vdi).VBDs) db.destroy('VBD', vbd);
  db.destroy('VDI', vdi);
}

/** @throws XapiError VDI_IN_USE [vdi, operation] */
export function assertNotInUse(xapi: Xapi, vdi: Ref<'VDI'>, operation: string): void {
  const attached = xapi.db.get('VDI', vdi).VBDs.some((vbd) => xapi.db.get('VBD', vbd).currently_attached);
  if (attached) throw new XapiError('VDI_IN_USE', vdi, operation);
}
