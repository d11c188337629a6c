/** Why a campaign cannot go on; what was measured until then is kept. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}

/** The campaign was told to end. */
export class BenchInterrupted extends BenchError {
  constructor() {
    super('interrupted: what was measured is kept, and the same command goes on from there');
  }
}

/**
 * Does `work`, and then `end` whatever came of it. What goes wrong first is what is thrown, since the end fails of it more often than not;
 * what goes wrong at the end too is added to its message.
 */
export async function withEnd<T>(work: () => Promise<T>, end: () => Promise<void>): Promise<T> {
  let value: T;
  try {
    value = await work();
  } catch (error) {
    return endAfter(error, end);
  }
  await end();
  return value;
}

/** Does `end` and throws `error`, as {@link withEnd} does. */
export async function endAfter(error: unknown, end: () => Promise<void>): Promise<never> {
  try {
    await end();
  } catch (another) {
    const isNews = error instanceof BenchError && another instanceof Error && !error.message.includes(another.message);
    if (isNews) error.message += `\n${another.message}`;
  }
  throw error;
}
