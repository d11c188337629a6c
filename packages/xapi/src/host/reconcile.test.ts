/** What a picture means, against an oracle that looks at one VM at a time and knows no order of domains. */
import { bytes, domId, nullRef, ref as makeRef, uuid, type Ref } from '@xenolith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DomainInfo } from '../host-driver.ts';
import { reconcile, type Decision, type KnownVm } from './reconcile.ts';

const here = makeRef<'host'>('OpaqueRef:here');
const there = makeRef<'host'>('OpaqueRef:there');
const image = makeRef<'VDI'>('OpaqueRef:image');
const idOf = (n: number): ReturnType<typeof uuid> => uuid(`00000000-0000-4000-8000-00000000000${n}`);
const vmOf = (n: number): Ref<'VM'> => makeRef<'VM'>(`OpaqueRef:vm${n}`);

const domain = (uuids: fc.Arbitrary<number>): fc.Arbitrary<DomainInfo> =>
  fc
    .record({
      n: uuids,
      paused: fc.boolean(),
      dying: fc.boolean(),
      shutdown: fc.constantFrom(undefined, 'reboot', 'suspend'),
    })
    .map(({ n, paused, dying, shutdown }) => ({
      domid: domId(0),
      uuid: idOf(n),
      name: `vm${n}`,
      paused,
      dying,
      ...(shutdown === undefined ? {} : { shutdown }),
      memoryBytes: bytes(4096),
      vcpusOnline: 1,
    }));

/** Domains as a host has them: each number once, rising or not. */
const domains = fc
  .tuple(
    fc.array(domain(fc.nat(4)), { maxLength: 6 }),
    fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 6, maxLength: 6 }),
  )
  .map(([list, gaps]) => {
    let next = 0;
    return list.map((item, index) => ({ ...item, domid: domId((next += gaps[index] ?? 1)) }));
  })
  .chain((list) => fc.shuffledSubarray(list, { minLength: list.length }));

const known = (n: number): fc.Arbitrary<KnownVm> =>
  fc
    .record({
      power_state: fc.constantFrom('Halted', 'Paused', 'Running', 'Suspended'),
      domid: fc.integer({ min: 1, max: 12 }),
      resident_on: fc.constantFrom(here, there),
      suspend_VDI: fc.constantFrom(image, nullRef<'VDI'>()),
      settled: fc.boolean(),
      elsewhere: fc.boolean(),
    })
    .map(({ settled, elsewhere, ...vm }) => ({
      ref: vmOf(n),
      vm: { ...vm, uuid: idOf(n), is_control_domain: false },
      settled,
      elsewhere: elsewhere && vm.resident_on === there,
    }));

const knowns = fc.tuple(known(0), known(1), known(2)).chain((all) => fc.shuffledSubarray(all));

/** The domain that counts: alive before shut down, then the youngest. */
function standsFor(list: readonly DomainInfo[], id: string): DomainInfo | undefined {
  const candidates = list.filter((item) => item.uuid === id && !item.dying);
  const alive = candidates.filter((item) => item.shutdown === undefined);
  const [first, ...rest] = alive.length > 0 ? alive : candidates;
  return first === undefined ? undefined : rest.reduce((a, b) => (a.domid > b.domid ? a : b), first);
}

function expectedFor(
  { ref, vm, settled, elsewhere }: KnownVm,
  list: readonly DomainInfo[],
): readonly Decision['kind'][] {
  if (!settled) return [];
  const mine = standsFor(list, vm.uuid);
  const runsHere = vm.resident_on === here && ['Running', 'Paused'].includes(vm.power_state);
  if (mine === undefined) return runsHere ? ['gone'] : [];
  if (mine.shutdown !== undefined) return [];
  if (elsewhere) return ['twice'];
  const isSame = runsHere && vm.domid === mine.domid && (vm.power_state === 'Paused') === mine.paused;
  expect(ref).toBeDefined();
  return [...(isSame ? [] : ['running' as const]), ...(vm.suspend_VDI === image ? ['image' as const] : []), 'figures'];
}

test('each VM gets what its own situation says, whatever else is in the picture', () => {
  fc.assert(
    fc.property(domains, knowns, (list, vms) => {
      const decisions = reconcile(here, list, vms);
      for (const vm of vms) {
        const own = decisions.filter((decision) => decision.kind !== 'found' && decision.vm === vm.ref);
        expect(own.map(({ kind }) => kind)).toEqual(expectedFor(vm, list));
        const mine = standsFor(list, vm.vm.uuid);
        for (const decision of own) {
          if (decision.kind === 'running') expect(decision).toMatchObject({ domid: mine?.domid, paused: mine?.paused });
          if (decision.kind === 'image') expect(decision.paused).toBe(mine?.paused);
          if (decision.kind === 'figures') expect(decision.domain).toBe(mine);
        }
      }
      const strangers = [...new Set(list.map((item) => item.uuid))]
        .filter((id) => vms.every(({ vm }) => vm.uuid !== id))
        .flatMap((id) => standsFor(list, id) ?? [])
        .filter(({ shutdown }) => shutdown === undefined);
      const found = decisions.flatMap((decision) => (decision.kind === 'found' ? [decision.domain] : []));
      expect(new Set(found)).toEqual(new Set(strangers));
      expect(found).toHaveLength(strangers.length);
    }),
    { numRuns: 2000 },
  );
});

test('a picture that is taken in twice changes nothing the second time', () => {
  fc.assert(
    fc.property(domains, knowns, (list, vms) => {
      const applied = vms.map((item): KnownVm => {
        const decision = reconcile(here, list, [item]).find(({ kind }) => kind === 'running' || kind === 'gone');
        if (decision?.kind === 'running') {
          const { domid, paused } = decision;
          return { ...item, vm: { ...item.vm, domid, resident_on: here, power_state: paused ? 'Paused' : 'Running' } };
        }
        return decision === undefined ? item : { ...item, vm: { ...item.vm, power_state: 'Halted' } };
      });
      const again = reconcile(here, list, applied).map(({ kind }) => kind);
      expect(again.filter((kind) => kind === 'running' || kind === 'gone')).toEqual([]);
    }),
  );
});

test('the control domain is domain 0, of its own host only', () => {
  const domain0 = {
    domid: domId(0),
    uuid: uuid('00000000-0000-0000-0000-000000000000'),
    name: 'Domain-0',
    paused: false,
    dying: false,
    memoryBytes: bytes(4096),
    vcpusOnline: 1,
  };
  const control = (resident_on: Ref<'host'>): KnownVm => ({
    ref: vmOf(0),
    vm: {
      uuid: idOf(0),
      power_state: 'Running',
      domid: 0,
      resident_on,
      is_control_domain: true,
      suspend_VDI: nullRef(),
    },
    settled: true,
    elsewhere: false,
  });
  expect(reconcile(here, [domain0], [control(here)])).toEqual([{ kind: 'figures', vm: vmOf(0), domain: domain0 }]);
  expect(reconcile(here, [domain0], [control(there)])).toEqual([]);
  expect(reconcile(here, [], [control(here)])).toEqual([]);
});
