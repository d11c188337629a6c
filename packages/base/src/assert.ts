/** A broken assumption of our own: a mistake in the program, never the fault of its input. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/**
 * States what must hold here. On in production: a task that breaks one fails with INTERNAL_ERROR.
 * @throws AssertionError when `condition` is false.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a branch that the types say cannot be reached. @throws AssertionError always. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}

/**
 * The value, which the program knows to be there.
 * @throws AssertionError when it is `undefined` or `null`.
 */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionError(`absent: ${what}`);
  return value;
}
