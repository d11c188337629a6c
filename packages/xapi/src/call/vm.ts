/** Every call of VMs that has behaviour of its own, by file. */
import type { CallsOf } from './call.ts';
import { vmLifeCalls } from './vm-life.ts';
import { vmMemoryCalls } from './vm-memory.ts';
import { vmMigrateCalls } from './vm-migrate.ts';
import { vmPowerCalls } from './vm-power.ts';
import { vmSchedulingCalls } from './vm-scheduling.ts';
import { vmSettingsCalls } from './vm-settings.ts';
import { vmSnapshotCalls } from './vm-snapshot.ts';

export const vmCalls: CallsOf<'VM'> = {
  ...vmLifeCalls,
  ...vmMemoryCalls,
  ...vmMigrateCalls,
  ...vmPowerCalls,
  ...vmSchedulingCalls,
  ...vmSettingsCalls,
  ...vmSnapshotCalls,
};
