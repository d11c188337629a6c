/** Messages of the thin CLI protocol, which the stock `xe` speaks (PROTOCOL.md §10; XAPI: ocaml/xe-cli, cli_protocol.ml). */

/** What the server has the client do. */
export type ThinCliCommand =
  /** A line for stdout; the client adds its end. */
  | { readonly kind: 'print'; readonly text: string }
  /** Text for stderr as it stands. */
  | { readonly kind: 'print-stderr'; readonly text: string }
  | { readonly kind: 'debug'; readonly text: string }
  /** Send a file: OK, then chunks and an end; or Failed. */
  | { readonly kind: 'load'; readonly file: string }
  /** Send a line of what is typed: a chunk and an end. */
  | { readonly kind: 'prompt' }
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'error'; readonly code: string; readonly params: readonly string[] }
  | { readonly kind: 'http-get'; readonly file: string; readonly url: string }
  | { readonly kind: 'http-put'; readonly file: string; readonly url: string }
  | { readonly kind: 'http-connect'; readonly url: string };

/** What the client answers. */
export type ThinCliResponse = { readonly kind: 'ok' } | { readonly kind: 'failed' } | { readonly kind: 'wait' };

/** Pieces of a file; so many bytes follow a chunk, outside every frame. */
export type ThinCliBlob = { readonly kind: 'chunk'; readonly bytes: number } | { readonly kind: 'end' };

export type ThinCliMessage = ThinCliCommand | ThinCliResponse | ThinCliBlob;

/** Ours; a client with another major version is not spoken to. */
export const thinCliVersion = { major: 0, minor: 2 } as const;

/** The text that both sides begin with, before the two numbers of their version. */
export const thinCliMagic = 'XenSource thin CLI protocol';

/** The first number of a payload, by what the message is. */
export const familyTag = { command: 9, response: 10, blob: 11 } as const;

/** The second number of a payload. */
export const kindTag = {
  print: 0,
  load: 1,
  prompt: 3,
  exit: 4,
  ok: 5,
  failed: 6,
  chunk: 7,
  end: 8,
  'http-get': 12,
  'http-put': 13,
  error: 14,
  debug: 15,
  'print-stderr': 16,
  'http-connect': 17,
  wait: 18,
} as const satisfies Readonly<Record<ThinCliMessage['kind'], number>>;
