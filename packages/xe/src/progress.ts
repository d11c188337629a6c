/** How far a task is, as a line that is written over. */
import type { ShowProgress } from './task.ts';

/** One line that is written over on a terminal; elsewhere nothing or, when asked for, a line for each step. */
export function progressOn(
  stream: { readonly isTTY: boolean; write(text: string): unknown },
  asked: boolean,
): ShowProgress {
  let last = '';
  return (label, fraction, note) => {
    if (!stream.isTTY && !asked) return;
    const line =
      fraction === undefined ? '' : `${label} ${Math.round(fraction * 100)} %${note === '' ? '' : ` ${note}`}`;
    if (stream.isTTY) stream.write(`\r\u001b[K${line}`);
    else if (line !== '' && line !== last) stream.write(`${line}\n`);
    last = line;
  };
}
