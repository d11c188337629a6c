/** Buckets that each power of two is divided into: a value is known to 1/32 of itself, or better. */
const bucketsPerDouble = 32;
const doubleBits = 5;

/** Powers of two above the first 32 values: up to 2^53. */
const doubles = 53 - doubleBits;

/**
 * How often values came, in buckets that grow with the value: whole numbers from 0 to 2^53 in memory that does not grow.
 * Count, sum and maximum are exact; a quantile is at most 1/32 above the value that was added.
 */
export class Histogram {
  readonly #buckets = new Float64Array(bucketsPerDouble * (doubles + 1));
  count = 0;
  sum = 0;
  max = 0;

  add(value: number): void {
    this.#buckets[bucketOf(value)]!++;
    this.count++;
    this.sum += value;
    if (value > this.max) this.max = value;
  }

  addAll(other: Histogram): void {
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) this.#buckets[bucket]! += other.#buckets[bucket]!;
    this.count += other.count;
    this.sum += other.sum;
    if (other.max > this.max) this.max = other.max;
  }

  clear(): void {
    this.#buckets.fill(0);
    this.count = 0;
    this.sum = 0;
    this.max = 0;
  }

  capture(): HistogramState {
    const { count, sum, max } = this;
    return { buckets: this.#buckets.slice(), count, sum, max };
  }

  static restored({ buckets, count, sum, max }: HistogramState): Histogram {
    const histogram = new Histogram();
    histogram.#buckets.set(buckets);
    return Object.assign(histogram, { count, sum, max });
  }

  /** The mean, 0 of nothing. */
  get mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count;
  }

  /** The value that a share `q` (0 … 1) of all values does not exceed, rounded up to its bucket's end; 0 of nothing. */
  quantile(q: number): number {
    if (this.count === 0) return 0;
    const rank = Math.min(this.count, Math.max(1, Math.ceil(q * this.count)));
    let seen = 0;
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      seen += this.#buckets[bucket]!;
      if (seen >= rank) return Math.min(this.max, lastOf(bucket));
    }
    return this.max;
  }
}

/** A {@link Histogram} at one moment. */
export interface HistogramState {
  readonly buckets: Float64Array;
  readonly count: number;
  readonly sum: number;
  readonly max: number;
}

function bucketOf(value: number): number {
  if (value < bucketsPerDouble) return value;
  // 2^double ≤ value / 32 < 2^(double+1); Math.log2 may round up just below a power of two.
  let double = Math.floor(Math.log2(value)) - doubleBits;
  if (value < 2 ** (double + doubleBits)) double--;
  return (double + 1) * bucketsPerDouble + Math.floor(value / 2 ** double) - bucketsPerDouble;
}

/** The greatest value of a bucket. */
function lastOf(bucket: number): number {
  if (bucket < bucketsPerDouble) return bucket;
  const double = Math.floor(bucket / bucketsPerDouble) - 1;
  return (bucketsPerDouble + (bucket % bucketsPerDouble) + 1) * 2 ** double - 1;
}
