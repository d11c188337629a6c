/** Why a call of the lab was refused or failed; `LabError.code` is one of these. */
export type LabErrorCode =
  | 'TOOL_MISSING'
  | 'PROGRAM_FAILED'
  | 'BAD_OPTION'
  | 'ALREADY_UP'
  | 'NOT_UP'
  | 'NO_SUCH_HOST'
  | 'BUILD_FAILED'
  | 'BOOT_FAILED'
  | 'STATE_UNREADABLE'
  | 'TIMED_OUT'
  | 'INTERRUPTED';

/** A failure of the lab in words for the person who asked: the message says what to do next where that is known. */
export class LabError extends Error {
  readonly code: LabErrorCode;

  constructor(code: LabErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'LabError';
    this.code = code;
  }
}

/** The text of whatever was thrown. */
export function errorText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
