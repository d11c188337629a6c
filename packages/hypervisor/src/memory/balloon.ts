/** The balloon driver of a guest: how it follows its target, and how guests that follow badly behave. */
import { isAtLeast, type LinuxRelease } from './linux-release.ts';

/** What the driver asks of Xen and of its own kernel. Amounts are pages. */
export interface BalloonPort {
  /** Asks Xen for pages. @returns how many came */
  readonly populate: (pages: number) => number;
  /** Takes pages from the guest's own allocator, to give them away. @returns how many it could spare */
  readonly spare: (pages: number) => number;
}

/** Waits after failures: from the first to the last, doubled each time. */
export interface BalloonRetry {
  readonly firstDelayMs: number;
  readonly lastDelayMs: number;
  /** After so many tries it gives up until the target changes; 0: never. */
  readonly triesMax: number;
}

/** Linux 3.x: never gives up. */
export const balloonRetry3: BalloonRetry = { firstDelayMs: 1000, lastDelayMs: 32_000, triesMax: 0 };
/** Linux 6.1, as its sysfs says. */
export const balloonRetry6: BalloonRetry = { firstDelayMs: 1000, lastDelayMs: 20_000, triesMax: 4 };
/** Linux 2.6.18: a timer of a second. */
export const balloonRetryClassic: BalloonRetry = { firstDelayMs: 1000, lastDelayMs: 1000, triesMax: 0 };

export function balloonRetryOf(release: LinuxRelease): BalloonRetry {
  if (release.major < 3) return balloonRetryClassic;
  return isAtLeast(release, 6, 1) ? balloonRetry6 : balloonRetry3;
}

/** What a call and a page cost; a guess that is meant to be changed. */
export interface BalloonCost {
  readonly callUs: number;
  readonly pageUs: number;
  /** Clearing a page before it is given away (`xen_scrub_pages`). */
  readonly scrubUs: number;
}

export const balloonCost: BalloonCost = { callUs: 4, pageUs: 0.5, scrubUs: 0.3 };

/** A page of frame numbers. */
const batchPages = 512;

/** `done`: at its target, or as near as it can come; `more`: goes on at once; `again`: after a wait; `cancelled`: not before the target changes. */
export type BalloonState = 'done' | 'more' | 'again' | 'cancelled';

/** One batch of work. */
export interface BalloonBatch {
  readonly state: BalloonState;
  /** Pages that the guest has more, or less. */
  readonly changedPages: number;
  readonly costUs: number;
  /** Until the next batch. */
  readonly waitMs: number;
}

export interface BalloonOptions {
  readonly currentPages: number;
  /** Room that the kernel has made for more (`low_kb`). */
  readonly roomPages: number;
  readonly retry?: BalloonRetry;
  readonly cost?: BalloonCost;
}

/** The driver as Linux has it (drivers/xen/balloon.c). */
export class BalloonDriver {
  readonly #retry: BalloonRetry;
  readonly #cost: BalloonCost;
  #currentPages: number;
  #roomPages: number;
  #targetPages: number;
  #tries = 0;
  #delayMs: number;

  /** At start the target is what there is. */
  constructor({ currentPages, roomPages, retry = balloonRetry3, cost = balloonCost }: BalloonOptions) {
    this.#retry = retry;
    this.#cost = cost;
    this.#currentPages = currentPages;
    this.#roomPages = roomPages;
    this.#targetPages = currentPages;
    this.#delayMs = retry.firstDelayMs;
  }

  get currentPages(): number {
    return this.#currentPages;
  }

  get roomPages(): number {
    return this.#roomPages;
  }

  get targetPages(): number {
    return this.#targetPages;
  }

  /** A target from xenstore's `memory/target` or sysfs. What failed before counts no longer. */
  setTarget(pages: number): void {
    this.#targetPages = pages;
    this.#forgetFailures();
  }

  /** Does one batch. */
  work(port: BalloonPort): BalloonBatch {
    const credit = Math.min(this.#targetPages - this.#currentPages, this.#roomPages);
    if (credit === 0) {
      this.#forgetFailures();
      return { state: 'done', changedPages: 0, costUs: 0, waitMs: 0 };
    }
    if (this.#isCancelled) return { state: 'cancelled', changedPages: 0, costUs: 0, waitMs: 0 };
    const wanted = Math.min(Math.abs(credit), batchPages);
    const done = credit > 0 ? port.populate(wanted) : port.spare(wanted);
    const changedPages = credit > 0 ? done : -done;
    this.#currentPages += changedPages;
    this.#roomPages -= changedPages;
    const { callUs, pageUs, scrubUs } = this.#cost;
    const costUs = callUs + done * (pageUs + (credit < 0 ? scrubUs : 0));
    // Growing counts as failed when nothing came; shrinking when a single page was missing.
    const isFailed = credit > 0 ? done === 0 : done < wanted;
    if (!isFailed) {
      this.#forgetFailures();
      return { state: done === Math.abs(credit) ? 'done' : 'more', changedPages, costUs, waitMs: 0 };
    }
    this.#tries++;
    if (this.#isCancelled) return { state: 'cancelled', changedPages, costUs, waitMs: 0 };
    const waitMs = this.#delayMs;
    this.#delayMs = Math.min(this.#delayMs * 2, this.#retry.lastDelayMs);
    return { state: 'again', changedPages, costUs, waitMs };
  }

  get #isCancelled(): boolean {
    return this.#retry.triesMax > 0 && this.#tries > this.#retry.triesMax;
  }

  #forgetFailures(): void {
    this.#tries = 0;
    this.#delayMs = this.#retry.firstDelayMs;
  }
}

/**
 * The least that classic kernels and self-ballooning let a target be, in MiB, from the most that they may have; pvops
 * kernels of the 3.x line have no such bound (`minimum_target` of drivers/xen/balloon/balloon.c in the 2.6.18 tree).
 */
export function minimumTargetMib(maximumMib: number): number {
  if (maximumMib < 128) return 8 + Math.floor(maximumMib / 2);
  if (maximumMib < 512) return 40 + Math.floor(maximumMib / 4);
  if (maximumMib < 2048) return 104 + Math.floor(maximumMib / 8);
  return 296 + Math.floor(maximumMib / 32);
}

/** What a classic kernel makes of a target: raised to the minimum, but not above what it has. */
export const classicTargetMib = (targetMib: number, currentMib: number, maximumMib: number): number =>
  Math.max(targetMib, Math.min(minimumTargetMib(maximumMib), currentMib));

/** How a guest follows its target. */
export type BalloonBehaviour =
  | { readonly kind: 'cooperative'; readonly kibPerSecond: number }
  /** It moves, but so little that a squeeze waits long for it. */
  | { readonly kind: 'slow'; readonly kibPerSecond: number }
  /** Has a driver that moves to a certain size and no further, or not at all. */
  | { readonly kind: 'stuck'; readonly atKib?: number }
  /** Never says `feature-balloon`. */
  | { readonly kind: 'no-driver' };

/** Fast enough to be a matter of one round: about what a batch of 512 pages in 0.4 ms comes to. */
export const cooperative: BalloonBehaviour = { kind: 'cooperative', kibPerSecond: 4 * 1024 * 1024 };
export const slow: BalloonBehaviour = { kind: 'slow', kibPerSecond: 16 * 1024 };

/** Where a guest is after some time. @param mayHaveKib what Xen lets it have: its maximum, and what is free */
export function followTarget(
  behaviour: BalloonBehaviour,
  actualKib: number,
  targetKib: number,
  mayHaveKib: number,
  elapsedMs: number,
): number {
  const wantedKib = Math.min(targetKib, Math.max(actualKib, mayHaveKib));
  if (behaviour.kind === 'no-driver') return actualKib;
  if (behaviour.kind === 'stuck') {
    const { atKib = actualKib } = behaviour;
    return wantedKib < actualKib
      ? Math.min(actualKib, Math.max(wantedKib, atKib))
      : Math.max(actualKib, Math.min(wantedKib, atKib));
  }
  // Whole pages.
  const stepKib = Math.floor((behaviour.kibPerSecond * elapsedMs) / 4000) * 4;
  const wayKib = wantedKib - actualKib;
  return actualKib + Math.sign(wayKib) * Math.min(Math.abs(wayKib), stepKib);
}
