/** What Linux releases did with the memory of dom0 at boot. */
import { err, ok, type Result } from '@xenolith/base';

/** A release of Linux, 64-bit. */
export interface LinuxRelease {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/**
 * What a kernel does with pages that lie where the machine's map has holes:
 *
 * - `classic`: 2.6.18 of XenSource and its forward ports has no holes in its pseudo-physical memory.
 * - `release`: 3.0 to 3.4 give them back to Xen.
 * - `populate`: 3.5 to 3.15 give them back and ask for as many behind the end of their memory.
 * - `remap`: from 3.16 on they move their frames there.
 */
export type HolePolicy = 'classic' | 'release' | 'populate' | 'remap';

/** @returns a reason for a text that is no release, or one that is not modelled */
export function parseLinuxRelease(text: string): Result<LinuxRelease, string> {
  const match = /^(\d{1,3})\.(\d{1,3})(?:\.(\d{1,5}))?(?:[-+.][\w.+~-]*)?$/.exec(text);
  if (match === null) return err(`"${text}" is no release of Linux, as 6.1 or 3.2.102`);
  const release = { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) };
  const isClassic = release.major === 2 && release.minor === 6 && release.patch === 18;
  if (release.major < 3 && !isClassic) return err(`Linux ${text} is not modelled: 2.6.18 is, and 3.0 and later`);
  return ok(release);
}

/** Whether a release is as new as another. */
export const isAtLeast = (
  { major, minor, patch }: LinuxRelease,
  toMajor: number,
  toMinor: number,
  toPatch = 0,
): boolean => major > toMajor || (major === toMajor && (minor > toMinor || (minor === toMinor && patch >= toPatch)));

export function holePolicyOf(release: LinuxRelease): HolePolicy {
  if (release.major < 3) return 'classic';
  if (isAtLeast(release, 3, 16)) return 'remap';
  return isAtLeast(release, 3, 5) ? 'populate' : 'release';
}

/** Whether the maximum reservation bounds what the kernel makes room for: since 3.0.5, and classic kernels need no bound. */
export const looksAtMaximum = (release: LinuxRelease): boolean => isAtLeast(release, 3, 0, 5);
