/**
 * Sets of pCPUs (`cpumask_t`, xen/include/xen/cpumask.h) as 32-bit words, lowest pCPU first. All masks of a machine
 * have the same number of words.
 */
export type PcpuMask = Uint32Array<ArrayBuffer>;

/** Words that a mask of so many pCPUs has. */
export const maskWords = (pcpus: number): number => (pcpus + 31) >>> 5;

export const emptyMask = (words: number): PcpuMask => new Uint32Array(words);

/** A mask of the given pCPUs. */
export function maskOf(words: number, pcpus: Iterable<number>): PcpuMask {
  const mask = emptyMask(words);
  for (const pcpu of pcpus) addTo(mask, pcpu);
  return mask;
}

export const has = (mask: PcpuMask, pcpu: number): boolean => (mask[pcpu >>> 5]! & (1 << (pcpu & 31))) !== 0;

export function addTo(mask: PcpuMask, pcpu: number): void {
  mask[pcpu >>> 5]! |= 1 << (pcpu & 31);
}

export function removeFrom(mask: PcpuMask, pcpu: number): void {
  mask[pcpu >>> 5]! &= ~(1 << (pcpu & 31));
}

/** Puts a ∩ b into `out`. Says whether there is anything in it. */
export function intersect(out: PcpuMask, a: PcpuMask, b: PcpuMask): boolean {
  let any = 0;
  for (let word = 0; word < out.length; word++) any |= out[word] = a[word]! & b[word]!;
  return any !== 0;
}

/** Puts a ∖ b into `out`. Says whether there is anything in it. */
export function subtract(out: PcpuMask, a: PcpuMask, b: PcpuMask): boolean {
  let any = 0;
  for (let word = 0; word < out.length; word++) any |= out[word] = a[word]! & ~b[word]!;
  return any !== 0;
}

/** Puts a ∪ b into `out`. */
export function unite(out: PcpuMask, a: PcpuMask, b: PcpuMask): void {
  for (let word = 0; word < out.length; word++) out[word] = a[word]! | b[word]!;
}

export function isEmpty(mask: PcpuMask): boolean {
  for (let word = 0; word < mask.length; word++) if (mask[word] !== 0) return false;
  return true;
}

export function isSame(a: PcpuMask, b: PcpuMask): boolean {
  for (let word = 0; word < a.length; word++) if (a[word] !== b[word]) return false;
  return true;
}

/** Whether a and b have a pCPU in common. */
export function intersects(a: PcpuMask, b: PcpuMask): boolean {
  for (let word = 0; word < a.length; word++) if ((a[word]! & b[word]!) !== 0) return true;
  return false;
}

/** Whether all of a is in b. */
export function isSubset(a: PcpuMask, b: PcpuMask): boolean {
  for (let word = 0; word < a.length; word++) if ((a[word]! & ~b[word]!) !== 0) return false;
  return true;
}

/** How many pCPUs are in a mask (`cpumask_weight`). */
export function count(mask: PcpuMask): number {
  let total = 0;
  for (let word = 0; word < mask.length; word++) {
    let bits = mask[word]!;
    bits -= (bits >>> 1) & 0x55555555;
    bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
    total += Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return total;
}

/** The lowest pCPU of a mask, -1 when it is empty. */
export function first(mask: PcpuMask): number {
  for (let word = 0; word < mask.length; word++) {
    const bits = mask[word]!;
    if (bits !== 0) return (word << 5) + 31 - Math.clz32(bits & -bits);
  }
  return -1;
}

/** The highest pCPU of a mask, -1 when it is empty. */
export function last(mask: PcpuMask): number {
  for (let word = mask.length - 1; word >= 0; word--) {
    const bits = mask[word]!;
    if (bits !== 0) return (word << 5) + 31 - Math.clz32(bits);
  }
  return -1;
}

/** The lowest pCPU of a mask above `pcpu`, -1 when there is none. `pcpu` may be -1. */
export function next(pcpu: number, mask: PcpuMask): number {
  const from = pcpu + 1;
  let word = from >>> 5;
  if (word >= mask.length) return -1;
  let bits = mask[word]! & (-1 << (from & 31));
  for (;;) {
    if (bits !== 0) return (word << 5) + 31 - Math.clz32(bits & -bits);
    if (++word >= mask.length) return -1;
    bits = mask[word]!;
  }
}

/** The next pCPU of a mask, round about: the lowest above `pcpu`, else the lowest (`cpumask_cycle`); -1 when empty. */
export function cycle(pcpu: number, mask: PcpuMask): number {
  const above = next(pcpu, mask);
  return above >= 0 ? above : first(mask);
}

/** Every pCPU there could be (`cpumask_setall`). */
export const everyPcpu = (words: number): PcpuMask => new Uint32Array(words).fill(0xffffffff);

/** The pCPUs of a mask, ascending. */
export function pcpusOf(mask: PcpuMask): number[] {
  const pcpus: number[] = [];
  for (let pcpu = first(mask); pcpu >= 0; pcpu = next(pcpu, mask)) pcpus.push(pcpu);
  return pcpus;
}
