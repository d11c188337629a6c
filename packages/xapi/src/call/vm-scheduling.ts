/** Calls about the scheduling of VMs: their parameters, vCPUs and cpupool. XAPI: ocaml/xapi/xapi_vm.ml. */
import { XapiError } from '../errors.ts';
import { moveToCpupool } from '../vm/cpupool-placement.ts';
import { withOperation } from '../vm/operations.ts';
import {
  assertRuns,
  pinVcpu,
  schedulerParametersOf,
  setVcpusParams,
  vcpusOf,
  withKey,
  withoutKey,
} from '../vm/vcpus-params.ts';
import type { CallsOf } from './call.ts';

export const vmSchedulingCalls = {
  set_VCPUs_params: ({ xapi }, { self, value }) => setVcpusParams(xapi, self, value),
  add_to_VCPUs_params: ({ xapi }, { self, key, value }) => setVcpusParams(xapi, self, withKey(xapi, self, key, value)),
  remove_from_VCPUs_params: ({ xapi }, { self, key }) =>
    setVcpusParams(xapi, self, withoutKey(xapi.db.get('VM', self).VCPUs_params, key)),
  add_to_VCPUs_params_live: ({ xapi }, { self, key, value }) => {
    assertRuns(xapi, self);
    return setVcpusParams(xapi, self, { ...xapi.db.get('VM', self).VCPUs_params, [key]: value });
  },
  /** The guest starts with as many from now on, as with XAPI; whether it has them now, its metrics tell. */
  set_VCPUs_number_live: (call, { self, nvcpu }) =>
    withOperation(call, self, 'changing_VCPUs_live', async () => {
      const { xapi } = call;
      if (nvcpu < 1 || nvcpu > xapi.db.get('VM', self).VCPUs_max)
        throw new XapiError('INVALID_VALUE', 'VCPU values must satisfy: 0 < VCPUs ≤ VCPUs_max', String(nvcpu));
      await xapi.hosts.driveDomain(self, (driver, domain) => driver.scheduling.setVcpusOnline(domain, nvcpu));
      if (xapi.db.has('VM', self)) xapi.db.update('VM', self, { VCPUs_at_startup: nvcpu });
    }),
  set_cpupool: ({ xapi }, { self, value }) => moveToCpupool(xapi, self, value),
  get_vcpus: ({ xapi }, { self }) => vcpusOf(xapi, self),
  get_scheduler_parameters: ({ xapi }, { self }) => schedulerParametersOf(xapi, self),
  pin_vcpu: ({ xapi }, { self, vcpu, hard, soft }) => pinVcpu(xapi, self, { vcpu, hard, soft }),
} as const satisfies CallsOf<'VM'>;
