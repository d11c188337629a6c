/** What Xen logs of itself and of dom0 when it boots, as `xl dmesg` has it until newer lines push it out. */

/** `undefined`: no such line. */
export interface XenBootLog {
  /** What loaded Xen, in its own words: `GRUB 2.06-13+deb12u1`. */
  readonly bootloader: string | undefined;
  readonly commandLine: string | undefined;
  readonly dom0Type: 'pv' | 'pvh' | undefined;
  /** What a PV dom0 was given. */
  readonly dom0Pages: number | undefined;
}

const lineMax = 16_384;
const pageBytes = 4096;
const pages = (start: string | undefined, end: string | undefined): number =>
  Math.ceil((Number.parseInt(end ?? '', 16) - Number.parseInt(start ?? '', 16)) / pageBytes);

/**
 * Reads the boot log (`__start_xen` in xen/arch/x86/setup.c, `dom0_construct` in xen/arch/x86/pv/dom0_build.c). dom0 has
 * one block, the pages of its ramdisk, and what is still to be allocated when the lines are written. A log that has lost
 * its beginning gives what is left of it.
 */
export function parseXenLog(text: string): XenBootLog {
  let bootloader: string | undefined;
  let commandLine: string | undefined;
  let dom0Type: 'pv' | 'pvh' | undefined;
  let block: number | undefined;
  let ramdisk = 0;
  for (const line of text.split('\n')) {
    if (line.length > lineMax) continue;
    const match = /^\(XEN\)(?: \[[^\]]*\])? +(.*?)\s*$/.exec(line);
    const said = match?.[1] ?? '';
    bootloader ??= /^Bootloader: (.+)$/.exec(said)?.[1];
    commandLine ??= /^Command line: ?(.*)$/.exec(said)?.[1];
    const type = /^\*\*\* Building a (PV|PVH) Dom0 \*\*\*$/.exec(said)?.[1];
    if (type !== undefined) dom0Type ??= type === 'PV' ? 'pv' : 'pvh';
    const alloc = /^Dom0 alloc\.: +([\da-f]{8,16})->([\da-f]{8,16})(?: \((\d{1,12}) pages to be allocated\))?$/.exec(
      said,
    );
    if (alloc !== null) block ??= pages(alloc[1], alloc[2]) + Number(alloc[3] ?? 0);
    const disk = /^Init\. ramdisk: +([\da-f]{8,16})->([\da-f]{8,16})$/.exec(said);
    if (disk !== null && ramdisk === 0) ramdisk = Math.max(0, pages(disk[1], disk[2]));
  }
  const dom0Pages = block === undefined || !(block > 0) ? undefined : block + ramdisk;
  return { bootloader, commandLine, dom0Type, dom0Pages };
}
