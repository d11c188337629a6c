/** Where the commands of a campaign run. */
import type { CommandOutcome } from '@xenolith/experiments/campaign';

/** A command, started with `directory` as its working directory. */
export interface PlaceCommand {
  /** Program and arguments, passed on as they are. */
  readonly argv: readonly string[];
  /** Beside what the place has by itself. */
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly timeLimitSeconds: number;
}

/** A command that stays while it is needed. */
export interface Service {
  /** Tells it to end, and waits until it has, with everything that it started. */
  stop(): Promise<void>;
}

/**
 * A machine that runs commands: this one, and by the same interface a host or guests. Whatever it runs does not
 * outlive the campaign: it ends when its time is over, when the campaign is interrupted, and when the campaign is killed.
 */
export interface Place {
  /** As samples and reports name it. */
  readonly name: string;
  /** Runs a command to its end. @throws BenchInterrupted; BenchError where it cannot be started */
  run(command: PlaceCommand): Promise<CommandOutcome>;
  /**
   * Starts a command and waits until it has printed the line `ready`. When it is to end, its standard input ends, and it gets SIGTERM.
   * @throws BenchError with what it said when it ends before
   */
  start(command: PlaceCommand): Promise<Service>;
}
