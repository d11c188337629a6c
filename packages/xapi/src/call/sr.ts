/** Calls of storage repositories and of how hosts reach them. XAPI: ocaml/xapi/xapi_sr.ml, xapi_pbd.ml. */
import type { Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { hostOfSr, pbdOf, vdiPath } from '../storage/vdi-path.ts';
import { ensureSm } from '../storage/sm.ts';
import type { Xapi } from '../xapi.ts';
import type { CallsOf } from './call.ts';
import { plainSet } from './plain.ts';

const live =
  (xapi: Xapi) =>
  (host: Ref<'host'>): boolean =>
    xapi.hosts.isLive(host);

/** Reads the space of the directory, and the size of every image; one without its file is marked missing. */
async function scan(xapi: Xapi, sr: Ref<'SR'>): Promise<void> {
  const { db } = xapi;
  const host = hostOfSr(db, sr, live(xapi));
  const directory = pbdOf(db, sr, host)?.device_config['location'] ?? '';
  await xapi.hosts.onFiles(host, async (files) => {
    const space = await files.space(directory);
    let allocated = 0;
    for (const ref of db.get('SR', sr).VDIs) {
      const vdi = db.get('VDI', ref);
      const found = await files.stat(vdiPath(db, vdi, host));
      if (!db.has('VDI', ref)) continue;
      allocated += vdi.virtual_size;
      db.update('VDI', ref, { missing: found === undefined, physical_utilisation: found?.usedBytes ?? 0 });
    }
    db.update('SR', sr, {
      physical_size: space.totalBytes,
      physical_utilisation: space.totalBytes - space.freeBytes,
      virtual_allocation: allocated,
    });
  });
}

function assertDetached(xapi: Xapi, sr: Ref<'SR'>): void {
  if (xapi.db.get('SR', sr).PBDs.some((pbd) => xapi.db.get('PBD', pbd).currently_attached))
    throw new XapiError('SR_HAS_PBD', sr);
}

function forget(xapi: Xapi, sr: Ref<'SR'>): void {
  const { db } = xapi;
  assertDetached(xapi, sr);
  for (const vdi of db.get('SR', sr).VDIs) db.destroy('VDI', vdi);
  for (const pbd of db.get('SR', sr).PBDs) db.destroy('PBD', pbd);
  db.destroy('SR', sr);
}

export const srCalls = {
  create: async (
    { xapi },
    { host, device_config, name_label, name_description, type, content_type, shared, sm_config },
  ) => {
    const { db } = xapi;
    if (type !== 'file') throw new XapiError('SR_UNKNOWN_DRIVER', type);
    const location = device_config['location'] ?? '';
    if (!location.startsWith('/') || location.includes('\0')) {
      throw new XapiError('INVALID_VALUE', 'device_config:location', location);
    }
    await xapi.hosts.onFiles(host, (files) => files.space(location));
    ensureSm(xapi);
    const sr = db.create('SR', {
      name_label,
      name_description,
      type,
      content_type,
      shared,
      sm_config,
      allowed_operations: ['scan', 'update', 'vdi_create', 'vdi_destroy', 'vdi_clone', 'vdi_resize'],
    });
    db.create('PBD', { host, SR: sr, device_config: { location }, currently_attached: true });
    await scan(xapi, sr);
    return sr;
  },
  destroy: ({ xapi }, { sr }) => {
    if (xapi.db.get('SR', sr).VDIs.length > 0) throw new XapiError('SR_NOT_EMPTY');
    forget(xapi, sr);
  },
  forget: ({ xapi }, { sr }) => forget(xapi, sr),
  scan: ({ xapi }, { sr }) => scan(xapi, sr),
  update: ({ xapi }, { sr }) => scan(xapi, sr),
  get_supported_types: () => ['file'],
  set_name_label: ({ xapi }, { sr, value }) => xapi.db.update('SR', sr, { name_label: value }),
  set_name_description: ({ xapi }, { sr, value }) => xapi.db.update('SR', sr, { name_description: value }),
} as const satisfies CallsOf<'SR'>;

export const pbdCalls = {
  destroy: ({ xapi }, { self }) => {
    if (xapi.db.get('PBD', self).currently_attached) throw new XapiError('DEVICE_ALREADY_ATTACHED', self);
    xapi.db.destroy('PBD', self);
  },
  plug: async ({ xapi }, { self }) => {
    const { host, device_config } = xapi.db.get('PBD', self);
    await xapi.hosts.onFiles(host, (files) => files.space(device_config['location'] ?? ''));
    xapi.db.update('PBD', self, { currently_attached: true });
  },
  unplug: ({ xapi }, { self }) => {
    const { SR } = xapi.db.get('PBD', self);
    const inUse = xapi.db
      .get('SR', SR)
      .VDIs.filter((vdi) => xapi.db.get('VDI', vdi).VBDs.some((vbd) => xapi.db.get('VBD', vbd).currently_attached));
    if (inUse.length > 0) throw new XapiError('VDI_IN_USE', inUse[0] ?? '', 'unplug');
    xapi.db.update('PBD', self, { currently_attached: false });
  },
  set_device_config: plainSet('PBD', 'device_config'),
} as const satisfies CallsOf<'PBD'>;
