/**
 * Where the disks of file repositories are on a host: `<location of the PBD>/<location of the VDI>`. The first is
 * a path that was checked (sr-location.ts), the second a name that this server made or a scan found, never one that a
 * client gave.
 */
import type { Ref } from '@xenolith/base';
import type { Database } from '../database/database.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';

/** The PBD over which a host reaches a repository, or undefined. */
export function pbdOf(db: Database, sr: Ref<'SR'>, host: Ref<'host'>): RecordOf<'PBD'> | undefined {
  const { PBDs } = db.get('SR', sr);
  return PBDs.map((pbd) => db.get('PBD', pbd)).find((pbd) => pbd.host === host);
}

/** The directory of a repository as a host sees it. @throws XapiError SR_NOT_ATTACHED when it does not. */
export function srDirectory(db: Database, sr: Ref<'SR'>, host: Ref<'host'>): string {
  const pbd = pbdOf(db, sr, host);
  const directory = pbd?.currently_attached === true ? pbd.device_config['location'] : undefined;
  if (directory === undefined) throw new XapiError('SR_NOT_ATTACHED', sr);
  return directory;
}

/** The path of a VDI as a host sees it. @throws XapiError SR_NOT_ATTACHED when it does not. */
export function vdiPath(db: Database, vdi: RecordOf<'VDI'>, host: Ref<'host'>): string {
  return `${srDirectory(db, vdi.SR, host)}/${vdi.location}`;
}

type IsLive = (host: Ref<'host'>) => boolean;

/** The hosts that are attached to a repository, whether they answer or not. */
function attachedHosts(db: Database, sr: Ref<'SR'>): readonly Ref<'host'>[] {
  return db
    .get('SR', sr)
    .PBDs.map((pbd) => db.get('PBD', pbd))
    .filter((pbd) => pbd.currently_attached)
    .map((pbd) => pbd.host);
}

/** Why nobody can work on the files of a repository now, or undefined when a host can. */
export function srRefusal(db: Database, sr: Ref<'SR'>, isLive: IsLive): XapiError | undefined {
  const hosts = attachedHosts(db, sr);
  if (hosts.some(isLive)) return undefined;
  return hosts[0] === undefined ? new XapiError('SR_HAS_NO_PBDS', sr) : new XapiError('HOST_OFFLINE', hosts[0]);
}

/**
 * A host that is attached to a repository, answers, and so can work on its files.
 * @throws XapiError HOST_OFFLINE, SR_HAS_NO_PBDS
 */
export function hostOfSr(db: Database, sr: Ref<'SR'>, isLive: IsLive): Ref<'host'> {
  const host = attachedHosts(db, sr).find(isLive);
  if (host !== undefined) return host;
  throw srRefusal(db, sr, isLive) ?? new XapiError('SR_HAS_NO_PBDS', sr);
}

/** Which host reads a copy's source, and which one writes the copy: the same one where one reaches both repositories. */
export interface CopyRoute {
  readonly from: Ref<'host'>;
  readonly to: Ref<'host'>;
}

/** How a disk is copied from one repository to another. @throws XapiError as {@link hostOfSr} */
export function copyRoute(db: Database, from: Ref<'SR'>, to: Ref<'SR'>, isLive: IsLive): CopyRoute {
  const [source, target] = [hostOfSr(db, from, isLive), hostOfSr(db, to, isLive)];
  const targets = attachedHosts(db, to);
  const both = attachedHosts(db, from).find((host) => isLive(host) && targets.includes(host));
  return both === undefined ? { from: source, to: target } : { from: both, to: both };
}
