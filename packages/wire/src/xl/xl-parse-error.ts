const quoteLength = 200;

/** Output of `xl`, `xentop` or `xenstore-ls` that is not of the form it should have; the message quotes the line. */
export class XlParseError extends Error {
  override readonly name = 'XlParseError';
  /** The command whose output it was, as `xl list`. */
  readonly command: string;
  /** The line that could not be read, whole. */
  readonly line: string;

  constructor(command: string, what: string, line: string) {
    const quoted = line.length > quoteLength ? `${line.slice(0, quoteLength)}…` : line;
    super(`${command}: ${what}: ${JSON.stringify(quoted)}`);
    this.command = command;
    this.line = line;
  }
}
