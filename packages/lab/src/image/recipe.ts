import { createHash } from 'node:crypto';
import { DOM0_DIRECTORIES, DOM0_FILES, dom0InitramfsInit } from './dom0-files.ts';
import { guestFiles } from './guest-files.ts';
import {
  DEBIAN_RELEASE,
  DOM0_INITRAMFS_MODULES,
  DOM0_MODULES,
  DOM0_PACKAGES,
  GUEST_MODULES,
  KERNEL_PACKAGE,
  TREE_EXCLUDES,
  XEN_PACKAGE,
} from './packages.ts';

/** Counts up when the building code changes in a way that the lists and files below do not show. */
const BUILD_STEPS_VERSION = 1;

/** The size of dom0's disk, most of it a hole: room for guests' disks and saved guests. */
export const DOM0_DISK_BYTES = 8 * 1024 ** 3;

/** Everything that decides what an image holds, but for the versions of the Debian packages (manifest.json beside the image has those). */
export function dom0Recipe(): unknown {
  return {
    steps: BUILD_STEPS_VERSION,
    release: DEBIAN_RELEASE,
    packages: DOM0_PACKAGES,
    xen: XEN_PACKAGE,
    kernel: KERNEL_PACKAGE,
    excludes: TREE_EXCLUDES,
    modules: [DOM0_MODULES, DOM0_INITRAMFS_MODULES, GUEST_MODULES],
    files: DOM0_FILES,
    directories: DOM0_DIRECTORIES,
    initramfs: dom0InitramfsInit([]),
    guest: guestFiles([]),
    diskBytes: DOM0_DISK_BYTES,
  };
}

/** A short name for a recipe: equal recipes, and only those, have equal hashes. 16 hexadecimal digits. */
export function recipeHash(recipe: unknown): string {
  return createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 16);
}
