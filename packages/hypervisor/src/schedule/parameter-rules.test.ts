import { pcpuId } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import {
  defaultDomainParameters,
  defaultPoolParameters,
  domainParametersRefusal,
  pinRefusal,
  poolParametersRefusal,
  type DomainParameters,
  type PoolParameters,
} from './parameter-rules.ts';
import type { SchedulerName } from './scheduler.ts';

const tslice = 'Time slice out of range, valid range is from 1 to 1000';
const ratelimit = 'Ratelimit out of range, valid range is from 100 to 500000';
const delay = 'vcpu migration delay should be >= 0 and <= 100000us';
const weight = 'Cpu weight out of range, valid values are within range from 1 to 65535';
const cap = 'Cpu cap out of range, valid range is from 0 to 200 for specified number of vcpus';

describe('parameters of a pool', () => {
  test.each<readonly [SchedulerName, PoolParameters, string | undefined]>([
    ['credit', {}, undefined],
    ['credit', { tsliceMs: 1 }, undefined],
    ['credit', { tsliceMs: 1000 }, undefined],
    ['credit', { tsliceMs: 0 }, tslice],
    ['credit', { tsliceMs: 1001 }, tslice],
    ['credit', { tsliceMs: 1.5 }, tslice],
    ['credit', { tsliceMs: Number.NaN }, tslice],
    ['credit', { tsliceMs: 0, ratelimitUs: 1 }, tslice],
    ['credit', { ratelimitUs: 0 }, undefined],
    ['credit', { ratelimitUs: 100 }, undefined],
    ['credit', { ratelimitUs: 99 }, ratelimit],
    ['credit', { ratelimitUs: 500_001 }, ratelimit],
    ['credit', { ratelimitUs: 30_000 }, undefined],
    ['credit', { ratelimitUs: 30_001 }, 'Ratelimit cannot be greater than timeslice'],
    ['credit', { tsliceMs: 500, ratelimitUs: 500_000 }, undefined],
    ['credit', { migrationDelayUs: 100_000 }, undefined],
    ['credit', { migrationDelayUs: 100_001 }, delay],
    ['credit', { migrationDelayUs: -1 }, delay],
    ['credit2', { ratelimitUs: 500_000 }, undefined],
    ['credit2', { ratelimitUs: 1 }, ratelimit],
    ['credit2', { tsliceMs: 10 }, 'Invalid argument'],
    ['rtds', { ratelimitUs: 1000 }, 'Invalid argument'],
    ['null', {}, undefined],
  ])('%s %j', (scheduler, changes, words) => {
    const refusal = poolParametersRefusal(scheduler, defaultPoolParameters(scheduler), changes);
    expect(refusal).toEqual(words === undefined ? undefined : expect.objectContaining({ errno: 'EINVAL', words }));
  });

  test('a slice is also too short for the rate limit that is set already', () => {
    const now = { tsliceMs: 30, ratelimitUs: 20_000 };
    expect(poolParametersRefusal('credit', now, { tsliceMs: 20 })).toBeUndefined();
    expect(poolParametersRefusal('credit', now, { tsliceMs: 19 })?.errno).toBe('EINVAL');
  });
});

describe('parameters of a domain with two vCPUs', () => {
  const invalidRtds = 'Setting vcpu sched rtds: Invalid argument';
  test.each<readonly [SchedulerName, DomainParameters, string | undefined]>([
    ['credit', { weight: 1, cap: 0 }, undefined],
    ['credit2', { weight: 65_535, cap: 200 }, undefined],
    ['credit2', { weight: 0 }, weight],
    ['credit2', { weight: 65_536 }, weight],
    ['credit', { weight: 2.5 }, weight],
    ['credit', { cap: 201 }, cap],
    ['credit', { cap: -1 }, cap],
    ['credit', { weight: 0, cap: -1 }, weight],
    ['credit', { periodUs: 10_000 }, 'Invalid argument'],
    ['rtds', { weight: 256 }, 'Invalid argument'],
    ['null', { cap: 0 }, 'Invalid argument'],
    ['rtds', { periodUs: 10, budgetUs: 10, extratime: false }, undefined],
    ['rtds', { periodUs: 3999 }, 'VCPU budget must be smaller than or equal to period, but 4000 > 3999'],
    ['rtds', { periodUs: 0 }, 'Invalid VCPU period of 0 (it should be >= 1)'],
    ['rtds', { budgetUs: -5 }, 'Invalid VCPU budget of -5 (it should be >= 1)'],
    ['rtds', { periodUs: 9, budgetUs: 9 }, invalidRtds],
    ['rtds', { budgetUs: 9 }, invalidRtds],
    ['rtds', { periodUs: 2 ** 31 }, invalidRtds],
  ])('%s %j', (scheduler, changes, words) => {
    const refusal = domainParametersRefusal(scheduler, defaultDomainParameters(scheduler), changes, 2);
    expect(refusal).toEqual(words === undefined ? undefined : expect.objectContaining({ errno: 'EINVAL', words }));
  });
});

describe('pins of a domain with two vCPUs in the pool {2, 3} of eight pCPUs', () => {
  const domain = { vcpusMax: 2, poolPcpus: [pcpuId(2), pcpuId(3)], pcpuCount: 8 };
  const pcpus = (...numbers: number[]) => numbers.map((number) => pcpuId(number));
  test.each([
    ['inside', { vcpu: 1, hard: pcpus(3), soft: pcpus(2) }, undefined],
    ['all vCPUs, partly outside', { hard: pcpus(0, 3) }, undefined],
    ['nothing', {}, undefined],
    ['no such vCPU', { vcpu: 2, hard: pcpus(3) }, "Could not set affinity for vcpu `2'."],
    ['outside the pool', { vcpu: 0, hard: pcpus(0, 1) }, "Could not set affinity for vcpu `0'."],
    ['outside the pool, all vCPUs', { hard: pcpus(4) }, 'Could not set affinity.'],
    ['outside the machine', { vcpu: 0, hard: pcpus(99) }, 'vcpu hard affinity map is empty'],
    ['empty', { hard: [] }, 'vcpu hard affinity map is empty'],
    ['soft outside the pool', { soft: pcpus(0) }, undefined],
    ['soft outside the machine', { soft: pcpus(8) }, 'Could not set affinity.'],
  ])('%s', (_, pin, words) => {
    const refusal = pinRefusal(pin, domain);
    expect(refusal).toEqual(words === undefined ? undefined : expect.objectContaining({ errno: 'EINVAL', words }));
  });
});
