/** What a Linux kernel under Xen logs of its memory when it boots. */

/** `undefined`: no such line. */
export interface KernelMemoryLog {
  /** Of `Memory: 1472164K/23068280K available`: memory that it knows of, without page 0. */
  readonly knownKib: number | undefined;
  /** Code, data, read-only data and bss; before Linux 3.10 code and data. */
  readonly imageKib: number | undefined;
  /** Pages that it gave back to Xen because they lay in holes. */
  readonly releasedPages: number | undefined;
}

const lineMax = 2000;
const kernelParts = /(\d{1,12})[kK] (?:kernel code|rwdata|rodata|bss|data)\b/g;

/**
 * Reads the lines of a kernel's log that tell of its memory: `Memory:` (`mem_init_print_info` in mm/, `mem_init` in
 * arch/x86/mm/init_64.c until 3.9) and `Released N page(s)` (`xen_memory_setup` in arch/x86/xen/setup.c). The first of
 * each counts.
 */
export function parseKernelMemoryLog(text: string): KernelMemoryLog {
  let knownKib: number | undefined;
  let imageKib: number | undefined;
  let releasedPages: number | undefined;
  for (const line of text.split('\n')) {
    if (line.length > lineMax) continue;
    const memory = /\bMemory: \d{1,12}[kK]\/(\d{1,12})[kK] available \((.*)\)/.exec(line);
    if (memory !== null && knownKib === undefined) {
      knownKib = Number(memory[1]);
      const parts = [...(memory[2] ?? '').matchAll(kernelParts)].map((part) => Number(part[1]));
      if (parts.length > 1) imageKib = parts.reduce((sum, kib) => sum + kib, 0);
    }
    const released = /\bReleased (\d{1,12}) pages?\b/.exec(line.replace('page(s)', 'pages'));
    if (released !== null) releasedPages ??= Number(released[1]);
  }
  return { knownKib, imageKib, releasedPages };
}
