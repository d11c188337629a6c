/** Numbers of physical CPUs as people write them. */
import { formatXlBitmap } from '@xenolith/wire';
import { UsageError } from './usage-error.ts';

const numberMax = 4095;

/** `0-3,5` as numbers, ascending. Throws UsageError. */
export function parseCpuList(text: string): readonly number[] {
  const found = new Set<number>();
  for (const word of text.split(',')) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(word.trim());
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || first > last || last > numberMax)
      throw new UsageError(`${text}: expected CPUs such as 0-3,5`);
    for (let cpu = first; cpu <= last; cpu++) found.add(cpu);
  }
  return [...found].sort((a, b) => a - b);
}

/** Numbers as `xl` prints them (`print_bitmap` in tools/xl/xl_utils.c): `all` of `total`, `none`, or ranges. */
export function formatCpuList(numbers: readonly number[], total: number): string {
  return numbers.length > 0 && numbers.length >= total ? 'all' : formatXlBitmap(numbers);
}
