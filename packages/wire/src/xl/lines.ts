import { XlParseError } from './xl-parse-error.ts';

/** Longer lines are not output of these tools, and would make the patterns slow. */
const maxLineLength = 16_384;

/** The lines of a command's output, without line ends and without the empty last one. */
export function outputLines(command: string, text: string): readonly string[] {
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  if (lines.at(-1) === '') lines.pop();
  const long = lines.find((line) => line.length > maxLineLength);
  if (long !== undefined) throw new XlParseError(command, 'a line is too long', long);
  return lines;
}

/** A whole number of a column; the pattern has seen that it is digits. @throws XlParseError when it is beyond 2^53. */
export function columnNumber(command: string, text: string | undefined, line: string): number {
  const value = Number(text);
  if (text === undefined || text === '' || !Number.isFinite(value))
    throw new XlParseError(command, 'a number was expected', line);
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new XlParseError(command, 'a number is too large', line);
  return value;
}
