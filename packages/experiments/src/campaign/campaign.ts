/**
 * A benchmark campaign: what runs × in which configurations × with how many threads × how often. It is data; what it means
 * to run a workload is in the recipes, the order is in the plan.
 */

/** How the figure of a run is had. */
export type Figure =
  /** The time that the command took, by the clock of the place that ran it. */
  | { readonly kind: 'seconds'; readonly unit: 's'; readonly better: 'less' }
  /** The first group of the last match in what the command printed on its standard output. */
  | { readonly kind: 'regexp'; readonly regexp: string; readonly unit: string; readonly better: Better };

/** Which of two different figures one would rather have. */
export type Better = 'more' | 'less';

interface WorkloadBase {
  readonly name: string;
  /** Numbers of threads (clients, jobs) that it runs with, ascending. */
  readonly threads: readonly number[];
}

/** PostgreSQL's own benchmark, against a server of the campaign's own. */
export interface PgbenchWorkload extends WorkloadBase {
  readonly kind: 'pgbench';
  /** 100,000 rows of accounts each, about 16 MiB. */
  readonly scale: number;
  readonly length:
    | { readonly kind: 'seconds'; readonly seconds: number }
    /** Of each client. */
    | { readonly kind: 'transactions'; readonly count: number };
  readonly script: 'tpcb-like' | 'simple-update' | 'select-only';
  readonly protocol: 'simple' | 'extended' | 'prepared';
  /** Of the server, such as `shared_buffers`. */
  readonly settings: readonly (readonly [name: string, value: string])[];
}

/** Parallel compression of random bytes. */
export interface Pbzip2Workload extends WorkloadBase {
  readonly kind: 'pbzip2';
  readonly sizeBytes: number;
  /** Size of a block, in 100,000 bytes: 1 to 9. */
  readonly blockSize: number;
}

/** A project that is built from clean, as kernbench does it with Linux. */
export interface BuildWorkload extends WorkloadBase {
  readonly kind: 'build';
  /** Absolute path of a directory or of a tar archive, whose content is copied into the data directory. */
  readonly source: string;
  readonly prepare: string | undefined;
  readonly clean: string;
  readonly command: string;
  readonly versions: readonly ProgramVersion[];
}

export interface CommandWorkload extends WorkloadBase {
  readonly kind: 'command';
  readonly prepare: string | undefined;
  /** Before each run, untimed. */
  readonly before: string | undefined;
  readonly command: string;
  readonly figure: Figure;
  readonly versions: readonly ProgramVersion[];
}

export type Workload = PgbenchWorkload | Pbzip2Workload | BuildWorkload | CommandWorkload;

/** A command whose first line of output tells the version of a program. */
export interface ProgramVersion {
  readonly program: string;
  readonly script: string;
}

/** Where a configuration runs. */
export type Where =
  | { readonly kind: 'this machine' }
  | { readonly kind: 'host'; readonly host: string }
  | ({ readonly kind: 'guests'; readonly host: string } & GuestShape);

/** The guests that a workload runs in, all of them at once, and what Xen is told of them. */
export interface GuestShape {
  readonly vms: number;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Words added to the guest's kernel command line, such as `nopvspin`. */
  readonly commandLine: string;
  readonly scheduler: string | undefined;
  readonly timesliceMs: number | undefined;
  readonly pool: string | undefined;
  /** pCPUs, as `xl vcpu-pin` takes them. */
  readonly placement: string | undefined;
}

export interface Configuration {
  readonly name: string;
  readonly where: Where;
  /** Words of the running kernel's command line. A configuration whose kernel is not the one that runs waits for it. */
  readonly kernel: { readonly has: readonly string[]; readonly lacks: readonly string[] };
  readonly environment: readonly (readonly [name: string, value: string])[];
  /** Words in front of the workload's command, and of its server's: `taskset -c 0-3`. */
  readonly prefix: readonly string[];
  /** Before each of its runs, untimed. */
  readonly before: string | undefined;
  /** The system's own word that the configuration is in force. */
  readonly check: { readonly command: string; readonly says: string } | undefined;
}

export interface DataDirectory {
  /** Absolute; a directory of the campaign's own is made in it. */
  readonly directory: string;
  /** Whether it must be a tmpfs. */
  readonly isTmpfs: boolean;
  /** Room that there must be beyond what is known of the workloads. */
  readonly freeBytes: number;
}

export interface Campaign {
  readonly name: string;
  readonly what: string;
  /** Of each workload with each number of threads in each configuration. */
  readonly runs: number;
  /** Runs before those, which are kept and not counted. */
  readonly warmUps: number;
  readonly order: { readonly kind: 'round' } | { readonly kind: 'shuffled'; readonly seed: number };
  /** Of the comparisons, in per cent. */
  readonly confidencePercent: number;
  /** Name of the configuration that the others are compared with. */
  readonly reference: string;
  /** What a run may take before it is ended and counted as failed. */
  readonly timeLimitSeconds: number;
  readonly data: DataDirectory;
  readonly workloads: readonly Workload[];
  readonly configurations: readonly Configuration[];
}
