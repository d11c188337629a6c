/**
 * All sets of so many nodes, in lexicographic order: of 0, 1, 2 the pairs are 0 1, 0 2, 1 2.
 * @param nodes ascending
 * @param size at least 1
 */
export function* nodeSets(nodes: readonly number[], size: number): Generator<readonly number[], void> {
  if (size > nodes.length) return;
  const at = Array.from({ length: size }, (_, index) => index);
  for (;;) {
    yield at.map((index) => nodes[index]!);
    let place = size - 1;
    while (place >= 0 && at[place] === nodes.length - size + place) place--;
    if (place < 0) return;
    at[place]!++;
    for (let after = place + 1; after < size; after++) at[after] = at[after - 1]! + 1;
  }
}
