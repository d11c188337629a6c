import { bytes, delay, disposable, domId, ns, Signal, type Disposable, type DomId } from '@xenolith/base';
import { memoryOf, type Domain } from '@xenolith/hypervisor';
import {
  HostError,
  type DomainConfig,
  type DomainDetails,
  type DomainIdentity,
  type DomainInfo,
  type DomainNodeMemory,
  type DomainPicture,
  type DomainTrigger,
  type HostConsole,
  type HostDevices,
  type HostDriver,
  type HostFacts,
  type HostFiles,
  type HostMemory,
  type HostNetworks,
  type HostNews,
  type HostScheduling,
  type HostSystem,
  type ImagePiece,
  type RememberedHost,
  type VcpuInfo,
} from '@xenolith/xapi';
import type { ModelCpupools } from './model-cpupools.ts';
import { modelDevices } from './model-devices.ts';
import { ContentsDraft, noContents, readContents } from './model-contents.ts';
import { modelContentsMaxBytes, modelDiskBytes, type ModelFile } from './model-files.ts';
import type { ModelHost, ModelOperation } from './model-host.ts';
import { modelSystem } from './model-system.ts';
import { modelNetworks } from './model-networks.ts';
import { modelScheduling } from './model-scheduling.ts';

/** How often figures are told, as the xl driver does. */
const pollMs = 5000;

/** A {@link HostDriver} over a modelled host. Operations take no time of the model's; what guests do does. */
export class ModelDriver implements HostDriver {
  readonly kind = 'model';
  readonly files: HostFiles;
  readonly scheduling: HostScheduling;
  readonly memory: HostMemory;
  readonly system: HostSystem;
  readonly devices: HostDevices;
  readonly networks: HostNetworks;
  readonly #host: ModelHost;
  readonly #news = new Signal<HostNews>();
  readonly #subscriptions: Disposable[] = [];
  readonly #consoles = new Set<HostConsole>();
  #sequence = 0;
  #connected = false;
  #pictureDue = false;
  #poll: Disposable = disposable(() => undefined);

  /** @param programDirectory where this machine has the host's plugins and extensions */
  constructor(host: ModelHost, programDirectory?: string) {
    this.#host = host;
    this.system = modelSystem(host, host.clock, () => this.#checkReachable(), programDirectory);
    this.files = this.#makeFiles();
    this.scheduling = modelScheduling({
      cpupools: () => host.cpupools,
      existing: (identity) => this.#existing(identity),
      look: (work) =>
        this.#attempt(() => {
          this.#checkReachable();
          return work();
        }),
      change: (work) => this.#operate('scheduling', work),
    });
    this.memory = {
      states: () =>
        this.#attempt(() => {
          this.#checkReachable();
          host.takeFailure('memory');
          return host.balloons.states();
        }),
      setTarget: (identity, targetBytes) =>
        this.#operate('memory', () => host.balloons.setTarget(this.#existing(identity).domid, targetBytes)),
    };
    this.networks = modelNetworks(
      host.bridges,
      (work) =>
        this.#attempt(() => {
          this.#checkReachable();
          return work();
        }),
      (work) => this.#operate('networks', work),
    );
    this.devices = modelDevices(host, (identity, work) => this.#operateOn('devices', identity, work));
  }

  connect(): Promise<HostFacts> {
    return this.#attempt(() => {
      this.#begin();
      this.#checkReachable();
      return this.#host.facts();
    });
  }

  connectInBackground(): void {
    this.#begin();
  }

  onNews(listener: (news: HostNews) => void): Disposable {
    return this.#news.listen(listener);
  }

  sequence(): number {
    return this.#sequence;
  }

  refresh(): Promise<DomainPicture> {
    return this.#attempt(() => {
      this.#checkReachable();
      const picture = this.#picture();
      this.#tell({ kind: 'domains', picture });
      this.#tellFigures();
      return picture;
    });
  }

  describe(identity: DomainIdentity): Promise<DomainDetails> {
    return this.#attempt(() => {
      this.#checkReachable();
      const { spec } = this.#existing(identity);
      const config = this.#host.configOf(identity.domid);
      if (config === undefined) {
        return { type: spec.type, vcpusMax: spec.vcpus, memoryMaxBytes: spec.memoryBytes, disks: [], vifs: [] };
      }
      const { type, vcpusMax, memoryMaxBytes, kernel, ramdisk, cmdline, bootloader, disks, vifs } = config;
      return {
        type,
        vcpusMax,
        memoryMaxBytes,
        disks,
        vifs,
        ...(kernel === undefined ? {} : { kernel }),
        ...(ramdisk === undefined ? {} : { ramdisk }),
        ...(cmdline === undefined ? {} : { cmdline }),
        ...(bootloader === undefined ? {} : { bootloader }),
      };
    });
  }

  create(config: DomainConfig, options: { readonly paused: boolean }): Promise<DomId> {
    return this.#operate('create', () => this.#host.create(config, options));
  }

  pause(identity: DomainIdentity): Promise<void> {
    return this.#operateOn('pause', identity, ({ domid }) => this.#host.hypervisor.pause(domid));
  }

  unpause(identity: DomainIdentity): Promise<void> {
    return this.#operateOn('unpause', identity, ({ domid }) => this.#host.hypervisor.unpause(domid));
  }

  requestShutdown(identity: DomainIdentity): Promise<void> {
    return this.#operateOn('requestShutdown', identity, ({ domid }) =>
      this.#host.hypervisor.request(domid, 'poweroff'),
    );
  }

  requestReboot(identity: DomainIdentity): Promise<void> {
    return this.#operateOn('requestReboot', identity, ({ domid }) => this.#host.hypervisor.request(domid, 'reboot'));
  }

  /** The kernels of modelled guests have no keys. */
  sendSysrq(identity: DomainIdentity, key: string): Promise<void> {
    return this.#operateOn('requestShutdown', identity, () => {
      if (!/^[A-Za-z0-9]$/.test(key)) throw new HostError('bad-config', 'a SysRq key is one letter or digit');
    });
  }

  /** As on Xen, where domains without emulated hardware have no more than an interrupt that cannot be masked. */
  sendTrigger(identity: DomainIdentity, trigger: DomainTrigger): Promise<void> {
    return this.#operateOn('requestShutdown', identity, () => {
      if (trigger !== 'nmi') throw new HostError('command-failed', `a domain of this kind takes no trigger ${trigger}`);
    });
  }

  destroy(identity: DomainIdentity): Promise<void> {
    return this.#operateOn('destroy', identity, ({ domid }) => this.#host.destroy(domid));
  }

  save(identity: DomainIdentity, path: string): Promise<void> {
    return this.#operateOn('save', identity, ({ domid, paused }) => {
      if (paused) throw new HostError('command-failed', 'a paused domain cannot suspend itself');
      this.#host.save(domid, path);
    });
  }

  restore(path: string, config: DomainConfig, options: { readonly paused: boolean }): Promise<DomId> {
    return this.#operate('restore', () => this.#host.restore(path, config, options));
  }

  memoryByNode(): Promise<readonly DomainNodeMemory[]> {
    return this.#attempt(() => {
      this.#checkReachable();
      return this.#host.hypervisor
        .domains()
        .map(({ domid, allocation }) => ({ domid, bytesByNode: allocation.bytesByNode }));
    });
  }

  openConsole(identity: DomainIdentity): Promise<HostConsole> {
    return this.#attempt(() => {
      this.#checkReachable();
      this.#host.takeFailure('openConsole');
      return this.#makeConsole(this.#existing(identity).domid);
    });
  }

  remember(known: RememberedHost): void {
    this.#host.remember(known);
  }

  close(): Promise<void> {
    for (const subscription of this.#subscriptions.splice(0)) subscription.dispose();
    for (const console of this.#consoles) console.close();
    this.#connected = false;
    this.#poll.dispose();
    return Promise.resolve();
  }

  /** CPU time passes without any event. */
  #pollLater(): void {
    this.#poll = this.#host.clock.after(pollMs, () => {
      if (this.#host.reachable) {
        this.#tell({ kind: 'domains', picture: this.#picture() });
        this.#tellFigures();
      }
      this.#pollLater();
    });
  }

  #begin(): void {
    if (this.#connected) return;
    this.#connected = true;
    this.#pollLater();
    this.#subscriptions.push(
      this.#host.run(),
      this.#host.onChange(() => this.#pictureSoon()),
      this.#host.onReachable((reachable) => {
        if (reachable) this.#announce();
        else this.#mourn();
      }),
    );
    queueMicrotask(() => {
      if (this.#host.reachable) this.#announce();
      else this.#mourn();
    });
  }

  #announce(): void {
    this.#tell({ kind: 'alive', facts: this.#host.facts() });
    this.#tell({ kind: 'domains', picture: this.#picture() });
  }

  #mourn(): void {
    for (const console of this.#consoles) console.close();
    this.#tell({ kind: 'dead', reason: 'the modelled host was cut off' });
  }

  /** Several changes of one moment make one picture. */
  #pictureSoon(): void {
    if (this.#pictureDue) return;
    this.#pictureDue = true;
    queueMicrotask(() => {
      this.#pictureDue = false;
      if (!this.#host.reachable) return;
      this.#tell({ kind: 'domains', picture: this.#picture() });
      this.#tellFigures();
    });
  }

  #tellFigures(): void {
    const { memoryTotalBytes, memoryFreeBytes } = this.#host.hypervisor;
    this.#tell({
      kind: 'figures',
      figures: {
        memoryTotalBytes,
        memoryFreeBytes,
        nodesFreeBytes: this.#host.hypervisor.nodeMemory().map(({ freeBytes }) => freeBytes),
        timeNs: this.#host.timeNs(),
        pcpuBusyNs: this.#host.pcpuBusyNs(),
      },
    });
  }

  #tell(news: HostNews): void {
    if (this.#connected) this.#news.emit(news);
  }

  #picture(): DomainPicture {
    const { cpupools, hypervisor } = this.#host;
    const timeNs = this.#host.timeNs();
    const domains = hypervisor.domains().map((domain) => domainInfo(domain, cpupools));
    return { sequence: this.#sequence, timeNs, domains, cpupools: cpupools.list() };
  }

  async #operate<T>(operation: ModelOperation, work: () => T): Promise<T> {
    return await this.#attempt(() => {
      this.#checkReachable();
      this.#host.takeFailure(operation);
      const result = work();
      this.#sequence++;
      return result;
    });
  }

  #operateOn(operation: ModelOperation, identity: DomainIdentity, work: (domain: Domain) => void): Promise<void> {
    return this.#operate(operation, () => {
      const domain = this.#existing(identity);
      if (identity.domid === domId(0)) throw new HostError('command-failed', 'Domain-0 is the control domain');
      work(domain);
    });
  }

  #existing({ domid, uuid }: DomainIdentity): Domain {
    const domain = this.#host.hypervisor.domain(domid);
    if (domain?.spec.uuid !== uuid)
      throw new HostError('no-such-domain', `there is no domain ${domid} of uuid ${uuid}`);
    return domain;
  }

  #checkReachable(): void {
    if (!this.#host.reachable) throw new HostError('unreachable', 'the modelled host was cut off');
  }

  /** What is thrown becomes the promise's failure. */
  async #attempt<T>(work: () => T): Promise<T> {
    await Promise.resolve();
    return work();
  }

  #makeConsole(domid: DomId): HostConsole {
    const ring = this.#host.hypervisor.console(domid);
    const closed = new Signal<void>();
    const subscriptions = new Set<Disposable>();
    let open = true;
    const changes = this.#host.onChange(() => {
      if (this.#host.hypervisor.domain(domid) === undefined) console.close();
    });
    const console: HostConsole = {
      write(data) {
        if (open) ring.type(data);
      },
      onData(listener) {
        if (!open) return disposable(() => undefined);
        let live = true;
        const backlog = ring.backlog();
        queueMicrotask(() => {
          if (live && backlog.length > 0) listener(backlog);
        });
        const output = ring.onOutput((data) => queueMicrotask(() => live && listener(data)));
        const subscription = disposable(() => {
          live = false;
          output.dispose();
        });
        subscriptions.add(subscription);
        return subscription;
      },
      onClose: (listener) => closed.listen(listener),
      close: () => {
        if (!open) return;
        open = false;
        changes.dispose();
        for (const subscription of subscriptions) subscription.dispose();
        this.#consoles.delete(console);
        closed.emit();
      },
    };
    this.#consoles.add(console);
    return console;
  }

  #makeFiles(): HostFiles {
    const { files } = this.#host;
    const change = async <T>(work: () => T): Promise<T> => {
      const { clock, filesDelayMs } = this.#host;
      if (filesDelayMs > 0) await delay(clock, filesDelayMs);
      return await this.#attempt(() => {
        this.#checkReachable();
        this.#host.takeFailure('files');
        return work();
      });
    };
    return {
      space: () => change(() => ({ totalBytes: modelDiskBytes, freeBytes: files.freeBytes })),
      createImage: (path, sizeBytes) =>
        change(() => files.add(path, { kind: 'image', sizeBytes, usedBytes: bytes(0) })),
      copyImage: (from, to) => change(() => files.add(to, files.existing(from))),
      replaceImage: (from, to, sizeBytes) =>
        change(() => {
          files.existing(to);
          files.put(to, { ...files.existing(from), sizeBytes });
        }),
      resizeImage: (path, sizeBytes) => change(() => files.put(path, grown(path, files.existing(path), sizeBytes))),
      readImage: (path) => this.#readImage(path, change),
      writeImage: (path, pieces) => this.#writeImage(path, pieces, change),
      remove: (path) => change(() => files.remove(path)),
      stat: (path) =>
        change(() => {
          const file = files.get(path);
          return file === undefined ? undefined : { sizeBytes: file.sizeBytes, usedBytes: file.usedBytes };
        }),
      list: (directory) =>
        change(() =>
          [...files.in(directory)].map(([name, { sizeBytes, usedBytes }]) => ({ name, sizeBytes, usedBytes })),
        ),
    };
  }

  async *#readImage(path: string, change: Change): AsyncGenerator<Uint8Array> {
    const { sizeBytes, contents = noContents } = await change(() => this.#host.files.existing(path));
    for (const block of readContents(contents, sizeBytes)) {
      this.#checkReachable();
      yield block;
    }
  }

  async #writeImage(path: string, pieces: AsyncIterable<ImagePiece>, change: Change): Promise<void> {
    const { files } = this.#host;
    const draft = new ContentsDraft((await change(() => files.existing(path))).contents ?? noContents);
    for await (const piece of pieces) {
      this.#checkReachable();
      draft.write(piece);
      if (draft.bytes > modelContentsMaxBytes) break;
    }
    await change(() => files.fill(path, draft.finish()));
  }
}

type Change = <T>(work: () => T) => Promise<T>;

function grown(path: string, file: ModelFile, sizeBytes: ModelFile['sizeBytes']): ModelFile {
  if (sizeBytes < file.sizeBytes) throw new HostError('bad-config', `${path} would shrink`);
  return { ...file, sizeBytes };
}

const vcpuFigures = (vcpus: readonly VcpuInfo[]): Pick<DomainInfo, 'cpuTimeNs' | 'vcpuTimesNs' | 'vcpuStates'> => ({
  cpuTimeNs: ns(vcpus.reduce((sum, { cpuTimeNs }) => sum + cpuTimeNs, 0)),
  vcpuTimesNs: vcpus.map(({ cpuTimeNs }) => cpuTimeNs),
  vcpuStates: vcpus.map(({ pcpu, state }) => ({ ...(pcpu === undefined ? {} : { pcpu }), state })),
});

function domainInfo(domain: Domain, cpupools: ModelCpupools): DomainInfo {
  return {
    domid: domain.domid,
    uuid: domain.spec.uuid,
    name: domain.spec.name,
    paused: domain.paused,
    dying: domain.dying,
    ...(domain.shutdown === undefined ? {} : { shutdown: domain.shutdown }),
    memoryBytes: memoryOf(domain),
    vcpusOnline: cpupools.vcpusOnline(domain.domid),
    ...vcpuFigures(cpupools.vcpusOf(domain.domid)),
    cpupool: cpupools.cpupoolOf(domain.domid),
  };
}
