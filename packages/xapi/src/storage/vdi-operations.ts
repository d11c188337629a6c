/**
 * Which operations a disk accepts now. One table serves `allowed_operations` and every refusal, so the two cannot
 * disagree. XAPI: ocaml/xapi/xapi_vdi.ml (`check_operation_error`, `update_allowed_operations`).
 */
import type { Ref } from '@xenolith/base';
import type { Call } from '../call/call.ts';
import type { Database } from '../database/database.ts';
import type { EnumOf, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';
import { isReserved } from './reserved.ts';
import { driverDoes } from './sm.ts';
import { srRefusal } from './vdi-path.ts';

export type VdiOperation = EnumOf<'vdi_operations'>;

/** Work that shows as a task: what operations are marked with. */
export type Work = Pick<Call, 'xapi' | 'task'>;

interface Rule {
  /** Which use by VMs is in its way: any, also that of a suspended VM; only by guests that may write now; or none. */
  readonly blockedBy: 'use' | 'writing' | 'nothing';
  /** Whether a host must reach the repository. */
  readonly needsHost: boolean;
  /** Whether it needs the file, and takes it for the blocks of a disk: so not the memory of a suspended VM. */
  readonly needsImage: boolean;
  /** Whether several of this kind may be under way on one disk. */
  readonly shares?: boolean;
}

const reading: Rule = { blockedBy: 'writing', needsHost: true, needsImage: true, shares: true };

/** The operations that do something here; XAPI knows more, and what is not here is never allowed. */
export const vdiRules: Readonly<Partial<Record<VdiOperation, Rule>>> = {
  clone: reading,
  copy: reading,
  resize: { blockedBy: 'use', needsHost: true, needsImage: true },
  destroy: { blockedBy: 'use', needsHost: true, needsImage: false },
  forget: { blockedBy: 'use', needsHost: false, needsImage: false },
  update: { blockedBy: 'nothing', needsHost: true, needsImage: false, shares: true },
  // A guest that writes it stands still meanwhile (snapshot.ts).
  snapshot: { blockedBy: 'nothing', needsHost: true, needsImage: true, shares: true },
};

/** A VM's hold on a disk. A suspended VM holds its disks: its memory knows what is on them. */
export interface DiskUse {
  readonly vbd: Ref<'VBD'>;
  readonly vm: Ref<'VM'>;
  readonly writes: boolean;
  /** The guest runs, or is about to: what it may write, it may write now. */
  readonly runs: boolean;
}

/** How a VBD holds its disk now, or undefined while it does not. */
function useBy(db: Database, ref: Ref<'VBD'>): DiskUse | undefined {
  const vbd = db.get('VBD', ref);
  const vm = db.find('VM', vbd.VM);
  // A start that nobody heard the end of may have made a domain: the VM is promised to its host until a picture tells.
  const promised = vm !== undefined && db.has('host', vm.scheduled_to_be_resident_on);
  const attaching = promised || isReserved(vbd) || Object.keys(vbd.current_operations).length > 0;
  const runs = vbd.currently_attached || attaching;
  const suspended = vm !== undefined && !vm.is_a_snapshot && vm.power_state === 'Suspended';
  if (vbd.empty || !(runs || suspended)) return undefined;
  return { vbd: ref, vm: vbd.VM, writes: vbd.mode === 'RW', runs };
}

/** Who holds a disk now. */
export function usesOf(db: Database, vdi: Ref<'VDI'>): readonly DiskUse[] {
  return db.get('VDI', vdi).VBDs.flatMap((vbd) => useBy(db, vbd) ?? []);
}

/** The VM whose memory a suspend image is, or undefined. */
function suspendedInto(db: Database, ref: Ref<'VDI'>, vdi: RecordOf<'VDI'>): Ref<'VM'> | undefined {
  if (vdi.type !== 'suspend') return undefined;
  return db.naming('VM', 'suspend_VDI', ref)[0];
}

/** Whether a VM holds a disk, or needs it as its memory. A snapshot waits, and needs nothing of a host. */
export function isHeld(db: Database, ref: Ref<'VDI'>): boolean {
  const owner = suspendedInto(db, ref, db.get('VDI', ref));
  return usesOf(db, ref).length > 0 || (owner !== undefined && !db.get('VM', owner).is_a_snapshot);
}

/** What the decision is made from. */
export interface VdiSituation {
  readonly ref: Ref<'VDI'>;
  readonly vdi: Pick<RecordOf<'VDI'>, 'managed' | 'missing' | 'type' | 'current_operations' | 'SR'>;
  readonly uses: readonly Pick<DiskUse, 'writes' | 'runs'>[];
  /** It is the memory of a VM that needs it. */
  readonly isMemory: boolean;
  /** The type of its repository. */
  readonly srType: string;
  /** Why no host can work on its file. */
  readonly srRefusal: XapiError | undefined;
}

/** Why an operation is refused now, or undefined when it is accepted. */
export function vdiRefusal(situation: VdiSituation, operation: VdiOperation): XapiError | undefined {
  const { ref, vdi, uses, isMemory } = situation;
  const rule = vdiRules[operation];
  if (rule === undefined) return new XapiError('NOT_IMPLEMENTED', `VDI.${operation}`);
  if (!driverDoes(situation.srType, { vdi: operation })) return new XapiError('SR_OPERATION_NOT_SUPPORTED', vdi.SR);
  const other = Object.entries(vdi.current_operations).find(
    ([, underWay]) => !(rule.shares === true && vdiRules[underWay]?.shares === true),
  );
  if (other !== undefined) return new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VDI', ref, other[1], other[0]);
  if (!vdi.managed) return new XapiError('VDI_NOT_MANAGED', ref);
  const blocked =
    rule.blockedBy !== 'nothing' &&
    (isMemory || uses.some(({ writes, runs }) => rule.blockedBy === 'use' || (writes && runs)));
  if (blocked) return new XapiError('VDI_IN_USE', ref, operation);
  if (rule.needsImage && vdi.type === 'suspend') return new XapiError('VDI_INCOMPATIBLE_TYPE', ref, vdi.type);
  if (rule.needsImage && vdi.missing) return new XapiError('VDI_MISSING', vdi.SR, ref);
  return rule.needsHost ? situation.srRefusal : undefined;
}

/** @param but a VM whose hold does not count */
function situationOf(xapi: Xapi, ref: Ref<'VDI'>, but?: Ref<'VM'>): VdiSituation {
  const { db, hosts } = xapi;
  const vdi = db.get('VDI', ref);
  return {
    ref,
    vdi,
    uses: usesOf(db, ref).filter(({ vm }) => vm !== but),
    isMemory: suspendedInto(db, ref, vdi) !== undefined,
    srType: db.find('SR', vdi.SR)?.type ?? '',
    srRefusal: srRefusal(db, vdi.SR, (host) => hosts.isLive(host)),
  };
}

/**
 * @param but a VM whose hold on the disk does not count: it will have let go by then
 * @throws XapiError why the operation is refused now
 */
export function assertVdiAllows(xapi: Xapi, ref: Ref<'VDI'>, operation: VdiOperation, but?: Ref<'VM'>): void {
  const refusal = vdiRefusal(situationOf(xapi, ref, but), operation);
  if (refusal !== undefined) throw refusal;
}

/** What a disk accepts now. */
export function vdiAllows(xapi: Xapi, ref: Ref<'VDI'>): readonly VdiOperation[] {
  const situation = situationOf(xapi, ref);
  const operations = Object.keys(vdiRules) as VdiOperation[];
  return operations.filter((operation) => vdiRefusal(situation, operation) === undefined);
}
