/** Calls of storage repositories and of how hosts reach them. XAPI: ocaml/xapi/xapi_sr.ml, xapi_pbd.ml. */
import type { Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { updateSrOperations } from '../storage/allowed-operations.ts';
import { scan } from '../storage/scan.ts';
import { introduceRepository, probe } from '../storage/repositories.ts';
import { ensureSm, isSrType, srTypes } from '../storage/sm.ts';
import { assertOwnLocation, normalLocation } from '../storage/sr-location.ts';
import { assertSrAllows } from '../storage/sr-operations.ts';
import { withSrOperation } from '../storage/under-way.ts';
import { removeDiskRecord } from '../storage/unfinished-disks.ts';
import type { Xapi } from '../xapi.ts';
import type { Call, CallsOf } from './call.ts';
import { plainSet } from './plain.ts';

/** Drops the records of a repository and of all that is in it. */
function removeRecords(xapi: Xapi, sr: Ref<'SR'>): void {
  const { db } = xapi;
  for (const vdi of db.get('SR', sr).VDIs) removeDiskRecord(xapi, vdi);
  for (const pbd of db.get('SR', sr).PBDs) db.destroy('PBD', pbd);
  db.destroy('SR', sr);
}

/** The directory that a PBD asks for. @throws XapiError INVALID_VALUE */
const locationIn = (config: Readonly<Record<string, string>>): string => normalLocation(config['location'] ?? '');

/** Makes a directory when it is missing, and sees that a host can use it. */
async function assertUsable(xapi: Xapi, host: Ref<'host'>, location: string): Promise<void> {
  await xapi.hosts.onFiles(host, (files) => files.space(location));
}

/** What no storage driver here can do; XAPI refuses it in the same words. @throws XapiError SR_OPERATION_NOT_SUPPORTED */
function refuse(xapi: Xapi, sr: Ref<'SR'>): never {
  xapi.db.get('SR', sr);
  throw new XapiError('SR_OPERATION_NOT_SUPPORTED', sr);
}

export const srCalls = {
  create: async (
    call,
    { host, device_config, name_label, name_description, type, content_type, shared, sm_config },
  ) => {
    const { xapi } = call;
    const { db } = xapi;
    db.get('host', host);
    if (!isSrType(type)) throw new XapiError('SR_UNKNOWN_DRIVER', type);
    const location = locationIn(device_config);
    assertOwnLocation(db, host, location);
    await assertUsable(xapi, host, location);
    // Looked at again: somebody else may have asked for it meanwhile.
    assertOwnLocation(db, host, location);
    ensureSm(xapi);
    const sr = db.create('SR', { name_label, name_description, type, content_type, shared, sm_config });
    db.create('PBD', { host, SR: sr, device_config: { location }, currently_attached: true });
    try {
      await withSrOperation(call, sr, 'scan', () => scan(xapi, sr, { adopt: true }));
    } catch (error) {
      if (db.has('SR', sr)) removeRecords(xapi, sr);
      throw error;
    }
    return sr;
  },
  destroy: ({ xapi }, { sr }) => {
    assertSrAllows(xapi, sr, 'destroy');
    removeRecords(xapi, sr);
  },
  forget: ({ xapi }, { sr }) => {
    assertSrAllows(xapi, sr, 'forget');
    removeRecords(xapi, sr);
  },
  scan: (call, { sr }) => withSrOperation(call, sr, 'scan', () => scan(call.xapi, sr, { adopt: true })),
  update: (call, { sr }) => withSrOperation(call, sr, 'update', () => scan(call.xapi, sr, { adopt: false })),
  get_supported_types: () => srTypes,
  introduce: ({ xapi }, args) => introduceRepository(xapi, args),
  probe: async ({ xapi }, { host, device_config, type }) => {
    const found = await probe(xapi, host, type, locationIn(device_config));
    const rows = found === undefined ? '' : `<SR><UUID>${found.uuid}</UUID></SR>`;
    return `<?xml version="1.0" ?><SRlist>${rows}</SRlist>`;
  },
  probe_ext: async ({ xapi }, { host, device_config, type }) => {
    const location = locationIn(device_config);
    const found = await probe(xapi, host, type, location);
    if (found === undefined) return [];
    const { uuid, totalBytes, freeBytes } = found;
    const sr = { name_label: '', name_description: '', total_space: totalBytes, free_space: freeBytes };
    return [
      {
        configuration: { location },
        complete: true,
        sr: { ...sr, uuid, clustered: false, health: 'healthy' },
        extra_info: {},
      },
    ];
  },
  set_shared: ({ xapi }, { sr, value }) => {
    const { PBDs } = xapi.db.get('SR', sr);
    if (!value && PBDs.length > 1) throw new XapiError('SR_HAS_MULTIPLE_PBDS', ...PBDs);
    xapi.db.update('SR', sr, { shared: value });
  },
  set_physical_size: plainSet('SR', 'physical_size'),
  set_virtual_allocation: plainSet('SR', 'virtual_allocation'),
  set_physical_utilisation: plainSet('SR', 'physical_utilisation'),
  get_live_hosts: ({ xapi }, { sr }) =>
    xapi.db
      .get('SR', sr)
      .PBDs.map((pbd) => xapi.db.get('PBD', pbd))
      .filter(({ host, currently_attached }) => currently_attached && xapi.hosts.isLive(host))
      .map(({ host }) => host),
  assert_can_host_ha_statefile: ({ xapi }, { sr }) => refuse(xapi, sr),
  assert_supports_database_replication: ({ xapi }, { sr }) => refuse(xapi, sr),
  enable_database_replication: ({ xapi }, { sr }) => refuse(xapi, sr),
  disable_database_replication: ({ xapi }, { sr }) => void xapi.db.get('SR', sr),
  set_name_label: ({ xapi }, { sr, value }) => xapi.db.update('SR', sr, { name_label: value }),
  set_name_description: ({ xapi }, { sr, value }) => xapi.db.update('SR', sr, { name_description: value }),
} as const satisfies CallsOf<'SR'>;

async function plug(call: Call, self: Ref<'PBD'>): Promise<void> {
  const { xapi } = call;
  const { db } = xapi;
  const { host, device_config, SR, currently_attached } = db.get('PBD', self);
  if (currently_attached) return;
  await withSrOperation(call, SR, 'plug', async () => {
    await assertUsable(xapi, host, locationIn(device_config));
    db.update('PBD', self, { currently_attached: true });
    updateSrOperations(xapi, SR);
    await scan(xapi, SR, { adopt: true });
  });
}

export const pbdCalls = {
  create: ({ xapi }, { args }) => {
    const { db } = xapi;
    const { host, SR, device_config } = args;
    db.get('host', host);
    assertSrAllows(xapi, SR, 'pbd_create');
    const existing = db.get('SR', SR).PBDs.find((pbd) => db.get('PBD', pbd).host === host);
    if (existing !== undefined) throw new XapiError('PBD_EXISTS', SR, host, existing);
    const { shared, PBDs } = db.get('SR', SR);
    if (!shared && PBDs.length > 0) throw new XapiError('SR_NOT_SHARABLE', SR, host);
    const location = locationIn(device_config);
    assertOwnLocation(db, host, location);
    return db.create('PBD', { ...args, device_config: { location }, currently_attached: false });
  },
  destroy: ({ xapi }, { self }) => {
    const { currently_attached, SR } = xapi.db.get('PBD', self);
    if (currently_attached) throw new XapiError('DEVICE_ALREADY_ATTACHED', self);
    if (xapi.db.has('SR', SR)) assertSrAllows(xapi, SR, 'pbd_destroy');
    xapi.db.destroy('PBD', self);
    updateSrOperations(xapi, SR);
  },
  plug: (call, { self }) => plug(call, self),
  unplug: ({ xapi }, { self }) => {
    const { SR, currently_attached } = xapi.db.get('PBD', self);
    if (!currently_attached) return;
    assertSrAllows(xapi, SR, 'unplug');
    xapi.db.update('PBD', self, { currently_attached: false });
    updateSrOperations(xapi, SR);
  },
  set_device_config: ({ xapi }, { self, value }) => {
    const { currently_attached, host } = xapi.db.get('PBD', self);
    if (currently_attached) throw new XapiError('DEVICE_ALREADY_ATTACHED', self);
    const location = locationIn(value);
    assertOwnLocation(xapi.db, host, location, self);
    xapi.db.update('PBD', self, { device_config: { location } });
  },
} as const satisfies CallsOf<'PBD'>;
