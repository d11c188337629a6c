/** The command line is wrong: said on stderr, exit code 2. Nothing was asked of the server, or nothing was changed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The command line is right, but there is nothing that it fits: exit code 1. */
export class NoMatchError extends Error {
  override readonly name = 'NoMatchError';
}

/** Of several objects some were refused: what each was refused with. Exit code 1. */
export class SomeFailedError extends Error {
  override readonly name = 'SomeFailedError';
  readonly failures: readonly { readonly uuid: string; readonly error: Error }[];

  constructor(failures: SomeFailedError['failures']) {
    super(`${failures.length} failed`);
    this.failures = failures;
  }
}
