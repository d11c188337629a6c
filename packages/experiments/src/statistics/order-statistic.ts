/** Values by their rank, without sorting all of them. */
import { assert } from '@xenolith/base';

/** Narrowing by halves that takes longer than this has met with an order made to be slow: then all is sorted. */
const roundsMax = 100;

/**
 * The value that stands at an index once all are in ascending order; 0 and -0 count as equal and keep the order they have.
 * @param index from 0
 * @throws AssertionError where there is no such index
 */
export function orderStatistic(values: Float64Array, index: number): number {
  assert(Number.isInteger(index) && index >= 0 && index < values.length, `index ${index} of ${values.length} values`);
  const found = select(values.slice(), index);
  return found === 0 ? zeroAt(values, index) : found;
}

/** Hoare's selection: parts the values around one of them, and goes on with the part that has the index. */
function select(values: Float64Array, index: number): number {
  let [low, high] = [0, values.length - 1];
  for (let round = 0; low < high; round++) {
    if (round === roundsMax) return values.sort()[index]!;
    const pivot = middleOf(values[low]!, values[(low + high) >> 1]!, values[high]!);
    let [left, right] = [low, high];
    while (left <= right) {
      while (values[left]! < pivot) left++;
      while (values[right]! > pivot) right--;
      if (left > right) break;
      const value = values[left]!;
      values[left++] = values[right]!;
      values[right--] = value;
    }
    if (index <= right) high = right;
    else if (index >= left) low = left;
    else return values[index]!;
  }
  return values[index]!;
}

const middleOf = (a: number, b: number, c: number): number => Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));

/** The zero that stands at an index, with its sign. */
function zeroAt(values: Float64Array, index: number): number {
  let before = 0;
  for (const value of values) if (value < 0) before++;
  return values.filter((value) => value === 0)[index - before]!;
}
