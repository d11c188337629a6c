/** What disks and repositories list as allowed, over random histories on the model: none is refused for its state, all others are. */
import { gibBytes, type Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk } from '../testing/new-objects.ts';

const stateErrors = new Set([
  'VDI_IN_USE',
  'OTHER_OPERATION_IN_PROGRESS',
  'SR_HAS_PBD',
  'SR_HAS_NO_PBDS',
  'SR_NOT_ATTACHED',
  'SR_NOT_EMPTY',
  'SR_OPERATION_NOT_SUPPORTED',
  'HOST_OFFLINE',
  'VDI_MISSING',
  'VDI_NOT_MANAGED',
  'VDI_INCOMPATIBLE_TYPE',
]);

interface Objects {
  readonly pool: ModelPool;
  readonly sr: Ref<'SR'>;
  readonly pbd: Ref<'PBD'>;
  readonly disks: Ref<'VDI'>[];
  readonly vm: Ref<'VM'>;
}

/** A repository beside the host's own, with three disks; a VM has one of them. */
async function open(): Promise<Objects> {
  const pool = await ModelPool.open();
  const config = { location: '/srv/more' };
  const sr = await pool.call<Ref<'SR'>>('SR.create', pool.host(), config, 0, 'more', '', 'file', 'user', false, {});
  const [pbd] = pool.db.get('SR', sr).PBDs;
  const disks: Ref<'VDI'>[] = [];
  for (let index = 0; index < 3; index++) disks.push(await pool.call('VDI.create', newDisk(sr, gibBytes)));
  const vm = await pool.newVm();
  await pool.call('VBD.create', newDevice(vm, disks[0] ?? '', '0'));
  return { pool, sr, pbd: pbd!, disks, vm };
}

type Act = (
  objects: Objects,
  which: number,
) => {
  readonly of: 'SR' | 'VDI';
  readonly ref: string;
  readonly operation: string;
  readonly method: string;
  readonly args: readonly WireValue[];
};

const onDisk =
  (operation: string, ...args: readonly WireValue[]): Act =>
  ({ disks }, which) => {
    const ref = disks[which % disks.length] ?? '';
    return { of: 'VDI', ref, operation, method: `VDI.${operation}`, args: [ref, ...args] };
  };
const onRepository =
  (operation: string, method = `SR.${operation}`, argument: (objects: Objects) => WireValue = ({ sr }) => sr): Act =>
  (objects) => ({ of: 'SR', ref: objects.sr, operation, method, args: [argument(objects)] });

const acts: readonly Act[] = [
  onDisk('destroy'),
  onDisk('resize', 2 * gibBytes),
  onDisk('clone', {}),
  onDisk('copy'),
  onDisk('snapshot'),
  onDisk('forget'),
  onDisk('update'),
  onRepository('scan'),
  onRepository('update'),
  onRepository('forget'),
  onRepository('destroy'),
  onRepository('plug', 'PBD.plug', ({ pbd }) => pbd),
  onRepository('unplug', 'PBD.unplug', ({ pbd }) => pbd),
  onRepository('vdi_create', 'VDI.create', ({ sr }) => newDisk(sr, gibBytes)),
];

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ act: fc.constantFrom(...acts), which: fc.nat(2), wait: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ vm: fc.constantFrom('start', 'suspend', 'resume', 'hard_shutdown') }) },
  { weight: 1, arbitrary: fc.record({ reachable: fc.boolean() }) },
);

test('what is listed is not refused for its state, and what is not listed is', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 16 }), async (steps) => {
      const objects = await open();
      const { pool } = objects;
      const going: Promise<unknown>[] = [];
      for (const each of steps) {
        if ('reachable' in each) {
          pool.machine().setReachable(each.reachable);
          await pool.settle();
        } else if ('vm' in each) {
          const extra = ['start', 'resume'].includes(each.vm) ? [false, false] : [];
          going.push(pool.begin(`VM.${each.vm}`, objects.vm, ...extra));
          await pool.clock.advanceAsync(10_000);
        } else {
          const { of, ref, operation, method, args } = each.act(objects, each.which);
          if (!pool.db.has(of, ref as never) || !pool.db.has('PBD', objects.pbd)) continue;
          // A second unplug of a PBD is no mistake, as with XAPI.
          if (method === 'PBD.unplug' && !pool.db.get('PBD', objects.pbd).currently_attached) continue;
          const listed = pool.db.getAny(of, ref)['allowed_operations'] as readonly string[];
          const isListed = listed.includes(operation);
          const answering = pool.begin(method, ...args);
          going.push(answering);
          if (!each.wait) continue;
          const answer = await answering;
          const code = answer.ok ? '' : (answer.error[0] ?? '');
          expect(stateErrors.has(code), `${method}, listed: ${isListed}: ${code}`).toBe(!isListed);
        }
      }
      pool.machine().setReachable(true);
      await pool.clock.advanceAsync(100_000);
      await Promise.all(going);
      expect(pool.disagreements()).toEqual([]);
    }),
    { numRuns: 60 },
  );
});
