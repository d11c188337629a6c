import { bytes, domId, fromMib, gibBytes, ManualClock, ns, pcpuId, uuid, type DomId } from '@xenolith/base';
import { HostError, type DomainConfig } from '@xenolith/xapi';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { guestFiles } from '../bootable-guests.ts';
import { defaultModelShape } from '../host-address.ts';
import { ModelHost, type ModelHostOptions } from './model-host.ts';

const shape = { ...defaultModelShape, nodes: 2, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 1 };
const newHost = (options?: ModelHostOptions): { readonly host: ModelHost; readonly clock: ManualClock } => {
  const clock = new ManualClock();
  return { host: new ModelHost({ ...shape, memoryBytes: bytes(4 * gibBytes) }, 1, clock, options), clock };
};
const uuidOf = (index: number): DomainConfig['uuid'] => uuid(`dbcfa15d-8a2f-4d99-8705-42105${index}ed5ac7`);
const config = (index: number, changes: Partial<DomainConfig> = {}): DomainConfig => ({
  uuid: uuidOf(index),
  nameLabel: `guest ${index}`,
  type: 'pv',
  kernel: guestFiles.kernel,
  vcpusMax: 2,
  vcpusAtStartup: 2,
  memoryMaxBytes: fromMib(64),
  memoryTargetBytes: fromMib(64),
  disks: [],
  vifs: [],
  onPoweroff: 'destroy',
  onReboot: 'restart',
  onCrash: 'restart',
  ...changes,
});
const start = (host: ModelHost, changes: Partial<DomainConfig> = {}): DomId =>
  host.create(config(1, changes), { paused: false });

describe('known answers', () => {
  test('a host boots with all pCPUs and Domain-0 in Pool-0', () => {
    expect(newHost().host.cpupools.list()).toEqual([
      {
        name: 'Pool-0',
        scheduler: 'credit2',
        parameters: { ratelimitUs: 1000 },
        pcpus: [0, 1, 2, 3, 4, 5, 6, 7],
        domainCount: 1,
      },
    ]);
  });

  test('a split takes vCPUs of Domain-0, which stays in the first pool', () => {
    const { cpupools } = newHost().host;
    expect(cpupools.vcpusOnline(domId(0))).toBe(8);
    cpupools.numaSplit();
    expect(cpupools.list().map(({ name, pcpus }) => [name, pcpus])).toEqual([
      ['Pool-node0', [0, 1, 2, 3]],
      ['Pool-node1', [4, 5, 6, 7]],
    ]);
    expect(cpupools.vcpusOnline(domId(0))).toBe(4);
    expect(cpupools.vcpusOf(domId(0)).map(({ state }) => state === 'offline')).toEqual([
      ...Array<boolean>(4).fill(false),
      ...Array<boolean>(4).fill(true),
    ]);
    expect(cpupools.cpupoolOf(domId(0))).toBe('Pool-node0');
  });

  test('parameters: those of the configuration as far as the scheduler has them; the defaults after a move', () => {
    const { host } = newHost();
    const { cpupools } = host;
    for (const pcpu of [6, 7]) cpupools.remove('Pool-0', pcpuId(pcpu));
    cpupools.create({ name: 'real time', scheduler: 'rtds', pcpus: [pcpuId(6), pcpuId(7)] });
    const domain = start(host, { weight: 512, cap: 150 });
    expect(cpupools.parametersOf(domain)).toEqual({ weight: 512, cap: 150 });
    cpupools.move(domain, 'real time');
    expect(cpupools.parametersOf(domain)).toEqual({ periodUs: 10_000, budgetUs: 4000, extratime: true });
    expect(cpupools.vcpusOf(domain).map(({ pcpu }) => pcpu)).toEqual([6, 7]);
    cpupools.setDomainParameters(domain, { budgetUs: 10_000, extratime: false });
    expect(cpupools.parametersOf(domain)).toEqual({ periodUs: 10_000, budgetUs: 10_000, extratime: false });
    host.destroy(domain);
    cpupools.destroy('real time');
    const again = start(host, { weight: 7 });
    expect(cpupools.parametersOf(again)).toEqual({ weight: 7, cap: 0 });
  });

  test('a guest that reboots keeps its pool and its parameters, not its affinity', () => {
    const { host } = newHost();
    host.cpupools.remove('Pool-0', pcpuId(7));
    host.cpupools.create({ name: 'mine', pcpus: [pcpuId(7)] });
    const domain = start(host, { cpus: [pcpuId(0), pcpuId(1)] });
    expect(host.cpupools.vcpusOf(domain)[1]).toMatchObject({ hardAffinity: [0, 1] });
    host.cpupools.move(domain, 'mine');
    host.cpupools.setDomainParameters(domain, { weight: 99, cap: 12 });
    host.crash(domain);
    const [again = domain] = host.hypervisor.domains().flatMap(({ domid }) => (domid > domain ? [domid] : []));
    expect(again).toBeGreaterThan(domain);
    expect(host.cpupools.cpupoolOf(again)).toBe('mine');
    expect(host.cpupools.parametersOf(again)).toEqual({ weight: 99, cap: 12 });
  });

  test('what cannot be set is no domain', () => {
    const { host } = newHost();
    for (const changes of [{ weight: 0 }, { cap: 201 }, { cpupool: 'no' }]) {
      expect(() => start(host, changes)).toThrow(HostError);
      expect(host.hypervisor.domains()).toHaveLength(1);
    }
  });

  test('a reset host has one pool again', () => {
    const { host } = newHost();
    const boot = host.cpupools.list();
    host.cpupools.numaSplit();
    host.reset();
    expect(host.cpupools.list()).toEqual(boot);
  });

  test('pools and domains are put back as the records say; a domain whose pool is not known is in the first', () => {
    const { host } = newHost();
    host.cpupools.numaSplit();
    host.cpupools.remove('Pool-node1', pcpuId(5));
    host.cpupools.setPoolParameters('Pool-node1', { ratelimitUs: 0 });
    host.cpupools.create({ name: 'bare', scheduler: 'rtds', pcpus: [] });
    const cpupools = host.cpupools.list();
    const later = newHost().host;
    const domain = (index: number, cpupool: string) => ({
      ...config(index, { cpupool }),
      domid: domId(index),
      paused: false,
      strict: false,
    });
    later.remember({ cpupools, domains: [domain(3, 'Pool-node1'), domain(4, 'gone')], files: [] });
    expect(later.cpupools.list()).toEqual([
      { ...host.cpupools.list()[0], domainCount: 2 },
      { ...host.cpupools.list()[1], domainCount: 1 },
      host.cpupools.list()[2],
    ]);
    expect(later.cpupools.cpupoolOf(domId(3))).toBe('Pool-node1');
  });
});

describe('whatever is done', () => {
  const names = ['Pool-0', 'a', 'b', 'Pool-node0'];
  const name = fc.constantFrom(...names);
  const pcpu = fc.integer({ min: 0, max: 8 }).map((id) => pcpuId(id));
  const guest = fc.integer({ min: 0, max: 3 });
  type Step = (host: ModelHost) => void;
  const onGuest = (host: ModelHost, index: number, work: (domid: DomId) => void): void => {
    const found = host.hypervisor.domains().find(({ spec }) => spec.uuid === uuidOf(index));
    if (found !== undefined) work(found.domid);
  };
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.tuple(name, fc.constantFrom('credit', 'credit2', 'rtds', 'sedf'), fc.array(pcpu, { maxLength: 3 })).map(
      ([pool, scheduler, pcpus]): Step =>
        (host) =>
          host.cpupools.create({ name: pool, scheduler, pcpus }),
    ),
    name.map(
      (pool): Step =>
        (host) =>
          host.cpupools.destroy(pool),
    ),
    fc.tuple(name, name).map(
      ([pool, newName]): Step =>
        (host) =>
          host.cpupools.rename(pool, newName),
    ),
    fc.tuple(name, pcpu).map(
      ([pool, id]): Step =>
        (host) =>
          host.cpupools.add(pool, id),
    ),
    fc.tuple(name, pcpu).map(
      ([pool, id]): Step =>
        (host) =>
          host.cpupools.remove(pool, id),
    ),
    fc.tuple(name, pcpu).map(
      ([pool, id]): Step =>
        (host) =>
          host.cpupools.remove(pool, id),
    ),
    fc.tuple(guest, name).map(
      ([index, pool]): Step =>
        (host) =>
          onGuest(host, index, (domid) => host.cpupools.move(domid, pool)),
    ),
    fc.tuple(guest, fc.array(pcpu, { maxLength: 2 })).map(
      ([index, hard]): Step =>
        (host) =>
          onGuest(host, index, (domid) => host.cpupools.pin(domid, { hard })),
    ),
    fc.tuple(guest, name).map(
      ([index, cpupool]): Step =>
        (host) =>
          void host.create(config(index, { cpupool }), { paused: true }),
    ),
    guest.map(
      (index): Step =>
        (host) =>
          onGuest(host, index, (domid) => host.destroy(domid)),
    ),
    fc.constant<Step>((host) => host.cpupools.numaSplit()),
  );

  test('pCPUs are in one pool or free, domains in one pool with pCPUs, and what is refused changes nothing', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { host } = newHost();
        for (const each of steps) {
          const before = host.cpupools.list();
          try {
            each(host);
          } catch (error) {
            if (!(error instanceof HostError)) throw error;
            expect(host.cpupools.list()).toEqual(before);
          }
          const pools = host.cpupools.list();
          const pcpus = pools.flatMap((pool) => pool.pcpus);
          expect(new Set(pcpus).size).toBe(pcpus.length);
          expect(pcpus.every((id) => id >= 0 && id < 8)).toBe(true);
          expect(new Set(pools.map((pool) => pool.name)).size).toBe(pools.length);
          const domains = host.hypervisor.domains();
          expect(pools.reduce((sum, pool) => sum + pool.domainCount, 0)).toBe(domains.length);
          for (const pool of pools) if (pool.domainCount > 0) expect(pool.pcpus.length).toBeGreaterThan(0);
          for (const { domid } of domains) {
            const own = pools.find((pool) => pool.name === host.cpupools.cpupoolOf(domid))?.pcpus ?? [];
            for (const { pcpu: at, hardAffinity } of host.cpupools.vcpusOf(domid)) {
              expect(at === undefined || (own.includes(at) && hardAffinity.includes(at))).toBe(true);
            }
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test('what schedules can begin anew', () => {
    /** Pools, and of each vCPU all that the past does not decide. */
    const setUp = (host: ModelHost): object => ({
      pools: host.cpupools.list(),
      domains: host.hypervisor.domains().map(({ domid }) => ({
        domid,
        parameters: host.cpupools.parametersOf(domid),
        vcpus: host.cpupools
          .vcpusOf(domid)
          .map(({ state, hardAffinity, softAffinity }) => [state === 'offline', hardAffinity, softAffinity]),
      })),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { host, clock } = newHost({ ageMaxNs: ns(1_000_000_000) });
        for (const each of steps) {
          try {
            each(host);
          } catch (error) {
            if (!(error instanceof HostError)) throw error;
          }
        }
        clock.advance(999);
        expect(host.timeNs()).toBe(999_000_000);
        const before = setUp(host);
        clock.advance(1);
        expect(host.timeNs()).toBe(0);
        expect(setUp(host)).toEqual(before);
        clock.advance(500);
        expect(host.timeNs()).toBe(500_000_000);
        expect(setUp(host)).toEqual(before);
      }),
      { numRuns: 100 },
    );
  });
});

test('when what schedules begins anew, guests go on: with their CPU time, paused or not, and not with booting', () => {
  const { host, clock } = newHost({ ageMaxNs: ns(4_000_000_000) });
  const hog = start(host, { work: 'hog' });
  const idle = host.create(config(2), { paused: false });
  const paused = host.create(config(3, { work: 'hog' }), { paused: false });
  const cpuTimeNs = (domid: DomId): number =>
    host.cpupools.vcpusOf(domid).reduce((sum, vcpu) => sum + vcpu.cpuTimeNs, 0);
  host.cpupools.setDomainParameters(hog, { cap: 50 });
  clock.advance(3000);
  host.hypervisor.pause(paused);
  clock.advance(1000);
  const [hogNs, idleNs, pausedNs] = [hog, idle, paused].map((domid) => cpuTimeNs(domid)) as [number, number, number];
  expect(host.timeNs()).toBe(0);
  expect([hog, idle, paused].map((domid) => cpuTimeNs(domid))).toEqual([hogNs, idleNs, pausedNs]);
  clock.advance(2000);
  expect(cpuTimeNs(hog) - hogNs).toSatisfy((passedNs: number) => Math.abs(passedNs - 1e9) < 0.05e9);
  expect(cpuTimeNs(idle) - idleNs).toBeLessThan(0.05e9);
  expect(cpuTimeNs(paused)).toBe(pausedNs);
  host.hypervisor.unpause(paused);
  clock.advance(1000);
  expect(cpuTimeNs(paused) - pausedNs).toBeGreaterThan(1.9e9);
});
