/** A set of pCPUs or NUMA nodes as `xl` prints it: every one, or the numbers listed (in order). */
export type XlBitmap = 'all' | readonly number[];

/** More than any Xen has pCPUs; a wider range is a misread line. */
const maxMembers = 4096;

/**
 * Reads what `print_bitmap` (tools/xl/xl_utils.c) prints: `all`, `none`, or ranges as `0-3,5`. Xen 4.2's `any cpu` and `no cpu`
 * count too. `undefined` when the text is none of these.
 */
export function parseXlBitmap(text: string): XlBitmap | undefined {
  const trimmed = text.trim();
  if (/^(?:all|any (?:cpu|node))$/.test(trimmed)) return 'all';
  if (/^(?:none|no (?:cpu|node))$/.test(trimmed)) return [];
  const members: number[] = [];
  for (const part of trimmed.split(',')) {
    const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part);
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first || last - first >= maxMembers || members.length >= maxMembers) return undefined;
    for (let member = first; member <= last; member++) members.push(member);
  }
  return members;
}

/** Numbers, in any order, as `xl` prints and reads them: ranges as `0-3,5`, or `none`. */
export function formatXlBitmap(members: readonly number[]): string {
  if (members.length === 0) return 'none';
  const ranges: [number, number][] = [];
  for (const member of members.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && member - last[1] <= 1) last[1] = member;
    else ranges.push([member, member]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(',');
}
