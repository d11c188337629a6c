import { fromMib } from '@xenolith/base';
import type { BootableGuest } from '@xenolith/xapi';

/** Where a host keeps the small guest that a newcomer boots first: an uncompressed kernel and an initrd. */
export const guestDirectory = '/usr/lib/xenolith/guest';

/** The kernel and initrd in {@link guestDirectory}. */
export const guestFiles = {
  kernel: `${guestDirectory}/vmlinux`,
  ramdisk: `${guestDirectory}/initrd.gz`,
} as const;

/** What a host offers to boot when {@link guestFiles} are there: the same guest as PV and as PVH. */
export const bootableGuests: readonly BootableGuest[] = [
  {
    name: 'Xenolith guest (PV)',
    description: 'A small Linux with a shell on its console, paravirtualised',
    type: 'pv',
    ...guestFiles,
    cmdline: 'console=hvc0',
    memoryBytes: fromMib(128),
    vcpus: 1,
  },
  {
    name: 'Xenolith guest (PVH)',
    description: 'A small Linux with a shell on its console, in a hardware-assisted domain without device model',
    type: 'pvh',
    ...guestFiles,
    cmdline: 'console=hvc0',
    memoryBytes: fromMib(128),
    vcpus: 1,
  },
];
