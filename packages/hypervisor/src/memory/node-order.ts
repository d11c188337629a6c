/** In what order a domain's memory is looked for on NUMA nodes: what spreads it over them. */

/** The next node of a set after one, round about; `undefined` of an empty set. Nodes ascend. */
export function cycleNode(after: number, nodes: readonly number[]): number | undefined {
  return nodes.find((node) => node > after) ?? nodes[0];
}

/** Where an allocation may be. */
export interface NodeChoice {
  /** The node that was asked for. */
  readonly requested?: number | undefined;
  /** It and no other. */
  readonly isExact?: boolean | undefined;
  /** Nodes of the domain's affinity, ascending. */
  readonly affinity: readonly number[];
  /** Nodes that have memory, ascending. */
  readonly online: readonly number[];
  /** Where the domain was given memory last; -1 at first. */
  readonly lastNode: number;
}

/**
 * Nodes in the order in which Xen tries them for one extent: the requested one, or the next of the domain's affinity
 * after the one that served it last; then the others of the affinity, round about; then the rest, as affinity
 * is a wish. So memory is striped over the nodes extent by extent (`get_free_buddy` in xen/common/page_alloc.c).
 */
export function nodeOrder({ requested, isExact, affinity, online, lastNode }: NodeChoice): readonly number[] {
  const own = affinity.filter((node) => online.includes(node));
  const inside = own.length > 0 ? own : online;
  const first = requested ?? cycleNode(lastNode, inside);
  if (first === undefined) return [];
  if (isExact === true && requested !== undefined) return online.includes(first) ? [first] : [];
  const after = inside.filter((node) => node > first);
  const before = inside.filter((node) => node < first);
  // A node that was asked for and is not of the affinity comes first all the same; then the affinity from its start.
  const others = inside.includes(first) ? [...after, ...before] : inside;
  const outside = online.filter((node) => node !== first && !inside.includes(node));
  return [...(online.includes(first) ? [first] : []), ...others, ...outside];
}
