/** What to do when a guest shuts down, reboots or crashes (xl.cfg(5)). */
export type XlAction =
  | 'destroy'
  | 'restart'
  | 'rename-restart'
  | 'preserve'
  | 'coredump-destroy'
  | 'coredump-restart'
  | 'soft-reset';

/** A disk (xl-disk-configuration(5)). */
export interface XlDisk {
  /** Absolute path of a file or block device in the backend domain; what the script understands when there is one; absent: an empty CD drive. */
  readonly path?: string | undefined;
  /** `xvda`, `hda`, `sda`, … */
  readonly vdev: string;
  readonly format: 'raw' | 'qcow2' | 'vhd';
  readonly readonly?: boolean | undefined;
  readonly cdrom?: boolean | undefined;
  /** Absent: libxl chooses. */
  readonly backendtype?: 'phy' | 'qdisk' | undefined;
  readonly script?: string | undefined;
  readonly discard?: boolean | undefined;
}

/** A network interface (xl-network-configuration(5)). */
export interface XlVif {
  /** Six bytes in hexadecimal with colons. */
  readonly mac: string;
  readonly bridge: string;
  readonly script?: string | undefined;
  /** Name of the interface in the backend domain, at most 15 characters. */
  readonly vifname?: string | undefined;
  /** Addresses, space separated, given to the script. */
  readonly ip?: string | undefined;
  /** As `10Mb/s` (xl-network-configuration(5)). */
  readonly rate?: string | undefined;
}

/** A PV or PVH domain to be created. What is absent is xl's own default. */
export interface XlDomainConfig {
  readonly type: 'pv' | 'pvh';
  readonly name: string;
  readonly uuid: string;
  /** Path in dom0; absent when a bootloader finds one. */
  readonly kernel?: string | undefined;
  readonly ramdisk?: string | undefined;
  /** The kernel's command line (`extra` in xl.cfg, which every release of xl knows). */
  readonly cmdline?: string | undefined;
  readonly bootloader?: string | undefined;
  readonly bootloaderArgs?: readonly string[] | undefined;
  /** Memory at start and the most it can ever have, MiB. */
  readonly memoryMib: number;
  readonly maxmemMib?: number | undefined;
  /** vCPUs at start and the most it can ever have. */
  readonly vcpus: number;
  readonly maxvcpus?: number | undefined;
  /** Hard affinity: one text for all vCPUs (`0-3,^1`, `node:1`, `all`) or one for each. Only a list switches automatic placement off. */
  readonly cpus?: string | readonly string[] | undefined;
  /** Soft affinity, in the same form. */
  readonly cpusSoft?: string | readonly string[] | undefined;
  readonly pool?: string | undefined;
  readonly cpuWeight?: number | undefined;
  /** Per cent of one pCPU, 0 = no cap. */
  readonly cap?: number | undefined;
  readonly disks?: readonly XlDisk[] | undefined;
  readonly vifs?: readonly XlVif[] | undefined;
  readonly onPoweroff?: XlAction | undefined;
  readonly onReboot?: XlAction | undefined;
  readonly onCrash?: XlAction | undefined;
  readonly onWatchdog?: XlAction | undefined;
}

/** A cpupool to be created. */
export interface XlCpupoolConfig {
  readonly name: string;
  /** `credit`, `credit2`, … */
  readonly sched: string;
  readonly cpus: readonly number[];
}
