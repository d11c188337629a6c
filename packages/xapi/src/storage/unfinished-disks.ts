/**
 * Disks between nothing and whole. A disk is `managed` only while it is whole: its record comes first, durable and
 * not managed, then its file; and disks that belong together become managed in one commit, with what they belong to.
 * Away it goes the other way round. So what is not managed after a crash, or after a host was lost on the way, was
 * never there for a client: it is removed when the host answers again, the file first, then the record.
 * XAPI's storage drivers remember half-made disks in journals of their own.
 */
import type { Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { HostFiles } from '../host-driver.ts';
import { isOutcomeKnown } from '../host-error.ts';
import type { Xapi } from '../xapi.ts';
import { updateDiskOperations, updateOwnSrOperations } from './allowed-operations.ts';
import { hostOfSr, vdiPath } from './vdi-path.ts';

/** What the names of memory images end with. */
export const imageEnding = '.save';

/** In `sm_config` of a snapshot that is being made: the uuids of the VMs that stand still for it, commas between. */
export const stilledKey = 'xenolith:stilled';

export class UnfinishedDisks {
  readonly #xapi: Xapi;
  /** Those that this process is making or removing, so that nobody takes them for left over. */
  readonly #atWork = new Set<Ref<'VDI'>>();

  constructor(xapi: Xapi) {
    this.#xapi = xapi;
  }

  /**
   * Makes a disk that is not there for clients until {@link finish}. What is made of it is removed on a failure.
   * @param makeFile makes the whole file under the path, or fails
   */
  async make(
    fields: Partial<RecordOf<'VDI'>> & Pick<RecordOf<'VDI'>, 'SR'>,
    host: Ref<'host'>,
    makeFile: (files: HostFiles, path: string) => Promise<void>,
  ): Promise<Ref<'VDI'>> {
    const { db, hosts } = this.#xapi;
    const vdi = db.create('VDI', { ...fields, managed: false });
    this.#atWork.add(vdi);
    const ending = fields.type === 'suspend' ? imageEnding : '.raw';
    db.update('VDI', vdi, { location: `${db.get('VDI', vdi).uuid}${ending}` });
    try {
      await db.durable();
      await hosts.onFiles(host, async (files) => {
        const path = vdiPath(db, db.get('VDI', vdi), host);
        await makeFile(files, path);
        const sizes = await files.stat(path);
        if (sizes !== undefined) db.update('VDI', vdi, { physical_utilisation: sizes.usedBytes });
      });
    } catch (error) {
      await this.abandon([vdi]);
      throw error;
    }
    return vdi;
  }

  /** Makes disks whole, at once: what is written in the same moment is committed with them. */
  finish(vdis: readonly Ref<'VDI'>[]): void {
    const { db } = this.#xapi;
    for (const vdi of vdis) {
      this.#atWork.delete(vdi);
      db.update('VDI', vdi, { managed: true });
      updateDiskOperations(this.#xapi, vdi);
      updateAllocation(this.#xapi, db.get('VDI', vdi).SR);
    }
  }

  /** Removes disks that will not be finished. What cannot be removed now is when its host answers again. */
  async abandon(vdis: readonly Ref<'VDI'>[]): Promise<void> {
    for (const vdi of vdis) await this.#removeOrLeave(vdi);
  }

  /**
   * Takes whole disks away that something else is in the place of. That they go is written at once, so it is in one
   * commit with what replaces them. What cannot be removed now is when its host answers again.
   */
  async retire(vdis: readonly Ref<'VDI'>[]): Promise<void> {
    const { db } = this.#xapi;
    for (const vdi of vdis) {
      this.#atWork.add(vdi);
      db.update('VDI', vdi, { managed: false });
      updateDiskOperations(this.#xapi, vdi);
      updateAllocation(this.#xapi, db.get('VDI', vdi).SR);
    }
    if (vdis.length === 0) return;
    await db.durable();
    await this.abandon(vdis);
  }

  /**
   * Takes a whole disk away. From the moment its record says so, durably, it will go: when the host is lost before
   * its file is removed, then when it answers again.
   * @throws XapiError the host's refusal; the disk is whole again when the host said that it could not
   */
  async destroy(vdi: Ref<'VDI'>): Promise<void> {
    const { db } = this.#xapi;
    this.#atWork.add(vdi);
    db.update('VDI', vdi, { managed: false });
    updateDiskOperations(this.#xapi, vdi);
    updateAllocation(this.#xapi, db.get('VDI', vdi).SR);
    try {
      await db.durable();
      await this.#remove(vdi);
    } catch (error) {
      const lost = error instanceof XapiError && ['CANNOT_CONTACT_HOST', 'HOST_OFFLINE'].includes(error.code);
      if (!lost && db.has('VDI', vdi)) this.finish([vdi]);
      throw error;
    } finally {
      this.#atWork.delete(vdi);
    }
  }

  /** Removes what is left over in a repository. Never fails: what cannot be removed stays for the next time. */
  async sweep(sr: Ref<'SR'>): Promise<void> {
    const { db } = this.#xapi;
    const left = (db.find('SR', sr)?.VDIs ?? []).filter((vdi) => !db.get('VDI', vdi).managed && !this.#atWork.has(vdi));
    for (const vdi of left) {
      if (this.#atWork.has(vdi) || !db.has('VDI', vdi)) continue;
      this.#atWork.add(vdi);
      if (await this.#letGoOn(vdi)) await this.#removeOrLeave(vdi);
      this.#atWork.delete(vdi);
    }
  }

  /** Lets VMs go on that stand still for a snapshot that nobody makes any more. Whether none does any longer. */
  async #letGoOn(vdi: Ref<'VDI'>): Promise<boolean> {
    const { db, hosts, log } = this.#xapi;
    const uuids = db.get('VDI', vdi).sm_config[stilledKey]?.split(',') ?? [];
    for (const uuid of uuids) {
      const vm = db.byUuid('VM', uuid);
      if (vm === undefined || !db.has('host', db.get('VM', vm).resident_on)) continue;
      try {
        await hosts.driveDomain(vm, (driver, domain) => driver.unpause(domain));
      } catch (error) {
        // It may run already, or be another domain by now; what the host was not asked is asked when it answers.
        log.info('a VM that stood still for a snapshot was not let go on', { vm: uuid, error: String(error) });
        if (!isOutcomeKnown(error) || (error instanceof XapiError && error.code === 'HOST_OFFLINE')) return false;
      }
    }
    return true;
  }

  async #removeOrLeave(vdi: Ref<'VDI'>): Promise<void> {
    const { db, log } = this.#xapi;
    try {
      await this.#remove(vdi);
    } catch (error) {
      const uuid = db.find('VDI', vdi)?.uuid;
      log.warn('an unfinished disk stays until its host can remove it', { uuid, error: String(error) });
    } finally {
      this.#atWork.delete(vdi);
    }
  }

  /** The file first: a record without its file is found by whoever looks, a file without its record by nobody. */
  async #remove(vdi: Ref<'VDI'>): Promise<void> {
    const { db, hosts } = this.#xapi;
    const record = db.find('VDI', vdi);
    if (record === undefined) return;
    const host = hostOfSr(db, record.SR, (candidate) => hosts.isLive(candidate));
    const path = vdiPath(db, record, host);
    await hosts.onFiles(host, (files) => files.remove(path));
    removeDiskRecord(this.#xapi, vdi);
  }
}

/** Removes the record of a disk with its VBDs. */
export function removeDiskRecord(xapi: Xapi, vdi: Ref<'VDI'>): void {
  const { db } = xapi;
  const record = db.find('VDI', vdi);
  if (record === undefined) return;
  for (const vbd of record.VBDs) db.destroy('VBD', vbd);
  db.destroy('VDI', vdi);
  updateAllocation(xapi, record.SR);
  updateOwnSrOperations(xapi, record.SR);
}

/** Sums up what the disks of a repository promise their guests. */
export function updateAllocation(xapi: Xapi, sr: Ref<'SR'>): void {
  const { db } = xapi;
  if (!db.has('SR', sr)) return;
  const disks = db.get('SR', sr).VDIs.map((vdi) => db.get('VDI', vdi));
  const virtual_allocation = disks.reduce((sum, { managed, virtual_size }) => sum + (managed ? virtual_size : 0), 0);
  db.update('SR', sr, { virtual_allocation });
}
