/** What the tests of every {@link HostDriver} share: the harness that an implementation brings, and the suite's state. */
import { domId, fromMib, randomUuid, type DomId, type Random, type Uuid } from '@xenolith/base';
import type { SchedulerName } from '@xenolith/hypervisor';
import type {
  BootableGuest,
  DomainConfig,
  DomainIdentity,
  DomainInfo,
  DomainPicture,
  DomainType,
  HostDriver,
  HostNews,
} from '@xenolith/xapi';

/** What an administrator does at the host itself, behind the driver's back. */
export interface ByHand {
  create(config: DomainConfig): Promise<void>;
  pause(domid: DomId): Promise<void>;
  unpause(domid: DomId): Promise<void>;
  destroy(domid: DomId): Promise<void>;
}

/** One host with a driver for it that is not connected yet. */
export interface DriverHarness {
  readonly driver: HostDriver;
  readonly byHand: ByHand;
  /** A directory on the host for disk images and saved domains; empty. */
  readonly directory: string;
  /** The guest to boot, from the host's facts or known beforehand. */
  readonly guest: Pick<BootableGuest, 'kernel' | 'ramdisk' | 'cmdline'>;
  /** What the guest's console says once it is up. */
  readonly upText: string;
  /** What the guest's memory is. */
  readonly memoryMib: number;
  /** A source of uuids. */
  readonly random: Random;
  /**
   * Lets time pass until `condition` gives a value, looking again at each news; fails when it does not come within
   * the harness's own limit, or when `condition` throws.
   */
  until<T>(what: string, condition: () => T | undefined): Promise<T>;
  /** Where the host's executables are (`/etc/xapi.d`), and how the suite puts one there; no such test when absent. */
  readonly programs: {
    /** Writes a file with its directory. */
    install(path: string, text: string, mode: number): Promise<void>;
    /** Removes a directory that {@link install} made, with all that is in it. */
    remove(directory: string): Promise<void>;
  };
  close(): Promise<void>;
}

/** What the suite is about: a slow host is asked for a part at a time. */
export type ConformancePart = 'domains' | 'devices' | 'networks' | 'memory' | 'scheduling' | 'NUMA nodes';

/** Which parts a host can be asked for, and how long a test may take by the wall clock. */
export interface ConformanceOptions {
  readonly types: readonly DomainType[];
  /** Those of `types` whose guests are not booted more often than must be: emulated ones are slow. */
  readonly slowTypes?: readonly DomainType[];
  /** A scheduler that Xen is not built with on this host. */
  readonly absentScheduler: SchedulerName;
  readonly timeoutMs: number;
  /** Cards that the suite may make bridges and bonds of; what needs more of them than there are is not declared. */
  readonly spareCards: readonly string[];
  /** The parts of the suite to declare, when not all of them. */
  readonly parts?: readonly ConformancePart[];
  /** Failures that show nothing of the driver, after which a test is run again. */
  readonly retry?: { readonly count: number; readonly condition: RegExp };
}

/** The harness of a running suite, and what the driver told so far. */
export class Suite {
  #harness: DriverHarness | undefined;
  readonly news: HostNews[] = [];
  latest: DomainPicture | undefined;

  get harness(): DriverHarness {
    if (this.#harness === undefined) throw new Error('the suite has not begun');
    return this.#harness;
  }

  get driver(): HostDriver {
    return this.harness.driver;
  }

  async begin(harness: DriverHarness): Promise<void> {
    this.#harness = harness;
    harness.driver.onNews((news) => {
      this.news.push(news);
      if (news.kind === 'domains') this.latest = news.picture;
    });
    await harness.driver.connect();
    await harness.until('the first picture', () => this.latest);
  }

  /** Destroys what a test left. */
  async clean(): Promise<void> {
    for (const domain of (await this.driver.refresh()).domains) {
      if (domain.domid === domId(0)) continue;
      // It may end by itself between the look and the blow.
      await this.driver.destroy(domain).catch(() => undefined);
    }
  }

  async end(): Promise<void> {
    await this.driver.close();
    await this.harness.close();
  }

  /** Creates a domain, and says how to name it. */
  async create(config: DomainConfig, options: { readonly paused: boolean }): Promise<DomainIdentity> {
    return { domid: await this.driver.create(config, options), uuid: config.uuid };
  }

  config(type: DomainType, changes: Partial<DomainConfig> = {}): DomainConfig {
    const { guest, memoryMib, random } = this.harness;
    return {
      uuid: randomUuid(random),
      nameLabel: 'conformance',
      type,
      kernel: guest.kernel,
      ramdisk: guest.ramdisk,
      cmdline: guest.cmdline,
      vcpusMax: 1,
      vcpusAtStartup: 1,
      memoryMaxBytes: fromMib(memoryMib),
      memoryTargetBytes: fromMib(memoryMib),
      disks: [],
      vifs: [],
      onPoweroff: 'destroy',
      onReboot: 'restart',
      onCrash: 'destroy',
      ...changes,
    };
  }

  /** Waits until a picture that began after the last operation shows the domain as `condition` wants it. */
  seen(uuid: Uuid, what: string, condition: (domain: DomainInfo) => boolean = () => true): Promise<DomainInfo> {
    const after = this.driver.sequence();
    return this.harness.until(what, () => {
      if (this.latest === undefined || this.latest.sequence < after) return undefined;
      return this.latest.domains.find((domain) => domain.uuid === uuid && condition(domain));
    });
  }

  /** Waits until a picture that began after the last operation is without the domain. */
  async gone(uuid: Uuid): Promise<void> {
    const after = this.driver.sequence();
    await this.harness.until('the domain to be gone', () => {
      if (this.latest === undefined || this.latest.sequence < after) return undefined;
      return this.latest.domains.every((domain) => domain.uuid !== uuid) ? true : undefined;
    });
  }

  /** Waits until the guest's console has said that it is up; fails as soon as its domain is seen to be gone. */
  async up(domain: DomainIdentity): Promise<string> {
    const after = this.driver.sequence();
    const console = await this.driver.openConsole(domain);
    let text = '';
    const decoder = new TextDecoder();
    const output = console.onData((data) => {
      text += decoder.decode(data, { stream: true });
    });
    try {
      return await this.harness.until('the guest to be up', () => {
        if (text.includes(this.harness.upText)) return text;
        const isThere = this.latest?.domains.some(({ domid }) => domid === domain.domid) ?? false;
        if (!isThere && (this.latest?.sequence ?? 0) > after) throw new Error('the guest ended before it was up');
        return undefined;
      });
    } finally {
      output.dispose();
      console.close();
    }
  }
}
