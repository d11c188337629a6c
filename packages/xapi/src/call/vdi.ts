/** Calls of disks. XAPI: ocaml/xapi/xapi_vdi.ml. */
import { bytes } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { hostOfSr, vdiPath } from '../storage/vdi-path.ts';
import { assertNotInUse, copyDisk, createDisk, destroyDisk, diskSize } from '../storage/vdi-work.ts';
import type { CallsOf } from './call.ts';
import { plainSet } from './plain.ts';

export const vdiCalls = {
  create: ({ xapi }, { args }) => {
    const { SR, virtual_size } = args;
    if (SR === undefined || virtual_size === undefined) throw new XapiError('FIELD_TYPE_ERROR', 'SR');
    return createDisk(xapi, { ...args, SR, virtual_size });
  },
  destroy: ({ xapi }, { self }) => destroyDisk(xapi, self),
  clone: ({ xapi }, { vdi }) => copyDisk(xapi, vdi),
  resize: async ({ xapi }, { vdi, size }) => {
    const { db } = xapi;
    const record = db.get('VDI', vdi);
    const wanted = diskSize(size);
    if (wanted < record.virtual_size) throw new XapiError('INVALID_VALUE', 'size', `${size}: a disk cannot shrink`);
    assertNotInUse(xapi, vdi, 'resize');
    const host = hostOfSr(db, record.SR, (candidate) => xapi.hosts.isLive(candidate));
    await xapi.hosts.onFiles(host, (files) => files.resizeImage(vdiPath(db, record, host), bytes(wanted)));
    db.update('VDI', vdi, { virtual_size: wanted });
  },
  forget: ({ xapi }, { vdi }) => {
    assertNotInUse(xapi, vdi, 'forget');
    xapi.db.destroy('VDI', vdi);
  },
  update: ({ xapi }, { vdi }) => {
    xapi.db.get('VDI', vdi);
  },
  set_name_label: plainSet('VDI', 'name_label'),
  set_name_description: plainSet('VDI', 'name_description'),
  set_sharable: plainSet('VDI', 'sharable'),
  set_read_only: plainSet('VDI', 'read_only'),
} as const satisfies CallsOf<'VDI'>;
