/** What is set up the same on the model and on real Xen, and what is read off both. */

export type ValidatedScheduler = 'credit' | 'credit2';

/** A cpupool of pCPUs that nobody else has: Domain-0 stays in the first pool, on other ones. */
export interface ArrangedCpupool {
  readonly name: string;
  readonly scheduler: ValidatedScheduler;
  readonly pcpus: readonly number[];
  /** What is set after it was made; the scheduler's defaults otherwise. */
  readonly parameters?: { readonly tsliceMs?: number; readonly ratelimitUs?: number };
}

/** What a guest does on each of its vCPUs: nothing, compute for ever, or sleep for so long again and again and do next to nothing. */
export type ArrangedWork =
  | { readonly kind: 'idle' }
  | { readonly kind: 'hog' }
  | { readonly kind: 'waker'; readonly sleepMs: number };

export interface ArrangedGuest {
  readonly name: string;
  readonly cpupool: string;
  readonly work: ArrangedWork;
  /** One where absent. */
  readonly vcpus?: number;
  readonly weight?: number;
  readonly cap?: number;
  /** Every pCPU where absent. */
  readonly hardAffinity?: readonly number[];
}

export interface Arrangement {
  readonly cpupools: readonly ArrangedCpupool[];
  readonly guests: readonly ArrangedGuest[];
}

/** What a trace of the scheduler shows of a guest. */
export interface TracedGuest {
  /** Times that a vCPU came onto a pCPU, and onto another one than before. */
  readonly dispatches: number;
  readonly migrations: number;
  readonly wakes: number;
  /** From the wake of a vCPU to its being on a pCPU: the median, and the 95th of a hundred. 0 without wakes. */
  readonly wakeP50Ns: number;
  readonly wakeP95Ns: number;
}

export interface TracedPcpu {
  readonly switches: number;
  /** Time that a domain was on it. */
  readonly busyNs: number;
}

/** What a trace of the scheduler shows of a stretch of time. */
export interface TracedFigures {
  readonly durationNs: number;
  /** By name. */
  readonly guests: Readonly<Record<string, TracedGuest>>;
  /** By number; those of the arrangement's pools. */
  readonly pcpus: Readonly<Record<number, TracedPcpu>>;
}

/** What a run gave, of the model or of real Xen. */
export interface RunFigures {
  /** CPU time of all vCPUs, by name of the guest, within the same stretch of time. */
  readonly cpuNs: Readonly<Record<string, number>>;
  /** Where a trace was asked for. */
  readonly traced?: TracedFigures;
}

/** The sum of the CPU time that all guests had. */
export const totalCpuNs = ({ cpuNs }: RunFigures): number => Object.values(cpuNs).reduce((sum, each) => sum + each, 0);

/** pCPUs of all pools of an arrangement, ascending. */
export const pcpusOf = ({ cpupools }: Arrangement): readonly number[] =>
  cpupools.flatMap(({ pcpus }) => pcpus).toSorted((a, b) => a - b);
