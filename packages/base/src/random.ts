import { assert } from './assert.ts';
import { uuid, type Uuid } from './brand.ts';

/** A source of random 32-bit words: seeded in models and tests, the system's own for secrets. */
export interface Random {
  /** A uniformly distributed unsigned 32-bit integer. */
  nextUint32(): number;
}

/**
 * xoroshiro64**: a small seeded generator (Blackman and Vigna, 2018) with 64 bits of state.
 * The sequence for a seed never changes. Not for secrets.
 */
export class SeededRandom implements Random {
  #s0: number;
  #s1: number;

  constructor(seed: number) {
    // splitmix32 spreads a small seed over the whole state, which must not be all zero.
    let state = seed | 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.#s0 = next();
    this.#s1 = next() | 1;
  }

  /** Where in its sequence it is: {@link goTo} goes on from there. */
  get position(): readonly [number, number] {
    return [this.#s0, this.#s1];
  }

  /** Goes on from where another one was. @param position not both zero */
  goTo(position: readonly [number, number]): void {
    assert(position[0] !== 0 || position[1] !== 0, 'a position of zeros');
    [this.#s0, this.#s1] = position;
  }

  nextUint32(): number {
    const s0 = this.#s0;
    let s1 = this.#s1;
    const product = Math.imul(s0, 0x9e3779bb);
    const result = Math.imul((product << 5) | (product >>> 27), 5) >>> 0;
    s1 ^= s0;
    this.#s0 = ((s0 << 26) | (s0 >>> 6)) ^ s1 ^ (s1 << 9);
    this.#s1 = (s1 << 13) | (s1 >>> 19);
    return result;
  }
}

const hex32 = (word: number): string => word.toString(16).padStart(8, '0');

/** A version-4 UUID (RFC 9562) from four words of `random`. */
export function randomUuid(random: Random): Uuid {
  const a = hex32(random.nextUint32());
  const b = hex32(random.nextUint32());
  const c = hex32(((random.nextUint32() & 0x3fffffff) | 0x80000000) >>> 0);
  const d = hex32(random.nextUint32());
  return uuid(`${a}-${b.slice(0, 4)}-4${b.slice(5)}-${c.slice(0, 4)}-${c.slice(4)}${d}`);
}
