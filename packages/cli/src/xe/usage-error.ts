/** The command line is wrong: said on stderr, exit code 2. Nothing was asked of the server, or nothing was changed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
