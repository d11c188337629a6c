/** Amounts of memory as people and as Xen read them. */
import { assert } from '@xenolith/base';

export const roundUpToMib = (kib: number): number => Math.ceil(kib / 1024) * 1024;

/** As `dom0_mem=` has it, in the largest unit that is whole: `2G`, `1801M`. @param kib whole MiB */
export function xenAmount(kib: number): string {
  assert(kib > 0 && kib % 1024 === 0, `${kib} KiB`);
  const mib = kib / 1024;
  return mib % 1024 === 0 ? `${mib / 1024}G` : `${mib}M`;
}

/** `446 MiB`; from 10 GiB on in GiB with a digit behind the point. */
export const memoryText = (kib: number): string =>
  kib >= 10 * 1024 * 1024 ? `${(kib / 1024 / 1024).toFixed(1)} GiB` : `${Math.round(kib / 1024)} MiB`;
