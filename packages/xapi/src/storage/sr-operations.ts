/**
 * Which operations a repository accepts now. One table serves `allowed_operations` and every refusal, so the two
 * cannot disagree. XAPI: ocaml/xapi/xapi_sr_operations.ml (`valid_operations`).
 */
import type { Ref } from '@xenolith/base';
import type { EnumOf, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';
import { driverDoes } from './sm.ts';
import { isHeld } from './vdi-operations.ts';
import { srRefusal } from './vdi-path.ts';

export type SrOperation = EnumOf<'storage_operations'>;

interface Rule {
  /** Whether a host must reach it. */
  readonly needsHost: boolean;
  /** Nothing else may be under way with it. */
  readonly alone?: true;
  /** Whether it must be attached somewhere (true), nowhere (false), or either. */
  readonly attached?: boolean;
  /** No VM may hold a disk of it. */
  readonly unused?: true;
  readonly empty?: true;
}

const work: Rule = { needsHost: true };

/** The operations that do something here; XAPI knows more, and what is not here is never allowed. */
export const srRules: Readonly<Partial<Record<SrOperation, Rule>>> = {
  scan: work,
  update: work,
  vdi_create: work,
  vdi_introduce: work,
  vdi_clone: work,
  vdi_copy: work,
  vdi_snapshot: work,
  vdi_resize: work,
  vdi_destroy: work,
  vdi_forget: { needsHost: false },
  pbd_create: { needsHost: false },
  plug: { needsHost: false },
  unplug: { needsHost: false, alone: true, attached: true, unused: true },
  pbd_destroy: { needsHost: false, alone: true },
  forget: { needsHost: false, alone: true, attached: false },
  destroy: { needsHost: false, alone: true, attached: false, empty: true },
};

/** What the decision is made from. */
export interface SrSituation {
  readonly ref: Ref<'SR'>;
  readonly sr: Pick<RecordOf<'SR'>, 'type' | 'current_operations'>;
  readonly attached: boolean;
  readonly isEmpty: boolean;
  /** A disk of it that a VM holds. */
  readonly heldDisk: Ref<'VDI'> | undefined;
  /** Why no host can be attached: some are not, and none of them answers. */
  readonly plugRefusal?: XapiError;
  /** Why no host can work on its files. */
  readonly srRefusal: XapiError | undefined;
}

/** Why an operation is refused now, or undefined when it is accepted. */
export function srOperationRefusal(situation: SrSituation, operation: SrOperation): XapiError | undefined {
  const { ref, sr, attached, heldDisk } = situation;
  const rule = srRules[operation];
  if (rule === undefined) return new XapiError('NOT_IMPLEMENTED', `SR.${operation}`);
  if (!driverDoes(sr.type, { sr: operation })) return new XapiError('SR_OPERATION_NOT_SUPPORTED', ref);
  const other = Object.entries(sr.current_operations).find(
    ([, underWay]) => rule.alone === true || srRules[underWay]?.alone === true,
  );
  if (other !== undefined) return new XapiError('OTHER_OPERATION_IN_PROGRESS', 'SR', ref, other[1], other[0]);
  if (rule.attached === false && attached) return new XapiError('SR_HAS_PBD', ref);
  if (rule.attached === true && !attached) return new XapiError('SR_HAS_NO_PBDS', ref);
  if (rule.empty === true && !situation.isEmpty) return new XapiError('SR_NOT_EMPTY');
  if (rule.unused === true && heldDisk !== undefined) return new XapiError('VDI_IN_USE', heldDisk, operation);
  if (operation === 'plug' && situation.plugRefusal !== undefined) return situation.plugRefusal;
  return rule.needsHost ? situation.srRefusal : undefined;
}

function situationOf(xapi: Xapi, ref: Ref<'SR'>): SrSituation {
  const { db, hosts } = xapi;
  const sr = db.get('SR', ref);
  const detached = sr.PBDs.map((pbd) => db.get('PBD', pbd)).filter(({ currently_attached }) => !currently_attached);
  const isStuck = detached.every(({ host }) => !hosts.isLive(host));
  const [first] = detached;
  return {
    ref,
    sr,
    attached: sr.PBDs.some((pbd) => db.get('PBD', pbd).currently_attached),
    ...(first !== undefined && isStuck ? { plugRefusal: new XapiError('HOST_OFFLINE', first.host) } : {}),
    isEmpty: sr.VDIs.length === 0,
    heldDisk: sr.VDIs.find((vdi) => isHeld(db, vdi)),
    srRefusal: srRefusal(db, ref, (host) => hosts.isLive(host)),
  };
}

/** @throws XapiError why the operation is refused now */
export function assertSrAllows(xapi: Xapi, ref: Ref<'SR'>, operation: SrOperation): void {
  const refusal = srOperationRefusal(situationOf(xapi, ref), operation);
  if (refusal !== undefined) throw refusal;
}

/** What a repository accepts now. */
export function srAllows(xapi: Xapi, ref: Ref<'SR'>): SrOperation[] {
  const situation = situationOf(xapi, ref);
  const operations = Object.keys(srRules) as SrOperation[];
  return operations.filter((operation) => srOperationRefusal(situation, operation) === undefined);
}
