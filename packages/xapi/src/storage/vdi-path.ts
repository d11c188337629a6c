/** Where the disks of file repositories are on a host: `<location of the PBD>/<location of the VDI>`. */
import type { Ref } from '@xenolith/base';
import type { Database } from '../database/database.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';

/** The PBD over which a host reaches a repository, or undefined. */
export function pbdOf(db: Database, sr: Ref<'SR'>, host: Ref<'host'>): RecordOf<'PBD'> | undefined {
  const { PBDs } = db.get('SR', sr);
  return PBDs.map((pbd) => db.get('PBD', pbd)).find((pbd) => pbd.host === host);
}

/** The path of a VDI as a host sees it. @throws XapiError SR_NOT_ATTACHED when it does not. */
export function vdiPath(db: Database, vdi: RecordOf<'VDI'>, host: Ref<'host'>): string {
  const pbd = pbdOf(db, vdi.SR, host);
  const directory = pbd?.currently_attached === true ? pbd.device_config['location'] : undefined;
  if (directory === undefined) throw new XapiError('SR_NOT_ATTACHED', vdi.SR);
  return `${directory}/${vdi.location}`;
}

/** A host that is attached to a repository, answers, and so can work on its files. */
export function hostOfSr(db: Database, sr: Ref<'SR'>, isLive: (host: Ref<'host'>) => boolean): Ref<'host'> {
  const hosts = db
    .get('SR', sr)
    .PBDs.map((pbd) => db.get('PBD', pbd))
    .filter((pbd) => pbd.currently_attached)
    .map((pbd) => pbd.host);
  const host = hosts.find(isLive);
  if (host !== undefined) return host;
  if (hosts[0] !== undefined) throw new XapiError('HOST_OFFLINE', hosts[0]);
  throw new XapiError('SR_HAS_NO_PBDS', sr);
}
