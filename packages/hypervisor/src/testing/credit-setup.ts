/** Machines for tests of the credit schedulers: all pCPUs in one pool, and domains that begin at 0, one after the other. */
import { assert } from '@xenolith/base';
import { Credit, type WeightAndCap } from '../schedule/credit.ts';
import { Credit2 } from '../schedule/credit2.ts';
import { runState, type SchedPool } from '../schedule/core.ts';
import type { SchedulerOptions } from '../schedule/scheduler-options.ts';
import type { TopologyShape } from '../topology/topology.ts';
import { TestMachine, type TestVcpu } from './test-machine.ts';

export const ms = (value: number): number => value * 1_000_000;
export const us = (value: number): number => value * 1000;
export const hog: TestVcpu = { program: [['hog']] };
export const hogs = (count: number): readonly TestVcpu[] => Array.from({ length: count }, () => hog);
export const waker = (runUs: number, blockUs: number): TestVcpu => ({
  program: [
    ['run', us(runUs)],
    ['block', us(blockUs)],
  ],
});

export interface Given {
  readonly weight?: number;
  readonly cap?: number;
  readonly vcpus: readonly TestVcpu[];
  readonly soft?: readonly number[];
}

interface Domains {
  readonly machine: TestMachine;
  /** Units by domain. */
  readonly units: readonly (readonly number[])[];
}

interface CreditPool {
  readonly pool: SchedPool;
  readonly credit: Credit;
}
interface Credit2Pool {
  readonly pool: SchedPool;
  readonly credit2: Credit2;
}
export type Setup = Domains & CreditPool;
export type Credit2Setup = Domains & Credit2Pool;

/** How many pCPUs, what domains, and how the scheduler and the machine are. */
type Wanted = readonly [
  pcpus: number,
  domains: readonly Given[],
  options?: SchedulerOptions,
  shape?: Partial<TopologyShape>,
];

export function setUp(...[pcpus, domains, options = {}, shape = {}]: Wanted): Setup {
  const machine = new TestMachine(pcpus, options, shape);
  const made = creditPool(machine, [...machine.core.current.keys()], options);
  return { machine, ...made, units: addDomains(machine, made.pool, made.credit, domains) };
}

export function setUpCredit2(...[pcpus, domains, options = {}, shape = {}]: Wanted): Credit2Setup {
  const machine = new TestMachine(pcpus, options, shape);
  const made = credit2Pool(machine, [...machine.core.current.keys()], options);
  return { machine, ...made, units: addDomains(machine, made.pool, made.credit2, domains) };
}

export function creditPool(machine: TestMachine, pcpus: readonly number[], options: SchedulerOptions = {}): CreditPool {
  const pool = machine.pool('credit', pcpus, options);
  assert(pool.scheduler instanceof Credit, 'it is credit');
  return { pool, credit: pool.scheduler };
}

export function credit2Pool(
  machine: TestMachine,
  pcpus: readonly number[],
  options: SchedulerOptions = {},
): Credit2Pool {
  const pool = machine.pool('credit2', pcpus, options);
  assert(pool.scheduler instanceof Credit2, 'it is credit2');
  return { pool, credit2: pool.scheduler };
}

function addDomains(
  machine: TestMachine,
  pool: SchedPool,
  scheduler: { setDomain(domain: number, parameters: WeightAndCap): number },
  domains: readonly Given[],
): readonly (readonly number[])[] {
  return domains.map(({ weight = 256, cap = 0, vcpus, soft }, domain) => {
    const own = machine.domain(domain, pool, vcpus);
    if (soft !== undefined) for (const unit of own) machine.core.setAffinity(unit, undefined, machine.mask(...soft));
    assert(scheduler.setDomain(domain, { weight, cap }) === 0, 'weight and cap are in range');
    machine.start(own);
    return own;
  });
}

/** What each domain has of a pCPU, in percent, over 30 s after 2 s. Nothing of it is traced. */
export function shares({ machine, units }: Domains): readonly number[] {
  const { core } = machine;
  const ranNs = (): readonly number[] =>
    units.map((own) => own.reduce((sum, unit) => sum + core.timeIn(unit, runState.running), 0));
  core.onDecision = undefined;
  machine.runTo(ms(2000));
  const before = ranNs();
  machine.runTo(ms(32_000));
  return ranNs().map((ns, index) => (ns - before[index]!) / ms(300));
}
