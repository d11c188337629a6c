/**
 * Dynamic memory control: moving balloons until so much memory of a host is free (ocaml/squeezed/lib/squeeze.ml).
 * A squeeze is a fold: it is shown the host once a second and says what to set. All sizes are KiB.
 */
import { hasHitTarget, proportion, type SqueezeDomain } from './squeeze-policy.ts';

/** The host at a moment. */
export interface SqueezeHost {
  /** Free memory, without reservations. */
  readonly freeKib: number;
  readonly domains: readonly SqueezeDomain[];
}

/** What a domain is to be told. */
export interface SqueezeAction {
  readonly domid: number;
  /** Absent: it keeps its target. */
  readonly targetKib?: number;
  /** The maximum reservation, without what Xen and the toolstack add. */
  readonly maximumKib: number;
}

export type SqueezeFailure =
  /** Every domain has given what it can. */
  { readonly kind: 'cannot-free' } | { readonly kind: 'refused-to-cooperate'; readonly domids: readonly number[] };

export interface SqueezeRound {
  readonly actions: readonly SqueezeAction[];
  /** Absent while it goes on. */
  readonly outcome?: { readonly ok: true } | { readonly ok: false; readonly failure: SqueezeFailure };
  /** Domains that have been off their target for so long that xenstore is to say so (`memory/uncooperative`). */
  readonly uncooperative: readonly number[];
}

/** Between rounds. */
export const squeezeRoundMs = 1000;
const stuckMs = 5000;
const uncooperativeMs = 20_000;
/** No squeeze goes on longer: a domain is stuck or arrives long before. */
const roundsMax = 3600;

interface Progress {
  actualKib: number;
  /** When it last came nearer to its target, or was there. */
  movedMs: number;
  /** When it was last at its target. */
  hitMs: number;
  wasActive: boolean;
}

export interface SqueezeOptions {
  /** What is to be free. */
  readonly wantedKib: number;
  /** Whether a state is what was wanted; by default, as much free as was. */
  readonly isReached?: (host: SqueezeHost) => boolean;
  /** dom0 is left alone unless it is said (`manage-domain-zero`). */
  readonly managesDomainZero?: boolean;
}

/** One squeeze, from its begin to its end. */
export class Squeeze {
  readonly #wantedKib: number;
  readonly #isReached: (host: SqueezeHost) => boolean;
  readonly #managesDomainZero: boolean;
  readonly #progress = new Map<number, Progress>();
  #rounds = 0;

  constructor({ wantedKib, isReached, managesDomainZero = false }: SqueezeOptions) {
    this.#wantedKib = wantedKib;
    this.#isReached = isReached ?? (({ freeKib }) => freeKib >= wantedKib);
    this.#managesDomainZero = managesDomainZero;
  }

  /** Looks at the host. @param nowMs any clock that only goes forwards */
  round(host: SqueezeHost, nowMs: number): SqueezeRound {
    this.#rounds++;
    const balloonable = host.domains.filter(
      ({ domid, canBalloon }) => canBalloon && (domid !== 0 || this.#managesDomainZero),
    );
    const active: SqueezeDomain[] = [];
    const inactive: SqueezeDomain[] = [];
    const uncooperative: number[] = [];
    const newlyInactive: SqueezeDomain[] = [];
    for (const domain of balloonable) {
      const progress = this.#follow(domain, nowMs);
      const isActive = nowMs - progress.movedMs <= stuckMs;
      (isActive ? active : inactive).push(domain);
      if (!isActive && progress.wasActive) newlyInactive.push(domain);
      progress.wasActive = isActive;
      if (nowMs - progress.hitMs > uncooperativeMs) uncooperative.push(domain.domid);
    }
    const { targetsKib } = proportion(active, host.freeKib, this.#wantedKib);
    const isSettled = active.every((domain, at) => hasHitTarget(domain) && domain.targetKib === targetsKib[at]);
    const limits = newlyInactive.map(limitOfInactive);
    if (isSettled || this.#rounds >= roundsMax) {
      const outcome = this.#isReached(host) ? ({ ok: true } as const) : failureOf(inactive);
      return { actions: limits, outcome, uncooperative };
    }
    return { actions: [...limits, ...actionsFor(active, targetsKib)], uncooperative };
  }

  #follow(domain: SqueezeDomain, nowMs: number): Progress {
    const { domid, actualKib, targetKib } = domain;
    const progress = this.#progress.get(domid);
    if (progress === undefined) {
      const first = { actualKib, movedMs: nowMs, hitMs: nowMs, wasActive: true };
      this.#progress.set(domid, first);
      return first;
    }
    const isThere = hasHitTarget(domain);
    const isNearer = Math.abs(targetKib - actualKib) < Math.abs(targetKib - progress.actualKib);
    if (isThere || isNearer) progress.movedMs = nowMs;
    if (isThere) progress.hitMs = nowMs;
    progress.actualKib = actualKib;
    return progress;
  }
}

/**
 * Memory is freed before it is given: where some domains are to shrink and have not, only they are told.
 */
function actionsFor(active: readonly SqueezeDomain[], targetsKib: readonly number[]): readonly SqueezeAction[] {
  const isShrinking = (domain: SqueezeDomain, at: number): boolean =>
    targetsKib[at]! < domain.actualKib && !hasHitTarget({ ...domain, targetKib: targetsKib[at]! });
  const isFreeing = active.some(isShrinking);
  return active.flatMap((domain, at): readonly SqueezeAction[] => {
    const { domid } = domain;
    const targetKib = targetsKib[at]!;
    if (isShrinking(domain, at) !== isFreeing) return [{ domid, maximumKib: domain.targetKib }];
    return [{ domid, targetKib, maximumKib: targetKib }];
  });
}

/** A domain that no longer counts may not take back what others were given. */
function limitOfInactive({ domid, targetKib, actualKib, dynamicMinKib, dynamicMaxKib }: SqueezeDomain): SqueezeAction {
  const kib = Math.min(targetKib, actualKib);
  return { domid, maximumKib: Math.min(Math.max(kib, dynamicMinKib), dynamicMaxKib) };
}

function failureOf(inactive: readonly SqueezeDomain[]): { readonly ok: false; readonly failure: SqueezeFailure } {
  const domids = inactive.map(({ domid }) => domid).filter((domid) => domid !== 0);
  return {
    ok: false,
    failure: domids.length === 0 ? { kind: 'cannot-free' } : { kind: 'refused-to-cooperate', domids },
  };
}
