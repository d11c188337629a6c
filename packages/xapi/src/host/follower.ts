/** Makes the records of one host's VMs follow its pictures. */
import { disposable, nullRef, type Disposable, type DomId, type Ref, type Uuid } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { HostError, type DomainInfo, type DomainPicture, type HostDriver } from '../host-driver.ts';
import { updateDeviceOperations } from '../storage/allowed-operations.ts';
import { settleDevices, unsettledVms } from '../storage/hot-plug.ts';
import { updateAllowedOperations } from '../vm/operations.ts';
import { newVmRecord } from '../vm/new-vm.ts';
import { markHalted, markRunning, markSuspended } from '../vm/power-state.ts';
import {
  forgetSuspendVdi,
  imageState,
  removeSuspendVdi,
  sweepSuspendVdis,
  type ImageState,
} from '../vm/suspend-image.ts';
import type { Xapi } from '../xapi.ts';
import { CpuUse } from './cpu-use.ts';
import { guestsChanged } from './host-operations.ts';
import { domainsByUuid, reconcile, type Decision, type KnownVm } from './reconcile.ts';

/**
 * A rebooting guest has no domain for a moment, between the end of the old one and the making of the new. Only when
 * it stays away for this long has it ended.
 */
const rebootGraceMs = 60_000;

/** When to look again at a domain that is still being made. */
const unpausedSoonMs = 250;

/** A domain that is just being made cannot be described yet; after so many pictures it is taken as it is. */
const describeAttempts = 3;

/**
 * How long a guest may take to suspend itself before a save of it that nobody hears of any more counts as failed: libxl
 * gives it a minute, and from then on its domain shows as shut down.
 */
const saveGraceMs = 600_000;

/** How long an image may take to get its name once its domain has ended. */
const namingGraceMs = 60_000;

/** When to try again to remove an image that could not be removed. */
const sweepAgainMs = 60_000;

/** What following needs of a driver, beside its pictures. */
export type FollowedHost = Pick<HostDriver, 'sequence' | 'refresh' | 'describe'> & {
  readonly files: Pick<HostDriver['files'], 'stat'>;
};

export class Follower {
  readonly #xapi: Xapi;
  readonly #host: Ref<'host'>;
  readonly #driver: FollowedHost;
  readonly #held = new Map<Ref<'VM'>, number>();
  /** Pictures begun before this count say nothing about the VM. */
  readonly #settledAt = new Map<Ref<'VM'>, number>();
  /** Domains without a record that could not be described so far, and how often. */
  readonly #undescribed = new Map<string, number>();
  /** VMs seen to have shut down for a reboot. */
  readonly #rebooting = new Set<Ref<'VM'>>();
  /** Since when a rebooting VM has had no domain. */
  readonly #absentSinceMs = new Map<Ref<'VM'>, number>();
  /** Since when a running VM has been seen with a save under way that is none of ours. */
  readonly #savedSinceMs = new Map<Ref<'VM'>, number>();
  /** The domains of the last picture. */
  #present: ReadonlyMap<Uuid, DomainInfo> = new Map();
  /** The next picture is the first after a time of which nothing is known. */
  #isFirst = true;
  /** From when on the next picture is the time to remove images that are left. */
  #sweepAtMs = Infinity;
  readonly #vcpuUse: CpuUse<DomId>;
  #work: Promise<void> = Promise.resolve();

  constructor(xapi: Xapi, host: Ref<'host'>, driver: FollowedHost) {
    this.#xapi = xapi;
    this.#vcpuUse = new CpuUse(xapi.clock);
    this.#host = host;
    this.#driver = driver;
  }

  /** Keeps pictures from touching a VM until disposed; older pictures do not touch it afterwards either. */
  hold(vm: Ref<'VM'>): Disposable {
    this.#held.set(vm, (this.#held.get(vm) ?? 0) + 1);
    return disposable(() => {
      const left = (this.#held.get(vm) ?? 1) - 1;
      if (left === 0) this.#held.delete(vm);
      else this.#held.set(vm, left);
      this.#settledAt.set(vm, this.#driver.sequence());
    });
  }

  /** Whether we work on a VM's domain here. */
  isHeld(vm: Ref<'VM'>): boolean {
    return this.#held.has(vm);
  }

  /** The domain of a uuid in the last picture; one that has shut down does not count. */
  domainOf(uuid: string): DomainInfo | undefined {
    const domain = this.#present.get(uuid as Uuid);
    return domain?.shutdown === undefined ? domain : undefined;
  }

  /** What was under way on the host has ended in a way that nobody saw: the next picture looks at what is left of it. */
  lostSight(): void {
    this.#isFirst = true;
  }

  /** An image could not be removed here, although the host is not lost. */
  imageLeft(): void {
    this.#sweepAtMs = Math.min(this.#sweepAtMs, this.#xapi.clock.now() + sweepAgainMs);
  }

  /** Takes in a picture. Pictures are worked on one after the other. */
  see(picture: DomainPicture): void {
    this.#present = domainsByUuid(picture.domains);
    this.#work = this.#work
      .then(() => this.#apply(picture))
      .catch((error: unknown) => {
        this.#xapi.log.error('a picture of a host could not be taken in', {
          error: error instanceof Error ? (error.stack ?? '') : String(error),
        });
      });
  }

  async #apply(picture: DomainPicture): Promise<void> {
    const { db } = this.#xapi;
    if (!db.has('host', this.#host)) return;
    this.#noteReboots(picture);
    const decisions = reconcile(this.#host, picture.domains, this.#known(picture));
    for (const decision of decisions) await this.#attempt(() => this.#carryOut(decision, picture));
    if (this.#isFirst) {
      this.#isFirst = false;
      const done = await this.#attempt(() => this.#clearUp(picture));
      if (done !== true) this.#isFirst = true;
    } else if (this.#xapi.clock.now() >= this.#sweepAtMs) {
      this.#sweepAtMs = Infinity;
      await this.#attempt(() => sweepSuspendVdis(this.#xapi, this.#host));
    }
    await db.durable();
  }

  /** What cannot be found out about one VM keeps nobody from knowing about the others. The next picture tries again. */
  async #attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof HostError || error instanceof XapiError)) throw error;
      this.#xapi.log.warn('part of a picture of a host could not be taken in', { error: String(error) });
      return undefined;
    }
  }

  /** Looks at what was under way here when a crash, of ours or of the host, cut it short. Whether that was all. */
  async #clearUp(picture: DomainPicture): Promise<boolean> {
    const { db } = this.#xapi;
    const here = db.naming('VM', 'scheduled_to_be_resident_on', this.#host);
    const settled = here.filter((ref) => this.isSettled(ref, picture.sequence));
    for (const ref of settled) {
      const vm = db.find('VM', ref);
      if (vm === undefined) continue;
      if (vm.power_state === 'Suspended' && !this.#present.has(vm.uuid as Uuid)) await this.#cutResume(ref, picture);
      else this.#releasePlace(ref);
    }
    await sweepSuspendVdis(this.#xapi, this.#host);
    const devicesKnown = await this.#settleDevices(picture);
    return devicesKnown && settled.length === here.length;
  }

  /** Looks which devices guests have that were given some, or lost some, in a way that nobody saw. Whether all were looked at. */
  async #settleDevices({ sequence }: DomainPicture): Promise<boolean> {
    const vms = unsettledVms(this.#xapi, this.#host);
    for (const vm of vms) {
      const { uuid } = this.#xapi.db.get('VM', vm);
      const domain = this.#present.get(uuid as Uuid);
      if (domain === undefined || !this.isSettled(vm, sequence)) continue;
      const details = await this.#driver.describe(domain);
      if (this.#xapi.db.find('VM', vm)?.domid !== domain.domid || !this.isSettled(vm, sequence)) continue;
      settleDevices(this.#xapi, vm, details);
    }
    return unsettledVms(this.#xapi, this.#host).length === 0;
  }

  /** A resume of which no domain is here: when its image is gone too, the VM went on from it and has ended since. */
  async #cutResume(vm: Ref<'VM'>, { sequence }: DomainPicture): Promise<void> {
    const { db } = this.#xapi;
    const { suspend_VDI } = db.get('VM', vm);
    const state = db.has('VDI', suspend_VDI) ? await this.#imageState(suspend_VDI) : 'none';
    if (!db.has('VM', vm) || !this.isSettled(vm, sequence)) return;
    this.#releasePlace(vm);
    if (state !== 'none') return;
    forgetSuspendVdi(this.#xapi, vm);
    markHalted(this.#xapi, vm);
  }

  /** Nothing is promised to a VM here any more: it can start, and its disks are held for it no longer. */
  #releasePlace(vm: Ref<'VM'>): void {
    const { db } = this.#xapi;
    const isHalted = db.get('VM', vm).power_state === 'Halted';
    db.update('VM', vm, { scheduled_to_be_resident_on: nullRef(), ...(isHalted ? { memory_target: 0 } : {}) });
    guestsChanged(this.#xapi, this.#host);
    updateAllowedOperations(this.#xapi, vm);
    updateDeviceOperations(this.#xapi, vm);
  }

  #imageState(vdi: Ref<'VDI'>): Promise<ImageState> {
    return imageState(this.#xapi, vdi, this.#host, this.#driver.files);
  }

  #noteReboots(picture: DomainPicture): void {
    for (const domain of picture.domains) {
      const vm = domain.shutdown === 'reboot' ? this.#xapi.db.byUuid('VM', domain.uuid) : undefined;
      if (vm !== undefined) this.#rebooting.add(vm);
    }
  }

  /** Whether a VM without a domain is between the two domains of a reboot. */
  #isBetweenDomains(vm: Ref<'VM'>): boolean {
    const { db, clock } = this.#xapi;
    const asked = Object.values(db.get('VM', vm).current_operations).includes('clean_reboot');
    if (!asked && !this.#rebooting.has(vm)) return false;
    const since = this.#absentSinceMs.get(vm) ?? clock.now();
    this.#absentSinceMs.set(vm, since);
    if (clock.now() - since < rebootGraceMs) return true;
    this.#forgetReboot(vm);
    return false;
  }

  #forgetReboot(vm: Ref<'VM'>): void {
    this.#rebooting.delete(vm);
    this.#absentSinceMs.delete(vm);
  }

  #known(picture: DomainPicture): readonly KnownVm[] {
    const { db } = this.#xapi;
    const refs = new Set<Ref<'VM'>>(db.get('host', this.#host).resident_VMs);
    for (const domain of picture.domains) {
      const ref = db.byUuid('VM', domain.uuid);
      if (ref !== undefined) refs.add(ref);
    }
    return [...refs].map((ref) => {
      const vm = db.get('VM', ref);
      const elsewhere =
        vm.resident_on !== this.#host && this.#xapi.hosts.domainOn(vm.resident_on, vm.uuid) !== undefined;
      return { ref, vm, settled: this.isSettled(ref, picture.sequence), elsewhere };
    });
  }

  /** Whether a picture of that sequence is newer than what we did to the VM, and we are not at it. */
  isSettled(vm: Ref<'VM'>, sequence: number): boolean {
    return !this.#xapi.hosts.isWorkedOn(vm) && sequence >= (this.#settledAt.get(vm) ?? 0);
  }

  async #carryOut(decision: Decision, { sequence, timeNs }: DomainPicture): Promise<void> {
    switch (decision.kind) {
      case 'running':
        // Looked at again: deciding about another VM may have taken time.
        if (this.isSettled(decision.vm, sequence)) this.#running(decision);
        break;
      case 'gone':
        if (this.isSettled(decision.vm, sequence)) await this.#gone(decision.vm, sequence);
        break;
      case 'twice':
        this.#xapi.hosts.tellTwice(decision.vm, this.#host);
        break;
      case 'image':
        if (this.isSettled(decision.vm, sequence)) await this.#image(decision, sequence);
        break;
      case 'found':
        await this.#found(decision.domain);
        break;
      case 'figures':
        this.#figures(decision.vm, decision.domain, timeNs);
        break;
    }
  }

  #running({ vm, domid, paused }: Decision & { readonly kind: 'running' }): void {
    const { db } = this.#xapi;
    // The toolstack keeps a domain paused until it has made it whole: the guest has not come back from its reboot yet.
    if (paused && db.get('VM', vm).domid !== domid && this.#isBetweenDomains(vm)) {
      this.#lookAgainLater();
      return;
    }
    this.#forgetReboot(vm);
    markRunning(this.#xapi, vm, { host: this.#host, domid, paused });
  }

  /**
   * A running VM has an image when a save or a restore was cut short, or is still at work though nobody waits for it any
   * more. An image that is whole while the domain is paused may be one that is just being restored.
   */
  async #image({ vm, paused }: Decision & { readonly kind: 'image' }, sequence: number): Promise<void> {
    const { db, clock } = this.#xapi;
    const { suspend_VDI } = db.get('VM', vm);
    const state = db.has('VDI', suspend_VDI) ? await this.#imageState(suspend_VDI) : 'none';
    if (!db.has('VM', vm) || !this.isSettled(vm, sequence)) return;
    if (state === 'whole' && paused) return;
    const since = this.#savedSinceMs.get(vm) ?? clock.now();
    if (state === 'unfinished' && clock.now() - since < saveGraceMs) {
      this.#savedSinceMs.set(vm, since);
      return;
    }
    this.#savedSinceMs.delete(vm);
    db.update('VM', vm, { suspend_VDI: nullRef() });
    await removeSuspendVdi(this.#xapi, suspend_VDI);
  }

  /** That a domain goes on is no event of xenstore. */
  #lookAgainLater(): void {
    this.#xapi.clock.after(unpausedSoonMs, () => {
      // A host that does not answer tells so itself, and comes back with a picture.
      this.#driver.refresh().catch(() => undefined);
    });
  }

  async #gone(vm: Ref<'VM'>, sequence: number): Promise<void> {
    const { db, hosts } = this.#xapi;
    if (this.#isBetweenDomains(vm)) return;
    const { suspend_VDI, uuid } = db.get('VM', vm);
    const other = hosts.placeOf(uuid);
    if (other !== undefined) {
      markRunning(this.#xapi, vm, other);
      return;
    }
    const state = db.has('VDI', suspend_VDI) ? await this.#imageState(suspend_VDI) : 'none';
    if (!db.has('VM', vm) || !this.isSettled(vm, sequence)) return;
    this.#savedSinceMs.delete(vm);
    if (state === 'whole') {
      this.#absentSinceMs.delete(vm);
      markSuspended(this.#xapi, vm);
      return;
    }
    if (state === 'unfinished') {
      if (this.#isBeingNamed(vm)) return;
      // It may be all that is left of the guest's memory, if whole without its name: that is for a human to see.
      this.#xapi.log.warn('a domain ended in the middle of its save', {
        vm: uuid,
        image: db.get('VDI', suspend_VDI).location,
      });
    }
    forgetSuspendVdi(this.#xapi, vm);
    markHalted(this.#xapi, vm);
  }

  /** Between the end of a saved domain and the naming of its image there is a moment. */
  #isBeingNamed(vm: Ref<'VM'>): boolean {
    const now = this.#xapi.clock.now();
    const since = this.#absentSinceMs.get(vm) ?? now;
    if (now - since < namingGraceMs) this.#absentSinceMs.set(vm, since);
    else this.#absentSinceMs.delete(vm);
    return this.#absentSinceMs.has(vm);
  }

  /** A domain made by hand becomes a VM; it stays as a halted one when its domain ends. */
  async #found(domain: DomainInfo): Promise<void> {
    const { db } = this.#xapi;
    if (db.byUuid('VM', domain.uuid) !== undefined) return;
    const details = await this.#driver.describe(domain).catch(() => undefined);
    const failures = (this.#undescribed.get(domain.uuid) ?? 0) + 1;
    if (details === undefined && failures < describeAttempts) {
      this.#undescribed.set(domain.uuid, failures);
      return;
    }
    this.#undescribed.delete(domain.uuid);
    if (db.byUuid('VM', domain.uuid) !== undefined) return;
    const memory = details?.memoryMaxBytes ?? domain.memoryBytes;
    const now = Math.min(domain.memoryBytes, memory);
    const vcpus = details?.vcpusMax ?? domain.vcpusOnline;
    const vm = newVmRecord(this.#xapi, {
      uuid: domain.uuid,
      name_label: domain.name,
      name_description: 'Made on the host with xl',
      domain_type: details?.type ?? 'unspecified',
      PV_kernel: details?.kernel ?? '',
      PV_ramdisk: details?.ramdisk ?? '',
      PV_args: details?.cmdline ?? '',
      PV_bootloader: details?.bootloader ?? '',
      HVM_boot_policy: details?.type === 'hvm' ? 'BIOS order' : '',
      VCPUs_max: vcpus,
      VCPUs_at_startup: Math.max(1, domain.vcpusOnline),
      memory_static_max: memory,
      // What it has now: without a range, it is left alone.
      memory_dynamic_max: now,
      memory_dynamic_min: now,
      memory_static_min: 0,
      other_config: { 'xenolith:found': 'true' },
    });
    for (const vif of details?.vifs ?? []) {
      const network = [...db.all('network')].find(([, item]) => item.bridge === vif.bridge)?.[0];
      if (network !== undefined)
        db.create('VIF', { VM: vm, network, device: String(vif.index), MAC: vif.mac, MTU: 1500 });
    }
    markRunning(this.#xapi, vm, { host: this.#host, domid: domain.domid, paused: domain.paused });
  }

  #figures(ref: Ref<'VM'>, { domid, vcpuTimesNs, ...domain }: DomainInfo, timeNs: DomainPicture['timeNs']): void {
    const { db, clock } = this.#xapi;
    const vm = db.find('VM', ref);
    if (vm === undefined || !db.has('VM_metrics', vm.metrics)) return;
    const metrics = db.get('VM_metrics', vm.metrics);
    const { memory_actual, VCPUs_number } = metrics;
    const use = vcpuTimesNs === undefined ? undefined : this.#vcpuUse.since(domid, vcpuTimesNs, timeNs);
    if (use !== undefined)
      db.update('VM_metrics', vm.metrics, { VCPUs_utilisation: Object.fromEntries(use.entries()) });
    // Every picture has every domain, and of most of them nothing new.
    if (domain.vcpuStates !== undefined && !saysVcpus(metrics, domain.vcpuStates))
      db.update('VM_metrics', vm.metrics, vcpuFields(domain.vcpuStates));
    if (vm.is_control_domain) this.#controlDomainMemory(ref, domain.memoryBytes);
    if (memory_actual === domain.memoryBytes && VCPUs_number === domain.vcpusOnline) return;
    db.update('VM_metrics', vm.metrics, {
      memory_actual: domain.memoryBytes,
      VCPUs_number: domain.vcpusOnline,
      last_updated: formatDateTime(clock.now()),
    });
    updateAllowedOperations(this.#xapi, ref);
  }

  /** A control domain has the limits that it was booted with or ballooned to: what it has is what counts of its host's memory. */
  #controlDomainMemory(ref: Ref<'VM'>, size: number): void {
    const { memory_target, memory_static_max } = this.#xapi.db.get('VM', ref);
    if (memory_target === size && memory_static_max === size) return;
    this.#xapi.db.update('VM', ref, {
      memory_target: size,
      memory_dynamic_min: size,
      memory_dynamic_max: size,
      memory_static_max: size,
    });
  }
}

type VcpuStates = NonNullable<DomainInfo['vcpuStates']>;
type VcpuFields = Pick<RecordOf<'VM_metrics'>, 'VCPUs_CPU' | 'VCPUs_flags'>;

/** Flags as in the days when XAPI's `VM_metrics` had them: a vCPU that only waits for a pCPU is neither running nor blocked. */
const vcpuFlags: Readonly<Record<VcpuStates[number]['state'], readonly string[]>> = {
  offline: [],
  runnable: ['online'],
  running: ['online', 'running'],
  blocked: ['online', 'blocked'],
};

const vcpuFields = (states: VcpuStates): VcpuFields => ({
  VCPUs_CPU: Object.fromEntries(states.flatMap(({ pcpu }, vcpu) => (pcpu === undefined ? [] : [[vcpu, pcpu]]))),
  VCPUs_flags: Object.fromEntries(states.map(({ state }, vcpu) => [vcpu, vcpuFlags[state]])),
});

/** Whether the fields are what they would be of these states. */
function saysVcpus({ VCPUs_CPU, VCPUs_flags }: VcpuFields, states: VcpuStates): boolean {
  const isSaid = ({ pcpu, state }: VcpuStates[number], vcpu: number): boolean => {
    const [flags, expected] = [VCPUs_flags[vcpu], vcpuFlags[state]];
    return VCPUs_CPU[vcpu] === pcpu && flags?.length === expected.length && flags.at(-1) === expected.at(-1);
  };
  return Object.keys(VCPUs_flags).length === states.length && states.every(isSaid);
}
