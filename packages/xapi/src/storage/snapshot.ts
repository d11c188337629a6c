/**
 * Snapshots of disks: on raw files a copy, which shares its blocks with the disk where the host's file system can
 * (XFS, btrfs). A guest that writes the disk stands still meanwhile, so that the copy is what a power cut would have
 * left. XAPI: ocaml/xapi/xapi_vdi.ml (`snapshot`); its storage drivers hold the guest's requests back instead.
 *
 * Which VMs stand still is in the record of each snapshot that is being made, durably, before they do. So a VM that was
 * left standing by a crash, or by a host that was lost, goes on when the unfinished snapshot is removed
 * (unfinished-disks.ts).
 */
import type { Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import type { Call } from '../call/call.ts';
import { XapiError } from '../errors.ts';
import type { DomainIdentity, HostDriver } from '../host-driver.ts';
import { goneIsFine, isOutcomeKnown } from '../host-error.ts';
import { withOperation } from '../vm/operations.ts';
import type { Xapi } from '../xapi.ts';
import { stilledKey } from './unfinished-disks.ts';
import { withSrOperation, withVdiOperation } from './under-way.ts';
import { usesOf } from './vdi-operations.ts';
import { hostOfSr, pbdOf, vdiPath } from './vdi-path.ts';
import { inheritedByCopies } from './vdi-work.ts';

type Disk = Ref<'VDI'>;

/** Snapshots by the disks that they are of: unfinished, until {@link finishSnapshots}. */
export type Snapshots = ReadonlyMap<Disk, Disk>;

/** VMs that stand still while disks are copied, from the first copy to the end. */
interface Stillness {
  readonly vms: readonly Ref<'VM'>[];
  begin(): Promise<void>;
  end(): Promise<void>;
}

/**
 * Makes snapshots of disks, all of one moment as their guests see it. What was made is removed when one fails.
 * @param during the VM whose operation this is; other VMs that write the disks are marked with `snapshot` meanwhile
 * @throws XapiError the refusals of the disks, of their repositories, and of VMs that write them
 */
export async function makeSnapshots(call: Call, disks: readonly Disk[], during?: Ref<'VM'>): Promise<Snapshots> {
  const { xapi, task } = call;
  const made = new Map<Disk, Disk>();
  try {
    await withStillness(call, writersOf(xapi, disks), during, async (stillness) => {
      for (const disk of new Set(disks)) {
        task.throwIfCancelled();
        made.set(disk, await makeSnapshot(call, disk, stillness));
      }
    });
    task.throwIfCancelled();
  } catch (error) {
    await xapi.disks.abandon([...made.values()]);
    throw error;
  }
  return made;
}

/** Makes snapshots whole, at once: what is written in the same moment is committed with them. */
export function finishSnapshots(xapi: Xapi, snapshots: Snapshots): void {
  for (const snapshot of snapshots.values()) {
    const { [stilledKey]: _, ...rest } = xapi.db.get('VDI', snapshot).sm_config;
    xapi.db.update('VDI', snapshot, { sm_config: rest });
  }
  xapi.disks.finish([...snapshots.values()]);
}

/** The VMs whose guests write disks, or may as soon as they are let go on. */
function writersOf({ db }: Xapi, disks: readonly Disk[]): readonly Ref<'VM'>[] {
  const uses = disks.flatMap((disk) => usesOf(db, disk)).filter(({ writes, runs }) => writes && runs);
  return [...new Set(uses.map(({ vm }) => vm))];
}

async function makeSnapshot(call: Call, from: Disk, stillness: Stillness): Promise<Disk> {
  const { xapi } = call;
  const { db, disks } = xapi;
  const { SR } = db.get('VDI', from);
  return await withVdiOperation(call, from, 'snapshot', () =>
    withSrOperation(call, SR, 'vdi_snapshot', () => {
      const source = db.get('VDI', from);
      const host = hostFor(xapi, SR, stillness.vms);
      const path = vdiPath(db, source, host);
      const uuids = stillness.vms.map((vm) => db.get('VM', vm).uuid);
      const fields = {
        ...Object.fromEntries(inheritedByCopies.map((name) => [name, source[name]])),
        SR,
        sm_config: { ...source.sm_config, ...(uuids.length === 0 ? {} : { [stilledKey]: uuids.join(',') }) },
        is_a_snapshot: true,
        snapshot_of: from,
        snapshot_time: formatDateTime(xapi.clock.now()),
      };
      return disks.make(fields, host, async (files, to) => {
        try {
          await stillness.begin();
          await files.copyImage(path, to);
        } catch (error) {
          // Before the record that says who stands still is removed.
          await stillness.end();
          throw error;
        }
      });
    }),
  );
}

/** Where a guest writes the disk, what it wrote is seen at once; on other hosts of a repository perhaps later. */
function hostFor({ db, hosts }: Xapi, sr: Ref<'SR'>, vms: readonly Ref<'VM'>[]): Ref<'host'> {
  const home = vms
    .map((vm) => db.get('VM', vm).resident_on)
    .find((host) => hosts.isLive(host) && pbdOf(db, sr, host)?.currently_attached === true);
  return home ?? hostOfSr(db, sr, (host) => hosts.isLive(host));
}

/** Does something with VMs that can be made to stand still, and go on at the end. */
async function withStillness<T>(
  call: Call,
  vms: readonly Ref<'VM'>[],
  during: Ref<'VM'> | undefined,
  action: (stillness: Stillness) => Promise<T>,
): Promise<T> {
  const [vm, ...others] = vms;
  if (vm === undefined) return await action({ vms: [], begin: async () => {}, end: async () => {} });
  const work = (): Promise<T> =>
    withStillness(call, others, during, (rest) => {
      assertHasDomain(call.xapi, vm);
      // One that is paused stands still already, and its operation keeps it so.
      if (call.xapi.db.get('VM', vm).power_state === 'Paused') return action(rest);
      return call.xapi.hosts.driveDomain(vm, async (driver, domain) => {
        const stillness = joined(vm, pausing(driver, domain), rest);
        try {
          return await action(stillness);
        } finally {
          await stillness.end();
        }
      });
    });
  return await (vm === during ? work() : withOperation(call, vm, 'snapshot', work));
}

/** @throws XapiError VM_BAD_POWER_STATE when a VM that was to stand still has been shut down hard meanwhile */
function assertHasDomain({ db }: Xapi, vm: Ref<'VM'>): void {
  const { power_state } = db.get('VM', vm);
  if (power_state === 'Running' || power_state === 'Paused') return;
  throw new XapiError('VM_BAD_POWER_STATE', vm, 'running, paused', power_state.toLowerCase());
}

const joined = (vm: Ref<'VM'>, own: Pick<Stillness, 'begin' | 'end'>, rest: Stillness): Stillness => ({
  vms: [vm, ...rest.vms],
  begin: async () => {
    await own.begin();
    await rest.begin();
  },
  end: async () => {
    await own.end();
    await rest.end();
  },
});

/** A domain that is paused at most once, and let go on once. */
function pausing(driver: HostDriver, domain: DomainIdentity): Pick<Stillness, 'begin' | 'end'> {
  let isPaused = false;
  return {
    begin: async () => {
      if (isPaused) return;
      isPaused = true;
      try {
        await driver.pause(domain);
      } catch (error) {
        isPaused = !isOutcomeKnown(error);
        throw error;
      }
    },
    end: async () => {
      if (!isPaused) return;
      isPaused = false;
      await goneIsFine(driver.unpause(domain));
    },
  };
}
