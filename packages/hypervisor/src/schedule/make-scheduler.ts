import { unreachable } from '@xenolith/base';
import { Arinc653 } from './arinc653.ts';
import type { SchedCore } from './core.ts';
import { Credit } from './credit.ts';
import { Credit2 } from './credit2.ts';
import { Credit2Of42 } from './credit2/credit2-of-42.ts';
import { NullScheduler } from './null.ts';
import type { PcpuMask } from './pcpu-mask.ts';
import { Rtds } from './rtds.ts';
import type { Scheduler, SchedulerName } from './scheduler.ts';
import type { SchedulerOptions } from './scheduler-options.ts';
import { Sedf } from './sedf/sedf.ts';

/**
 * Makes a policy for a cpupool.
 * @param valid the pCPUs of the pool, kept by the core; empty for now
 */
export function makeScheduler(
  core: SchedCore,
  valid: PcpuMask,
  name: SchedulerName,
  options: SchedulerOptions = {},
): Scheduler {
  switch (name) {
    case 'credit':
      return new Credit(core, valid, options);
    case 'credit2':
      return core.xenVersion === '4.2' ? new Credit2Of42(core, valid, options) : new Credit2(core, valid, options);
    case 'rtds':
      return new Rtds(core, valid, options);
    case 'null':
      return new NullScheduler(core, valid);
    case 'arinc653':
      return new Arinc653(core, valid);
    case 'sedf':
      return new Sedf(core, valid);
    default:
      return unreachable(name);
  }
}
