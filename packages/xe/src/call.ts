/** What commands ask: calls of the XenAPI, by whatever way they reach a server. */
import type { WireValue } from '@xenolith/wire';

/** A refusal of the server: code and parameters as in PROTOCOL.md §2. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: string;
  readonly params: readonly string[];

  constructor(description: readonly string[]) {
    super(description.join(' '));
    this.code = description[0] ?? 'INTERNAL_ERROR';
    this.params = description.slice(1);
  }
}

/** The server cannot be spoken to. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

/** Somebody typed Ctrl-C: exit code 130, as shells have it. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/** A session of the XenAPI. */
export interface Rpc {
  /** Calls a method with the session put first. Throws ApiError for a refusal. */
  call(method: string, ...params: readonly WireValue[]): Promise<WireValue>;
}
