import { domId, type DomId } from '@xenolith/base';

/** First domid that is reserved for meanings of its own (`DOMID_FIRST_RESERVED` in xen/include/public/xen.h). */
export const firstReservedDomid = 0x7ff0;

/**
 * Gives out domids as `XEN_DOMCTL_createdomain` does (xen/common/domctl.c): always the next number after the last
 * one given, so that a domid is not used again soon; from 32752 on it starts over at 1 and skips those in use.
 */
export class DomidAllocator {
  #last = 0;

  /** The next free domid, or undefined when all 32751 are in use. */
  next(inUse: (domid: DomId) => boolean): DomId | undefined {
    for (let step = 1; step < firstReservedDomid; step++) {
      const candidate = domId(((this.#last - 1 + step) % (firstReservedDomid - 1)) + 1);
      if (inUse(candidate)) continue;
      this.#last = candidate;
      return candidate;
    }
    return undefined;
  }

  /** Counts `domid` as given, so that the next one comes after it. */
  skipPast(domid: DomId): void {
    this.#last = Math.max(this.#last, domid);
  }
}
