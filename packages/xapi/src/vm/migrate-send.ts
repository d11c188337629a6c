/**
 * What a client says of a migration with storage, read: where `host.migrate_receive` answered from, and where each disk
 * and interface is to be. Within the pool alone: another pool's server is not spoken with.
 * XAPI: ocaml/xapi/xapi_vm_migrate.ml (`migrate_send'`, `assert_can_migrate`).
 */
import { nullRef, type Ref } from '@xenolith/base';
import type { Call } from '../call/call.ts';
import { XapiError } from '../errors.ts';
import { pbdOf } from '../storage/vdi-path.ts';
import type { Xapi } from '../xapi.ts';
import type { Moves } from './placement.ts';

/** What `migrate_receive` gives, and takes back by another call. */
export type MigrationDestination = Readonly<Record<string, string>>;

/** As the client gave it. */
export interface SendRequest {
  readonly vm: Ref<'VM'>;
  readonly dest: MigrationDestination;
  readonly vdi_map: Readonly<Record<string, Ref<'SR'>>>;
  readonly vif_map: Readonly<Record<string, Ref<'network'>>>;
  readonly options: Readonly<Record<string, string>>;
}

/** Understood. */
export interface Migration {
  readonly to: Ref<'host'>;
  readonly moves: Moves;
  /** Where disks of its snapshots go, which no domain has. */
  readonly snapshotDisks: ReadonlyMap<Ref<'VDI'>, Ref<'SR'>>;
}

/** Words for a host as a destination, good for as long as the caller's session. */
export function receive(
  { xapi, session, origin }: Call,
  host: Ref<'host'>,
  network: Ref<'network'>,
): MigrationDestination {
  const { address } = xapi.db.get('host', host);
  xapi.db.get('network', network);
  if (!xapi.hosts.isLive(host)) throw new XapiError('HOST_OFFLINE', host);
  const scheme = origin.tls === true ? 'https' : 'http';
  const master = `${scheme}://${origin.host ?? address}`;
  return {
    host,
    session_id: session,
    master: `${master}/`,
    SM: `${master}/services/SM?session_id=${session}`,
    xenops: `${master}/services/xenops?session_id=${session}`,
  };
}

/**
 * @throws XapiError SESSION_INVALID; NOT_IMPLEMENTED for a host of another pool; OPERATION_NOT_ALLOWED for a copy, which
 *   XAPI does not make within a pool either; VDI_NOT_IN_MAP for a disk that the host could not reach; HANDLE_INVALID
 */
export function readMigration(xapi: Xapi, { vm, dest, vdi_map, vif_map, options }: SendRequest): Migration {
  const { db } = xapi;
  const to = hostOf(xapi, dest);
  if (options['copy'] === 'true') {
    throw new XapiError('OPERATION_NOT_ALLOWED', 'within a pool a VM is copied by VM.copy or VM.clone');
  }
  const disks = new Map<Ref<'VDI'>, Ref<'SR'>>();
  const networks = new Map<Ref<'VIF'>, Ref<'network'>>();
  const { VBDs, VIFs, snapshots } = db.get('VM', vm);
  const own = disksIn(xapi, VBDs, 'Disk');
  for (const vdi of own) {
    const sr = vdi_map[vdi] ?? placeFor(xapi, vdi, to);
    if (sr !== db.get('VDI', vdi).SR) disks.set(vdi, sr);
  }
  const ofSnapshots = new Set(snapshots.flatMap((snapshot) => [...disksIn(xapi, db.get('VM', snapshot).VBDs, 'Disk')]));
  const snapshotDisks = new Map<Ref<'VDI'>, Ref<'SR'>>();
  for (const [vdi, sr] of Object.entries(vdi_map) as [Ref<'VDI'>, Ref<'SR'>][]) {
    db.get('SR', sr);
    if (own.has(vdi) || sr === db.get('VDI', vdi).SR) continue;
    if (!ofSnapshots.has(vdi)) throw new XapiError('INVALID_VALUE', 'vdi_map', vdi);
    snapshotDisks.set(vdi, sr);
  }
  for (const [vif, network] of Object.entries(vif_map) as [Ref<'VIF'>, Ref<'network'>][]) {
    db.get('network', network);
    if (!VIFs.includes(vif)) throw new XapiError('INVALID_VALUE', 'vif_map', vif);
    if (network !== db.get('VIF', vif).network) networks.set(vif, network);
  }
  return { to, moves: { disks, networks }, snapshotDisks };
}

function hostOf({ db, sessions }: Xapi, dest: MigrationDestination): Ref<'host'> {
  const { host = '', session_id = '' } = dest;
  if (!db.has('host', host)) {
    if (host === '') throw new XapiError('INVALID_VALUE', 'dest', 'it has no host');
    throw new XapiError('NOT_IMPLEMENTED', 'VM.migrate_send to another pool');
  }
  if (!sessions.isOpen(session_id as Ref<'session'>)) throw new XapiError('SESSION_INVALID', session_id);
  return host as Ref<'host'>;
}

function disksIn({ db }: Xapi, vbds: readonly Ref<'VBD'>[], type: 'Disk' | 'CD'): ReadonlySet<Ref<'VDI'>> {
  const records = vbds.map((vbd) => db.get('VBD', vbd));
  return new Set(records.filter((vbd) => vbd.type === type && db.has('VDI', vbd.VDI)).map(({ VDI }) => VDI));
}

/** A disk of which nothing was said stays where it is when the host reaches that; else the pool's default takes it. */
function placeFor({ db }: Xapi, vdi: Ref<'VDI'>, to: Ref<'host'>): Ref<'SR'> {
  const { SR } = db.get('VDI', vdi);
  const [pool] = db.refs('pool');
  const fallback = pool === undefined ? nullRef<'SR'>() : db.get('pool', pool).default_SR;
  const place = [SR, fallback].find((sr) => db.has('SR', sr) && pbdOf(db, sr, to)?.currently_attached === true);
  if (place === undefined) throw new XapiError('VDI_NOT_IN_MAP', vdi);
  return place;
}
