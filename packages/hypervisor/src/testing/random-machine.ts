/** Random small machines for property tests: cpupools with any scheduler, domains that work, and things done to them. */
import { assert } from '@xenolith/base';
import fc from 'fast-check';
import type { Workload } from '../guest/workload/workloads.ts';
import { Machine, type DomainRunSpec } from '../machine/machine.ts';
import type { MemoryLoadOptions } from '../machine/memory-load.ts';
import type { DomainParameters } from '../machine/parameters.ts';
import { Arinc653 } from '../schedule/arinc653.ts';
import type { SchedulerOptions } from '../schedule/scheduler-options.ts';
import type { SchedulerName, XenVersion } from '../schedule/scheduler.ts';
import { buildTopology } from '../topology/topology.ts';

const msNs = 1_000_000;

/** A scheduler as a release has it. */
export interface Policy {
  readonly scheduler: SchedulerName;
  readonly xenVersion: XenVersion;
}

export const policies: Readonly<Record<string, Policy>> = {
  credit: { scheduler: 'credit', xenVersion: '4.23' },
  credit2: { scheduler: 'credit2', xenVersion: '4.23' },
  'credit2 of 4.2': { scheduler: 'credit2', xenVersion: '4.2' },
  rtds: { scheduler: 'rtds', xenVersion: '4.23' },
  null: { scheduler: 'null', xenVersion: '4.23' },
  arinc653: { scheduler: 'arinc653', xenVersion: '4.23' },
  sedf: { scheduler: 'sedf', xenVersion: '4.2' },
};

interface RandomDomain {
  readonly vcpus: readonly {
    readonly workload: Workload;
    readonly hard?: readonly number[];
    readonly startMs: number;
  }[];
  readonly inSecond: boolean;
  readonly share: number;
}

export interface RandomMachine {
  readonly policy: Policy;
  /** The scheduler of the second pool. */
  readonly other: SchedulerName;
  readonly options: SchedulerOptions;
  readonly seed: number;
  /** Whether memory costs something. */
  readonly hasMemory: boolean;
  readonly domains: readonly RandomDomain[];
}

export interface MachineAction {
  readonly what:
    | 'pause'
    | 'unpause'
    | 'online'
    | 'pin'
    | 'move'
    | 'remove'
    | 'add'
    | 'pcpu'
    | 'parameters'
    | 'pool'
    | 'measure';
  readonly afterNs: number;
  readonly target: number;
  readonly value: number;
}

/** Each of the pools has its own pCPUs; the last pCPU comes and goes. */
const firstPcpus = [0, 1, 2, 3];
const secondPcpus = [4, 5];
const loosePcpu = 6;
const topology = buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 2, threadsPerCore: 2 });

const length = fc.integer({ min: 10_000, max: 6 * msNs });
const range = fc.tuple(length, length).map(([from, more]) => [from, from + more] as const);

const workload: fc.Arbitrary<Workload> = fc.oneof(
  fc.constant<Workload>({ kind: 'hog' }),
  fc.constant<Workload>({ kind: 'idle' }),
  fc.tuple(range, range).map(([workNs, sleepNs]): Workload => ({ kind: 'interactive', workNs, sleepNs })),
  fc.tuple(length, length).map(([gapNs, workNs]): Workload => ({ kind: 'periodic', periodNs: gapNs + msNs, workNs })),
  range.map((serviceNs): Workload => ({
    kind: 'server',
    serviceNs,
    meanGapNs: 4 * msNs,
    burst: { onNs: 20 * msNs, offNs: 30 * msNs },
  })),
  fc.constant<Workload>({
    kind: 'phases',
    phases: [
      { durationNs: 7 * msNs, workload: { kind: 'hog' } },
      { durationNs: 9 * msNs, workload: { kind: 'interactive', workNs: [100, 2 * msNs], sleepNs: [100, 3 * msNs] } },
      {
        durationNs: 5 * msNs,
        workload: { kind: 'trace', entries: [{ runNs: 70_000, blockNs: 90_000 }], repeat: true },
      },
    ],
    repeat: true,
  }),
);

const randomDomain: fc.Arbitrary<RandomDomain> = fc.record({
  vcpus: fc.array(
    fc.record(
      {
        workload,
        hard: fc.uniqueArray(fc.constantFrom(...firstPcpus), { minLength: 1, maxLength: 2 }),
        startMs: fc.integer({ min: 0, max: 20 }),
      },
      { requiredKeys: ['workload', 'startMs'] },
    ),
    { minLength: 1, maxLength: 3 },
  ),
  inSecond: fc.boolean(),
  share: fc.integer({ min: 1, max: 6 }),
});

export const randomMachine = (policy: Policy): fc.Arbitrary<RandomMachine> =>
  fc.record({
    policy: fc.constant(policy),
    other: fc.constantFrom<SchedulerName>(
      ...(policy.xenVersion === '4.2'
        ? (['sedf', 'credit'] as const)
        : (['rtds', 'null', 'credit2', 'credit'] as const)),
    ),
    options: fc.constantFrom<SchedulerOptions>(
      {},
      { ratelimitUs: 500, tsliceMs: 5, runqueue: 'core', smtPowerSavings: true },
      { runqueue: 'cpu', migrationDelayUs: 300, capPeriodMs: 3 },
    ),
    seed: fc.nat(1_000_000),
    hasMemory: fc.boolean(),
    domains: fc.array(randomDomain, { minLength: 1, maxLength: 9 }),
  });

export const machineAction: fc.Arbitrary<MachineAction> = fc.record({
  what: fc.constantFrom(
    'pause',
    'unpause',
    'online',
    'pin',
    'move',
    'remove',
    'add',
    'pcpu',
    'parameters',
    'pool',
    'measure',
  ),
  afterNs: fc.integer({ min: 0, max: 20 * msNs }),
  target: fc.nat(20),
  value: fc.nat(1000),
});

/** Makes it, and lets it run a little of each of its domains before the next comes. */
export function makeMachine(
  { policy, other, options, seed, hasMemory, domains }: RandomMachine,
  memory: MemoryLoadOptions = {},
): Machine {
  const machine = new Machine({ topology, seed, xenVersion: policy.xenVersion, ...(hasMemory ? { memory } : {}) });
  machine.addCpupool({ name: 'first', scheduler: policy.scheduler, options, pcpus: firstPcpus });
  machine.addCpupool({ name: 'second', scheduler: other, pcpus: secondPcpus });
  setTable(machine);
  for (const [index, domain] of domains.entries()) {
    machine.addDomain({
      ...specOf(domain, index),
      ...parametersOf(machine, domain.share, domain.inSecond ? other : policy.scheduler),
    });
    machine.run(100_000);
  }
  return machine;
}

/** Under ARINC 653 only what is in a table runs. */
function setTable(machine: Machine): void {
  const policy = machine.core.poolOf[0]!.scheduler;
  if (!(policy instanceof Arinc653)) return;
  const entries = [0, 1, 2, 0].map((domain, index) => ({ domain, vcpu: index % 2, runtimeNs: (index + 1) * msNs }));
  assert(policy.setSchedule({ majorFrameNs: 11 * msNs, entries }) === 0, 'a table that fits');
}

const specOf = ({ vcpus, inSecond }: RandomDomain, index: number): DomainRunSpec => ({
  name: `d${index}`,
  cpupool: inSecond ? 'second' : 'first',
  // On the first node, on both, or, where nobody has said, on both alike.
  ...(index % 3 === 2 ? {} : { memoryByNode: [3, index % 3] }),
  vcpus: vcpus.map(({ workload: work, hard, startMs }) => ({
    workload: work,
    startNs: startMs * msNs,
    ...(hard === undefined || inSecond ? {} : { hardAffinity: hard }),
  })),
});

function parametersOf(
  { core }: Machine,
  share: number,
  scheduler: SchedulerName,
): { readonly parameters?: DomainParameters } {
  switch (scheduler) {
    case 'credit':
    case 'credit2': {
      const hasCap = share > 3 && (scheduler === 'credit' || core.xenVersion !== '4.2');
      return { parameters: { weight: share * 100, ...(hasCap ? { cap: share * 10 } : {}) } };
    }
    case 'rtds':
      return { parameters: { periodUs: 10_000, budgetUs: share * 500, extratime: share % 2 === 0 } };
    case 'sedf':
      return { parameters: { periodNs: 20 * msNs, sliceNs: share * msNs, extratime: share % 2 === 0 } };
    default:
      return {};
  }
}

/** Lets time pass and does something, as far as it can be done. */
export function doAction(machine: Machine, { what, afterNs, target, value }: MachineAction): void {
  machine.run(afterNs);
  const { core } = machine;
  const domids = [...core.domains.keys()].filter((domid) => core.domains[domid] !== undefined);
  const domid = domids[target % Math.max(1, domids.length)];
  if (what === 'pcpu') {
    if (core.poolOf[loosePcpu] === undefined) machine.addPcpu(value % 2 === 0 ? 'first' : 'second', loosePcpu);
    else machine.removePcpu(core.poolOf[loosePcpu] === core.poolOf[0] ? 'first' : 'second', loosePcpu);
  } else if (what === 'pool') {
    machine.addCpupool({ name: 'third', scheduler: 'credit', pcpus: [7] });
    const guest = machine.addDomain({ name: 'guest', cpupool: 'third', vcpus: [{ workload: { kind: 'hog' } }] });
    machine.run(msNs);
    machine.removeDomain(guest);
    machine.removeCpupool('third');
  } else if (what === 'measure') {
    machine.measure();
  } else if (what === 'add') {
    machine.addDomain({
      name: 'late',
      cpupool: 'second',
      vcpus: [{ workload: { kind: 'hog' }, startNs: value * 1000 }],
    });
  } else if (domid !== undefined) {
    doToDomain(machine, what, domid, value);
  }
}

function doToDomain(machine: Machine, what: MachineAction['what'], domid: number, value: number): void {
  const { units, pool } = machine.core.domainEntry(domid);
  const isFirst = pool === machine.core.poolOf[0];
  switch (what) {
    case 'pause':
      machine.pause(domid);
      break;
    case 'unpause':
      machine.unpause(domid);
      break;
    case 'online':
      machine.setOnline(domid, value % (units.length + 1));
      break;
    case 'pin':
      machine.pinVcpu(domid, value % units.length, isFirst ? [value % 4, 2, 3] : [4 + (value % 2)], [
        value % 7,
        value % 5,
      ]);
      break;
    case 'move':
      machine.moveDomain(domid, isFirst ? 'second' : 'first');
      break;
    case 'remove':
      machine.removeDomain(domid);
      break;
    case 'parameters': {
      const { parameters } = parametersOf(machine, (value % 6) + 1, pool.scheduler.name);
      if (parameters !== undefined) machine.setDomainParameters(domid, parameters);
      break;
    }
    default:
      assert(false, `${what} is done to a domain`);
  }
}

/** Wakes everything that sleeps, adds what can be added, and lets it run: whatever a machine has kept has to show. */
export function stir(machine: Machine): void {
  const { core } = machine;
  if (loosePcpu < core.pcpuCount && core.poolOf[loosePcpu] === undefined) machine.addPcpu('first', loosePcpu);
  for (const [domid, entry] of core.domains.entries()) {
    if (entry === undefined) continue;
    machine.setOnline(domid, entry.units.length);
    machine.unpause(domid);
  }
  machine.addDomain({
    name: 'stirred',
    cpupool: 'first',
    vcpus: Array.from({ length: 3 }, () => ({
      workload: { kind: 'interactive', workNs: [1000, msNs], sleepNs: [1000, msNs] },
    })),
  });
  machine.run(40 * msNs);
}
