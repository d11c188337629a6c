/** What a benchmark is: something measured against a named peer or limit, in one run, and the bar it is held to. */

/** `tiny` keeps a benchmark from rotting: the test suite runs it so, and looks at nothing but that it works. */
export type Size = 'tiny' | 'full';

export interface Outcome {
  /** One line a figure, for people. */
  readonly lines: readonly string[];
  /** The figure that the bar is about. */
  readonly figure: number;
  readonly unit: string;
}

export interface Bench {
  readonly name: string;
  readonly what: string;
  /** Whether a figure meets the bar, and the bar in words. */
  readonly bar: { readonly text: string; readonly holds: (figure: number) => boolean };
  readonly run: (size: Size) => Promise<Outcome>;
}

/** The middle value of some samples. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The value that a share (0 to 1) of some samples does not exceed. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Smallest, middle and largest of some samples as a text. */
export const spread = (samples: readonly number[], digits = 1): string =>
  `median ${median(samples).toFixed(digits)} (${Math.min(...samples).toFixed(digits)} … ${Math.max(...samples).toFixed(digits)}, n=${samples.length})`;

/**
 * Seconds of this thread that an action takes. Others may share the machine: what they take of it is theirs.
 */
export function cpuSeconds(action: () => void): number {
  const begin = process.threadCpuUsage();
  action();
  const { user, system } = process.threadCpuUsage(begin);
  // Of something very short nothing may be counted.
  return Math.max(user + system, 1) / 1e6;
}

/** Milliseconds that an action takes. */
export async function timeMs(action: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await action();
  return performance.now() - begin;
}
