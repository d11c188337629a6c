import { bytes, domId, fromMib, gibBytes, ManualClock, present, randomUuid, SeededRandom, uuid } from '@xenolith/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DomidAllocator, firstReservedDomid } from './domain/domid-allocator.ts';
import type { DomainSpec } from './domain/domain.ts';
import { guestTimesMs } from './guest/modelled-guest.ts';
import { Hypervisor, memoryOf } from './hypervisor.ts';
import { pageBytes } from './memory/page.ts';
import { consoleBacklogBytes, ConsoleRing } from './ring/console-ring.ts';
import { buildTopology } from './topology/topology.ts';

const machine = {
  nodes: 2,
  socketsPerNode: 1,
  coresPerSocket: 4,
  threadsPerCore: 1,
  memoryBytes: bytes(4 * gibBytes),
  dom0MemoryBytes: bytes(gibBytes),
};

const random = new SeededRandom(1);
const spec = (changes: Partial<DomainSpec> = {}): DomainSpec => ({
  uuid: randomUuid(random),
  name: 'd',
  type: 'pv',
  vcpus: 1,
  memoryBytes: fromMib(128),
  ...changes,
});

function created(hypervisor: Hypervisor, made: DomainSpec): ReturnType<typeof domId> {
  const result = hypervisor.create(made);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

const consoleOf = (hypervisor: Hypervisor, domid: ReturnType<typeof domId>): string =>
  String.fromCharCode(...hypervisor.console(domid).backlog());

describe('topology', () => {
  test('pCPUs are numbered node by node; cores begin anew in each socket', () => {
    const { pcpus, nodes } = buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 2, threadsPerCore: 2 });
    expect(pcpus.map(({ node, socket, core, thread }) => [node, socket, core, thread])).toEqual([
      [0, 0, 0, 0],
      [0, 0, 0, 1],
      [0, 0, 1, 0],
      [0, 0, 1, 1],
      [1, 1, 0, 0],
      [1, 1, 0, 1],
      [1, 1, 1, 0],
      [1, 1, 1, 1],
    ]);
    expect(nodes.map(({ pcpus: own, distances }) => [own, distances])).toEqual([
      [
        [0, 1, 2, 3],
        [10, 20],
      ],
      [
        [4, 5, 6, 7],
        [20, 10],
      ],
    ]);
  });
});

describe('domids', () => {
  test('rise, and are used again only after 32751', () => {
    const allocator = new DomidAllocator();
    const inUse = new Set<number>();
    expect(allocator.next((domid) => inUse.has(domid))).toBe(1);
    expect(allocator.next((domid) => inUse.has(domid))).toBe(2);
    allocator.skipPast(domId(firstReservedDomid - 2));
    expect(allocator.next((domid) => inUse.has(domid))).toBe(32751);
    inUse.add(1);
    expect(allocator.next((domid) => inUse.has(domid))).toBe(2);
  });

  test('are refused when all are in use', () => {
    expect(new DomidAllocator().next(() => true)).toBeUndefined();
  });
});

describe('lifecycle', () => {
  test('a guest boots, runs only while not paused, and answers a request after its delay', () => {
    const clock = new ManualClock();
    const hypervisor = new Hypervisor(machine, clock);
    const domid = created(hypervisor, spec({ name: 'web' }));
    clock.advance(10 * guestTimesMs.boot);
    expect(consoleOf(hypervisor, domid)).not.toContain('web: up');
    hypervisor.unpause(domid);
    clock.advance(guestTimesMs.boot - 1);
    hypervisor.pause(domid);
    clock.advance(60_000);
    expect(consoleOf(hypervisor, domid)).not.toContain('web: up');
    hypervisor.unpause(domid);
    clock.advance(1);
    expect(consoleOf(hypervisor, domid)).toContain('[model] web: up\r\n');
    hypervisor.request(domid, 'poweroff');
    clock.advance(guestTimesMs.answer - 1);
    expect(hypervisor.domain(domid)?.shutdown).toBeUndefined();
    clock.advance(1);
    expect(hypervisor.domain(domid)?.shutdown).toBe('poweroff');
    hypervisor.destroy(domid);
    expect(hypervisor.domain(domid)).toBeUndefined();
  });

  test('a request during boot is answered after it', () => {
    const clock = new ManualClock();
    const hypervisor = new Hypervisor(machine, clock);
    const domid = created(hypervisor, spec());
    hypervisor.unpause(domid);
    hypervisor.request(domid, 'reboot');
    clock.advance(guestTimesMs.boot + guestTimesMs.answer - 1);
    expect(hypervisor.domain(domid)?.shutdown).toBeUndefined();
    clock.advance(1);
    expect(hypervisor.domain(domid)?.shutdown).toBe('reboot');
  });

  test('a guest that has stopped answers nothing more', () => {
    const clock = new ManualClock();
    const hypervisor = new Hypervisor(machine, clock);
    const domid = created(hypervisor, spec());
    hypervisor.unpause(domid);
    hypervisor.shutdown(domid, 'crash');
    hypervisor.request(domid, 'poweroff');
    clock.advance(60_000);
    expect(hypervisor.domain(domid)?.shutdown).toBe('crash');
  });

  test('what cannot be made is refused: too much memory, a uuid twice', () => {
    const hypervisor = new Hypervisor(machine, new ManualClock());
    expect(hypervisor.create(spec({ memoryBytes: bytes(4 * gibBytes) }))).toEqual({
      ok: false,
      error: 'not-enough-memory',
    });
    const twice = uuid('6f1c43f5-3a3b-4d8e-8a55-3f4f3a0a2b11');
    created(hypervisor, spec({ uuid: twice }));
    expect(hypervisor.create(spec({ uuid: twice }))).toEqual({ ok: false, error: 'uuid-in-use' });
  });

  test('a domain larger than a node spills over to the other', () => {
    const hypervisor = new Hypervisor(machine, new ManualClock());
    const domid = created(hypervisor, spec({ memoryBytes: bytes(2 * gibBytes) }));
    expect(hypervisor.domain(domid)?.allocation.bytesByNode).toEqual([1.5 * gibBytes, 0.5 * gibBytes]);
  });
});

test('whatever is done, memory adds up and no domid is there twice', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('create'), size: fc.integer({ min: 1, max: 2 * gibBytes }) }),
    fc.record({ kind: fc.constant('destroy'), size: fc.nat(20) }),
    fc.record({ kind: fc.constant('unpause'), size: fc.nat(20) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 4 }), (steps, nodes) => {
      const hypervisor = new Hypervisor({ ...machine, nodes }, new ManualClock());
      const given = new Set<number>();
      for (const { kind, size } of steps) {
        const guests = hypervisor.domains().slice(1);
        const picked = guests[size % Math.max(1, guests.length)];
        if (kind === 'create') {
          const before = hypervisor.memoryFreeBytes;
          const wanted = Math.ceil(size / pageBytes) * pageBytes;
          const made = hypervisor.create(spec({ memoryBytes: bytes(size) }));
          expect(made.ok).toBe(wanted <= before);
          if (!made.ok) continue;
          expect(given.has(made.value)).toBe(false);
          given.add(made.value);
        } else if (picked !== undefined && kind === 'destroy') hypervisor.destroy(picked.domid);
        else if (picked !== undefined) hypervisor.unpause(picked.domid);
        const held = hypervisor
          .domains()
          .flatMap(({ allocation }) => allocation.bytesByNode)
          .reduce((sum: number, size_) => sum + size_, 0);
        expect(held + hypervisor.memoryFreeBytes).toBe(hypervisor.memoryTotalBytes);
        expect(hypervisor.nodeMemory().every(({ freeBytes }) => freeBytes >= 0)).toBe(true);
      }
    }),
  );
});

test('a console keeps the last of its output, bounded', () => {
  const ring = new ConsoleRing();
  for (let i = 0; i < 10; i++) ring.print(new Uint8Array(consoleBacklogBytes / 4).fill(i));
  expect(ring.backlog()).toHaveLength(consoleBacklogBytes);
  expect([ring.backlog()[0], ring.backlog().at(-1)]).toEqual([6, 9]);
});

describe('memory of a domain that is there', () => {
  test('grows and shrinks in whole pages, as far as there is some, and none is lost or made', () => {
    const sizes = fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 5 * gibBytes })), { maxLength: 20 });
    fc.assert(
      fc.property(sizes, (steps) => {
        const hypervisor = new Hypervisor(machine, new ManualClock());
        const domids = [0, 1, 2].map(() => created(hypervisor, spec()));
        for (const [index, size] of steps) {
          const domid = domids[index] ?? domId(1);
          const has = memoryOf(present(hypervisor.domain(domid), 'the domain'));
          const may = has + hypervisor.memoryFreeBytes;
          const pages = Math.ceil(size / pageBytes) * pageBytes;
          expect(hypervisor.resize(domid, bytes(size))).toBe(Math.min(pages, may));
          const held = hypervisor.domains().reduce((sum, domain) => sum + memoryOf(domain), 0);
          expect(held + hypervisor.memoryFreeBytes).toBe(hypervisor.memoryTotalBytes);
        }
        for (const domid of domids) hypervisor.destroy(domid);
        expect(hypervisor.memoryFreeBytes).toBe(machine.memoryBytes - machine.dom0MemoryBytes);
      }),
    );
  });

  test('more comes from the node that it has most on', () => {
    const hypervisor = new Hypervisor(machine, new ManualClock());
    const domid = created(hypervisor, spec());
    const [before] = hypervisor.nodeMemory().map(({ freeBytes }) => freeBytes);
    hypervisor.resize(domid, fromMib(256));
    expect(hypervisor.domain(domid)?.allocation.bytesByNode).toEqual([fromMib(256), 0]);
    expect(before).toBe(hypervisor.nodeMemory()[0]!.freeBytes + fromMib(128));
  });

  test('a guest is up once it has booted, Domain-0 always is', () => {
    const clock = new ManualClock();
    const hypervisor = new Hypervisor(machine, clock);
    const domid = created(hypervisor, spec());
    expect([hypervisor.isUp(domId(0)), hypervisor.isUp(domid)]).toEqual([true, false]);
    hypervisor.unpause(domid);
    clock.advance(guestTimesMs.boot);
    expect(hypervisor.isUp(domid)).toBe(true);
  });
});
