/**
 * XXH64 with seed 0 (the xxHash specification), which newer XVAs have beside their blocks. Numbers of 64 bits are two of
 * 32 here: with bigints a mebibyte takes a tenth of a second.
 */

/** A number of 64 bits as its halves: in places, so that nothing is allocated for each word. */
type Pair = Uint32Array;

const pair = (high: number, low: number): Pair => Uint32Array.of(high, low);
const prime1 = pair(0x9e3779b1, 0x85ebca87);
const prime2 = pair(0xc2b2ae3d, 0x27d4eb4f);
const prime3 = pair(0x165667b1, 0x9e3779f9);
const prime4 = pair(0x85ebca77, 0xc2b2ae63);
const prime5 = pair(0x27d4eb2f, 0x165667c5);

/** a ← a + b */
function add(a: Pair, high: number, low: number): void {
  const sum = (a[1] ?? 0) + low;
  a[0] = (a[0] ?? 0) + high + (sum > 0xffffffff ? 1 : 0);
  a[1] = sum;
}

/** a ← a × b */
function multiply(a: Pair, b: Pair): void {
  const [ah = 0, al = 0] = [a[0], a[1]];
  const [bh = 0, bl = 0] = [b[0], b[1]];
  const [a1, a0] = [al >>> 16, al & 0xffff];
  const [b1, b0] = [bl >>> 16, bl & 0xffff];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const other = a0 * b1 + (middle & 0xffff);
  const carried = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(other / 0x10000);
  a[0] = carried + Math.imul(ah, bl) + Math.imul(al, bh);
  a[1] = Math.imul(al, bl);
}

/** a ← a rotated left, by less than 32 */
function rotate(a: Pair, by: number): void {
  const [high = 0, low = 0] = [a[0], a[1]];
  a[0] = (high << by) | (low >>> (32 - by));
  a[1] = (low << by) | (high >>> (32 - by));
}

function xor(a: Pair, high: number, low: number): void {
  a[0] = (a[0] ?? 0) ^ high;
  a[1] = (a[1] ?? 0) ^ low;
}

/** a ← a xor (a shifted right by less than 32) */
function xorShifted(a: Pair, by: number): void {
  const [high = 0, low = 0] = [a[0], a[1]];
  xor(a, high >>> by, (low >>> by) | (high << (32 - by)));
}

/** a ← a xor (a shifted right by 32 or more) */
const xorShiftedFar = (a: Pair, by: number): void => xor(a, 0, (a[0] ?? 0) >>> (by - 32));

/** One step of an accumulator, over eight bytes. */
function round(accumulator: Pair, word: Pair): void {
  multiply(word, prime2);
  add(accumulator, word[0] ?? 0, word[1] ?? 0);
  rotate(accumulator, 31);
  multiply(accumulator, prime1);
}

/** The hash as XVAs have it: 16 hexadecimal digits in capitals. */
export function xxHash64(data: Uint8Array): string {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const word = pair(0, 0);
  const take = (at: number): Pair => {
    word[0] = view.getUint32(at + 4, true);
    word[1] = view.getUint32(at, true);
    return word;
  };
  let at = 0;
  const hash = pair(0, 0);
  if (data.length >= 32) {
    at = stripes(data.length, take, hash);
  } else add(hash, prime5[0] ?? 0, prime5[1] ?? 0);
  add(hash, Math.floor(data.length / 2 ** 32), data.length >>> 0);
  for (; at + 8 <= data.length; at += 8) {
    const lane = pair(0, 0);
    round(lane, take(at));
    xor(hash, lane[0] ?? 0, lane[1] ?? 0);
    rotate(hash, 27);
    multiply(hash, prime1);
    add(hash, prime4[0] ?? 0, prime4[1] ?? 0);
  }
  if (at + 4 <= data.length) {
    const part = pair(0, view.getUint32(at, true));
    multiply(part, prime1);
    xor(hash, part[0] ?? 0, part[1] ?? 0);
    rotate(hash, 23);
    multiply(hash, prime2);
    add(hash, prime3[0] ?? 0, prime3[1] ?? 0);
    at += 4;
  }
  for (; at < data.length; at++) {
    const part = pair(0, data[at] ?? 0);
    multiply(part, prime5);
    xor(hash, part[0] ?? 0, part[1] ?? 0);
    rotate(hash, 11);
    multiply(hash, prime1);
  }
  xorShiftedFar(hash, 33);
  multiply(hash, prime2);
  xorShifted(hash, 29);
  multiply(hash, prime3);
  xorShiftedFar(hash, 32);
  return [...hash]
    .map((half) => half.toString(16).padStart(8, '0'))
    .join('')
    .toUpperCase();
}

/** Goes over all whole stripes of 32 bytes; gives where they end. */
function stripes(length: number, take: (at: number) => Pair, hash: Pair): number {
  const [a, b, c, d] = [pair(0, 0), pair(0, 0), pair(0, 0), pair(0, 0)];
  add(a, prime1[0] ?? 0, prime1[1] ?? 0);
  add(a, prime2[0] ?? 0, prime2[1] ?? 0);
  add(b, prime2[0] ?? 0, prime2[1] ?? 0);
  // 0 - prime1
  add(d, ~(prime1[0] ?? 0) >>> 0, ~(prime1[1] ?? 0) >>> 0);
  add(d, 0, 1);
  let at = 0;
  for (; at + 32 <= length; at += 32) {
    round(a, take(at));
    round(b, take(at + 8));
    round(c, take(at + 16));
    round(d, take(at + 24));
  }
  const turns: readonly (readonly [Pair, number])[] = [
    [a, 1],
    [b, 7],
    [c, 12],
    [d, 18],
  ];
  for (const [lane, by] of turns) {
    const turned = Uint32Array.from(lane);
    rotate(turned, by);
    add(hash, turned[0] ?? 0, turned[1] ?? 0);
  }
  for (const [lane] of turns) {
    const merged = pair(0, 0);
    round(merged, Uint32Array.from(lane));
    xor(hash, merged[0] ?? 0, merged[1] ?? 0);
    multiply(hash, prime1);
    add(hash, prime4[0] ?? 0, prime4[1] ?? 0);
  }
  return at;
}
