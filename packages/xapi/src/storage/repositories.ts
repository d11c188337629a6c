/** Repositories that are there before their records. XAPI: ocaml/xapi/xapi_sr.ml (`introduce`, `probe`). */
import { isUuid, type Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';
import { ensureSm, isSrType } from './sm.ts';

type NewRepository = Pick<
  RecordOf<'SR'>,
  'uuid' | 'name_label' | 'name_description' | 'type' | 'content_type' | 'shared' | 'sm_config'
>;

/** The record of a repository that a PBD then says the place of. @throws XapiError SR_UNKNOWN_DRIVER, UUID_INVALID, SR_UUID_EXISTS */
export function introduceRepository(xapi: Xapi, fields: NewRepository): Ref<'SR'> {
  const { uuid: given, ...rest } = fields;
  const uuid = given.toLowerCase();
  if (!isSrType(fields.type)) throw new XapiError('SR_UNKNOWN_DRIVER', fields.type);
  if (uuid !== '' && !isUuid(uuid)) throw new XapiError('UUID_INVALID', 'SR', given.slice(0, 100));
  if (uuid !== '' && xapi.db.byUuid('SR', uuid) !== undefined) throw new XapiError('SR_UUID_EXISTS', uuid);
  ensureSm(xapi);
  return xapi.db.create('SR', { ...rest, ...(uuid === '' ? {} : { uuid }) });
}

/** A directory that holds images, under the uuid that it is named after, if any. */
export interface FoundRepository {
  readonly uuid: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

const endings = { file: /\.raw$/, iso: /\.(?:iso|img)$/i } as const;

/** Looks whether a directory of a host holds images of a type; nothing is made there. @throws XapiError SR_UNKNOWN_DRIVER */
export async function probe(
  xapi: Xapi,
  host: Ref<'host'>,
  type: string,
  location: string,
): Promise<FoundRepository | undefined> {
  xapi.db.get('host', host);
  if (!isSrType(type)) throw new XapiError('SR_UNKNOWN_DRIVER', type);
  return await xapi.hosts.onFiles(host, async (files) => {
    const images = (await files.list(location)).filter(({ name }) => endings[type].test(name));
    if (images.length === 0) return undefined;
    const name = location.slice(location.lastIndexOf('/') + 1).toLowerCase();
    const { totalBytes, freeBytes } = await files.space(location);
    return { uuid: isUuid(name) ? name : '', totalBytes, freeBytes };
  });
}
