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
  | { readonly kind: 'host'; readonly host: CampaignHost }
  | ({ readonly kind: 'guests'; readonly host: CampaignHost } & GuestShape);

/** A host with real Xen. */
export type CampaignHost =
  /** One of the lab that is up; the first one without a name. */
  | { readonly kind: 'lab'; readonly name: string | undefined }
  | {
      readonly kind: 'address';
      /** As `xe host-add` takes it: `ssh://…` or `local:`. */
      readonly address: string;
      /** Absolute paths on this machine. */
      readonly identityFile: string | undefined;
      readonly knownHostsFile: string | undefined;
    };

/** A file that guests find in their root file system. */
export interface GuestFile {
  /** Absolute. */
  readonly path: string;
  /** On this machine; what is relative is so to the definition's directory. */
  readonly from:
    | { readonly kind: 'file'; readonly path: string }
    /** For a POSIX shell in the definition's directory: writes it to `$OUT`. */
    | { readonly kind: 'make'; readonly command: string };
}

/** The guests that a workload runs in, all of them at once, and what Xen is told of them. They are booted for each run. */
export interface GuestShape {
  readonly type: 'pv' | 'pvh';
  readonly vms: number;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Words added to the guest's kernel command line, such as `nopvspin`. */
  readonly commandLine: string;
  /** Absolute paths on the host; its own small guest where they are absent. */
  readonly kernel: string | undefined;
  readonly ramdisk: string | undefined;
  /** A raw image on the host: each guest has a copy of it for xvda. */
  readonly disk: string | undefined;
  readonly files: readonly GuestFile[];
  readonly pool: GuestPool;
}

/** Where the guests' vCPUs run. pCPUs are ascending. */
export type GuestPool =
  /** In the first cpupool. */
  | { readonly kind: 'first'; readonly hardAffinity: readonly number[] | undefined }
  /** In one that is there. */
  | { readonly kind: 'named'; readonly name: string; readonly hardAffinity: readonly number[] | undefined }
  /** In one that is made of these pCPUs for the run. */
  | {
      readonly kind: 'own';
      readonly scheduler: 'credit' | 'credit2' | 'rtds' | 'null';
      readonly pcpus: readonly number[];
      readonly timesliceMs: number | undefined;
    };

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
