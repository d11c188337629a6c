/** One question to the model: what is left of dom0's memory, on this machine, with this kernel, with this `dom0_mem=`? */
import { err, ok, type Result } from '@xenolith/base';
import {
  availableToDom0,
  dom0Layout,
  dom0MemFaults,
  dom0Overhead,
  dom0Size,
  freePagesAtBoot,
  isImageKnown,
  memTotalKib,
  sanitiseE820,
  usablePages,
  type Dom0Layout,
  type Dom0Mem,
  type Dom0Size,
  type E820Entry,
  type LinuxRelease,
  type Overhead,
} from '@xenolith/hypervisor';

export interface Dom0Question {
  /** The machine's, as its firmware or Xen gives it. */
  readonly map: readonly E820Entry[];
  readonly dom0Mem: Dom0Mem;
  readonly release: LinuxRelease;
  /** dom0's. */
  readonly vcpus: number;
}

export interface Dom0Prediction {
  /** Of the machine. */
  readonly machinePages: number;
  /** What Xen has to give when it builds dom0. */
  readonly availablePages: number;
  readonly size: Dom0Size;
  readonly layout: Dom0Layout;
  readonly overhead: readonly Overhead[];
  /** `MemTotal` of /proc/meminfo. */
  readonly memTotalKib: number;
  /** What is left when tables that are made after the counting of MemTotal are there too. */
  readonly leftKib: number;
  /** Whether the size of this release's image was seen; else it is that of 6.1, and an old kernel has some MiB more left. */
  readonly isImageKnown: boolean;
}

/** @returns a reason where the question makes no sense on this machine */
export function predictDom0Memory({ map, dom0Mem, release, vcpus }: Dom0Question): Result<Dom0Prediction, string> {
  const availablePages = dom0Available(map, vcpus);
  const faults = dom0MemFaults(dom0Mem, availablePages);
  if (faults.length > 0) return err(`dom0_mem: ${faults.join('; ')}`);
  const size = dom0Size(dom0Mem, availablePages);
  if (size.initialPages === 0) return err('there is no memory for dom0');
  return ok(predictDom0Boot({ map, size, release, vcpus }));
}

/** What Xen has to give to a PV dom0 on a machine of this map. */
export const dom0Available = (map: readonly E820Entry[], vcpus: number): number =>
  availableToDom0(freePagesAtBoot(sanitiseE820(map)), { vcpus, iommuPages: 0, pagingPages: 0 });

/** A dom0 of a known size. */
export interface Dom0Boot {
  readonly map: readonly E820Entry[];
  /** At least one page. */
  readonly size: Dom0Size;
  readonly release: LinuxRelease;
  readonly vcpus: number;
  /** Of the kernel, where it is known; see `KernelShape`. */
  readonly imageBytes?: number;
}

/** What its kernel makes of it. */
export function predictDom0Boot({ map, size, release, vcpus, imageBytes }: Dom0Boot): Dom0Prediction {
  const machine = sanitiseE820(map);
  const machinePages = usablePages(machine);
  const layout = dom0Layout(release, size, machine);
  const shape = { release, vcpus, machinePages, ...(imageBytes === undefined ? {} : { imageBytes }) };
  const overhead = dom0Overhead(layout, shape);
  const total = memTotalKib(layout, overhead);
  const late = overhead.reduce((pages, item) => pages + (item.isInMemTotal ? 0 : item.pages), 0);
  return {
    machinePages,
    availablePages: dom0Available(map, vcpus),
    size,
    layout,
    overhead,
    memTotalKib: total,
    leftKib: Math.max(0, total - late * 4),
    isImageKnown: imageBytes !== undefined || isImageKnown(release),
  };
}
