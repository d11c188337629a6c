/** A process that stops for good, or whose host is lost: its store and its drivers work up to a chosen moment. */
import {
  HostError,
  type HostDevices,
  type HostDriver,
  type HostFiles,
  type HostMemory,
  type HostNetworks,
  type HostScheduling,
  type Store,
} from '@xenolith/xapi';
import type { ModelHost } from '../model/model-host.ts';

/** What happens when a fuse is burnt: the process is killed, or its host is cut off. */
export type Mishap = 'killed' | 'host lost';

/**
 * Burns down a step before and a step after everything that leaves a trace outside of the process. When it is burnt
 * down whoever takes the next step never comes back, and neither does anybody else; or the host that the step was for
 * is no longer heard, and the process goes on without it.
 */
export class Fuse {
  #left = Infinity;
  #mishap: Mishap = 'killed';

  /** So many steps are left from now on: of all of them, or of those on a host when that is what will be lost. */
  light(steps: number, mishap: Mishap = 'killed'): void {
    this.#left = steps;
    this.#mishap = mishap;
  }

  get isBurnt(): boolean {
    return this.#left < 0;
  }

  /** Whether the process is no more. */
  get isDead(): boolean {
    return this.isBurnt && this.#mishap === 'killed';
  }

  /** @param host where the step is taken, unless it is one of the store */
  async step(host?: ModelHost): Promise<void> {
    const counts = this.#mishap === 'killed' || host !== undefined;
    if (counts && this.#left >= 0 && --this.#left < 0 && this.#mishap === 'host lost') host?.setReachable(false);
    if (this.isDead) await new Promise<never>(() => undefined);
    if (host?.reachable === false) throw new HostError('unreachable', 'the host was lost');
  }

  /** Does something with a step on either side. */
  async around<T>(work: () => Promise<T>, host?: ModelHost): Promise<T> {
    await this.step(host);
    const result = await work();
    await this.step(host);
    return result;
  }
}

/** A store of the process. What it had taken stays in `store`. */
export const fusedStore = (store: Store, fuse: Fuse): Store => ({
  load: () => store.load(),
  commit: (batch) => fuse.around(() => store.commit(batch)),
  soon: (action) => store.soon(action),
  close: () => Promise.resolve(),
});

/**
 * A driver of the process, over a host that lives on. It does not put back what the records say was on the host: it is
 * there still.
 */
export function fusedDriver(driver: HostDriver, host: ModelHost, fuse: Fuse): HostDriver {
  const { files } = driver;
  const around = <T>(work: () => Promise<T>): Promise<T> => fuse.around(work, host);
  const fusedFiles: HostFiles = {
    space: (directory) => around(() => files.space(directory)),
    createImage: (path, sizeBytes) => around(() => files.createImage(path, sizeBytes)),
    copyImage: (from, to) => around(() => files.copyImage(from, to)),
    replaceImage: (from, to, sizeBytes) => around(() => files.replaceImage(from, to, sizeBytes)),
    resizeImage: (path, sizeBytes) => around(() => files.resizeImage(path, sizeBytes)),
    readImage: (path) => files.readImage(path),
    writeImage: (path, pieces) => around(() => files.writeImage(path, pieces)),
    remove: (path) => around(() => files.remove(path)),
    stat: (path) => around(() => files.stat(path)),
    list: (directory) => around(() => files.list(directory)),
  };
  const { scheduling } = driver;
  const fusedScheduling: HostScheduling = {
    cpupools: () => around(() => scheduling.cpupools()),
    createCpupool: (spec) => around(() => scheduling.createCpupool(spec)),
    destroyCpupool: (name) => around(() => scheduling.destroyCpupool(name)),
    renameCpupool: (name, newName) => around(() => scheduling.renameCpupool(name, newName)),
    addPcpu: (name, pcpu) => around(() => scheduling.addPcpu(name, pcpu)),
    removePcpu: (name, pcpu) => around(() => scheduling.removePcpu(name, pcpu)),
    moveDomain: (domain, name) => around(() => scheduling.moveDomain(domain, name)),
    numaSplit: () => around(() => scheduling.numaSplit()),
    setCpupoolParameters: (name, parameters) => around(() => scheduling.setCpupoolParameters(name, parameters)),
    setDomainParameters: (domain, parameters) => around(() => scheduling.setDomainParameters(domain, parameters)),
    domainParameters: (domain) => around(() => scheduling.domainParameters(domain)),
    vcpus: (domain) => around(() => scheduling.vcpus(domain)),
    setVcpusOnline: (domain, count) => around(() => scheduling.setVcpusOnline(domain, count)),
    pinVcpu: (domain, pin) => around(() => scheduling.pinVcpu(domain, pin)),
  };
  const { devices, memory, networks } = driver;
  const fusedNetworks: HostNetworks = {
    locksVifs: networks.locksVifs,
    bondModes: networks.bondModes,
    interfaces: () => around(() => networks.interfaces()),
    createBridge: (bridge) => around(() => networks.createBridge(bridge)),
    removeBridge: (bridge) => around(() => networks.removeBridge(bridge)),
    createUplink: (uplink) => around(() => networks.createUplink(uplink)),
    removeUplink: (uplink) => around(() => networks.removeUplink(uplink)),
    setAddresses: (bridge, addresses) => around(() => networks.setAddresses(bridge, addresses)),
  };
  const fusedDevices: HostDevices = {
    attachDisk: (domain, disk) => around(() => devices.attachDisk(domain, disk)),
    detachDisk: (domain, device, options) => around(() => devices.detachDisk(domain, device, options)),
    attachVif: (domain, vif) => around(() => devices.attachVif(domain, vif)),
    detachVif: (domain, mac) => around(() => devices.detachVif(domain, mac)),
  };
  const fusedMemory: HostMemory = {
    states: () => around(() => memory.states()),
    setTarget: (domain, targetBytes) => around(() => memory.setTarget(domain, targetBytes)),
  };
  return {
    kind: driver.kind,
    connect: () => around(() => driver.connect()),
    connectInBackground: () => driver.connectInBackground(),
    onNews: (listener) =>
      driver.onNews((news) => {
        if (!fuse.isDead) listener(news);
      }),
    sequence: () => driver.sequence(),
    refresh: () => around(() => driver.refresh()),
    describe: (domain) => around(() => driver.describe(domain)),
    create: (config, options) => around(() => driver.create(config, options)),
    pause: (domain) => around(() => driver.pause(domain)),
    unpause: (domain) => around(() => driver.unpause(domain)),
    sendSysrq: (domain, key) => around(() => driver.sendSysrq(domain, key)),
    sendTrigger: (domain, trigger) => around(() => driver.sendTrigger(domain, trigger)),
    requestShutdown: (domain) => around(() => driver.requestShutdown(domain)),
    requestReboot: (domain) => around(() => driver.requestReboot(domain)),
    destroy: (domain) => around(() => driver.destroy(domain)),
    save: (domain, path) => around(() => driver.save(domain, path)),
    restore: (path, config, options) => around(() => driver.restore(path, config, options)),
    memoryByNode: () => around(() => driver.memoryByNode()),
    openConsole: (domain) => around(() => driver.openConsole(domain)),
    files: fusedFiles,
    scheduling: fusedScheduling,
    memory: fusedMemory,
    system: driver.system,
    devices: fusedDevices,
    networks: fusedNetworks,
    close: () => driver.close(),
  };
}
