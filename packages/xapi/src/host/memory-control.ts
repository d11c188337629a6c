/**
 * The memory of one host's VMs: kept for those that start, and moved between those that have a range. What squeezed is
 * to XAPI (ocaml/squeezed); who gets how much is decided in the hypervisor's model of it.
 */
import { bytes, fromKib, kibBytes, mibBytes, type Bytes, type Disposable, type Ref, type Uuid } from '@xenolith/base';
import {
  balanceCheckMs,
  hasHitTarget,
  Squeezed,
  squeezeRoundMs,
  type DomainMemoryState,
  type Squeeze,
  type SqueezeAction,
  type SqueezeFailure,
  type SqueezeHost,
} from '@xenolith/hypervisor';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { HostError, type DomainPicture, type HostDriver, type HostFacts } from '../host-driver.ts';
import { leastTargetBytes, type DomainMemory } from '../host-memory.ts';
import { noTask, type Task } from '../task/tasks.ts';
import { overheadOf } from '../vm/memory-overhead.ts';
import type { Xapi } from '../xapi.ts';
import { isOutcomeKnown } from '../host-error.ts';
import { hostOverhead, roomOn, vmsAt } from './memory-account.ts';

/** A squeeze that is waited for ends by then, with what there is: a guest that is slow may be slower than anybody's patience. */
const squeezeLimitMs = 300_000;
/** Real hosts tell free memory in MiB: targets that only chase what was rounded off are let be, after so many rounds. */
const fineRoundsMax = 3;
const fineKib = mibBytes / kibBytes;
/** How long a guest that has a range may take to come up before it counts as one without a balloon. */
const bootPatienceMs = 120_000;

/** Memory that is kept for a VM while its domain is made. */
export interface MemoryGrant {
  /** What it starts with. */
  readonly targetBytes: Bytes;
  /** It has been made, or has not. */
  release(): void;
}

export interface MemoryRange {
  readonly minBytes: Bytes;
  readonly maxBytes: Bytes;
}

interface Starting {
  readonly id: string;
  readonly kib: number;
  readonly overheadKib: number;
  /** It will be more than its least once it is up. */
  readonly canGive: boolean;
  /** Its domain was seen: what it has already counts no longer as kept. */
  isTransferred: boolean;
}

/** The host as a squeeze sees it, and whose domains those are. */
interface Look {
  readonly host: SqueezeHost;
  readonly states: ReadonlyMap<number, DomainMemory>;
  /** A guest that has a range is being made, or not up yet: there may be more to get soon. */
  readonly isBooting: boolean;
}

interface Patience {
  readonly task: Task;
  readonly isStopped: () => boolean;
}

/** Domains whose hosts refused to set their targets: they stand still until the next squeeze. */
type Refused = Set<number>;

const kibUp = (value: number): number => Math.ceil(value / kibBytes);
const kibDown = (value: number): number => Math.floor(value / kibBytes);

export class MemoryControl {
  readonly #xapi: Xapi;
  readonly #host: Ref<'host'>;
  readonly #driver: Pick<HostDriver, 'memory'>;
  readonly #squeezed = new Squeezed();
  /** VMs whose domains are being made, by uuid. */
  readonly #starting = new Map<Uuid, Starting>();
  /** One squeeze at a time. */
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  /** Until the next balance; none while one is under way or waits for its turn. */
  #timer: Disposable | undefined;
  #isBalancing = false;
  #isClosed = false;
  /** What the host said when it came alive, until its overhead was reckoned. */
  #facts: HostFacts | undefined;
  #nowMs = 0;
  /** Since when domains that have a range have been seen without a balloon. */
  readonly #bootingSinceMs = new Map<number, number>();

  constructor(xapi: Xapi, host: Ref<'host'>, driver: Pick<HostDriver, 'memory'>) {
    this.#xapi = xapi;
    this.#host = host;
    this.#driver = driver;
  }

  /** The host came alive. */
  alive(facts: HostFacts): void {
    this.#facts = facts;
  }

  /** A picture of it came. Memory is balanced from now and then as long as there is a VM with a range, and not looked at otherwise. */
  see({ domains }: DomainPicture): void {
    this.#learnOverhead(domains);
    this.#balanceLater();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.dispose();
  }

  /**
   * Keeps memory for a VM whose domain is to be made here, moving the balloons of others where there is not enough.
   * @param range of its target, in bytes; the least is enough
   * @throws XapiError HOST_NOT_ENOUGH_FREE_MEMORY, VMS_FAILED_TO_COOPERATE, TASK_CANCELLED; HostError
   */
  async grant(ref: Ref<'VM'>, range: MemoryRange, task: Task = noTask): Promise<MemoryGrant> {
    const vm = this.#xapi.db.get('VM', ref);
    const overhead = overheadOf(vm);
    // Nothing could ever be moved, and whether there is enough was looked at when the host was chosen; or there is plenty.
    const isFixed = range.minBytes === range.maxBytes && !this.#hasRanges(ref);
    if (isFixed || roomOn(this.#xapi, this.#host, 'none', ref) >= range.maxBytes + overhead)
      return this.#keep(vm, this.#squeezed.hold(kibUp(range.maxBytes + overhead)), range.maxBytes, overhead);
    return await this.#inTurn(() => this.#squeezeFor(vm, range, overhead, task), task);
  }

  /** Brings balloons to where the records want them. What cannot be done now is tried again from now and then. */
  async balance(task: Task = noTask): Promise<void> {
    await this.#inTurn(async () => {
      const isLate = this.#limit();
      await this.#run(this.#squeezed.rebalance(), { task, isStopped: () => this.#isClosed || isLate() });
    }, task);
    this.#balanceLater();
  }

  #keep(vm: RecordOf<'VM'>, id: string, targetBytes: Bytes, overhead: Bytes): MemoryGrant {
    const starting = {
      id,
      kib: kibUp(targetBytes + overhead),
      overheadKib: kibUp(overhead),
      canGive: targetBytes > vm.memory_dynamic_min,
      isTransferred: false,
    };
    const uuid = vm.uuid as Uuid;
    this.#starting.set(uuid, starting);
    return {
      targetBytes,
      release: () => {
        if (!starting.isTransferred) this.#squeezed.drop(id);
        if (this.#starting.get(uuid) === starting) this.#starting.delete(uuid);
      },
    };
  }

  async #squeezeFor(vm: RecordOf<'VM'>, range: MemoryRange, overhead: Bytes, task: Task): Promise<MemoryGrant> {
    const [minKib, maxKib] = [kibUp(range.minBytes + overhead), kibUp(range.maxBytes + overhead)];
    try {
      const kept = await this.#free(vm, minKib, maxKib, { task, isStopped: this.#limit() });
      // xl takes whole MiB.
      const given = fromKib(kept.kib) - overhead;
      const target = Math.max(range.minBytes, Math.floor(given / mibBytes) * mibBytes);
      return this.#keep(vm, kept.id, bytes(Math.min(target, range.maxBytes)), overhead);
    } catch (error) {
      // What others gave for nothing they get back.
      this.#timer?.dispose();
      this.#timer = undefined;
      this.#balanceLater(0);
      throw error;
    }
  }

  /** Squeezes until there is enough, and again as long as a guest that may give some is coming up. */
  async #free(
    vm: RecordOf<'VM'>,
    minKib: number,
    maxKib: number,
    patience: Patience,
  ): Promise<{ readonly id: string; readonly kib: number }> {
    const refused: Refused = new Set();
    for (;;) {
      const first = await this.#look(vm, refused);
      const squeeze = this.#squeezed.freeRange(first.host, minKib, maxKib);
      if (!squeeze.ok) throw new XapiError('MEMORY_CONSTRAINT_VIOLATION', 'dynamic_min <= dynamic_max');
      const { look, failure } = await this.#run(squeeze.value, { ...patience, first, vm, refused });
      const kept = this.#squeezed.reserve(look.host, minKib, maxKib, failure);
      if (kept.ok) return kept.value;
      if (!look.isBooting || patience.isStopped())
        throw this.#refusal(minKib, kept.error.kind === 'not-freed' ? kept.error : undefined, look);
      await this.#pause(patience.task);
    }
  }

  #refusal(
    minKib: number,
    why: { readonly freeKib: number; readonly failure: SqueezeFailure } | undefined,
    { states }: Look,
  ): XapiError {
    if (why?.failure.kind === 'refused-to-cooperate') {
      const vms = why.failure.domids.flatMap((domid) => {
        const state = states.get(domid);
        return (state === undefined ? undefined : this.#xapi.db.byUuid('VM', state.uuid)) ?? [];
      });
      return new XapiError('VMS_FAILED_TO_COOPERATE', ...vms);
    }
    const free = fromKib(Math.max(0, why?.freeKib ?? 0));
    return new XapiError('HOST_NOT_ENOUGH_FREE_MEMORY', String(fromKib(minKib)), String(free));
  }

  /** VMs here whose balloons may be moved: they have a range, or are not where their records want them. */
  #movable(): readonly RecordOf<'VM'>[] {
    const { db } = this.#xapi;
    return (db.find('host', this.#host)?.resident_VMs ?? []).map((ref) => db.get('VM', ref)).filter(isMovable);
  }

  /** Whether a VM that is here or on its way could give memory now or later: one that is paused or just being made, too. */
  #hasRanges(except: Ref<'VM'>): boolean {
    const { db } = this.#xapi;
    return Array.from(vmsAt(db, this.#host)).some((ref) => ref !== except && mayGive(db.get('VM', ref)));
  }

  /** @throws XapiError TASK_CANCELLED, at once and not only when it is its turn */
  async #inTurn<T>(work: () => Promise<T>, task = noTask): Promise<T> {
    const before = this.#turn;
    let end = (): void => undefined;
    const mine = new Promise<void>((resolve) => {
      end = resolve;
    });
    // Who leaves early is still behind those that were before, so that nobody passes them.
    this.#turn = before.then(() => mine);
    this.#waiting++;
    try {
      await orCancelled(before, task).finally(() => this.#waiting--);
      task.throwIfCancelled();
      return await work();
    } finally {
      end();
    }
  }

  #balanceLater(delayMs = balanceCheckMs): void {
    if (this.#isClosed || this.#isBalancing || this.#timer !== undefined || this.#movable().length === 0) return;
    this.#timer = this.#xapi.clock.after(delayMs, () => {
      this.#timer = undefined;
      void this.#balanceNow();
    });
  }

  async #balanceNow(): Promise<void> {
    this.#isBalancing = true;
    try {
      if (this.#xapi.hosts.isLive(this.#host)) await this.#inTurn(() => this.#rebalance());
    } catch (error) {
      // A host that does not answer tells so itself, and its pictures begin this anew.
      if (!(error instanceof HostError || error instanceof XapiError)) throw error;
    } finally {
      this.#isBalancing = false;
    }
    this.#balanceLater();
  }

  async #rebalance(): Promise<void> {
    const look = await this.#look();
    const isOff = look.host.domains.some(
      ({ canBalloon, targetKib, dynamicMinKib, dynamicMaxKib }) =>
        canBalloon && (targetKib < dynamicMinKib || targetKib > dynamicMaxKib),
    );
    if (!isOff && this.#squeezed.isBalanced(look.host)) return;
    // Who wants to start does not wait for it.
    const isLate = this.#limit();
    const isStopped = (): boolean => this.#waiting > 0 || this.#isClosed || isLate();
    await this.#run(this.#squeezed.rebalance(), { task: noTask, first: look, isStopped });
  }

  /** Runs a squeeze to its end, or until it is stopped; and gives the host as it is then. */
  async #run(
    squeeze: Squeeze,
    {
      task,
      isStopped,
      first,
      vm,
      refused = new Set(),
    }: Patience & { readonly first?: Look; readonly vm?: RecordOf<'VM'>; readonly refused?: Refused },
  ): Promise<{ readonly look: Look; readonly failure?: SqueezeFailure }> {
    let look = first ?? (await this.#look(vm, refused));
    for (let round = 0; ; round++) {
      task.throwIfCancelled();
      const { actions, outcome } = squeeze.round(look.host, this.#now());
      const isFine = round >= fineRoundsMax && isSettled(look.host, actions);
      if (!isFine) await this.#apply(look, actions, refused);
      if (outcome !== undefined) return outcome.ok ? { look } : { look, failure: outcome.failure };
      if (isFine || isStopped()) return { look };
      await this.#pause(task);
      look = await this.#look(vm, refused);
    }
  }

  /** @throws HostError when the host cannot be heard; what it says of one domain is between it and that one */
  async #apply({ host, states }: Look, actions: readonly SqueezeAction[], refused: Refused): Promise<void> {
    const told = new Map(host.domains.map(({ domid, targetKib }) => [domid, targetKib]));
    const setting = actions.map(async ({ domid, targetKib, maximumKib }) => {
      const now = told.get(domid) ?? 0;
      // Xen's maximum follows the target: who is no longer counted on is told to stay where it is.
      const kib = targetKib ?? Math.min(now, maximumKib);
      const state = states.get(domid);
      if (kib === now || state === undefined) return;
      try {
        await this.#driver.memory.setTarget(state, fromKib(kib));
        this.#noteTarget(state, fromKib(kib));
      } catch (error) {
        if (!(error instanceof HostError && isOutcomeKnown(error))) throw error;
        if (error.code === 'no-such-domain') return;
        refused.add(domid);
        this.#xapi.log.warn('a memory target could not be set', { uuid: state.uuid, error: error.message });
      }
    });
    await Promise.all(setting);
  }

  #noteTarget({ uuid }: DomainMemory, memory_target: Bytes): void {
    const { db } = this.#xapi;
    const ref = db.byUuid('VM', uuid);
    if (ref !== undefined && db.get('VM', ref).memory_target !== memory_target) db.update('VM', ref, { memory_target });
  }

  /** A round's wait; ends at once when the task is cancelled. */
  async #pause(task: Task): Promise<void> {
    let timer: Disposable | undefined;
    const round = new Promise<void>((resolve) => {
      timer = this.#xapi.clock.after(squeezeRoundMs, resolve);
    });
    await orCancelled(round, task);
    timer?.dispose();
  }

  /** Whether what begins now has taken as long as it may, with all its squeezes. */
  #limit(): () => boolean {
    const limitMs = this.#now() + squeezeLimitMs;
    return () => this.#now() > limitMs;
  }

  /** Squeezes want a clock that never goes back. */
  #now(): number {
    this.#nowMs = Math.max(this.#nowMs, this.#xapi.clock.now());
    return this.#nowMs;
  }

  /** @param asking the VM that is to start: what is promised to the others is not free */
  async #look(asking?: RecordOf<'VM'>, refused: ReadonlySet<number> = new Set()): Promise<Look> {
    const { freeBytes, domains } = await this.#driver.memory.states();
    const states = new Map(domains.map((domain) => [Number(domain.domid), domain]));
    for (const domid of this.#bootingSinceMs.keys()) if (!states.has(domid)) this.#bootingSinceMs.delete(domid);
    const views = domains.map((domain) => this.#stateOf(domain, refused));
    const host = this.#squeezed.view(kibDown(freeBytes) - this.#promisedKib(states, asking), views);
    const isBooting =
      [...this.#starting.values()].some(({ canGive }) => canGive) ||
      [...this.#bootingSinceMs.values()].some((sinceMs) => this.#now() - sinceMs < bootPatienceMs);
    return { host, states, isBooting };
  }

  /**
   * What is free and is somebody's: the least for VMs that were let in here and whose turn has not come, and what those had
   * that are just being rebooted and have no domain; and what those lack of their least that are not up yet.
   */
  #promisedKib(states: Look['states'], asking?: RecordOf<'VM'>): number {
    const present = new Map(Array.from(states.values(), (state) => [state.uuid, state]));
    let sum = 0;
    for (const ref of vmsAt(this.#xapi.db, this.#host)) {
      const vm = this.#xapi.db.get('VM', ref);
      const uuid = vm.uuid as Uuid;
      if (vm.is_control_domain || uuid === asking?.uuid || this.#starting.has(uuid)) continue;
      const isHere = vm.resident_on === this.#host;
      const state = present.get(uuid);
      if (state !== undefined) {
        if (isHere && !state.hasBalloonDriver) sum += Math.max(0, kibUp(vm.memory_dynamic_min - state.targetBytes));
        continue;
      }
      const isNew = !isHere && vm.power_state === 'Halted';
      sum += kibUp((isNew ? vm.memory_dynamic_min : vm.memory_target) + overheadOf(vm));
    }
    return sum;
  }

  /** A domain as squeezed has it. What has no range by the records stands still. */
  #stateOf(domain: DomainMemory, refused: ReadonlySet<number>): DomainMemoryState {
    const { db } = this.#xapi;
    const { domid, actualBytes, targetBytes, maximumBytes, uuid } = domain;
    const ref = domid === 0 ? undefined : db.byUuid('VM', uuid);
    const vm = ref === undefined ? undefined : db.get('VM', ref);
    const isHere = vm?.power_state === 'Running' && vm.domid === domid && vm.resident_on === this.#host;
    const mayMove = isHere && isMovable(vm);
    const isUp = domain.hasBalloonDriver && mayMove;
    if (!mayMove || isUp) this.#bootingSinceMs.delete(domid);
    else if (!this.#bootingSinceMs.has(domid)) this.#bootingSinceMs.set(domid, this.#now());
    if (isUp) this.#noteTarget(domain, targetBytes);
    const canMove = isUp && !refused.has(domid);
    const starting = this.#starting.get(uuid);
    if (starting !== undefined && !starting.isTransferred) {
      this.#squeezed.transfer(starting.id);
      starting.isTransferred = true;
    }
    const [targetKib, least] = [kibDown(targetBytes), kibDown(leastTargetBytes)];
    const dynamicMaxKib = Math.max(least, kibDown(Math.min(vm?.memory_dynamic_max ?? 0, maximumBytes)));
    return {
      domid,
      hasBalloonDriver: canMove,
      hasAgent: false,
      dynamicMinKib: canMove ? Math.min(dynamicMaxKib, Math.max(least, kibUp(vm.memory_dynamic_min))) : targetKib,
      dynamicMaxKib: canMove ? dynamicMaxKib : targetKib,
      targetKib,
      totalKib: kibDown(actualBytes),
      maximumKib: targetKib,
      initialReservationKib: starting?.kib ?? 0,
      shadowKib: starting?.overheadKib ?? 0,
    };
  }

  /** When guests run already what they take is only reckoned: an overhead that is known is kept then. */
  #learnOverhead(domains: DomainPicture['domains']): void {
    const { db } = this.#xapi;
    const host = db.find('host', this.#host);
    if (this.#facts === undefined || host === undefined) return;
    const memory_overhead = hostOverhead(this.#xapi, this.#facts, domains);
    this.#facts = undefined;
    if (host.memory_overhead !== 0 && domains.length > 1) return;
    if (host.memory_overhead !== memory_overhead) db.update('host', this.#host, { memory_overhead });
  }
}

const isMovable = (vm: RecordOf<'VM'>): boolean => vm.power_state === 'Running' && mayGive(vm);

/** It has a range, or is not where its record wants it. */
function mayGive(vm: RecordOf<'VM'>): boolean {
  const { is_control_domain, memory_dynamic_min: min, memory_dynamic_max: max, memory_target } = vm;
  return !is_control_domain && (min < max || (memory_target !== 0 && (memory_target < min || memory_target > max)));
}

/** Every balloon is where it was told to be, and would be moved by less than free memory is known. */
function isSettled({ domains }: SqueezeHost, actions: readonly SqueezeAction[]): boolean {
  let changeKib = 0;
  for (const domain of domains) {
    if (!domain.canBalloon) continue;
    const told = actions.find(({ domid }) => domid === domain.domid)?.targetKib ?? domain.targetKib;
    changeKib += Math.abs(told - domain.targetKib);
    if (!hasHitTarget(domain)) return false;
  }
  return changeKib < fineKib;
}

/** Waits for a thing that does not fail, or until the task is cancelled. */
async function orCancelled(thing: Promise<void>, task: Task): Promise<void> {
  let listening: Disposable | undefined;
  const cancelled = new Promise<void>((resolve) => {
    listening = task.onCancel(resolve);
  });
  await Promise.race([thing, cancelled]);
  listening?.dispose();
}
