/**
 * When Xen tells that memory runs low (VIRQ_ENOMEM, 12): at a threshold, and then at each half of it; a threshold that
 * was passed tells again after memory has grown to four times of it (`check_low_mem_virq` in xen/common/page_alloc.c).
 */
export class LowMemoryWatch {
  readonly #firstPages: number;
  #thresholdPages: number;
  #rearmPages = Number.POSITIVE_INFINITY;

  /** @param thresholdPages a power of two, 64 MiB if nothing else is set (`low_mem_virq_limit=`); 0 for never */
  constructor(thresholdPages: number) {
    this.#firstPages = thresholdPages;
    this.#thresholdPages = thresholdPages;
  }

  get thresholdPages(): number {
    return this.#thresholdPages;
  }

  /** Looks at free memory without claims. @returns whether it is to be told */
  look(freePages: number): boolean {
    if (this.#firstPages === 0) return false;
    if (freePages <= this.#thresholdPages) {
      this.#rearmPages = this.#thresholdPages * 2;
      this.#thresholdPages = Math.max(1, this.#thresholdPages / 2);
      return true;
    }
    if (freePages >= this.#rearmPages) {
      this.#thresholdPages = Math.min(this.#firstPages, this.#thresholdPages * 2);
      const isBack = this.#thresholdPages === this.#firstPages;
      this.#rearmPages = isBack ? Number.POSITIVE_INFINITY : this.#thresholdPages * 4;
    }
    return false;
  }
}
