/**
 * What Xen and libxl refuse of scheduler parameters and affinities (tools/libs/light/libxl_sched.c, tools/xl/xl_sched.c,
 * tools/xl/xl_vcpu.c, the `adjust` methods of xen/common/sched). Every function gives undefined for what may be set.
 */
import type { PcpuId } from '@xenolith/base';
import type { CpupoolRefusal } from './cpupool-rules.ts';
import type { SchedulerName } from './scheduler.ts';

/** Ranges of scheduler parameters, both ends included (xen/include/public/sysctl.h, libxl_sched.c, rt.c). */
export const parameterRanges = {
  weight: [1, 65_535],
  tsliceMs: [1, 1000],
  /** Or 0, which is none. */
  ratelimitUs: [100, 500_000],
  migrationDelayUs: [0, 100_000],
  periodUs: [10, 0x7fff_ffff],
  budgetUs: [10, 0x7fff_ffff],
} as const satisfies Record<string, readonly [number, number]>;

/** Per cent of a pCPU that a domain may be capped at. */
const capPerVcpu = 100;

/** Parameters of a pool's scheduler: credit has all, credit2 the rate limit, the others none. */
export interface PoolParameters {
  readonly tsliceMs?: number;
  readonly ratelimitUs?: number;
  readonly migrationDelayUs?: number;
}

/** Parameters of a domain: weight and cap under credit and credit2, the others under rtds. */
export interface DomainParameters {
  readonly weight?: number;
  readonly cap?: number;
  readonly periodUs?: number;
  readonly budgetUs?: number;
  readonly extratime?: boolean;
}

/** What a new pool of a scheduler begins with. */
export function defaultPoolParameters(scheduler: SchedulerName): PoolParameters {
  if (scheduler === 'credit') return { tsliceMs: 30, ratelimitUs: 1000, migrationDelayUs: 0 };
  return scheduler === 'credit2' ? { ratelimitUs: 1000 } : {};
}

/** What a domain begins with when it is made in, or moved into, a pool of a scheduler. */
export function defaultDomainParameters(scheduler: SchedulerName): DomainParameters {
  if (scheduler === 'credit' || scheduler === 'credit2') return { weight: 256, cap: 0 };
  return scheduler === 'rtds' ? { periodUs: 10_000, budgetUs: 4000, extratime: true } : {};
}

/** `xl sched-credit -s`, `xl sched-credit2 -s`: `now` is what is set, `changes` what is to be set. */
export function poolParametersRefusal(
  scheduler: SchedulerName,
  now: PoolParameters,
  changes: PoolParameters,
): CpupoolRefusal | undefined {
  const foreign = foreignParameter(scheduler, changes, defaultPoolParameters(scheduler));
  if (foreign !== undefined) return foreign;
  const { tsliceMs, ratelimitUs, migrationDelayUs } = { ...now, ...given(changes) };
  if (isOutside(tsliceMs, parameterRanges.tsliceMs)) {
    return invalid(`Time slice out of range, valid range is ${fromTo(parameterRanges.tsliceMs)}`);
  }
  if (ratelimitUs !== 0 && isOutside(ratelimitUs, parameterRanges.ratelimitUs)) {
    return invalid(`Ratelimit out of range, valid range is ${fromTo(parameterRanges.ratelimitUs)}`);
  }
  if (tsliceMs !== undefined && ratelimitUs !== undefined && ratelimitUs > tsliceMs * 1000) {
    return invalid('Ratelimit cannot be greater than timeslice');
  }
  if (isOutside(migrationDelayUs, parameterRanges.migrationDelayUs)) {
    return invalid(`vcpu migration delay should be >= 0 and <= ${parameterRanges.migrationDelayUs[1]}us`);
  }
  return undefined;
}

/** `xl sched-credit -d` and its like. A cap is at most 100 for each vCPU that the domain can have. */
export function domainParametersRefusal(
  scheduler: SchedulerName,
  now: DomainParameters,
  changes: DomainParameters,
  vcpusMax: number,
): CpupoolRefusal | undefined {
  const foreign = foreignParameter(scheduler, changes, defaultDomainParameters(scheduler));
  if (foreign !== undefined) return foreign;
  const { weight, cap, periodUs, budgetUs } = { ...now, ...given(changes) };
  if (isOutside(weight, parameterRanges.weight)) {
    return invalid(`Cpu weight out of range, valid values are within range ${fromTo(parameterRanges.weight)}`);
  }
  if (isOutside(cap, [0, capPerVcpu * vcpusMax])) {
    return invalid(
      `Cpu cap out of range, valid range is from 0 to ${capPerVcpu * vcpusMax} for specified number of vcpus`,
    );
  }
  return periodUs === undefined || budgetUs === undefined ? undefined : rtdsRefusal(periodUs, budgetUs);
}

/** libxl wants at least 1 and budgets within the period; Xen itself wants 10 µs. */
function rtdsRefusal(periodUs: number, budgetUs: number): CpupoolRefusal | undefined {
  const problem = (name: string, value: number): string => `Invalid VCPU ${name} of ${value} (it should be >= 1)`;
  if (!(periodUs >= 1)) return invalid(problem('period', periodUs));
  if (!(budgetUs >= 1)) return invalid(problem('budget', budgetUs));
  if (budgetUs > periodUs) {
    return invalid(`VCPU budget must be smaller than or equal to period, but ${budgetUs} > ${periodUs}`);
  }
  if (isOutside(periodUs, parameterRanges.periodUs) || isOutside(budgetUs, parameterRanges.budgetUs)) {
    return {
      ...invalid('Setting vcpu sched rtds: Invalid argument'),
      reason: `periods and budgets are whole microseconds, ${fromTo(parameterRanges.periodUs)}`,
    };
  }
  return undefined;
}

/** Pins of a vCPU; `vcpu` absent: of all. */
export interface PinRequest {
  readonly vcpu?: number;
  readonly hard?: readonly PcpuId[];
  readonly soft?: readonly PcpuId[];
}

/** `xl vcpu-pin`: a hard affinity needs a pCPU of the pool; a soft one only has to name pCPUs of the machine. */
export function pinRefusal(
  pin: PinRequest,
  domain: { readonly vcpusMax: number; readonly poolPcpus: readonly PcpuId[]; readonly pcpuCount: number },
): CpupoolRefusal | undefined {
  const { vcpu, hard, soft } = pin;
  const words = vcpu === undefined ? 'Could not set affinity.' : `Could not set affinity for vcpu \`${vcpu}'.`;
  if (vcpu !== undefined && !(Number.isInteger(vcpu) && vcpu >= 0 && vcpu < domain.vcpusMax)) {
    return { errno: 'EINVAL', words, reason: `the domain has no vCPU ${vcpu}` };
  }
  const exists = (pcpu: PcpuId): boolean => pcpu < domain.pcpuCount;
  if (hard?.some(exists) === false) return { errno: 'EINVAL', words: 'vcpu hard affinity map is empty' };
  if (hard?.some((pcpu) => domain.poolPcpus.includes(pcpu)) === false) {
    return { errno: 'EINVAL', words, reason: 'none of these pCPUs is in the cpupool of the domain' };
  }
  return soft?.some(exists) === false
    ? { errno: 'EINVAL', words, reason: 'the soft affinity names no pCPU of this machine' }
    : undefined;
}

/** A parameter that the scheduler does not have; Xen compares the scheduler's number in the request with the pool's. */
function foreignParameter(scheduler: SchedulerName, changes: object, own: object): CpupoolRefusal | undefined {
  const foreign = Object.keys(given(changes)).find((key) => !(key in own));
  if (foreign === undefined) return undefined;
  return { ...invalid('Invalid argument'), reason: `the scheduler ${scheduler} has no ${foreign}` };
}

const invalid = (words: string): CpupoolRefusal => ({ errno: 'EINVAL', words });

const isOutside = (value: number | undefined, [least, most]: readonly [number, number]): boolean =>
  value !== undefined && !(Number.isInteger(value) && value >= least && value <= most);

const fromTo = ([least, most]: readonly [number, number]): string => `from ${least} to ${most}`;

/** Without the members that are there but undefined, which would hide what is set. */
function given<T extends object>(changes: T): Partial<T> {
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)) as Partial<T>;
}
