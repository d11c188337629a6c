/** What is asked of a host's own operating system and of Xen as a whole, not of its domains. */

/** When executables are run for a VM: a directory of that name below the host's `/etc/xapi.d` (ocaml/xenopsd/lib/xenops_hooks.ml). */
export type VmHook =
  | 'vm-pre-start'
  | 'vm-pre-shutdown'
  | 'vm-post-destroy'
  | 'vm-pre-reboot'
  | 'vm-pre-suspend'
  | 'vm-pre-resume'
  | 'vm-post-resume'
  | 'vm-pre-migrate'
  | 'vm-post-migrate';

/** When executables are run for a host (ocaml/xapi/xapi_hooks.ml). */
export type HostHook = 'host-pre-declare-dead' | 'host-post-declare-dead';

/** Where executables of a host's administrator are: a directory of that name below the host's `/etc/xapi.d`. */
export type ProgramDirectory = 'plugins' | 'extensions' | VmHook | HostHook;

/** An executable to run on a host. */
export interface HostProgram {
  readonly directory: ProgramDirectory;
  /** A name in the directory; one that leads out of it is none. */
  readonly name: string;
  readonly args: readonly string[];
  readonly stdin?: string;
  /** It is ended when it takes longer. */
  readonly timeLimitMs: number;
}

/** How an executable ended. */
export interface ProgramEnd {
  readonly exitCode: number;
  /** Whether it was ended because it took too long. */
  readonly timedOut: boolean;
  readonly stdout: string;
  /** The last of it. */
  readonly stderr: string;
}

export interface HostSystem {
  /** Runs an executable to its end; undefined when the host has none of that name. */
  run(program: HostProgram): Promise<ProgramEnd | undefined>;
  /** Whether there is an executable of that name. */
  has(directory: ProgramDirectory, name: string): Promise<boolean>;
  /**
   * The names of a directory's executables, in the order of their bytes; none when there is no such directory. Names have
   * letters, digits, `.`, `-` and `_`: what an editor or a package manager leaves beside them is none.
   */
  list(directory: ProgramDirectory): Promise<readonly string[]>;
  /** Xen's own messages (`xl dmesg`). @param clear forgets them once they are read */
  dmesg(clear: boolean): Promise<string>;
  /** Sends debug keys to Xen (`xl debug-keys`), whose answer is among its messages. Letters and digits only. */
  debugKeys(keys: string): Promise<void>;
  /** What its clocks show, by its own time zone: as XenAPI writes moments, without a zone (`20260131T12:00:00`). */
  localTime(): Promise<string>;
  /** Begins to reboot the machine; the host is dead until it is up again. Every domain is lost. */
  reboot(): Promise<void>;
  /** Begins to power the machine off. */
  powerOff(): Promise<void>;
  /** Powers the machine on, where it can be reached although it is off: modelled ones. */
  powerOn?(): Promise<void>;
}
