/** A share below this is what a toolstack or a ring took elsewhere; it does not make a VM one of that node. */
const leastShare = 0.01;

/** The nodes that memory is on, but for slivers; ascending. */
export function homeNodes(bytesByNode: readonly number[]): readonly number[] {
  const total = bytesByNode.reduce((sum, size) => sum + size, 0);
  return [...bytesByNode.keys()].filter((node) => {
    const size = bytesByNode[node] ?? 0;
    return size > 0 && size >= total * leastShare;
  });
}
