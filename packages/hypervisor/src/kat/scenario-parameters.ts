/** The parameter calls of a scenario, by scheduler. */
import { Credit } from '../schedule/credit.ts';
import { Credit2 } from '../schedule/credit2.ts';
import { Rtds } from '../schedule/rtds.ts';
import type { Scheduler } from '../schedule/scheduler.ts';
import { Sedf } from '../schedule/sedf/sedf.ts';
import type { ScenarioAction, ScenarioDomain, ScenarioRtds, ScenarioVcpu } from './scenario.ts';

/**
 * Makes the parameter calls that the description of a new domain asks for, those of single vCPUs first.
 * @param units its units by vCPU number
 */
export function setInitialParameters(
  scheduler: Scheduler,
  domain: number,
  units: readonly number[],
  given: ScenarioDomain,
): void {
  if (scheduler instanceof Credit || scheduler instanceof Credit2) {
    scheduler.setDomain(domain, weightAndCap(given));
  } else if (scheduler instanceof Sedf) {
    if (given.sedf !== undefined) scheduler.setDomain(domain, sedfOf(given.sedf));
  } else if (scheduler instanceof Rtds) {
    for (const [vcpu, unit] of units.entries()) {
      const own: ScenarioVcpu | undefined = given.vcpus[vcpu];
      const rtds = own?.rtds ?? given.rtds;
      if (rtds !== undefined) scheduler.setUnit(unit, rtdsOf(rtds));
    }
  }
}

/**
 * Makes the parameter call that an action is.
 * @returns 0 or a negative error number
 */
export function actOnParameters(scheduler: Scheduler, units: readonly number[], action: ScenarioAction): number {
  const { dom = -1 } = action;
  switch (action.do) {
    case 'weight_cap':
      if (scheduler instanceof Credit || scheduler instanceof Credit2)
        return scheduler.setDomain(dom, weightAndCap(action));
      break;
    case 'pool_params':
      if (scheduler instanceof Credit || scheduler instanceof Credit2) {
        return scheduler.setPool({
          ...(action.tslice_ms === undefined ? {} : { tsliceMs: action.tslice_ms }),
          ...(action.ratelimit_us === undefined ? {} : { ratelimitUs: action.ratelimit_us }),
          ...(action.migrate_delay_us === undefined ? {} : { migrationDelayUs: action.migrate_delay_us }),
        });
      }
      break;
    case 'rtds':
      if (scheduler instanceof Rtds) {
        let rc = 0;
        for (const unit of units) rc = scheduler.setUnit(unit, rtdsOf(action as unknown as ScenarioRtds)) || rc;
        return rc;
      }
      break;
    case 'sedf':
      if (scheduler instanceof Sedf) return scheduler.setDomain(dom, sedfOf(action));
      break;
    default:
  }
  throw new Error(`${action.do} is nothing that can be done under ${scheduler.name}`);
}

const weightAndCap = ({ weight, cap }: Pick<ScenarioDomain, 'weight' | 'cap'>): { weight?: number; cap?: number } => ({
  ...(weight === undefined ? {} : { weight }),
  ...(cap === undefined ? {} : { cap }),
});

const rtdsOf = ({ period_us, budget_us, extratime }: ScenarioRtds): Parameters<Rtds['setUnit']>[1] => ({
  periodUs: period_us,
  budgetUs: budget_us,
  extratime: Boolean(extratime),
});

const sedfOf = (given: NonNullable<ScenarioDomain['sedf']>): Parameters<Sedf['setDomain']>[1] => ({
  periodNs: given.period_ns ?? 0,
  sliceNs: given.slice_ns ?? 0,
  latencyNs: given.latency_ns ?? 0,
  extratime: Boolean(given.extratime),
  weight: given.weight ?? 0,
});
