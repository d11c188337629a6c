/**
 * Who is to have how much memory: squeezed's proportional policy. Each domain is given the same share of the range
 * between its dynamic minimum and maximum (ocaml/squeezed/lib/squeeze.ml). All sizes are KiB.
 */

/** A domain as the policy sees it. */
export interface SqueezeDomain {
  readonly domid: number;
  readonly dynamicMinKib: number;
  readonly dynamicMaxKib: number;
  /** What it was told last. */
  readonly targetKib: number;
  /** What it has, without what it had from the start beyond its target. */
  readonly actualKib: number;
  /** Whether it has a balloon driver. */
  readonly canBalloon: boolean;
}

/** How far a domain that has reached its target may be from it. */
export const inaccuracyKib = 4;

export const hasHitTarget = ({ actualKib, targetKib }: SqueezeDomain): boolean =>
  Math.abs(actualKib - targetKib) <= inaccuracyKib;

/** The share, and what it comes to. */
export interface Proportion {
  /** Of the range of each domain, 0 … 1. */
  readonly share: number;
  /** In the order of the domains. */
  readonly targetsKib: readonly number[];
}

/**
 * @param domains those that balloon
 * @param freeKib free memory of the host
 * @param wantedKib what is to be free
 */
export function proportion(domains: readonly SqueezeDomain[], freeKib: number, wantedKib: number): Proportion {
  let surplusKib = freeKib - wantedKib;
  let rangeKib = 0;
  for (const { actualKib, dynamicMinKib, dynamicMaxKib } of domains) {
    surplusKib += Math.max(0, actualKib - dynamicMinKib - 2 * inaccuracyKib);
    rangeKib += dynamicMaxKib - dynamicMinKib;
  }
  const share = rangeKib === 0 ? 0 : Math.min(1, Math.max(0, surplusKib / rangeKib));
  const targetsKib = domains.map(
    ({ dynamicMinKib, dynamicMaxKib }) => dynamicMinKib + Math.trunc(share * (dynamicMaxKib - dynamicMinKib)),
  );
  return { share, targetsKib };
}

/**
 * What a domain that is to be made would be given between a minimum and a maximum, beside others.
 * The minimum is its own before anything is shared.
 */
export function proportionOfNew(
  domains: readonly SqueezeDomain[],
  freeKib: number,
  wantedKib: number,
  { minKib, maxKib }: { readonly minKib: number; readonly maxKib: number },
): number {
  const phantom: SqueezeDomain = {
    domid: -1,
    dynamicMinKib: minKib,
    dynamicMaxKib: maxKib,
    targetKib: minKib,
    actualKib: 0,
    canBalloon: true,
  };
  return proportion([...domains, phantom], freeKib - minKib, wantedKib).targetsKib.at(-1)!;
}
