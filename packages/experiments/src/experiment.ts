/** What an experiment is: cases, each a question that is tried in several variants, and what is expected to come out. */
import type { Machine, Topology, TraceRing } from '@xenolith/hypervisor';
import type { SvgElement } from './plot/svg.ts';

/** Where a figure comes from: computed by the model, or measured on real Xen. */
export type Source = 'model' | 'measured';

/** A figure that each run of a case gives. */
export interface Measure {
  /** A short word: the head of a column. */
  readonly name: string;
  readonly unit: string;
  readonly what: string;
}

/** What a run is given. */
export interface RunContext {
  /** Everything that is drawn in it follows from this. */
  readonly seed: number;
  /** How long is measured, in model time. */
  readonly durationNs: number;
  /** The machine to try it on, if it can be chosen and was: {@link Experiment.pcpusMin}. */
  readonly topology?: Topology;
  /** Where the decisions go, and who is told the machine that made them. */
  readonly trace?: TraceRing;
  readonly onMachine?: (machine: Machine) => void;
}

/** What a run passes on to its second machine: a trace is of the first. */
export const untraced = ({ trace: _trace, onMachine: _onMachine, ...context }: RunContext): RunContext => context;

/** One way to do it. */
export interface Variant {
  readonly name: string;
  /** Where it lies on the axis of a line chart. */
  readonly x?: number;
  /** Runs it once. @returns a value for every measure of the case, by its name */
  readonly run: (context: RunContext) => Readonly<Record<string, number>>;
}

/** The means of a case, by variant and measure; or their standard deviations. */
export type MeanOf = (variant: string, measure: string) => number;

/** A statement that the case is to try, and its judge. */
export interface Expectation {
  readonly statement: string;
  readonly unit: string;
  readonly value: (mean: MeanOf, deviation: MeanOf) => number;
  readonly holds: (value: number, mean: MeanOf) => boolean;
}

/** A picture of measures of one unit. */
export interface MeasureChart {
  readonly title: string;
  /** Groups of bars, one for each variant; or lines over {@link Variant.x}. */
  readonly kind: 'bars' | 'lines';
  readonly measures: readonly string[];
  /** All of them where absent. */
  readonly variants?: readonly string[];
  /** What the axis of a line chart says. */
  readonly xLabel?: string;
}

/** A picture of something else, of the size of a chart, that follows from the seed alone. */
export interface Picture {
  readonly title: string;
  readonly kind: 'picture';
  readonly draw: (title: string, seed: number) => SvgElement;
}

export type Chart = MeasureChart | Picture;

export interface ExperimentCase {
  readonly name: string;
  readonly what: string;
  /** It is run only when it is asked for by its name. */
  readonly isExtra?: true;
  readonly measures: readonly Measure[];
  readonly variants: readonly Variant[];
  readonly expectations: readonly Expectation[];
  readonly charts: readonly Chart[];
}

export interface Experiment {
  readonly name: string;
  readonly title: string;
  readonly what: string;
  readonly source: Source;
  /** What stands behind the source: the release that is modelled or measured. */
  readonly release: string;
  /** Measured time of a run, and runs of each variant, if nothing else is asked for. */
  readonly durationNs: number;
  readonly repetitions: number;
  /** It can be tried on any machine that has so many pCPUs; only on its own where absent. */
  readonly pcpusMin?: number;
  readonly cases: readonly ExperimentCase[];
}
