import type { Disposable } from '@xenolith/base';

/** A shell command to run on the host to its end. */
export interface Command {
  /** For a POSIX shell. Whatever comes from outside is in it by wire's `shellQuote`. */
  readonly text: string;
  readonly stdin?: string;
  /** How long it may take, waiting for its turn included. */
  readonly timeLimitMs: number;
  /**
   * `look` commands only read and have a turn of their own, so that long work never keeps the driver from looking.
   * One that runs over its time is killed; `work` is left to end by itself, as half of it would be worse.
   */
  readonly lane: 'look' | 'work';
}

/** How a command ended. Its output is text, with U+FFFD for what is not UTF-8. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  /** The last of it, {@link stderrLimitBytes} at most. */
  readonly stderr: string;
}

/** A command that goes on: a watch, a console. */
export interface Channel {
  onData(listener: (data: Uint8Array) => void): Disposable;
  /** It ended, or the connection did. `stderr` is the last of what it said there. */
  onClose(listener: (end: { readonly exitCode?: number; readonly stderr: string }) => void): Disposable;
  write(data: Uint8Array): void;
  /** Ends its standard input; what it still says is heard. */
  end(): void;
  close(): void;
}

/**
 * A command through which bytes go that are too many to keep: both ways no faster than the slower side. Its output must
 * be taken to the end, or the command be killed.
 */
export interface Pipe {
  /** Output. Fails with a HostError when the connection is lost. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves when more may be written; at once when the command has ended, as {@link ended} tells. */
  write(data: Uint8Array): Promise<void>;
  /** Ends its standard input. */
  end(): void;
  /** How it ended, without output. Fails with a HostError as {@link Transport.run}. */
  readonly ended: Promise<CommandResult>;
  /** Kills it, unless it has ended. */
  kill(): void;
}

/** A command that writes more than this fails: it is not what was asked for. 1,000 domains in JSON are about 2 MiB. */
export const stdoutLimitBytes = 16 * 1024 * 1024;
/** How much of the end of stderr is kept. */
export const stderrLimitBytes = 8 * 1024;

/**
 * The way to a control domain's shell. Every method fails with a HostError: `unreachable` when there is no
 * connection or it is lost meanwhile, `timeout`, `command-failed` when the output is too large.
 */
export interface Transport {
  /** For messages: `ssh root@dom0:22`. */
  readonly name: string;
  /** Connects; again after a loss. */
  open(): Promise<void>;
  run(command: Command): Promise<CommandResult>;
  start(text: string, options: { readonly terminal: boolean }): Promise<Channel>;
  /**
   * Begins a command that is read from, or written to, for as long as that takes. Only a few are under way at a time,
   * besides what {@link run} does; others wait for their turn, and one that is in turn is killed by who no longer wants it.
   */
  pipe(text: string): Promise<Pipe>;
  /** The connection that {@link open} made is gone, with the reason; not for one that was closed. */
  onLost(listener: (reason: string) => void): Disposable;
  close(): Promise<void>;
}
