/**
 * Guests that the emulated processor ends. QEMU's emulation of AMD's virtualisation gives a PVH guest a triple fault
 * now and then, early in its kernel (seen with QEMU 7.2 and Debian 12's kernel in a loop of guests that were only
 * booted). Xen says so in its log; a test that lost its guest that way has shown nothing, and is run again, twice at most.
 */
import { labRun, type LabHost } from '@xenolith/lab';
import { afterEach } from 'vitest';

const timeoutMs = 60_000;

/** The numbers of the domains that Xen's log says have ended in a triple fault. */
function faultedDomains(log: string): readonly number[] {
  return [...log.matchAll(/\bd(\d+)v\d+ Triple fault\b/g)].map(([, domid]) => Number(domid));
}

/** How often, and after which error, a test is run again; for a test's or a `describe`'s options. */
export interface AfterTripleFault {
  readonly count: number;
  readonly condition: RegExp;
}

/**
 * To be called once in a `describe`, before its tests. What it gives as their `retry` runs a failed test again if a
 * guest of `host` had a triple fault since the last failure; a faulted domain that is kept is destroyed before that.
 * Every other failure is final.
 */
export function afterTripleFault(host: () => LabHost): AfterTripleFault {
  const known = new Set<number>();
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    const log = await labRun(host(), ['xl', 'dmesg'], { timeoutMs }).catch(() => '');
    const faulted = faultedDomains(log).filter((domid) => !known.has(domid));
    for (const domid of faulted) {
      known.add(domid);
      await labRun(host(), ['xl', 'destroy', String(domid)], { timeoutMs }).catch(() => undefined);
    }
    // The last error of a test decides whether it is run again.
    if (faulted.length > 0)
      throw new Error(`domain ${faulted.join(', ')} had a triple fault in the emulated processor`);
  }, timeoutMs);
  return { count: 2, condition: /had a triple fault in the emulated processor/ };
}
