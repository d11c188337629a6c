/**
 * Why bytes or text could not be read:
 * - `bad-xml`, `bad-json`: not well formed, or not of the grammar;
 * - `bad-utf8`: not UTF-8, or text with half a surrogate pair;
 * - `too-deep`, `too-large`: over a limit of `WireLimits`;
 * - `bad-request`: well formed, but not a call or an answer.
 */
export type WireErrorCode = 'bad-xml' | 'bad-json' | 'bad-utf8' | 'too-deep' | 'too-large' | 'bad-request';

/** The only error that the decoders of this room throw for their input, whatever that input is. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: WireErrorCode;
  /** Where reading stopped: characters from the start of the text (bytes for `bad-utf8` in bytes); absent when unknown. */
  readonly offset: number | undefined;

  constructor(code: WireErrorCode, message: string, offset?: number) {
    super(offset === undefined ? message : `${message} at offset ${offset}`);
    this.code = code;
    this.offset = offset;
  }
}
