/** Told what is being done now and how much of the whole is behind, from 0 to 1. */
export type Progress = (step: string, fraction: number) => void;

/** A Progress for a part of a larger whole: its 0..1 is shown as from..to. */
export function partOfProgress(whole: Progress, from: number, to: number): Progress {
  return (step, fraction) => whole(step, from + (to - from) * fraction);
}
