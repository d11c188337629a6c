/** The part of the suite of every HostDriver about cpupools, scheduler parameters and affinities. */
import { domId, pcpuId, randomUuid, uuid, vcpuId, type PcpuId } from '@xenolith/base';
import type { CpupoolErrno } from '@xenolith/hypervisor';
import type {
  CpupoolInfo,
  CpupoolParameters,
  DomainConfig,
  DomainIdentity,
  DomainSchedParameters,
  DomainType,
  HostScheduling,
  VcpuInfo,
} from '@xenolith/xapi';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ConformanceOptions, Suite } from './conformance-suite.ts';

const domain0: DomainIdentity = { domid: domId(0), uuid: uuid('00000000-0000-0000-0000-000000000000') };
/** A name that a shell and libxlu would take apart if they were let. */
const oddName = `it's "a pool"; $(reboot) \\`;

/** Declares the tests. Each leaves one pool with every pCPU, as the host had it at first. */
export function describeScheduling(suite: Suite, options: ConformanceOptions): void {
  describe('scheduling', () => {
    const pools = new Pools(suite, options.types[0] ?? 'pv');
    beforeAll(() => pools.begin(), options.timeoutMs);
    afterEach(() => pools.restore(), options.timeoutMs);
    describePools(pools, options);
    describeDomains(pools);
    describeParameters(pools);
    describePins(pools);
    describeSplit(pools);
  });
}

/** The host's pools as they were at first, and what the tests do with them. */
class Pools {
  readonly suite: Suite;
  readonly #type: DomainType;
  #first: CpupoolInfo | undefined;
  #nodeOf: readonly number[] = [];

  constructor(suite: Suite, type: DomainType) {
    this.suite = suite;
    this.#type = type;
  }

  get scheduling(): HostScheduling {
    return this.suite.driver.scheduling;
  }

  /** The one pool that there was at first. */
  get first(): CpupoolInfo {
    if (this.#first === undefined) throw new Error('the suite has not begun');
    return this.#first;
  }

  get nodeOf(): readonly number[] {
    return this.#nodeOf;
  }

  /** The pCPU that tests take for themselves. */
  get last(): PcpuId {
    const last = this.first.pcpus.at(-1);
    if (last === undefined) throw new Error('a host without pCPUs');
    return last;
  }

  async begin(): Promise<void> {
    const facts = await this.suite.driver.connect();
    this.#nodeOf = facts.pcpus.map(({ node }) => node);
    this.#first = (await this.scheduling.cpupools())[0];
  }

  /** Ends the domains, then the pools, and gives the first one its name and every pCPU. */
  async restore(): Promise<void> {
    await this.suite.clean();
    const [first, ...others] = await this.scheduling.cpupools();
    if (first === undefined) throw new Error('there is no first cpupool');
    for (const { name } of others) await this.scheduling.destroyCpupool(name);
    if (first.name !== this.first.name) await this.scheduling.renameCpupool(first.name, this.first.name);
    for (const pcpu of this.first.pcpus) {
      if (!first.pcpus.includes(pcpu)) await this.scheduling.addPcpu(this.first.name, pcpu);
    }
  }

  /** A pool of the last pCPU. */
  async make(name: string, spec: { readonly scheduler?: CpupoolInfo['scheduler'] } = {}): Promise<void> {
    await this.scheduling.removePcpu(this.first.name, this.last);
    await this.scheduling.createCpupool({ name, pcpus: [this.last], ...spec });
  }

  async pool(name: string): Promise<CpupoolInfo | undefined> {
    return (await this.scheduling.cpupools()).find((pool) => pool.name === name);
  }

  /** A domain that runs. */
  async domain(changes: Partial<DomainConfig> = {}): Promise<DomainIdentity> {
    return await this.suite.create(this.suite.config(this.#type, changes), { paused: false });
  }

  /** Waits for a picture in which the domain is in the pool. */
  async seenIn(domain: DomainIdentity, name: string): Promise<void> {
    await this.suite.seen(domain.uuid, `the domain in ${name}`, ({ cpupool }) => cpupool === name);
  }

  /** Everything in `work` is refused, and the pools are as before. Looks cost seconds on an emulated host: one for all. */
  async unchanged(work: () => Promise<void>): Promise<void> {
    const before = await this.scheduling.cpupools();
    await work();
    expect(await this.scheduling.cpupools()).toEqual(before);
  }

  /** Is refused by Xen with the number. */
  async refused(errno: CpupoolErrno, work: () => Promise<unknown>, words?: string): Promise<void> {
    await expect(work(), `${errno}: ${work.toString()}`).rejects.toMatchObject({
      name: 'HostError',
      code: 'xen-refused',
      details: { errno },
      ...(words === undefined ? {} : { message: expect.stringContaining(words) as string }),
    });
  }
}

function describePools(pools: Pools, { absentScheduler }: ConformanceOptions): void {
  const nowhere = pcpuId(4000);

  test('at first there is one, with every pCPU and Domain-0; pictures have it too', async () => {
    const { driver, harness } = pools.suite;
    expect(await pools.scheduling.cpupools()).toEqual([pools.first]);
    expect(pools.first.pcpus).toEqual([...pools.nodeOf.keys()]);
    expect(pools.first.domainCount).toBe(1);
    await harness.until('a picture with cpupools', () => pools.suite.latest?.cpupools);
    const { domains } = await driver.refresh();
    expect(domains.find(({ domid }) => domid === domId(0))?.cpupool).toBe(pools.first.name);
  });

  test('made, filled, renamed, emptied, ended; a picture shows it', async () => {
    const { scheduling, first, last } = pools;
    await scheduling.createCpupool({ name: oddName, pcpus: [] });
    const made = { name: oddName, scheduler: first.scheduler, parameters: first.parameters, domainCount: 0 };
    expect(await pools.pool(oddName)).toEqual({ ...made, pcpus: [] });
    await scheduling.removePcpu(first.name, last);
    await scheduling.addPcpu(oddName, last);
    expect(await pools.pool(oddName)).toEqual({ ...made, pcpus: [last] });
    expect((await pools.pool(first.name))?.pcpus).toEqual(first.pcpus.slice(0, -1));
    await scheduling.renameCpupool(oddName, 'renamed');
    await pools.suite.harness.until('a picture with the new name', () =>
      pools.suite.latest?.cpupools?.find(({ name }) => name === 'renamed'),
    );
    await scheduling.removePcpu('renamed', last);
    await scheduling.addPcpu('renamed', last);
    await scheduling.destroyCpupool('renamed');
    expect(await scheduling.cpupools()).toEqual([{ ...first, pcpus: first.pcpus.slice(0, -1) }]);
    await scheduling.addPcpu(first.name, last);
    expect(await scheduling.cpupools()).toEqual([first]);
  });

  test('what there is not, and what is taken', async () => {
    const { scheduling, first, last } = pools;
    const unknown = "unknown cpupool 'no'";
    await pools.unchanged(async () => {
      await pools.refused('ENOENT', () => scheduling.destroyCpupool('no'), unknown);
      await pools.refused('ENOENT', () => scheduling.renameCpupool('no', 'yes'), unknown);
      await pools.refused('ENOENT', () => scheduling.addPcpu('no', last), unknown);
      await pools.refused('ENOENT', () => scheduling.removePcpu('no', last), unknown);
      await pools.refused('ENOENT', () => scheduling.setCpupoolParameters('no', {}), unknown);
      await pools.refused('EINVAL', () => scheduling.addPcpu(first.name, nowhere));
      await pools.refused('ENODEV', () => scheduling.addPcpu(first.name, last));
      await pools.refused('EINVAL', () => scheduling.removePcpu(first.name, nowhere));
      await pools.refused(
        'EBUSY',
        () => scheduling.destroyCpupool(first.name),
        `Can't destroy cpupool '${first.name}'`,
      );
      await pools.refused(
        'ENODEV',
        () => scheduling.createCpupool({ name: 'new', pcpus: [last] }),
        `cpu ${last} illegal or not free`,
      );
      await pools.refused('EINVAL', () => scheduling.createCpupool({ name: 'new', pcpus: [nowhere] }));
      await pools.refused(
        'EEXIST',
        () => scheduling.createCpupool({ name: first.name, pcpus: [] }),
        `Pool name "${first.name}" already exists`,
      );
      await pools.refused('EINVAL', () => scheduling.createCpupool({ name: '', pcpus: [] }), 'Missing cpupool name!');
      await pools.refused('EINVAL', () => scheduling.renameCpupool(first.name, '7'));
    });
  });

  test('a scheduler that Xen was built without is named', async () => {
    await pools.unchanged(() =>
      pools.refused(
        'ENOENT',
        () => pools.scheduling.createCpupool({ name: 'new', scheduler: absentScheduler, pcpus: [] }),
        `built without the scheduler ${absentScheduler}`,
      ),
    );
  });

  test('with a second pool: no second name, no pCPU twice, no split', async () => {
    const { scheduling, first, last } = pools;
    await pools.make('second');
    await pools.unchanged(async () => {
      await pools.refused('EEXIST', () => scheduling.renameCpupool('second', first.name));
      await pools.refused('ENODEV', () => scheduling.addPcpu(first.name, last));
      await pools.refused('EADDRNOTAVAIL', () => scheduling.removePcpu(first.name, last));
      await pools.refused('EBUSY', () => scheduling.numaSplit(), 'splitting not possible, already cpupools in use');
      await scheduling.renameCpupool('second', 'second');
    });
  });
}

function describeDomains(pools: Pools): void {
  test('a domain is made in its pool, holds it, and moves; its parameters are the defaults then', async () => {
    const { scheduling, first, last } = pools;
    await pools.make('credit pool', { scheduler: 'credit' });
    await scheduling.createCpupool({ name: 'bare', pcpus: [] });
    const domain = await pools.domain({ cpupool: 'credit pool', weight: 512 });
    await pools.seenIn(domain, 'credit pool');
    expect(await scheduling.domainParameters(domain)).toEqual({ weight: 512, cap: 0 });
    expect(await pools.pool('credit pool')).toMatchObject({ domainCount: 1, scheduler: 'credit' });

    await pools.unchanged(async () => {
      await pools.refused(
        'EBUSY',
        () => scheduling.destroyCpupool('credit pool'),
        `Can't destroy cpupool 'credit pool'`,
      );
      await pools.refused('EBUSY', () => scheduling.removePcpu('credit pool', last));
      await pools.refused('ENOENT', () => scheduling.moveDomain(domain, 'no'), "unknown cpupool 'no'");
      await pools.refused('ENOENT', () => scheduling.moveDomain(domain, 'bare'), 'Error moving domain to cpupool');
      await pools.refused(
        'EPERM',
        () => scheduling.moveDomain(domain0, 'credit pool'),
        'Error moving domain to cpupool',
      );
      await scheduling.moveDomain(domain, 'credit pool');
    });
    expect(await scheduling.domainParameters(domain)).toEqual({ weight: 512, cap: 0 });

    await scheduling.moveDomain(domain, first.name);
    await pools.seenIn(domain, first.name);
    expect(await scheduling.domainParameters(domain)).toEqual({ weight: 256, cap: 0 });
    await scheduling.destroyCpupool('credit pool');
  });

  test('a domain whose pool is not there, or has no pCPU, is not made', async () => {
    const { suite, scheduling } = pools;
    await scheduling.createCpupool({ name: 'bare', pcpus: [] });
    await pools.refused('ESRCH', () => pools.domain({ cpupool: 'no such pool' }));
    await pools.refused('ENODEV', () => pools.domain({ cpupool: 'bare' }), 'domain creation fail: No such device');
    expect((await suite.driver.refresh()).domains).toHaveLength(1);
  });

  test('a domain that is gone has no pool, no parameters and no vCPUs', async () => {
    const { scheduling, first, suite } = pools;
    const made = await suite.create(suite.config('pv'), { paused: true });
    await suite.driver.destroy(made);
    for (const gone of [made, { ...domain0, uuid: randomUuid(suite.harness.random) }]) {
      await Promise.all(
        [
          scheduling.moveDomain(gone, first.name),
          scheduling.setDomainParameters(gone, { weight: 1 }),
          scheduling.domainParameters(gone),
          scheduling.vcpus(gone),
          scheduling.pinVcpu(gone, { hard: [first.pcpus[0] ?? pcpuId(0)] }),
        ].map((work) => expect(work).rejects.toMatchObject({ code: 'no-such-domain' })),
      );
    }
  });
}

function describeParameters(pools: Pools): void {
  test('those of a pool, inside their ranges', async () => {
    const { scheduling } = pools;
    await pools.make('tuned', { scheduler: 'credit' });
    const parameters = async (): Promise<CpupoolParameters | undefined> => (await pools.pool('tuned'))?.parameters;
    expect(await parameters()).toEqual({ tsliceMs: 30, ratelimitUs: 1000, migrationDelayUs: 0 });
    await scheduling.setCpupoolParameters('tuned', { tsliceMs: 10, ratelimitUs: 500 });
    expect(await parameters()).toEqual({ tsliceMs: 10, ratelimitUs: 500, migrationDelayUs: 0 });
    await scheduling.setCpupoolParameters('tuned', { ratelimitUs: 0, migrationDelayUs: 100 });
    expect(await parameters()).toEqual({ tsliceMs: 10, ratelimitUs: 0, migrationDelayUs: 100 });
    const wrong: readonly CpupoolParameters[] = [
      { tsliceMs: 0 },
      { tsliceMs: 1001 },
      { ratelimitUs: 99 },
      { ratelimitUs: 10_001 },
      { migrationDelayUs: 100_001 },
    ];
    const { first } = pools;
    await pools.unchanged(async () => {
      for (const each of wrong) await pools.refused('EINVAL', () => scheduling.setCpupoolParameters('tuned', each));
      await pools.refused('EINVAL', () => scheduling.setCpupoolParameters(first.name, { tsliceMs: 10 }));
    });
    await scheduling.setCpupoolParameters(first.name, { ratelimitUs: 2000 });
    expect((await pools.pool(first.name))?.parameters).toEqual({ ...first.parameters, ratelimitUs: 2000 });
    await scheduling.setCpupoolParameters(first.name, first.parameters);
    // The last pCPU of a pool under credit takes the scheduler's ticker with it: Xen can stand still then.
    await scheduling.removePcpu('tuned', pools.last);
    expect(await parameters()).toEqual({ tsliceMs: 10, ratelimitUs: 0, migrationDelayUs: 100 });
  });

  test('those of a domain, inside their ranges', async () => {
    const { scheduling } = pools;
    const domain = await pools.domain({ vcpusMax: 2, vcpusAtStartup: 2 });
    await scheduling.setDomainParameters(domain, { weight: 512 });
    await scheduling.setDomainParameters(domain, { cap: 30 });
    const set = { weight: 512, cap: 30 };
    expect(await scheduling.domainParameters(domain)).toEqual(set);
    const wrong: readonly DomainSchedParameters[] = [
      { weight: 0 },
      { weight: 65_536 },
      { cap: -1 },
      { cap: 201 },
      { weight: 1, cap: 201 },
      { periodUs: 10_000 },
    ];
    for (const each of wrong) await pools.refused('EINVAL', () => scheduling.setDomainParameters(domain, each));
    expect(await scheduling.domainParameters(domain)).toEqual(set);
    await scheduling.setDomainParameters(domain, { weight: 65_535, cap: 200 });
    expect(await scheduling.domainParameters(domain)).toEqual({ weight: 65_535, cap: 200 });
  });
}

function describePins(pools: Pools): void {
  const affinities = (vcpus: readonly VcpuInfo[]): unknown =>
    vcpus.map(({ hardAffinity, softAffinity }) => [hardAffinity, softAffinity]);

  test('of one vCPU, of all, hard and soft; one without a pCPU of the pool is refused', async () => {
    const { scheduling, first, last } = pools;
    const [one = pcpuId(0), two = pcpuId(0)] = first.pcpus;
    await scheduling.removePcpu(first.name, last);
    const domain = await pools.domain({ vcpusMax: 2, vcpusAtStartup: 2 });
    const before = await scheduling.vcpus(domain);
    expect(before.map(({ vcpu }) => vcpu)).toEqual([0, 1]);
    expect(first.pcpus).toContain(before[0]?.pcpu);
    expect(before.map(({ hardAffinity }) => hardAffinity)).toEqual([first.pcpus, first.pcpus]);

    await scheduling.pinVcpu(domain, { hard: first.pcpus, soft: first.pcpus });
    await scheduling.pinVcpu(domain, { vcpu: vcpuId(0), hard: [two, one] });
    await scheduling.pinVcpu(domain, { vcpu: vcpuId(1), soft: [two] });
    const pinned = [
      [[one, two], first.pcpus],
      [first.pcpus, [two]],
    ];
    expect(affinities(await scheduling.vcpus(domain))).toEqual(pinned);
    await pools.refused('EINVAL', () => scheduling.pinVcpu(domain, { vcpu: vcpuId(2), hard: [one] }));
    await pools.refused('EINVAL', () => scheduling.pinVcpu(domain, { vcpu: vcpuId(0), hard: [last] }));
    await pools.refused('EINVAL', () => scheduling.pinVcpu(domain, { hard: [last] }));
    await pools.refused('EINVAL', () => scheduling.pinVcpu(domain, { hard: [] }), 'vcpu hard affinity map is empty');
    await pools.refused('EINVAL', () => scheduling.pinVcpu(domain, { hard: [pcpuId(4000)] }));
    expect(affinities(await scheduling.vcpus(domain))).toEqual(pinned);
    await scheduling.pinVcpu(domain, { vcpu: vcpuId(0), hard: [one, last] });
    expect((await scheduling.vcpus(domain))[0]?.hardAffinity).toEqual([one, last]);
  });

  test('a hard affinity whose last pCPU leaves the pool is broken for good, and a move resets it', async () => {
    const { scheduling, first, last } = pools;
    const domain = await pools.domain();
    await scheduling.pinVcpu(domain, { hard: [last] });
    await scheduling.removePcpu(first.name, last);
    expect((await scheduling.vcpus(domain))[0]?.hardAffinity).toEqual(first.pcpus);
    await scheduling.addPcpu(first.name, last);
    expect((await scheduling.vcpus(domain))[0]?.hardAffinity).toEqual(first.pcpus);

    await pools.make('other');
    const [one = pcpuId(0)] = first.pcpus;
    await scheduling.pinVcpu(domain, { hard: [one], soft: [one] });
    await scheduling.moveDomain(domain, 'other');
    expect(affinities(await scheduling.vcpus(domain))).toEqual([[first.pcpus, first.pcpus]]);
    expect((await scheduling.vcpus(domain))[0]?.pcpu).toBe(last);
  });
}

function describeSplit(pools: Pools): void {
  test('a pool for each node, with what was free; Domain-0 stays; a second split is refused', async () => {
    const { scheduling, first, last, nodeOf } = pools;
    const [pcpu = pcpuId(0)] = first.pcpus.slice(1);
    await scheduling.removePcpu(first.name, last);
    await scheduling.removePcpu(first.name, pcpu);
    await scheduling.numaSplit();
    const nodes = [...new Set(nodeOf)];
    const split = nodes.map((node, index) => ({
      name: `Pool-node${node}`,
      scheduler: first.scheduler,
      parameters: first.parameters,
      pcpus: first.pcpus.filter((each) => nodeOf[each] === node),
      domainCount: index === 0 ? 1 : 0,
    }));
    expect(await scheduling.cpupools()).toEqual(split);
    if (nodes.length > 1) await pools.refused('EBUSY', () => scheduling.numaSplit());
    const domain0Vcpus = (await scheduling.vcpus(domain0)).filter(({ state }) => state !== 'offline');
    expect(domain0Vcpus.length).toBeLessThanOrEqual(split[0]?.pcpus.length ?? 0);
  });
}
