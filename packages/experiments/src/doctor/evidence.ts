/** What was found on a host whose dom0 is looked at. Whatever could not be had is absent. */
import type { GrubFile, XlE820Entry } from '@xenolith/wire';

/** The balloon driver's own figures (/sys/devices/system/xen_memory/xen_memory0). */
export interface BalloonEvidence {
  /** What dom0 has. */
  readonly currentKib?: number;
  /** What it is to have. */
  readonly targetKib?: number;
  /** Room that is known to Linux and has no memory, below and above the end of low memory. */
  readonly roomKib?: number;
}

/** grub as Debian and Ubuntu configure it. */
export interface GrubEvidence {
  /** In the order in which they are read, /etc/default/grub first. */
  readonly files: readonly GrubFile[];
  /** `update-grub` and a grub.cfg are there. */
  readonly canUpdate: boolean;
}

export interface Dom0Evidence {
  readonly hostname?: string;
  /** dom0's Linux: `6.1.0-56-amd64`. */
  readonly kernel?: string;
  readonly kernelCommandLine?: string;
  readonly xenVersion?: string;
  readonly xenCommandLine?: string;
  /** What loaded Xen, in its own words. */
  readonly bootloader?: string;
  readonly dom0Type?: 'pv' | 'pvh';
  readonly vcpus?: number;
  /** Of the machine, from Xen's log. */
  readonly machineMap?: readonly XlE820Entry[];
  /** Of the machine, from `xl info`. */
  readonly machineMib?: number;
  /** What Xen's log says that dom0 was given. */
  readonly initialPages?: number;
  /** The maximum reservation as it is now. */
  readonly maximumKib?: number | 'unlimited';
  /** `MemTotal`. */
  readonly memTotalKib?: number;
  readonly balloon: BalloonEvidence;
  /** The target that the toolstack has in xenstore. */
  readonly xenstoreTargetKib?: number;
  /** From the kernel's log: memory that it knows of, the size of its image, and what it gave back for holes. */
  readonly knownKib?: number;
  readonly imageKib?: number;
  readonly releasedPages?: number;
  readonly grub?: GrubEvidence;
}

const unlimitedKib = (2 ** 32 - 1) * 4;

/** A maximum reservation in KiB, as libxl writes it: 2^32 - 1 pages and more are none. */
export function maximumOf(text: string): number | 'unlimited' | undefined {
  if (!/^\d{1,20}$/.test(text)) return undefined;
  return Number(text) >= unlimitedKib ? 'unlimited' : Number(text);
}
