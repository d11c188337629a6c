/** Makes the records of one host's VMs follow its pictures. */
import { disposable, type Disposable, type Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import type { DomainInfo, DomainPicture, HostDriver } from '../host-driver.ts';
import { vdiPath } from '../storage/vdi-path.ts';
import { updateAllowedOperations } from '../vm/operations.ts';
import { newVmRecord } from '../vm/new-vm.ts';
import { markHalted, markRunning, markSuspended } from '../vm/power-state.ts';
import { destroySuspendVdi } from '../vm/suspend-image.ts';
import type { Xapi } from '../xapi.ts';
import { reconcile, type Decision, type KnownVm } from './reconcile.ts';

/**
 * A rebooting guest has no domain for a moment, between the end of the old one and the making of the new. Only when
 * it stays away for this long has it ended.
 */
const rebootGraceMs = 60_000;

/** A domain that is just being made cannot be described yet; after so many pictures it is taken as it is. */
const describeAttempts = 3;

export class Follower {
  readonly #xapi: Xapi;
  readonly #host: Ref<'host'>;
  readonly #driver: HostDriver;
  readonly #held = new Map<Ref<'VM'>, number>();
  /** Pictures begun before this count say nothing about the VM. */
  readonly #settledAt = new Map<Ref<'VM'>, number>();
  /** Domains without a record that could not be described so far, and how often. */
  readonly #undescribed = new Map<string, number>();
  /** VMs seen to have shut down for a reboot. */
  readonly #rebooting = new Set<Ref<'VM'>>();
  /** Since when a rebooting VM has had no domain. */
  readonly #absentSinceMs = new Map<Ref<'VM'>, number>();
  #work: Promise<void> = Promise.resolve();

  constructor(xapi: Xapi, host: Ref<'host'>, driver: HostDriver) {
    this.#xapi = xapi;
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

  /** Takes in a picture. Pictures are worked on one after the other. */
  see(picture: DomainPicture): void {
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
    for (const decision of decisions) await this.#carryOut(decision, picture.sequence);
    await db.durable();
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
    return [...refs].map((ref) => ({ ref, vm: db.get('VM', ref), settled: this.#isSettled(ref, picture.sequence) }));
  }

  #isSettled(vm: Ref<'VM'>, sequence: number): boolean {
    return !this.#held.has(vm) && sequence >= (this.#settledAt.get(vm) ?? 0);
  }

  async #carryOut(decision: Decision, sequence: number): Promise<void> {
    switch (decision.kind) {
      case 'running':
        // Looked at again: deciding about another VM may have taken time.
        if (this.#isSettled(decision.vm, sequence)) await this.#running(decision);
        break;
      case 'gone':
        if (this.#isSettled(decision.vm, sequence)) await this.#gone(decision.vm, sequence);
        break;
      case 'found':
        await this.#found(decision.domain);
        break;
      case 'figures':
        this.#figures(decision.vm, decision.domain);
        break;
    }
  }

  async #running({ vm, domid, paused }: Decision & { readonly kind: 'running' }): Promise<void> {
    const { db } = this.#xapi;
    this.#forgetReboot(vm);
    markRunning(this.#xapi, vm, { host: this.#host, domid, paused });
    const { suspend_VDI, current_operations } = db.get('VM', vm);
    // A save that a crash of ours cut short: the domain went on, and its half image is of no use.
    if (db.has('VDI', suspend_VDI) && Object.keys(current_operations).length === 0)
      await destroySuspendVdi(this.#xapi, vm);
  }

  async #gone(vm: Ref<'VM'>, sequence: number): Promise<void> {
    const { db } = this.#xapi;
    if (this.#isBetweenDomains(vm)) return;
    const { suspend_VDI } = db.get('VM', vm);
    const image = db.find('VDI', suspend_VDI);
    const saved = image !== undefined && (await this.#driver.files.stat(vdiPath(db, image, this.#host))) !== undefined;
    if (!db.has('VM', vm) || !this.#isSettled(vm, sequence)) return;
    if (saved) {
      markSuspended(this.#xapi, vm);
      return;
    }
    markHalted(this.#xapi, vm);
    if (image !== undefined) db.destroy('VDI', suspend_VDI);
  }

  /** A domain made by hand becomes a VM; it stays as a halted one when its domain ends. */
  async #found(domain: DomainInfo): Promise<void> {
    const { db } = this.#xapi;
    if (db.byUuid('VM', domain.uuid) !== undefined) return;
    const details = await this.#driver.describe(domain.domid).catch(() => undefined);
    const failures = (this.#undescribed.get(domain.uuid) ?? 0) + 1;
    if (details === undefined && failures < describeAttempts) {
      this.#undescribed.set(domain.uuid, failures);
      return;
    }
    this.#undescribed.delete(domain.uuid);
    if (db.byUuid('VM', domain.uuid) !== undefined) return;
    const memory = details?.memoryMaxBytes ?? domain.memoryBytes;
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
      memory_dynamic_max: memory,
      memory_dynamic_min: domain.memoryBytes,
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

  #figures(ref: Ref<'VM'>, domain: DomainInfo): void {
    const { db, clock } = this.#xapi;
    const vm = db.find('VM', ref);
    if (vm === undefined || !db.has('VM_metrics', vm.metrics)) return;
    const { memory_actual, VCPUs_number } = db.get('VM_metrics', vm.metrics);
    if (memory_actual === domain.memoryBytes && VCPUs_number === domain.vcpusOnline) return;
    db.update('VM_metrics', vm.metrics, {
      memory_actual: domain.memoryBytes,
      VCPUs_number: domain.vcpusOnline,
      last_updated: formatDateTime(clock.now()),
    });
    updateAllowedOperations(this.#xapi, ref);
  }
}
