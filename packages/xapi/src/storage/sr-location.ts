/** The directory of a file repository on a host (`PBD.device_config:location`): what it may be, and that it is its own. */
import type { Ref } from '@xenolith/base';
import type { Database } from '../database/database.ts';
import { XapiError } from '../errors.ts';

/** The longest directory: a path of Linux (4096) with the longest name of a file in it. */
const locationMax = 4000;

const key = 'device_config:location';

/**
 * The one spelling of a directory. Every character that a path can have is fine but control characters, which
 * neither a shell script nor an xl.cfg carries safely.
 * @throws XapiError INVALID_VALUE for what is no absolute path below `/`, or does not say plainly where it is
 */
export function normalLocation(location: string): string {
  const parts = location.split('/').filter((part) => part !== '');
  const good =
    location.startsWith('/') &&
    parts.length > 0 &&
    location.length <= locationMax &&
    location.isWellFormed() &&
    !/\p{Cc}/u.test(location) &&
    parts.every((part) => part !== '.' && part !== '..');
  if (!good) throw new XapiError('INVALID_VALUE', key, location.slice(0, 200).toWellFormed());
  return `/${parts.join('/')}`;
}

/** Whether one directory, spelled as {@link normalLocation} does, is the other or holds it. */
export function overlap(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}

/**
 * Refuses a directory that another repository of the host has, is in or holds: each would take the other's files for
 * its own. What a link on the host leads to is not seen.
 * @throws XapiError INVALID_VALUE naming the other repository
 */
export function assertOwnLocation(db: Database, host: Ref<'host'>, location: string, except?: Ref<'PBD'>): void {
  for (const pbd of db.get('host', host).PBDs) {
    const { SR, device_config } = db.get('PBD', pbd);
    const other = device_config['location'];
    if (pbd === except || other === undefined || !overlap(location, other)) continue;
    const { name_label } = db.get('SR', SR);
    throw new XapiError('INVALID_VALUE', key, `${location} and ${other} of the repository ${name_label} share files`);
  }
}
