/**
 * Binary data that belongs to an object, read and written over HTTP (`/blob`). XAPI: ocaml/xapi/xapi_blob.ml.
 */
import type { Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';
import type { Call, CallsOf } from './call.ts';

/** Where the data is kept, by the blob's uuid; the server hands in files. */
export interface BlobStore {
  /** Removes the data of a blob, if there is any. Must not throw. */
  remove(uuid: string): void;
}

/** Blobs at once: each may have data of some size. */
export const blobsMax = 1000;

/** Classes whose objects name their blobs. */
type Owner = 'VM' | 'SR' | 'network' | 'host' | 'pool';
const owners: readonly Owner[] = ['VM', 'SR', 'network', 'host', 'pool'];

/** A type and a subtype, as HTTP sends them (RFC 9110, 8.3.1), parameters left out. */
const mimeType = /^[A-Za-z0-9!#$&^_.+-]{1,127}\/[A-Za-z0-9!#$&^_.+-]{1,127}$/;

/** An empty blob. @throws XapiError INVALID_VALUE, NOT_IMPLEMENTED where there is nothing to keep data in */
function createBlob(xapi: Xapi, mime: string, isPublic: boolean, name = ''): Ref<'blob'> {
  if (xapi.blobs === undefined) throw new XapiError('NOT_IMPLEMENTED', 'blob.create');
  const type = mime === '' ? 'application/octet-stream' : mime;
  if (!mimeType.test(type)) throw new XapiError('INVALID_VALUE', 'mime_type', mime);
  if (xapi.db.count('blob') >= blobsMax) throw new XapiError('INTERNAL_ERROR', `there are ${blobsMax} blobs already`);
  return xapi.db.create('blob', { name_label: name, mime_type: type, public: isPublic });
}

export const blobCalls: CallsOf<'blob'> = {
  create: ({ xapi }, { mime_type: mime, public: isPublic }) => createBlob(xapi, mime, isPublic),

  destroy({ xapi }, { self }) {
    const { uuid } = xapi.db.get('blob', self);
    for (const className of owners) {
      for (const [ref, { blobs }] of xapi.db.all(className)) {
        const left = Object.entries(blobs).filter(([, blob]) => blob !== self);
        if (left.length < Object.keys(blobs).length) {
          xapi.db.updateAny(className, ref, { blobs: Object.fromEntries(left) });
        }
      }
    }
    xapi.db.destroy('blob', self);
    xapi.blobs?.remove(uuid);
  },
};

/** `create_new_blob` of a class. @throws XapiError MAP_DUPLICATE_KEY for a name that the object has already */
const newBlobOf =
  (className: Owner, parameter: string) =>
  ({ xapi }: Call, args: Readonly<Record<string, unknown>>): Ref<'blob'> => {
    const text = (key: string): string => (typeof args[key] === 'string' ? args[key] : '');
    const [owner, name, mime] = [text(parameter), text('name'), text('mime_type')];
    const blobs = xapi.db.getAny(className, owner)['blobs'] as Readonly<Record<string, string>>;
    if (Object.hasOwn(blobs, name)) throw new XapiError('MAP_DUPLICATE_KEY', className, 'blobs', owner, name);
    const blob = createBlob(xapi, mime, args['public'] === true, name);
    xapi.db.updateAny(className, owner, { blobs: { ...blobs, [name]: blob } });
    return blob;
  };

/** What each class adds to its calls. */
export const newBlobCalls = {
  VM: { create_new_blob: newBlobOf('VM', 'vm') },
  SR: { create_new_blob: newBlobOf('SR', 'sr') },
  network: { create_new_blob: newBlobOf('network', 'network') },
  host: { create_new_blob: newBlobOf('host', 'host') },
  pool: { create_new_blob: newBlobOf('pool', 'pool') },
};
