/** Migration of VMs, and of disks. XAPI: ocaml/xapi/xapi_vm_migrate.ml, xapi_vdi.ml (`pool_migrate`). */
import type { Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { assertMovable, moveDisk } from '../storage/move-disk.ts';
import { usesOf } from '../storage/vdi-operations.ts';
import { assertCanMigrate, migrate } from '../vm/migrate.ts';
import { readMigration, receive, type SendRequest } from '../vm/migrate-send.ts';
import { assertAllowed, withOperation } from '../vm/operations.ts';
import type { Call, CallsOf } from './call.ts';

/** Everything that a migration would be refused for before anything is done. */
function assertSendable(call: Call, request: SendRequest): void {
  const { xapi } = call;
  assertAllowed(xapi, request.vm, 'migrate_send');
  const { to, moves, snapshotDisks } = readMigration(xapi, request);
  assertCanMigrate(xapi, request.vm, to, moves);
  for (const [vdi, sr] of snapshotDisks) assertMovable(xapi, vdi, sr);
}

export const vmMigrateCalls = {
  pool_migrate: (call, { vm, host }) => withOperation(call, vm, 'pool_migrate', () => migrate(call, vm, host)),
  migrate_send: (call, args) =>
    withOperation(call, args.vm, 'migrate_send', async () => {
      const { to, moves, snapshotDisks } = readMigration(call.xapi, args);
      for (const [vdi, sr] of snapshotDisks) assertMovable(call.xapi, vdi, sr);
      await migrate(call, args.vm, to, moves);
      for (const [vdi, sr] of snapshotDisks) await moveDisk(call, vdi, sr);
      return args.vm;
    }),
  assert_can_migrate: assertSendable,
  assert_can_migrate_sender: assertSendable,
} as const satisfies CallsOf<'VM'>;

export const hostMigrateCalls = {
  migrate_receive: (call, { host, network }) => receive(call, host, network),
} as const satisfies CallsOf<'host'>;

/**
 * Moves a disk to another repository. A guest that has it stands still meanwhile, as in {@link migrate}; one that is in
 * no running VM is moved too, which XAPI refuses (VDI_NEEDS_VM_FOR_MIGRATE).
 */
async function migrateDisk(call: Call, vdi: Ref<'VDI'>, sr: Ref<'SR'>): Promise<Ref<'VDI'>> {
  const { db } = call.xapi;
  const { SR, VBDs } = db.get('VDI', vdi);
  db.get('SR', sr);
  if (SR === sr) return vdi;
  const [user, ...others] = new Set(usesOf(db, vdi).map(({ vm }) => vm));
  if (others.length > 0) throw new XapiError('VDI_IN_USE', vdi, 'mirror');
  if (user === undefined) return await moveDisk(call, vdi, sr);
  return await withOperation(call, user, 'migrate_send', async () => {
    const { resident_on, power_state } = db.get('VM', user);
    if (power_state !== 'Running') return await moveDisk(call, vdi, sr, user);
    await migrate(call, user, resident_on, { disks: new Map([[vdi, sr]]), networks: new Map() });
    const [vbd] = VBDs.filter((each) => db.has('VBD', each));
    return vbd === undefined ? vdi : db.get('VBD', vbd).VDI;
  });
}

export const vdiMigrateCalls = {
  pool_migrate: (call, { vdi, sr }) => migrateDisk(call, vdi, sr),
} as const satisfies CallsOf<'VDI'>;
