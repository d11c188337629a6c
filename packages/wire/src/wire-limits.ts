/** What a decoder puts up with. Over a limit it throws a `WireError` of code `too-deep` or `too-large`. */
export interface WireLimits {
  /** Nesting of arrays and structs; at most 1000 whatever is asked for, so that the stack is safe. */
  readonly maxDepth: number;
  /** Values and members in the whole document. */
  readonly maxNodes: number;
  /** Bytes of the document, or characters where text is given. */
  readonly maxLength: number;
}

/** Far above what a client sends (XAPI reads at most 300 KiB of a call, PROTOCOL.md §1), enough for the largest answers. */
export const defaultWireLimits: WireLimits = { maxDepth: 64, maxNodes: 4_000_000, maxLength: 256 * 1024 * 1024 };

/** The default limits with some of them replaced. */
export function wireLimits(limits: Partial<WireLimits> | undefined): WireLimits {
  const merged = { ...defaultWireLimits, ...limits };
  return { ...merged, maxDepth: Math.min(merged.maxDepth, 1000) };
}
