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
