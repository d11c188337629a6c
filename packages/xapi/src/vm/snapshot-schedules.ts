/**
 * Takes the snapshots of schedules (VMSS) when they are due, and removes those that are one too many. What was due while
 * this server did not run is not made up for. XAPI has a plug-in for it, which cron calls each quarter of an hour.
 */
import { nullRef, type Disposable, type Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import type { Call } from '../call/call.ts';
import type { RecordOf } from '../datamodel/types.ts';
import type { Xapi } from '../xapi.ts';
import { isDue, quarterMs } from './vmss-schedule.ts';

/** What is done with a VM, as calls of the XenAPI do it: handed in, as calls know schedules too. */
export interface SnapshotWork {
  take(call: Call, vm: Ref<'VM'>, vmss: RecordOf<'VMSS'>): Promise<void>;
  /** Removes a snapshot with its disks. */
  remove(call: Call, snapshot: Ref<'VM'>): Promise<void>;
}

export class SnapshotSchedules {
  readonly #xapi: Xapi;
  readonly #work: SnapshotWork;
  readonly #running = new Set<Ref<'VMSS'>>();
  #timer: Disposable | undefined;

  constructor(xapi: Xapi, work: SnapshotWork) {
    this.#xapi = xapi;
    this.#work = work;
  }

  /** Looks each quarter of an hour from now on. A pool without schedules keeps no timer. */
  plan(): void {
    if (this.#timer !== undefined || this.#xapi.db.count('VMSS') === 0) return;
    const now = this.#xapi.clock.now();
    const nextMs = (Math.floor(now / quarterMs) + 1) * quarterMs;
    this.#timer = this.#xapi.clock.after(nextMs - now, () => {
      this.#timer = undefined;
      for (const [ref, vmss] of this.#xapi.db.all('VMSS')) {
        if (vmss.enabled && vmss.VMs.length > 0 && isDue(vmss, nextMs)) void this.run(ref);
      }
      this.plan();
    });
  }

  close(): void {
    this.#timer?.dispose();
    this.#timer = undefined;
  }

  /** Whether the snapshots of a schedule are being taken. */
  isRunning(ref: Ref<'VMSS'>): boolean {
    return this.#running.has(ref);
  }

  /** Takes the snapshots of a schedule now. What fails with a VM is told in a message, and keeps the others from nothing. */
  async run(ref: Ref<'VMSS'>): Promise<void> {
    if (this.isRunning(ref)) return;
    this.#running.add(ref);
    const { db, clock, log } = this.#xapi;
    try {
      db.update('VMSS', ref, { last_run_time: formatDateTime(clock.now()) });
      for (const vm of db.get('VMSS', ref).VMs) {
        const vmss = db.find('VMSS', ref);
        if (vmss === undefined) break;
        await this.#snapshot(vm, vmss);
      }
    } catch (error) {
      log.error('a schedule of snapshots was cut short', { error: String(error) });
    } finally {
      this.#running.delete(ref);
    }
  }

  async #snapshot(vm: Ref<'VM'>, vmss: RecordOf<'VMSS'>): Promise<void> {
    const { db, messages, tasks } = this.#xapi;
    const name = db.find('VM', vm)?.name_label;
    if (name === undefined) return;
    const task = tasks.begin('VMSS.snapshot', { description: `${vmss.name_label}: ${name}` });
    const call: Call = {
      xapi: this.#xapi,
      session: nullRef(),
      rights: { superuser: true, role: 'pool-admin' },
      task,
      origin: { address: 'local' },
      onClientGone: () => ({ dispose() {} }),
    };
    try {
      await this.#work.take(call, vm, vmss);
      tasks.succeed(task, '');
      messages.write('VMSS_SNAPSHOT_SUCCEEDED', 'VMSS', vmss.uuid, `a snapshot of ${name} was taken`);
    } catch (error) {
      const words = String(error);
      tasks.fail(task, ['INTERNAL_ERROR', words]);
      messages.write('VMSS_SNAPSHOT_FAILED', 'VMSS', vmss.uuid, `no snapshot of ${name} was taken: ${words}`);
      return;
    }
    await this.#removeOld(call, vm, vmss.retained_snapshots);
  }

  /** What cannot be removed now is when the next snapshot has been taken. */
  async #removeOld(call: Call, vm: Ref<'VM'>, retained: number): Promise<void> {
    for (const snapshot of tooMany(this.#xapi, vm, retained)) {
      try {
        await this.#work.remove(call, snapshot);
      } catch (error) {
        this.#xapi.log.warn('an old snapshot of a schedule stays', {
          vm: this.#xapi.db.find('VM', vm)?.uuid,
          error: String(error),
        });
      }
    }
  }
}

/** Of the snapshots that schedules took of a VM, those beyond the newest so many. Those taken by hand are nobody's to remove. */
function tooMany({ db }: Xapi, vm: Ref<'VM'>, retained: number): readonly Ref<'VM'>[] {
  const taken = (db.find('VM', vm)?.snapshots ?? []).filter((ref) => db.get('VM', ref).is_vmss_snapshot);
  const time = (ref: Ref<'VM'>): string => db.get('VM', ref).snapshot_time;
  return taken.toSorted((a, b) => (time(a) < time(b) ? 1 : -1)).slice(retained);
}
