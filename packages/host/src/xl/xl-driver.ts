import {
  bytes,
  disposable,
  domId,
  present,
  Signal,
  type Clock,
  type Disposable,
  type DomId,
  type Uuid,
} from '@xenolith/base';
import { parseXlList, parseXlListLong, parseXlNumaDump, shellQuote, xlDomainName, XlParseError } from '@xenolith/wire';
import {
  HostError,
  type CpupoolInfo,
  type DomainConfig,
  type DomainDetails,
  type DomainIdentity,
  type DomainInfo,
  type DomainNodeMemory,
  type DomainPicture,
  type DomainTrigger,
  type FetchedBoot,
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
} from '@xenolith/xapi';
import { domainDetailsOf, domainInfoOf, xlConfigText } from './domain-config.ts';
import { fetchedPaths, fetchScript } from './fetch-boot.ts';
import { factsScript, readFacts, readFigures } from './host-facts.ts';
import {
  believing,
  commandFailure,
  consumeScript,
  domainScript,
  pathWord,
  readSections,
  saveScript,
  scriptExit,
  scriptHead,
  section,
  surviveHangup,
} from './host-script.ts';
import { poolsScript, readPools, readVcpuFigures, type VcpuFigures } from './scheduling-state.ts';
import type { Channel, CommandResult, Transport } from './transport.ts';
import { XlConsoles } from './xl-consoles.ts';
import { xlDevices } from './xl-devices.ts';
import { xlFiles } from './xl-files.ts';
import { XlMemory } from './xl-memory.ts';
import { xlNetworks } from './xl-networks.ts';
import type { XlPort } from './xl-port.ts';
import { XlScheduling } from './xl-scheduling.ts';
import { xlSystem } from './xl-system.ts';

/** How often the driver looks though nothing was heard: pauses and figures have no event. */
const pollMs = 5000;
/** In how many of these looks the cpupools are looked at: they change by hand only, and seldom. */
const looksPerPoolsLook = 6;
/** Events come in bursts (a domain made: introduced, its parts one by one): one look for all of them. */
const debounceMs = 50;
/** Waits between attempts to connect: doubled each time, up to the last. */
const firstRetryMs = 1000;
const lastRetryMs = 15_000;
/** Looks in a row that may fail on a live connection before the host counts as dead. */
const failedLooksLimit = 2;

const lookLimitMs = 20_000;
const quickLimitMs = 60_000;
const createLimitMs = 10 * 60_000;
/** Memory goes to a disk or comes from one. */
const saveLimitMs = 2 * 3600_000;

const xenPageBytes = 4096;

/** Where the configuration files that xl reads are put; in memory, gone with the host's next boot. */
const configDirectory = '/run/xenolith';
const watchCommand = `${scriptHead}exec xenstore-watch @introduceDomain @releaseDomain`;

/** A host with Xen, driven by its own `xl` through a shell. Nothing is installed there. */
export class XlDriver implements HostDriver {
  readonly kind = 'xl';
  readonly files: HostFiles;
  readonly scheduling: HostScheduling;
  readonly memory: HostMemory;
  readonly system: HostSystem;
  readonly devices: HostDevices;
  readonly networks: HostNetworks;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #consoles: XlConsoles;
  readonly #news = new Signal<HostNews>();
  #state: 'idle' | 'trying' | 'alive' | 'closed' = 'idle';
  #facts: HostFacts | undefined;
  #firstAttempt: Promise<HostFacts> | undefined;
  #sequence = 0;
  #deadReason: string | undefined;
  #retryMs = firstRetryMs;
  #timer = disposable(() => undefined);
  #debounce: Disposable | undefined;
  #watch: Promise<Channel> | undefined;
  #failedLooks = 0;
  /** How many looks that the poll asks for go by before one has the cpupools in it. */
  #looksUntilPools = 0;
  /** Creations and restores under way: looking in their middle would only slow them down. */
  #making = 0;
  #lookAgain = false;
  #looking: Promise<DomainPicture> | undefined;
  #domains: ReadonlyMap<DomId, DomainInfo> = new Map();
  /** Names given since the last picture began, by domid; the picture knows the others. */
  readonly #recent = new Map<DomId, { readonly name: string; readonly uuid: Uuid; readonly sequence: number }>();
  /** Domains that an operation ended, until a picture that began after it: an older one may still show them. */
  readonly #ended = new Map<DomId, number>();

  constructor(transport: Transport, clock: Clock) {
    this.#transport = transport;
    this.#clock = clock;
    this.files = xlFiles(transport);
    this.#consoles = new XlConsoles(transport);
    const run: XlPort['run'] = (called, text, options) => this.#run(called, text, options);
    this.scheduling = new XlScheduling({
      run,
      facts: () => {
        this.#checkAlive();
        return present(this.#facts, 'facts of a live host');
      },
      changed: () => {
        this.#sequence++;
        this.#looksUntilPools = 0;
        this.#lookSoon();
      },
    });
    this.memory = new XlMemory({
      run,
      // Nothing but the amounts has changed, and those come with the next look: no picture is asked for.
      changed: () => this.#sequence++,
    });
    this.system = xlSystem((command) => {
      this.#checkAlive();
      return this.#transport.run(command);
    });
    this.devices = xlDevices((domain, command, called) => this.#operate(domain, command, quickLimitMs, called));
    this.networks = xlNetworks(run);
    transport.onLost((reason) => this.#lose(reason));
  }

  connect(): Promise<HostFacts> {
    if (this.#state === 'alive' && this.#facts !== undefined) return Promise.resolve(this.#facts);
    if (this.#state === 'closed') return Promise.reject(new HostError('unreachable', 'the driver was closed'));
    this.#firstAttempt ??= this.#attempt()
      .catch((error: unknown) => {
        if (this.#state === 'trying') this.#state = 'idle';
        throw error;
      })
      .finally(() => {
        this.#firstAttempt = undefined;
      });
    return this.#firstAttempt;
  }

  connectInBackground(): void {
    if (this.#state === 'idle') this.#tryForEver();
  }

  onNews(listener: (news: HostNews) => void): Disposable {
    return this.#news.listen(listener);
  }

  sequence(): number {
    return this.#sequence;
  }

  /** Looks now, not at what a look under way may have passed already. */
  async refresh(): Promise<DomainPicture> {
    await this.#looking?.catch(() => undefined);
    return await (this.#looking ?? this.#look({ figures: true }));
  }

  async describe(identity: DomainIdentity): Promise<DomainDetails> {
    const { domid } = identity;
    const command = `xl list -l ${domid}`;
    const { stdout } = await this.#run(command, scriptHead + domainScript(identity, command), {
      timeLimitMs: lookLimitMs,
      lane: 'look',
    });
    // For a domain that goes meanwhile the list may be empty.
    const domain = readList(() => parseXlListLong(stdout)).find((each) => each.domid === domid);
    if (domain === undefined) throw noSuchDomain(identity);
    return domainDetailsOf(domain);
  }

  create(config: DomainConfig, options: { readonly paused: boolean }): Promise<DomId> {
    const { fetched, ...rest } = config;
    const files = fetched === undefined ? undefined : fetchedPaths(configDirectory, config.uuid);
    return this.#make(files === undefined ? rest : { ...rest, ...files }, {
      ...(fetched === undefined || files === undefined ? {} : { before: fetchScript(fetched, files), files }),
      command: `xl create -q${options.paused ? ' -p' : ''} "$f"`,
      after: '',
      called: 'xl create',
      timeLimitMs: createLimitMs,
    });
  }

  async restore(path: string, config: DomainConfig, options: { readonly paused: boolean }): Promise<DomId> {
    return await this.#make(config, {
      command: `xl restore -p "$f" ${pathWord(path)}`,
      after: consumeScript(path, options),
      called: 'xl restore',
      timeLimitMs: saveLimitMs,
    });
  }

  async pause(domain: DomainIdentity): Promise<void> {
    const command = `xl pause ${domain.domid}`;
    await this.#operate(domain, believing(command), quickLimitMs, command);
  }

  async unpause(domain: DomainIdentity): Promise<void> {
    const command = `xl unpause ${domain.domid}`;
    await this.#operate(domain, believing(command), quickLimitMs, command);
  }

  async requestShutdown(domain: DomainIdentity): Promise<void> {
    await this.#operate(domain, `xl shutdown ${domain.domid}`);
  }

  async requestReboot(domain: DomainIdentity): Promise<void> {
    await this.#operate(domain, `xl reboot ${domain.domid}`);
  }

  async sendSysrq(domain: DomainIdentity, key: string): Promise<void> {
    if (!/^[A-Za-z0-9]$/.test(key)) throw new HostError('bad-config', 'a SysRq key is one letter or digit');
    await this.#operate(domain, `xl sysrq ${domain.domid} ${key}`);
  }

  async sendTrigger(domain: DomainIdentity, trigger: DomainTrigger): Promise<void> {
    await this.#operate(domain, `xl trigger ${domain.domid} ${trigger}`);
  }

  async destroy(domain: DomainIdentity): Promise<void> {
    await this.#operate(domain, `xl destroy ${domain.domid}`, quickLimitMs * 2);
    this.#ended.set(domain.domid, this.#sequence);
  }

  async save(domain: DomainIdentity, path: string): Promise<void> {
    await this.#operate(domain, saveScript(domain, path), saveLimitMs, `xl save ${domain.domid} ${path}`);
    this.#ended.set(domain.domid, this.#sequence);
  }

  async memoryByNode(): Promise<readonly DomainNodeMemory[]> {
    const command = 'xl debug-keys u && xl dmesg';
    const { stdout } = await this.#run(command, scriptHead + command, { timeLimitMs: quickLimitMs, lane: 'look' });
    const { nodes } = present(this.#facts, 'facts of a live host');
    const length = Math.max(-1, ...nodes.map(({ node }) => node)) + 1;
    return readList(() => parseXlNumaDump(stdout)).domains.flatMap(({ domid, pagesByNode }) =>
      pagesByNode.length === length
        ? [{ domid: domId(domid), bytesByNode: pagesByNode.map((pages) => bytes(pages * xenPageBytes)) }]
        : [],
    );
  }

  async openConsole(domain: DomainIdentity): Promise<HostConsole> {
    this.#checkAlive();
    if (!this.#isKnown(domain)) await this.refresh();
    if (!this.#isKnown(domain)) throw noSuchDomain(domain);
    return await this.#consoles.open(domain);
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    this.#quieten();
    await this.#transport.close();
  }

  /** One attempt to be alive. */
  async #attempt(): Promise<HostFacts> {
    this.#state = 'trying';
    try {
      await this.#transport.open();
      const command = { text: factsScript, timeLimitMs: lookLimitMs, lane: 'look' } as const;
      const result = await this.#transport.run(command);
      if (result.exitCode !== 0) throw commandFailure('xl info -n', result);
      const facts = readFacts(result.stdout);
      if (this.#isClosed()) throw new HostError('unreachable', 'the driver was closed');
      this.#beAlive(facts);
      return facts;
    } catch (error) {
      await this.#transport.close();
      throw error;
    }
  }

  #beAlive(facts: HostFacts): void {
    this.#state = 'alive';
    this.#facts = facts;
    this.#deadReason = undefined;
    this.#retryMs = firstRetryMs;
    this.#failedLooks = 0;
    this.#looksUntilPools = 0;
    this.#domains = new Map();
    this.#recent.clear();
    this.#ended.clear();
    this.#tell({ kind: 'alive', facts });
    this.#beginWatch();
    this.#lookNow({ figures: true });
    this.#pollLater();
  }

  /** Domains that come and go ring at once. Without the watch the slow poll still sees everything, later. */
  #beginWatch(): void {
    const beginning = this.#transport.start(watchCommand, { terminal: false });
    this.#watch = beginning;
    const forget = (): void => {
      if (this.#watch === beginning) this.#watch = undefined;
    };
    const follow = async (): Promise<void> => {
      const channel = await beginning;
      channel.onData(() => this.#lookSoon());
      channel.onClose(forget);
    };
    follow().catch(forget);
  }

  #tryForEver(): void {
    this.#state = 'trying';
    this.#attempt().catch((error: unknown) => {
      if (this.#isClosed()) return;
      this.#mourn(error instanceof Error ? error.message : String(error));
      this.#timer = this.#clock.after(this.#retryMs, () => this.#tryForEver());
      this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs);
    });
  }

  /** The connection of a live host is gone. */
  #lose(reason: string): void {
    if (this.#state !== 'alive') return;
    this.#state = 'trying';
    this.#quieten();
    this.#mourn(reason);
    this.#timer = this.#clock.after(this.#retryMs, () => this.#tryForEver());
  }

  #mourn(reason: string): void {
    if (reason === this.#deadReason) return;
    this.#deadReason = reason;
    this.#tell({ kind: 'dead', reason });
  }

  #quieten(): void {
    this.#timer.dispose();
    this.#debounce?.dispose();
    this.#debounce = undefined;
    this.#watch?.then(
      (channel) => channel.close(),
      () => undefined,
    );
    this.#watch = undefined;
    this.#consoles.closeAll();
  }

  #tell(news: HostNews): void {
    if (this.#state !== 'closed') this.#news.emit(news);
  }

  #pollLater(): void {
    this.#timer = this.#clock.after(pollMs, () => {
      this.#lookNow({ figures: true });
      if (this.#watch === undefined) this.#beginWatch();
      this.#pollLater();
    });
  }

  #lookSoon(): void {
    if (this.#state !== 'alive') return;
    if (this.#making > 0) {
      this.#lookAgain = true;
      return;
    }
    this.#debounce ??= this.#clock.after(debounceMs, () => {
      this.#debounce = undefined;
      this.#lookNow({ figures: false });
    });
  }

  /** A look that nobody waits for. With one under way another follows it. */
  #lookNow(options: { readonly figures: boolean }): void {
    if (this.#state !== 'alive') return;
    if (this.#looking !== undefined) {
      this.#lookAgain = true;
      return;
    }
    this.#look(options).catch((error: unknown) => this.#lookFailed(error));
  }

  #lookFailed(error: unknown): void {
    if (this.#state !== 'alive') return;
    this.#failedLooks++;
    if (this.#failedLooks < failedLooksLimit) return;
    const reason = error instanceof Error ? error.message : String(error);
    this.#lose(`${this.#transport.name}: ${reason}`);
    void this.#transport.close();
  }

  #look(options: { readonly figures: boolean }): Promise<DomainPicture> {
    this.#lookAgain = false;
    const looking = this.#takePicture(options).finally(() => {
      this.#looking = undefined;
      if (this.#lookAgain && this.#making === 0) this.#lookSoon();
    });
    this.#looking = looking;
    return looking;
  }

  async #takePicture(options: { readonly figures: boolean }): Promise<DomainPicture> {
    const sequence = this.#sequence;
    const isPoolsLook = this.#looksUntilPools === 0;
    if (isPoolsLook) this.#looksUntilPools = looksPerPoolsLook;
    if (options.figures) this.#looksUntilPools--;
    // Use of vCPUs is for pictures that come at steady intervals; the list may fail while a domain goes.
    const info = options.figures
      ? ` && { ${section('info')}xl info -n; } && { ${section('vcpus')}xl vcpu-list 2>/dev/null || true; }`
      : '';
    // When they cannot be read, as when they change just now, there are still domains to tell.
    const pools = isPoolsLook ? ` && { ( ${poolsScript}; ${section('pools read')}) 2>/dev/null || true; }` : '';
    const { stdout } = await this.#run('xl list -v -c', `${scriptHead}xl list -v -c${info}${pools}`, {
      timeLimitMs: lookLimitMs,
      lane: 'look',
    });
    const sections = readSections(stdout);
    const figures = sections.get('info');
    const vcpus = readableVcpus(sections.get('vcpus') ?? '');
    const domains = readList(() => parseXlList(sections.get('') ?? '')).flatMap((each) => {
      const domain = domainInfoOf(each);
      return domain === undefined ? [] : { ...domain, ...vcpus.get(domain.domid) };
    });
    const cpupools = sections.has('pools read') ? readablePools(sections) : undefined;
    const picture = { sequence, domains, ...(cpupools === undefined ? {} : { cpupools }) };
    this.#failedLooks = 0;
    this.#domains = new Map(domains.map((domain) => [domain.domid, domain]));
    for (const [domid, recent] of this.#recent) {
      if (recent.sequence <= sequence) this.#recent.delete(domid);
    }
    for (const [domid, endedAt] of this.#ended) {
      if (endedAt <= sequence) this.#ended.delete(domid);
    }
    this.#consoles.keepOnly((domain) => this.#isKnown(domain));
    this.#tell({ kind: 'domains', picture });
    if (figures !== undefined) this.#tell({ kind: 'figures', figures: readFigures(figures) });
    return picture;
  }

  /** Creates or restores: the configuration comes by stdin, the command reads it from `$f`, the domid is what is told. */
  async #make(
    config: DomainConfig,
    { called, timeLimitMs, ...parts }: MakeCommand & { readonly called: string; readonly timeLimitMs: number },
  ): Promise<DomId> {
    const { uuid } = config;
    const names = this.#namesInUse();
    const attempt = async (isUnique: boolean): Promise<DomId> => {
      const name = xlDomainName(config.nameLabel, uuid, isUnique);
      const text = makeScript(uuid, name, parts);
      const stdin = xlConfigText(config, name);
      const result = await this.#run(called, text, { stdin, timeLimitMs, lane: 'work' });
      const told = /^domid=(\d+)$/m.exec(result.stdout)?.[1];
      if (told === undefined) {
        throw new HostError('command-failed', `${called} succeeded, but the domain's number was not to be found`);
      }
      this.#recent.set(domId(Number(told)), { name, uuid, sequence: this.#sequence + 1 });
      return domId(Number(told));
    };
    const isFree = (name: string): boolean => !names.has(name);
    this.#making++;
    try {
      return await attempt(isFree(xlDomainName(config.nameLabel, config.uuid))).catch((error: unknown) => {
        if (!isNameTaken(error)) throw error;
        return attempt(false);
      });
    } finally {
      this.#making--;
      this.#sequence++;
      this.#lookSoon();
    }
  }

  async #operate(domain: DomainIdentity, command: string, timeLimitMs = quickLimitMs, called = command): Promise<void> {
    if (domain.domid === domId(0)) throw new HostError('command-failed', 'Domain-0 is the control domain');
    const text = scriptHead + surviveHangup + domainScript(domain, command);
    try {
      await this.#run(called, text, { timeLimitMs, lane: 'work' });
    } finally {
      this.#sequence++;
      this.#lookSoon();
    }
  }

  async #run(
    called: string,
    text: string,
    options: { readonly stdin?: string; readonly timeLimitMs: number; readonly lane: 'look' | 'work' },
  ): Promise<CommandResult> {
    this.#checkAlive();
    const result = await this.#transport.run({ text, ...options });
    if (result.exitCode !== 0) throw commandFailure(called, result);
    return result;
  }

  #checkAlive(): void {
    if (this.#state === 'alive') return;
    throw new HostError('unreachable', this.#deadReason ?? `${this.#transport.name}: not connected`);
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #isKnown({ domid, uuid }: DomainIdentity): boolean {
    const known = this.#recent.get(domid) ?? this.#domains.get(domid);
    return !this.#ended.has(domid) && known?.uuid === uuid;
  }

  #namesInUse(): ReadonlySet<string> {
    const there = [...this.#domains.values()].filter(({ domid }) => !this.#ended.has(domid));
    return new Set([...there, ...this.#recent.values()].map(({ name }) => name));
  }
}

/** What makes a domain from `$f`, and what is to be done with the domain `$d` then. */
interface MakeCommand {
  readonly command: string;
  readonly after: string;
  /** What comes before it. */
  readonly before?: string;
  /** What is not needed once the domain is made. */
  readonly files?: FetchedBoot;
}

/**
 * Makes a domain in one command. libxl keeps each domain's configuration in a file whose name has its domid and uuid, so
 * the shell itself can tell both that the uuid is in use and which domid it got; xl is only asked when more than one file
 * is there (left by a crash of the host).
 */
function makeScript(uuid: Uuid, name: string, { command, after, before = '', files }: MakeCommand): string {
  const file = `${configDirectory}/${uuid}.cfg`;
  const also = files === undefined ? '' : ` ${pathWord(files.kernel)} ${pathWord(files.ramdisk)}`;
  const state = `/var/lib/xen/userdata-d.*.${uuid}.libxl-json`;
  return (
    `${scriptHead}${surviveHangup}f=${file}; set -- ${state}; ` +
    `if [ -e "$1" ] && xl list -v | grep -q ' ${uuid} '; then ` +
    `echo 'a domain of uuid ${uuid} is there already' >&2; exit ${scriptExit.exists}; fi; ` +
    `[ -d ${configDirectory} ] || mkdir -m 700 -p ${configDirectory} || exit 1; cat >"$f" || exit 1; ` +
    `${before}${command} </dev/null >/dev/null; rc=$?; rm -f "$f"${also} </dev/null >/dev/null 2>&1 & [ $rc = 0 ] || exit $rc; ` +
    `set -- ${state}; d=\${1#*userdata-d.}; d=\${d%%.*}; ` +
    `{ [ $# = 1 ] && [ -e "$1" ]; } || d=$(xl domid ${shellQuote(name)}) || exit 1; ${after}echo "domid=$d"`
  );
}

/** Another domain has the name; not the same as another with the uuid, which the script says by its exit code. */
const isNameTaken = (error: unknown): boolean =>
  error instanceof HostError && error.code === 'exists' && error.details.exitCode !== scriptExit.exists;

const noSuchDomain = ({ domid, uuid }: DomainIdentity): HostError =>
  new HostError('no-such-domain', `there is no domain ${domid} of uuid ${uuid}`);

/** The pools of a picture; none when what xl says of them makes no sense, which whoever asks for them is told. */
function readablePools(sections: ReadonlyMap<string, string>): readonly CpupoolInfo[] | undefined {
  try {
    return readPools(sections).pools;
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

/** The vCPUs of a picture; none when what xl says of them makes no sense. */
function readableVcpus(text: string): ReadonlyMap<DomId, VcpuFigures> {
  try {
    return text.trim() === '' ? new Map() : readVcpuFigures(text);
  } catch (error) {
    if (error instanceof XlParseError) return new Map();
    throw error;
  }
}

function readList<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof XlParseError) throw new HostError('not-xen', error.message);
    throw error;
  }
}
