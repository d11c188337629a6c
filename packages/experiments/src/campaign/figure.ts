/** The figure of a run, from what its command did. */
import { err, ok, type Result } from '@xenolith/base';
import type { Figure } from './campaign.ts';

/** How a command ended. */
export interface CommandOutcome {
  /** 128 and the signal's number for one that a signal ended, as a shell has it. */
  readonly exitStatus: number;
  readonly seconds: number;
  readonly isTimedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Reads a run's figure, or says why it has none. */
export function readFigure(figure: Figure, outcome: CommandOutcome): Result<number, string> {
  const { exitStatus, seconds, isTimedOut, stdout } = outcome;
  if (isTimedOut) return err(`not done within its time limit: ended after ${seconds.toFixed(1)} s`);
  if (exitStatus !== 0) return err(`exit status ${exitStatus}`);
  if (figure.kind === 'seconds') return ok(seconds);
  const last = [...stdout.matchAll(new RegExp(figure.regexp, 'gm'))].at(-1);
  if (last === undefined) return err(`nothing in its output matches ${figure.regexp}`);
  const text = last[1] ?? '';
  const value = text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? ok(value) : err(`'${text}' in its output is no number`);
}
