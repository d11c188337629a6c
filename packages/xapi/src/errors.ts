import { errorTable, type ErrorCode } from './datamodel/errors.ts';

/** V8's: how many frames an error remembers. */
const stacks = Error as { stackTraceLimit?: number };

/**
 * A refusal to the client: a code of the one error table with its parameters, as `ErrorDescription` carries them
 * (PROTOCOL of the XenAPI: [CODE, p1, p2 …], all texts). It has no stack: that nobody would read, and what objects accept is
 * found out by making a refusal for each thing that they do not.
 */
export class XapiError extends Error {
  override readonly name = 'XapiError';
  readonly code: ErrorCode;
  readonly params: readonly string[];

  constructor(code: ErrorCode, ...params: readonly string[]) {
    const { stackTraceLimit } = stacks;
    stacks.stackTraceLimit = 0;
    super(`${code}(${params.join(', ')})`);
    if (stackTraceLimit !== undefined) stacks.stackTraceLimit = stackTraceLimit;
    this.code = code;
    this.params = params;
  }

  /** The wire form. */
  get description(): readonly string[] {
    return [this.code, ...this.params];
  }
}

/** Whether a word is an error code of the table. */
export const isErrorCode = (word: string): word is ErrorCode => Object.hasOwn(errorTable, word);
