/** Room for disks in a pool's repositories, read over the XenAPI. */
import type { LiveDisks } from '@xenolith/experiments';
import type { WireStruct } from '@xenolith/wire';
import { printable, recordsOf, textOf, UsageError, type Rpc } from '@xenolith/xe';

/** A disk that each VM is to have. */
export interface DiskSize {
  readonly bytes: number;
  /** Name or uuid. Where absent: the pool's default repository, or that with most room for hosts that do not reach it. */
  readonly repository?: string;
}

interface Repository {
  readonly ref: string;
  readonly uuid: string;
  readonly name: string;
  readonly freeBytes: number;
  /** Hosts that reach it. */
  readonly hosts: ReadonlySet<string>;
}

/**
 * What is left of a repository when every disk in it is full: images are files with holes, and one that is not full takes less
 * than its VM may write.
 */
function freeBytesOf({ physical_size, physical_utilisation }: WireStruct, disks: readonly WireStruct[]): number {
  const holes = disks.reduce(
    (sum, disk) => sum + Math.max(0, Number(disk['virtual_size']) - Number(disk['physical_utilisation'])),
    0,
  );
  return Math.max(0, Number(physical_size) - Number(physical_utilisation) - holes);
}

/**
 * Reads a pool's repositories.
 * @returns tells for how many VMs a host has room for these disks; a reason where it does not reach a repository for them
 * @throws UsageError where no repository, or more than one, has a name that is asked for; what calls throw
 */
export async function diskRooms(rpc: Rpc, disks: readonly DiskSize[]): Promise<(host: string) => LiveDisks | string> {
  const [all, pools] = await Promise.all([repositoriesOf(rpc), recordsOf(rpc, 'pool')]);
  const standard = all.find(({ ref }) => ref === pools[0]?.[1]['default_SR']);
  const wanted = disks.map(({ bytes, repository }) => ({
    bytes,
    named: repository === undefined ? undefined : repositoryNamed(all, repository),
  }));
  return (host) => {
    const [mostRoom] = all.filter(({ hosts }) => hosts.has(host)).sort((a, b) => b.freeBytes - a.freeBytes);
    const usual = standard?.hosts.has(host) === true ? standard : mostRoom;
    const bytesIn = new Map<Repository, number>();
    for (const { bytes, named = usual } of wanted) {
      if (named === undefined) return 'it reaches no repository for disks';
      if (!named.hosts.has(host)) return `it does not reach ${printable(named.name)}`;
      bytesIn.set(named, (bytesIn.get(named) ?? 0) + bytes);
    }
    const rooms = [...bytesIn].map(([{ freeBytes }, bytes]) => Math.floor(freeBytes / bytes));
    return { repositories: [...bytesIn.keys()].map(({ ref }) => ref).join(' '), vms: Math.min(...rooms) };
  };
}

async function repositoriesOf(rpc: Rpc): Promise<readonly Repository[]> {
  const [srs, pbds, vdis] = await Promise.all([recordsOf(rpc, 'SR'), recordsOf(rpc, 'PBD'), recordsOf(rpc, 'VDI')]);
  const attached = pbds.filter(([, pbd]) => pbd['currently_attached'] === true);
  const forDisks = srs.filter(([, { content_type }]) => content_type !== 'iso');
  return forDisks.map(([ref, record]) => ({
    ref,
    uuid: textOf(record['uuid']),
    name: textOf(record['name_label']),
    freeBytes: freeBytesOf(
      record,
      vdis.flatMap(([, vdi]) => (vdi['SR'] === ref ? [vdi] : [])),
    ),
    hosts: new Set(attached.flatMap(([, pbd]) => (pbd['SR'] === ref ? [textOf(pbd['host'])] : []))),
  }));
}

function repositoryNamed(all: readonly Repository[], wanted: string): Repository {
  const [first, second] = all.filter(({ name, uuid }) => name === wanted || uuid === wanted);
  if (first === undefined) throw new UsageError(`no repository ${wanted}`);
  if (second !== undefined) throw new UsageError(`more than one repository is called ${wanted}: say its uuid`);
  return first;
}
