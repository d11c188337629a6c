/** What is asked of the model and of real Xen. */
import type { Arrangement, RunFigures } from './arrangement.ts';

/** How far a figure of real Xen may be from the model's. */
export type Tolerance =
  /** Of the model's value. */
  | { readonly kind: 'percent'; readonly percent: number }
  | { readonly kind: 'absolute'; readonly by: number }
  /** Neither may be more than so many times the other; what is less than the floor counts as that: of nothing there is no multiple. */
  | { readonly kind: 'factor'; readonly factor: number; readonly floor: number }
  /** Both are at least so much. */
  | { readonly kind: 'at least'; readonly value: number }
  /** Shown only: speed and latency of an emulated machine mean nothing by themselves. */
  | { readonly kind: 'shown' };

/** A figure that is read off a run. */
export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly read: (figures: RunFigures) => number;
  readonly tolerance: Tolerance;
}

/** A statement about the means of a part's metrics, which the model and real Xen must both bear out. */
export interface Claim {
  readonly statement: string;
  readonly holds: (mean: (metric: string) => number) => boolean;
}

/** An arrangement that is run, and what is read off it. */
export interface Part {
  readonly name: string;
  readonly arrangement: Arrangement;
  /** Whether the metrics need a trace of the scheduler. */
  readonly isTraced: boolean;
  readonly metrics: readonly Metric[];
  readonly claims: readonly Claim[];
}

export interface Question {
  /** As in the list of experiments: `Q1` … `Q9`. */
  readonly id: string;
  readonly title: string;
  readonly what: string;
  /** None for a question whose answer is exact: it is a list of steps then. */
  readonly parts: readonly Part[];
  /** What a reader must know of how it is done. */
  readonly notes: readonly string[];
}
