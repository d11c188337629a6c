/** An arrangement on a host, through its driver: pools and guests made, measured and taken away again. */
import {
  assert,
  delay,
  domId,
  fromMib,
  pcpuId,
  present,
  randomUuid,
  type Clock,
  type DomId,
  type Random,
} from '@xenolith/base';
import {
  totalCpuNs,
  type ArrangedGuest,
  type ArrangedWork,
  type Arrangement,
  type RunFigures,
  type TracedFigures,
} from '@xenolith/experiments';
import {
  HostError,
  type DomainConfig,
  type DomainIdentity,
  type DomainInfo,
  type HostConsole,
  type HostDriver,
} from '@xenolith/xapi';

/** A host that is measured, and what it takes to make guests on it. */
export interface ValidatedHost {
  readonly driver: HostDriver;
  readonly clock: Clock;
  /** A source of uuids. */
  readonly random: Random;
  /** The kernel and userland that know what `spin=` and `wake=` ask for, and what they say once they are up. */
  readonly guest: { readonly kernel: string; readonly ramdisk: string; readonly cmdline: string };
  readonly upText: string;
  /** Traces changes of run states for so many seconds of the host; undefined for a trace that is of no use. */
  readonly trace?: (
    seconds: number,
    arrangement: Arrangement,
    names: ReadonlyMap<number, string>,
  ) => Promise<TracedFigures | undefined>;
  /** Is told what is being done. */
  readonly say: (what: string) => void;
}

const guestMemoryMib = 128;
/** A guest boots in seconds; an emulated machine that has too much to do may take minutes. */
const bootLimitMs = 6 * 60_000;
/** How often CPU times are looked at. */
const lookMs = 1500;
/** The most that a window may take, as a multiple of the CPU seconds that each pCPU is to give. */
const windowLimitFactor = 30;
const nsPerMs = 1_000_000;

/** What is on a host now for an arrangement. */
export interface ArrangedHost {
  readonly arrangement: Arrangement;
  readonly domains: ReadonlyMap<string, DomainIdentity>;
}

/** Makes the pools and the guests, waits until each guest has said that it is up, and lets all of them go on together. */
export async function arrange(host: ValidatedHost, arrangement: Arrangement): Promise<ArrangedHost> {
  const { scheduling } = host.driver;
  const [first] = await scheduling.cpupools();
  assert(first !== undefined, 'a host has a first cpupool');
  for (const { name, scheduler, pcpus, parameters } of arrangement.cpupools) {
    host.say(`making cpupool ${name}`);
    for (const pcpu of pcpus) await scheduling.removePcpu(first.name, pcpuId(pcpu));
    await scheduling.createCpupool({ name, scheduler, pcpus: pcpus.map((pcpu) => pcpuId(pcpu)) });
    if (parameters !== undefined) await scheduling.setCpupoolParameters(name, parameters);
  }
  const domains = new Map<string, DomainIdentity>();
  for (const guest of arrangement.guests) {
    host.say(`starting ${guest.name}`);
    const config = guestConfig(host, guest);
    // Paused until all are there: on an emulated machine what computes already takes its time from what makes the next.
    const domid = await host.driver.create(config, { paused: true });
    domains.set(guest.name, { domid, uuid: config.uuid });
  }
  // One after the other, without what its weight or cap would take from it, and without those that compute already.
  for (const [name, domain] of domains) {
    host.say(`waiting for ${name}`);
    await host.driver.unpause(domain);
    await up(host, name, domain);
    await host.driver.pause(domain);
  }
  for (const { name, weight, cap } of arrangement.guests) {
    const parameters = { ...(weight === undefined ? {} : { weight }), ...(cap === undefined ? {} : { cap }) };
    await scheduling.setDomainParameters(present(domains.get(name), name), parameters);
  }
  for (const domain of domains.values()) await host.driver.unpause(domain);
  return { arrangement, domains };
}

/** What Xen calls the first pool. */
const firstPoolName = 'Pool-0';

/** Takes guests and pools away, and gives the first pool every pCPU and its name. */
export async function tidyUp({ driver, say }: ValidatedHost): Promise<void> {
  say('tidying up');
  const facts = await driver.connect();
  const guests = (await driver.refresh()).domains.filter(({ domid }) => domid !== domId(0));
  // Those that compute would only make it slower.
  for (const { domid, uuid, paused } of guests) if (!paused) await driver.pause({ domid, uuid });
  for (const { domid, uuid } of guests) await driver.destroy({ domid, uuid });
  const { scheduling } = driver;
  const [first, ...others] = await scheduling.cpupools();
  assert(first !== undefined, 'a host has a first cpupool');
  for (const { name } of others) await scheduling.destroyCpupool(name);
  for (const { pcpu } of facts.pcpus) {
    if (!first.pcpus.includes(pcpu)) await scheduling.addPcpu(first.name, pcpu);
  }
  // A split by nodes has given it another name.
  if (first.name !== firstPoolName) await scheduling.renameCpupool(first.name, firstPoolName);
}

/**
 * A run: from now until the guests together have had so much CPU time more, with a trace within that time if one is asked for.
 * @throws HostError timeout, or no-such-domain when a guest has ended meanwhile
 */
export async function measureRun(
  host: ValidatedHost,
  arranged: ArrangedHost,
  { cpuNs, traceSeconds }: { readonly cpuNs: number; readonly traceSeconds?: number },
): Promise<RunFigures> {
  const { clock } = host;
  const before = await cpuTimes(host, arranged);
  const limitMs = (cpuNs / nsPerMs) * windowLimitFactor;
  const deadline = clock.now() + limitMs;
  const names = new Map([...arranged.domains].map(([name, { domid }]): [number, string] => [Number(domid), name]));
  const traced =
    traceSeconds === undefined || host.trace === undefined
      ? undefined
      : await host.trace(traceSeconds, arranged.arrangement, names);
  for (;;) {
    const now = await cpuTimes(host, arranged);
    const used = Object.fromEntries(Object.entries(now).map(([name, timeNs]) => [name, timeNs - (before[name] ?? 0)]));
    const figures: RunFigures = { cpuNs: used, ...(traced === undefined ? {} : { traced }) };
    if (totalCpuNs(figures) >= cpuNs) return figures;
    if (clock.now() > deadline) {
      throw new HostError('timeout', `the guests have not had ${cpuNs / 1e9} s of CPU time within ${limitMs / 1000} s`);
    }
    await delay(clock, lookMs);
  }
}

async function cpuTimes(host: ValidatedHost, { domains }: ArrangedHost): Promise<Readonly<Record<string, number>>> {
  const picture = await host.driver.refresh();
  const found = new Map(picture.domains.map((domain): [DomId, DomainInfo] => [domain.domid, domain]));
  return Object.fromEntries(
    [...domains].map(([name, { domid, uuid }]) => {
      const domain = found.get(domid);
      if (domain?.uuid !== uuid || domain.cpuTimeNs === undefined) {
        throw new HostError('no-such-domain', `${name} has ended while it was measured`);
      }
      return [name, domain.cpuTimeNs];
    }),
  );
}

/** The configuration of a guest that does its work as soon as it is up. */
export function guestConfig(
  { random, guest }: Pick<ValidatedHost, 'random' | 'guest'>,
  { name, cpupool, work, vcpus = 1, hardAffinity }: ArrangedGuest,
): DomainConfig {
  return {
    uuid: randomUuid(random),
    nameLabel: name,
    type: 'pv',
    kernel: guest.kernel,
    ramdisk: guest.ramdisk,
    cmdline: `${guest.cmdline} ${workWords(work, vcpus)}`,
    vcpusMax: vcpus,
    vcpusAtStartup: vcpus,
    memoryMaxBytes: fromMib(guestMemoryMib),
    memoryTargetBytes: fromMib(guestMemoryMib),
    disks: [],
    vifs: [],
    cpupool,
    ...(hardAffinity === undefined ? {} : { cpus: hardAffinity.map(pcpuId) }),
    onPoweroff: 'destroy',
    onReboot: 'destroy',
    onCrash: 'destroy',
  };
}

function workWords(work: ArrangedWork, vcpus: number): string {
  if (work.kind === 'idle') return '';
  return work.kind === 'hog' ? `spin=${vcpus}` : `wake=${work.sleepMs / 1000}`;
}

/** Waits until a guest's console has said that it is up. */
async function up({ driver, clock, upText }: ValidatedHost, name: string, domain: DomainIdentity): Promise<void> {
  const console = await driver.openConsole(domain);
  try {
    await consoleSays(console, clock, name, upText);
  } finally {
    console.close();
  }
}

function consoleSays(console: HostConsole, clock: Clock, name: string, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const decoder = new TextDecoder();
    let said = '';
    const timer = clock.after(bootLimitMs, () => {
      end();
      reject(new HostError('timeout', `${name} was not up within ${bootLimitMs / 1000} s`));
    });
    const output = console.onData((data) => {
      // As long as what is looked for may be cut in two.
      said = (said + decoder.decode(data, { stream: true })).slice(-keptText);
      if (!said.includes(text)) return;
      end();
      resolve();
    });
    const closing = console.onClose(() => {
      end();
      reject(new HostError('no-such-domain', `${name} ended while it booted: ${said.slice(-saidAtEnd)}`));
    });
    const end = (): void => {
      timer.dispose();
      output.dispose();
      closing.dispose();
    };
  });
}

const keptText = 64 * 1024;
const saidAtEnd = 200;
