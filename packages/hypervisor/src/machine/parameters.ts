/** Parameters of domains and of cpupools, whatever scheduler there is. */
import { assert } from '@xenolith/base';
import type { SchedCore } from '../schedule/core.ts';
import { Credit } from '../schedule/credit.ts';
import { Credit2 } from '../schedule/credit2.ts';
import { Rtds } from '../schedule/rtds.ts';
import type { Scheduler } from '../schedule/scheduler.ts';
import { Sedf } from '../schedule/sedf/sedf.ts';

export type DomainParameters =
  /** credit, credit2: weight 1 … 65535 (256); cap in % of a pCPU, 0 for none (0). */
  | { readonly weight?: number; readonly cap?: number }
  /** rtds: for every vCPU. */
  | { readonly periodUs: number; readonly budgetUs: number; readonly extratime: boolean }
  /** sedf. */
  | { readonly periodNs: number; readonly sliceNs: number; readonly extratime: boolean; readonly weight?: number };

/**
 * Sets parameters of a domain.
 * @returns 0 or Xen's negative error number
 * @throws AssertionError for parameters of another scheduler
 */
export function setDomainParameters(
  core: SchedCore,
  scheduler: Scheduler,
  domain: number,
  parameters: DomainParameters,
): number {
  if ('budgetUs' in parameters) {
    assert(scheduler instanceof Rtds, `budgets are not of ${scheduler.name}`);
    let rc = 0;
    for (const unit of core.domainEntry(domain).units) rc = scheduler.setUnit(unit, parameters) || rc;
    return rc;
  }
  if ('sliceNs' in parameters) {
    assert(scheduler instanceof Sedf, `slices are not of ${scheduler.name}`);
    return scheduler.setDomain(domain, { latencyNs: 0, weight: 0, ...parameters });
  }
  assert(scheduler instanceof Credit || scheduler instanceof Credit2, `weights are not of ${scheduler.name}`);
  return scheduler.setDomain(domain, parameters);
}

/** credit has all of them, credit2 the rate limit: time slice in ms, the others in µs. What is absent stays. */
export interface PoolParameters {
  readonly tsliceMs?: number;
  readonly ratelimitUs?: number;
  readonly migrationDelayUs?: number;
}

/** Sets parameters of a pool's scheduler; the others have none. @returns 0 or Xen's negative error number */
export function setPoolParameters(scheduler: Scheduler, parameters: PoolParameters): number {
  return scheduler instanceof Credit || scheduler instanceof Credit2 ? scheduler.setPool(parameters) : 0;
}
