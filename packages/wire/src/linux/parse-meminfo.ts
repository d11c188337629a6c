/** What Linux says of its own memory in /proc/meminfo. */

const lineMax = 200;

/**
 * Reads /proc/meminfo (`meminfo_proc_show` in fs/proc/meminfo.c): the rows in kB, which are KiB, by their names, as
 * `MemTotal`. Rows of another form, as the counts of huge pages, are left out.
 */
export function parseMeminfo(text: string): ReadonlyMap<string, number> {
  const rows = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = line.length > lineMax ? null : /^([A-Za-z0-9_()]+):\s+(\d{1,15}) kB$/.exec(line);
    if (match !== null) rows.set(match[1] ?? '', Number(match[2]));
  }
  return rows;
}
