import { errorTable, type ErrorCode } from './datamodel/errors.ts';

/**
 * A refusal to the client: a code of the one error table with its parameters, as `ErrorDescription` carries them
 * (PROTOCOL of the XenAPI: [CODE, p1, p2 …], all texts).
 */
export class XapiError extends Error {
  override readonly name = 'XapiError';
  readonly code: ErrorCode;
  readonly params: readonly string[];

  constructor(code: ErrorCode, ...params: readonly string[]) {
    super(`${code}(${params.join(', ')})`);
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
