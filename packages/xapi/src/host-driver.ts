/**
 * What the control plane asks of a host, in Xen's own terms. The room `host` has the implementations (the model,
 * and real Xen through `xl`); one conformance suite says that they behave alike.
 *
 * The flow of truth is level-triggered: a driver sends whole pictures of its domains, never "what changed", so
 * nothing that happens behind the control plane's back can be missed for longer than the slow poll.
 */
import type { Bytes, Disposable, DomId, NodeId, Ns, PcpuId, Uuid } from '@xenolith/base';
import type { CpupoolErrno } from '@xenolith/hypervisor';
import type { HostDevices } from './host-devices.ts';
import type { HostMemory } from './host-memory.ts';
import type { HostSystem } from './host-system.ts';
import type { HostNetworks } from './host-networks.ts';
import type { CpupoolInfo, HostScheduling, VcpuInfo } from './host-scheduling.ts';

/** One physical CPU and where it sits (`xl info -n`, `cpu_topology`). */
export interface PcpuFacts {
  readonly pcpu: PcpuId;
  readonly core: number;
  readonly socket: number;
  readonly node: NodeId;
}

/** One NUMA node (`xl info -n`, `numa_info`); `distances[i]` is the SLIT distance to node i, 255 where there is none. */
export interface NodeFacts {
  readonly node: NodeId;
  readonly memoryBytes: Bytes;
  readonly memoryFreeBytes: Bytes;
  readonly distances: readonly number[];
}

/** A network interface of the control domain, or a bond or bridge in it. */
export interface InterfaceFacts {
  readonly name: string;
  readonly kind: 'physical' | 'bond' | 'bridge';
  /** Colon-separated lower-case hexadecimal; absent where the host does not say. */
  readonly mac?: string;
  readonly mtu?: number;
  readonly carrier?: boolean;
  /** The bridge that this interface is a port of. */
  readonly bridge?: string;
  /** It was made here ({@link HostNetworks.createBridge}), and is no network of its own. */
  readonly isMade?: true;
  /** A card that the host itself does nothing with: it has no address, and is in no bridge, bond or VLAN but ours. */
  readonly isSpare?: true;
  /** IPv4 addresses with their prefix length, `192.0.2.1/24`. */
  readonly ipv4: readonly string[];
}

/** A kernel and initrd on the host that a newcomer's first guest boots from. */
export interface BootableGuest {
  readonly name: string;
  readonly description: string;
  readonly type: DomainType;
  readonly kernel: string;
  readonly ramdisk: string;
  readonly cmdline: string;
  readonly memoryBytes: Bytes;
  readonly vcpus: number;
}

/** What a host is (`xl info -n` and the control domain's own /proc and /sys). A fact that is not known is absent. */
export interface HostFacts {
  readonly hostname: string;
  readonly xenVersion: string;
  readonly xenCapabilities: readonly string[];
  /** `virt_caps`: pv, hvm, hap, … */
  readonly virtCapabilities: readonly string[];
  readonly xenScheduler: string;
  readonly xenCommandLine: string;
  readonly kernelRelease: string;
  readonly machine: string;
  readonly memoryTotalBytes: Bytes;
  readonly memoryFreeBytes: Bytes;
  readonly cpuMhz?: number;
  readonly cpuVendor?: string;
  readonly cpuModelName?: string;
  readonly cpuFlags?: string;
  readonly hwCaps?: string;
  readonly coresPerSocket: number;
  readonly threadsPerCore: number;
  readonly pcpus: readonly PcpuFacts[];
  readonly nodes: readonly NodeFacts[];
  readonly interfaces: readonly InterfaceFacts[];
  readonly guests: readonly BootableGuest[];
  /** UUID of the machine (DMI) when it has one; identifies a host that is added twice. */
  readonly systemUuid?: Uuid;
  /** Another one after each boot (/proc/sys/kernel/random/boot_id); absent where the host does not say. */
  readonly bootId?: string;
}

export type DomainType = 'pv' | 'pvh' | 'hvm';

/** Why a domain shut down (`SHUTDOWN_*` in xen/include/public/sched.h). */
export type ShutdownReason = 'poweroff' | 'reboot' | 'suspend' | 'crash' | 'watchdog' | 'soft-reset';

/** What `xl trigger` sends. */
export const domainTriggers = ['nmi', 'reset', 'init', 'power', 'sleep', 's3resume'] as const;
export type DomainTrigger = (typeof domainTriggers)[number];

/** Which domain is meant: its number alone may be another's by now, as after a reboot of its host. */
export interface DomainIdentity {
  readonly domid: DomId;
  readonly uuid: Uuid;
}

/** A domain as the hypervisor has it now. Domain-0 is one of them, under the uuid of zeros on every host. */
export interface DomainInfo extends DomainIdentity {
  readonly name: string;
  readonly paused: boolean;
  readonly dying: boolean;
  /** Set once the guest has stopped for good and awaits its toolstack. */
  readonly shutdown?: ShutdownReason;
  readonly memoryBytes: Bytes;
  readonly vcpusOnline: number;
  /** The name of its cpupool; absent where the host does not say. */
  readonly cpupool?: string;
  /** How long each vCPU has run since creation; absent where the host does not tell it with the rest. */
  readonly vcpuTimesNs?: readonly Ns[];
  /** Where each vCPU is and what it does, told together with the times. */
  readonly vcpuStates?: readonly Pick<VcpuInfo, 'pcpu' | 'state'>[];
  /** CPU time used since creation; absent where the host cannot tell (the model until it schedules). */
  readonly cpuTimeNs?: Ns;
}

/** What a domain was made of, as far as the host can tell (`xl list -l`): used for domains made by hand. */
export interface DomainDetails {
  readonly type: DomainType;
  readonly vcpusMax: number;
  readonly memoryMaxBytes: Bytes;
  readonly kernel?: string;
  readonly ramdisk?: string;
  readonly cmdline?: string;
  readonly bootloader?: string;
  readonly disks: readonly DomainDisk[];
  readonly vifs: readonly DomainVif[];
}

/** A disk of a domain; `device` is the guest's name for it (`xvda`), `path` the file or block device on the host. */
export interface DomainDisk {
  readonly device: string;
  readonly path: string;
  readonly format: 'raw' | 'qcow2' | 'vhd';
  readonly readOnly: boolean;
  readonly cdrom?: boolean;
}

/** A network interface of a domain. `index` is the vif number, from 0. */
export interface DomainVif {
  readonly index: number;
  readonly mac: string;
  readonly bridge: string;
  readonly mtu?: number;
}

/** What the host does by itself when a guest ends one way or another (`on_poweroff`, `on_reboot`, `on_crash`). */
export type DomainEndAction = 'destroy' | 'restart' | 'preserve' | 'rename-restart';

/** Where a domain is to have its memory, and would like to run. Ascending, none empty. */
export interface DomainPlacement {
  /** Its memory is spread evenly over them; what does not fit there is on others. */
  readonly nodes: readonly NodeId[];
  /** Soft affinity, of all its vCPUs. */
  readonly pcpus: readonly PcpuId[];
  /** Its vCPUs run nowhere else: hard affinity in the place of {@link DomainConfig.cpus}. */
  readonly strict: boolean;
}

/** Addresses of a kernel and of an initrd (HTTP or HTTPS), or paths of them. */
export interface FetchedBoot {
  readonly kernel: string;
  readonly ramdisk: string;
}

/** What a domain is to be created from. */
export interface DomainConfig {
  readonly uuid: Uuid;
  /** Any text: the driver makes a name that its host accepts out of it. */
  readonly nameLabel: string;
  readonly type: DomainType;
  readonly kernel?: string;
  readonly ramdisk?: string;
  readonly cmdline?: string;
  readonly bootloader?: string;
  /** What the host fetches for this boot, in the place of `kernel` and `ramdisk`. Nothing of it is kept. */
  readonly fetched?: FetchedBoot;
  readonly vcpusMax: number;
  readonly vcpusAtStartup: number;
  readonly memoryMaxBytes: Bytes;
  readonly memoryTargetBytes: Bytes;
  readonly disks: readonly DomainDisk[];
  readonly vifs: readonly DomainVif[];
  /** Relative share of CPU time, 1 … 65535. */
  readonly weight?: number;
  /** Upper limit of CPU time in percent of one pCPU; 0 is none. */
  readonly cap?: number;
  /** Hard affinity of all its vCPUs, ascending, with those that the host may not have; absent: any. */
  readonly cpus?: readonly PcpuId[];
  /** Absent: as the host's own toolstack places it (libxl since 4.5: soft affinity to the fewest nodes that it fits on). */
  readonly placement?: DomainPlacement;
  /** What a modelled guest does once it is up (`idle`, `hog`, `interactive`, `periodic`, `server`); real guests ignore it. */
  readonly work?: string;
  /** How a modelled guest follows its target (`cooperative`, `slow`, `stuck`, `no-driver`); real guests ignore it. */
  readonly balloon?: string;
  /** The cpupool that it is made in; the first one when absent. */
  readonly cpupool?: string;
  readonly onPoweroff: DomainEndAction;
  readonly onReboot: DomainEndAction;
  readonly onCrash: DomainEndAction;
}

/** A whole picture of the domains on a host. */
export interface DomainPicture {
  /**
   * {@link HostDriver.sequence} when the looking began: what completed later may be missing from this picture.
   * So after an operation, pictures with a lower number than `sequence()` gives then say nothing about its domain.
   */
  readonly sequence: number;
  readonly domains: readonly DomainInfo[];
  /** The host's own time, which the times of vCPUs are to be compared with; absent where it is the wall clock's. */
  readonly timeNs?: Ns;
  /** The host's cpupools, pool 0 first; absent where they were not looked at this time. */
  readonly cpupools?: readonly CpupoolInfo[];
}

/** Free memory and the like, which change without any event. */
export interface HostFigures {
  readonly memoryTotalBytes: Bytes;
  readonly memoryFreeBytes: Bytes;
  /** Free memory of NUMA nodes, in the order of {@link HostFacts.nodes}; absent where the host does not tell. */
  readonly nodesFreeBytes?: readonly Bytes[];
  /** How long each pCPU has been busy since some beginning; absent where the host does not tell. */
  readonly pcpuBusyNs?: readonly Ns[];
  /** The host's own time, which that is to be compared with; absent where it is the wall clock's. */
  readonly timeNs?: Ns;
}

/** What a driver tells unasked. */
export type HostNews =
  | { readonly kind: 'domains'; readonly picture: DomainPicture }
  | { readonly kind: 'figures'; readonly figures: HostFigures }
  | { readonly kind: 'alive'; readonly facts: HostFacts }
  | { readonly kind: 'dead'; readonly reason: string };

/** Where the memory of a domain is. */
export interface DomainNodeMemory {
  readonly domid: DomId;
  /** Index is the node's number. */
  readonly bytesByNode: readonly Bytes[];
}

/** A text console (`vt100`): bytes both ways until one side closes. */
export interface HostConsole {
  write(data: Uint8Array): void;
  /** Output, what the host still held of earlier output first. */
  onData(listener: (data: Uint8Array) => void): Disposable;
  onClose(listener: () => void): Disposable;
  close(): void;
}

/** A file of a directory. `usedBytes` is what it takes on the disk: less than its size where it has holes. */
export interface HostFile {
  readonly name: string;
  readonly sizeBytes: Bytes;
  readonly usedBytes: Bytes;
}

/** A part of an image that is to be written: bytes, or so many zeros, which take no room where the host can leave holes. */
export type ImagePiece =
  | { readonly offset: number; readonly data: Uint8Array }
  | { readonly offset: number; readonly zeroBytes: number };

/** Disk images and saved domains, as files in directories of the host. Paths are absolute. */
export interface HostFiles {
  /** Free and total space of the file system that holds `directory`, which is made when missing. */
  space(directory: string): Promise<{ readonly totalBytes: Bytes; readonly freeBytes: Bytes }>;
  /** Makes a sparse raw image of zeros. Fails when the file exists. */
  createImage(path: string, sizeBytes: Bytes): Promise<void>;
  /** Copies an image, keeping holes, and sharing blocks where the file system can; whole or not at all under the new name. */
  copyImage(from: string, to: string): Promise<void>;
  /**
   * Makes an image that is there what another one is, followed by zeros up to the size; at once or not at all. Whoever
   * has it open keeps what was there.
   */
  replaceImage(from: string, to: string, sizeBytes: Bytes): Promise<void>;
  /** Grows (never shrinks) a raw image. */
  resizeImage(path: string, sizeBytes: Bytes): Promise<void>;
  /**
   * The bytes of an image from its beginning to its end, read no faster than they are taken. Who stops taking them ends
   * the reading. An image that is read in full without an error was read in full.
   */
  readImage(path: string): AsyncIterable<Uint8Array>;
  /**
   * Writes pieces into an image that exists, in their order, taking them no faster than they are written; it keeps what
   * none of them covers. Once it has resolved they are in the image. On a failure, also one of `pieces`, the image
   * has any part of them, and nobody is at it any more but after `unreachable`.
   */
  writeImage(path: string, pieces: AsyncIterable<ImagePiece>): Promise<void>;
  /** Removes a file; no error when it is not there. A copy that is still being made under that name fails. */
  remove(path: string): Promise<void>;
  /** The sizes of a file, or undefined when there is none. */
  stat(path: string): Promise<{ readonly sizeBytes: Bytes; readonly usedBytes: Bytes } | undefined>;
  /**
   * The files that are in a directory itself, and links to such; none when there is no directory. A name with a
   * control character is left out: no file of ours has one.
   */
  list(directory: string): Promise<readonly HostFile[]>;
}

/** A cpupool that was on a host by the records. */
export type RememberedCpupool = Omit<CpupoolInfo, 'domainCount'>;

/** A domain that was on a host by the records. */
export interface RememberedDomain extends DomainConfig {
  readonly domid: DomId;
  readonly paused: boolean;
  /** Nodes that it had memory on; absent where that was never seen. */
  readonly nodes?: readonly NodeId[];
  /** Whether its vCPUs may run on these only. */
  readonly strict: boolean;
}

/** What the control plane knows of a host from its own records, when it starts again. */
export interface RememberedHost {
  /** Pool 0 first; none for a host of which no pool was ever seen. */
  readonly cpupools: readonly RememberedCpupool[];
  readonly domains: readonly RememberedDomain[];
  readonly files: readonly { readonly path: string; readonly sizeBytes: Bytes }[];
}

/** What follows the name of a file that {@link HostDriver.save} has not finished. */
export const unfinishedSuffix = '.part';

/**
 * A host. Every method may fail with a {@link HostError}; a call on a host that does not answer fails within the
 * driver's time limit and never hangs. Calls that name a domain that is gone, or whose number is another's by now, fail
 * with `no-such-domain` and touch nothing. After `unreachable` and `timeout` nobody knows whether the host did what it was
 * asked, or is still at it: the next picture tells.
 */
export interface HostDriver {
  readonly kind: 'model' | 'xl';

  /**
   * Connects and begins to send {@link HostNews}: first `alive` with the facts, then a picture; from then on
   * whatever happens. A connection that breaks is `dead`, is tried again for ever with a bounded wait in between,
   * and is `alive` anew when it works. The promise is the first attempt: it fails with the reason.
   */
  connect(): Promise<HostFacts>;
  /** Begins to try, without a first failure that matters: for hosts that were in the pool already. */
  connectInBackground(): void;
  onNews(listener: (news: HostNews) => void): Disposable;
  /** Counts completed operations that change domains or cpupools; see {@link DomainPicture.sequence}. */
  sequence(): number;
  /** Looks at the host now and sends (and gives) the picture. */
  refresh(): Promise<DomainPicture>;
  describe(domain: DomainIdentity): Promise<DomainDetails>;

  /** Creates a domain and lets it run, or leaves it paused. Gives its domid. On failure nothing of it is left. */
  create(config: DomainConfig, options: { readonly paused: boolean }): Promise<DomId>;
  pause(domain: DomainIdentity): Promise<void>;
  unpause(domain: DomainIdentity): Promise<void>;
  /** Asks the guest to power off; resolves when it was asked, not when it is done. */
  requestShutdown(domain: DomainIdentity): Promise<void>;
  /** Asks the guest to reboot; resolves when it was asked. A new domain of the same uuid takes its place. */
  requestReboot(domain: DomainIdentity): Promise<void>;
  /** Presses a magic SysRq key in a Linux guest (`xl sysrq`); what it comes to is its kernel's affair. One letter or digit. */
  sendSysrq(domain: DomainIdentity, key: string): Promise<void>;
  /** Sends a trigger to a domain (`xl trigger`); which one a kind of domain takes, Xen says. */
  sendTrigger(domain: DomainIdentity, trigger: DomainTrigger): Promise<void>;
  destroy(domain: DomainIdentity): Promise<void>;
  /**
   * Saves a domain into a file and ends it; whole or not at all: on failure it runs on, and no file is left. The file has
   * its name once it is whole and the domain has ended; while a save is under way, there is one of that name with
   * {@link unfinishedSuffix}.
   */
  save(domain: DomainIdentity, path: string): Promise<void>;
  /**
   * Makes a domain from a saved one, with the configuration of today's records. Once the domain is whole and before it
   * runs the file is removed: as long as there is a file, nobody has gone on from it, and its disks are as it left them.
   * On failure the file stays.
   */
  restore(path: string, config: DomainConfig, options: { readonly paused: boolean }): Promise<DomId>;

  /**
   * Where the memory of the domains is now, Domain-0's too. On a real host Xen goes through every page of every domain for it,
   * so it is not for a poll; a domain that the host does not tell of is absent.
   */
  memoryByNode(): Promise<readonly DomainNodeMemory[]>;

  openConsole(domain: DomainIdentity): Promise<HostConsole>;
  readonly files: HostFiles;
  /** Cpupools, scheduler parameters and vCPUs. */
  readonly scheduling: HostScheduling;
  /** The memory of running domains. */
  readonly memory: HostMemory;
  /** The machine itself, and executables of its administrator. */
  readonly system: HostSystem;
  /** Their disks and network interfaces. */
  readonly devices: HostDevices;
  /** The bridges of the host. */
  readonly networks: HostNetworks;

  /** For hosts whose state lives in this process only: puts back what the records say was there. */
  remember?(known: RememberedHost): void;

  close(): Promise<void>;
}

/** Why a host could not do what it was asked. */
export type HostErrorCode =
  | 'unreachable' // no connection, or lost on the way
  | 'bad-host-key' // the key is not the known one
  | 'unknown-host-key' // no key is known for it
  | 'authentication-failed'
  | 'not-xen' // it answers, but has no working `xl`
  | 'timeout'
  | 'no-such-domain'
  | 'no-space'
  | 'not-enough-memory'
  | 'exists'
  | 'device-busy' // the guest does not let go of it
  | 'not-fetched' // a mirror did not give what a guest boots from
  | 'bad-config' // cannot be expressed to this host
  | 'xen-refused' // Xen's own refusal, of which `details.errno` is the number's name
  | 'command-failed';

export interface HostErrorDetails {
  readonly command?: string;
  readonly exitCode?: number;
  readonly stderr?: string;
  readonly errno?: CpupoolErrno;
}

/**
 * A host's failure, wrapped once: `message` says what to do or what the host said; `details` has the command with
 * secrets removed, its exit code and the last of its stderr where there was a command.
 */
export class HostError extends Error {
  override readonly name = 'HostError';
  readonly code: HostErrorCode;
  readonly details: HostErrorDetails;

  constructor(code: HostErrorCode, message: string, details: HostErrorDetails = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** Where a host is and how to reach it. */
export type HostAddress =
  | { readonly kind: 'model'; readonly shape: ModelShape; readonly seed: number }
  | { readonly kind: 'local' }
  | {
      readonly kind: 'ssh';
      readonly user: string;
      readonly hostname: string;
      readonly port: number;
      /** Path of the private key; without one the agent and the user's usual keys are tried. */
      readonly identityFile?: string;
      /** Path of the known_hosts file; the user's own when absent. */
      readonly knownHostsFile?: string;
    };

/** The size of a modelled host. */
export interface ModelShape {
  readonly hostname: string;
  readonly nodes: number;
  readonly socketsPerNode: number;
  readonly coresPerSocket: number;
  readonly threadsPerCore: number;
  readonly memoryBytes: Bytes;
  readonly dom0MemoryBytes: Bytes;
  /** One when absent; all but the first are spare. */
  readonly networkCards?: number;
}

/**
 * Makes drivers. The server hands one in that knows both kinds. The address is the text that whoever added the host
 * typed (`ssh://…`, `local:`, `model:…`); `options` may have `identity-file` and `known-hosts-file`, paths here.
 * @throws HostError bad-config, with the reason, for an address or option that is not one
 */
export type OpenHost = (address: string, options: Readonly<Record<string, string>>) => HostDriver;
