/** What the listener puts up with from a client. Each can be set smaller in tests. */
export interface HttpLimits {
  /** Connections at one time; more are closed at once. */
  readonly connectionsMax: number;
  /** Until the first byte of a connection, and for a TLS handshake. */
  readonly firstByteMs: number;
  /** From the first byte of a request to the end of its headers. */
  readonly headersMs: number;
  /** From the end of a request's headers to its last byte; not for disks and VMs, which may take any time. */
  readonly requestMs: number;
  /** How long nothing at all may go over the connection of a transfer of a disk or VM. */
  readonly transferSilenceMs: number;
  /** Between two requests of a connection. */
  readonly keepAliveMs: number;
  /** For a client to take an answer, besides what its size allows at the slowest rate. */
  readonly answerMs: number;
  /** The slowest rate at which an answer may be taken. */
  readonly answerBytesPerSecondMin: number;
  /** How long what is left of a refused body is read and dropped, so that the client sees the refusal. */
  readonly lingerMs: number;
  /** Body of an RPC (`http_limit_max_rpc_size` of XAPI). */
  readonly rpcBodyBytesMax: number;
  /** Output of a console that its client has not taken yet. */
  readonly consoleBacklogBytesMax: number;
}

export const defaultHttpLimits: HttpLimits = {
  connectionsMax: 1000,
  firstByteMs: 15_000,
  headersMs: 20_000,
  requestMs: 60_000,
  transferSilenceMs: 15 * 60_000,
  keepAliveMs: 75_000,
  answerMs: 60_000,
  answerBytesPerSecondMin: 64 * 1024,
  lingerMs: 15_000,
  rpcBodyBytesMax: 300 * 1024,
  consoleBacklogBytesMax: 4 * 1024 * 1024,
};
