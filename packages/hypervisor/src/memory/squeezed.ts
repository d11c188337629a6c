/** What squeezed knows of a host between squeezes: reservations, what a domain counts as, and what a start may have. */
import { err, ok, type Result } from '@xenolith/base';
import { proportionOfNew, type SqueezeDomain } from './squeeze-policy.ts';
import { Squeeze, type SqueezeFailure, type SqueezeHost } from './squeeze.ts';

/** What Xen and xenstore say of a domain. Sizes are KiB. */
export interface DomainMemoryState {
  readonly domid: number;
  /** `control/feature-balloon`. */
  readonly hasBalloonDriver: boolean;
  /** An agent has written to xenstore. A domain with neither is not booted yet. */
  readonly hasAgent: boolean;
  readonly dynamicMinKib: number;
  readonly dynamicMaxKib: number;
  readonly targetKib: number;
  /** What it has in Xen (`tot_pages`). */
  readonly totalKib: number;
  /** Its maximum reservation. */
  readonly maximumKib: number;
  /** `memory/initial-reservation`: what its builder may still take. */
  readonly initialReservationKib: number;
  readonly shadowKib: number;
}

/** Kept free: for emergencies 64 MiB, and 8 MiB that Xen itself may use. */
export const emergencyPoolKib = 64 * 1024;
export const xenOwnKib = 8 * 1024;
const desiredFreeKib = emergencyPoolKib + xenOwnKib;
/** A host is in balance when it has no more and no less free than this from what it should. */
const balanceKib = 512;
/** Between rebalances of a host (`balance-check-interval`). */
export const balanceCheckMs = 10_000;
/** Reservations are few: one for each VM that is being started. */
const reservationsMax = 10_000;

export type ReservationRefusal =
  | { readonly kind: 'impossible-range'; readonly minKib: number; readonly maxKib: number }
  | { readonly kind: 'too-many-reservations' }
  | { readonly kind: 'no-reservation'; readonly id: string }
  | { readonly kind: 'not-freed'; readonly freeKib: number; readonly failure: SqueezeFailure };

/** Memory service of one host. Amounts are KiB. */
export class Squeezed {
  readonly #reservations = new Map<string, number>();
  /** What a domain had beyond its target when it was first seen booted (`memory/memory-offset`). */
  readonly #offsets = new Map<number, number>();
  readonly #poolKib: number;
  #nextId = 1;

  /** @param poolKib what is kept free */
  constructor(poolKib: number = desiredFreeKib) {
    this.#poolKib = poolKib;
  }

  get reservedKib(): number {
    return [...this.#reservations.values()].reduce((sum, kib) => sum + kib, 0);
  }

  offsetKib(domid: number): number {
    return this.#offsets.get(domid) ?? 0;
  }

  /**
   * The host as a squeeze sees it. A domain that is not booted counts with all it may have and does not move, and what
   * its builder may still take is not free.
   * @param xenFreeKib free memory, when none waits to be scrubbed
   */
  view(xenFreeKib: number, domains: readonly DomainMemoryState[]): SqueezeHost {
    let freeKib = xenFreeKib - this.reservedKib;
    const there = new Set(domains.map(({ domid }) => domid));
    for (const domid of this.#offsets.keys()) if (!there.has(domid)) this.#offsets.delete(domid);
    const views = domains.map((domain): SqueezeDomain => {
      const { domid, hasBalloonDriver: canBalloon, targetKib, totalKib, maximumKib } = domain;
      if (!canBalloon && !domain.hasAgent) {
        freeKib -= Math.max(0, domain.initialReservationKib - totalKib - domain.shadowKib);
        const kib = maximumKib;
        return { domid, canBalloon, dynamicMinKib: kib, dynamicMaxKib: kib, targetKib: kib, actualKib: kib };
      }
      if (!this.#offsets.has(domid)) this.#offsets.set(domid, totalKib - targetKib);
      const { dynamicMinKib, dynamicMaxKib } = domain;
      return {
        domid,
        canBalloon,
        dynamicMinKib,
        dynamicMaxKib,
        targetKib,
        actualKib: totalKib - this.offsetKib(domid),
      };
    });
    return { freeKib, domains: views };
  }

  /** A squeeze that brings a host into balance. */
  rebalance(): Squeeze {
    const wantedKib = this.#poolKib;
    return new Squeeze({ wantedKib, isReached: ({ freeKib }) => Math.abs(freeKib - wantedKib) < balanceKib });
  }

  isBalanced({ freeKib }: SqueezeHost): boolean {
    return Math.abs(freeKib - this.#poolKib) < balanceKib;
  }

  /**
   * A squeeze for memory between a minimum and a maximum: for what the policy would give a domain of this range.
   * When it has ended, {@link reserve} takes what there is.
   */
  freeRange(host: SqueezeHost, minKib: number, maxKib: number): Result<Squeeze, ReservationRefusal> {
    if (!isRange(minKib, maxKib)) return err({ kind: 'impossible-range', minKib, maxKib });
    const active = host.domains.filter(({ domid, canBalloon }) => canBalloon && domid !== 0);
    const shareKib = proportionOfNew(active, host.freeKib, this.#poolKib, { minKib, maxKib });
    return ok(new Squeeze({ wantedKib: shareKib + this.#poolKib }));
  }

  /**
   * Keeps memory after a squeeze: as much as is free, from the minimum to the maximum.
   * @param failure why the squeeze did not come to all it wanted; its minimum is enough
   */
  reserve(
    host: SqueezeHost,
    minKib: number,
    maxKib: number,
    failure: SqueezeFailure = { kind: 'cannot-free' },
  ): Result<{ readonly id: string; readonly kib: number }, ReservationRefusal> {
    if (!isRange(minKib, maxKib)) return err({ kind: 'impossible-range', minKib, maxKib });
    const freeKib = host.freeKib - this.#poolKib;
    if (freeKib < minKib) return err({ kind: 'not-freed', freeKib, failure });
    if (this.#reservations.size >= reservationsMax) return err({ kind: 'too-many-reservations' });
    const kib = Math.min(freeKib, maxKib);
    const id = String(this.#nextId++);
    this.#reservations.set(id, kib);
    return ok({ id, kib });
  }

  /** Keeps memory that is known to be free without a look at the host. */
  hold(kib: number): string {
    const id = String(this.#nextId++);
    this.#reservations.set(id, kib);
    return id;
  }

  /** Gives a reservation to the domain that is made of it. @returns its `memory/initial-reservation` */
  transfer(id: string): Result<number, ReservationRefusal> {
    const kib = this.#reservations.get(id);
    if (kib === undefined) return err({ kind: 'no-reservation', id });
    this.#reservations.delete(id);
    return ok(kib);
  }

  /** A start came to nothing. */
  drop(id: string): Result<number, ReservationRefusal> {
    return this.transfer(id);
  }
}

const isRange = (minKib: number, maxKib: number): boolean =>
  Number.isSafeInteger(minKib) && Number.isSafeInteger(maxKib) && minKib >= 0 && minKib <= maxKib;
