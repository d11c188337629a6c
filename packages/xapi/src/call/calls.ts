/** Every call that has behaviour of its own, by class. */
import type { ClassName } from '../datamodel/types.ts';
import type { CallsOf } from './call.ts';
import { bondCalls } from './bond.ts';
import { cpupoolCalls } from './cpupool.ts';
import { hostFigureCalls, vmFigureCalls } from './data-sources.ts';
import { eventCalls } from './event.ts';
import { hostCalls } from './host.ts';
import { messageCalls } from './message.ts';
import { networkCalls } from './network.ts';
import { hostPifCalls, pifCalls, poolVlanCalls, vlanCalls } from './pif.ts';
import { poolCalls } from './pool.ts';
import { roleCalls } from './role.ts';
import { secretCalls } from './secret.ts';
import { sessionCalls } from './session.ts';
import { pbdCalls, srCalls } from './sr.ts';
import { blobCalls, newBlobCalls } from './blob.ts';
import { authCalls, subjectCalls, userCalls } from './subject.ts';
import { taskCalls } from './task.ts';
import { vbdCalls } from './vbd.ts';
import { vdiCalls } from './vdi.ts';
import { vifCalls } from './vif.ts';
import { vmApplianceCalls } from './vm-appliance.ts';
import { hostMigrateCalls, vdiMigrateCalls } from './vm-migrate.ts';
import { vmCalls } from './vm.ts';
import { vmssCalls } from './vmss.ts';

export const calls: { readonly [C in ClassName]?: CallsOf<C> } = {
  Bond: bondCalls,
  PBD: pbdCalls,
  PIF: pifCalls,
  SR: { ...srCalls, ...newBlobCalls.SR },
  VBD: vbdCalls,
  VDI: { ...vdiCalls, ...vdiMigrateCalls },
  VIF: vifCalls,
  VM: { ...vmCalls, ...vmFigureCalls, ...newBlobCalls.VM },
  VMSS: vmssCalls,
  VM_appliance: vmApplianceCalls,
  VLAN: vlanCalls,
  auth: authCalls,
  blob: blobCalls,
  cpupool: cpupoolCalls,
  event: eventCalls,
  host: { ...hostCalls, ...hostMigrateCalls, ...hostFigureCalls, ...hostPifCalls, ...newBlobCalls.host },
  message: messageCalls,
  network: { ...networkCalls, ...newBlobCalls.network },
  pool: { ...poolCalls, ...poolVlanCalls, ...newBlobCalls.pool },
  role: roleCalls,
  secret: secretCalls,
  session: sessionCalls,
  subject: subjectCalls,
  task: taskCalls,
  user: userCalls,
};
