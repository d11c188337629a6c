/** Calls of cpupools, a class of ours. What they mean in Xen: tools/xl/xl_cpupool.c, xen/common/sched/cpupool.c. */
import { pcpuId, type PcpuId, type Ref } from '@xenolith/base';
import { schedulerIds, type SchedulerName } from '@xenolith/hypervisor';
import { XapiError } from '../errors.ts';
import { cpupoolNamed } from '../host/cpupool-records.ts';
import { readCpupoolParameters } from '../host/cpupool-parameters.ts';
import type { CpupoolInfo, HostScheduling } from '../host-scheduling.ts';
import { moveToCpupool } from '../vm/cpupool-placement.ts';
import type { Xapi } from '../xapi.ts';
import type { CallsOf } from './call.ts';

const nameMax = 255;

const isScheduler = (name: string): name is SchedulerName => Object.hasOwn(schedulerIds, name);

/** @throws XapiError XEN_REFUSED with the words that `xl` has */
function schedulerNamed(host: Ref<'host'>, name: string): SchedulerName {
  if (isScheduler(name)) return name;
  throw new XapiError('XEN_REFUSED', host, 'ENOENT', 'Unknown scheduler');
}

function pcpuOf(xapi: Xapi, host: Ref<'host'>, cpu: Ref<'host_cpu'>): PcpuId {
  const { host: owner, number } = xapi.db.get('host_cpu', cpu);
  if (owner !== host) throw new XapiError('INVALID_VALUE', 'CPU', `${cpu} is of another host`);
  return pcpuId(number);
}

/** A name that `xl` can be told, and that stays one line in what it prints. */
function checkedName(name: string): string {
  if (name === '' || name.length > nameMax || /[\p{Cc}/]/u.test(name) || name.trim() !== name)
    throw new XapiError('INVALID_VALUE', 'name_label', name);
  return name;
}

/** Works on the host of a pool, by the name that the pool has when it is its turn. */
function onPool(
  xapi: Xapi,
  self: Ref<'cpupool'>,
  action: (scheduling: HostScheduling, name: string) => Promise<readonly CpupoolInfo[]>,
): Promise<void> {
  const { host } = xapi.db.get('cpupool', self);
  return xapi.hosts.onCpupools(host, self, (scheduling) => action(scheduling, xapi.db.get('cpupool', self).name_label));
}

const setParameters = (
  xapi: Xapi,
  self: Ref<'cpupool'>,
  given: Readonly<Record<string, string>>,
): Promise<void> | undefined => {
  const parameters = readCpupoolParameters(given);
  if (Object.keys(parameters).length === 0) return undefined;
  return onPool(xapi, self, (scheduling, name) => scheduling.setCpupoolParameters(name, parameters));
};

export const cpupoolCalls = {
  create: async ({ xapi }, { host, name_label, scheduler, CPUs, parameters }) => {
    xapi.db.get('host', host);
    const name = checkedName(name_label);
    const sched = scheduler === '' ? {} : { scheduler: schedulerNamed(host, scheduler) };
    const pcpus = [...new Set(CPUs)].map((cpu) => pcpuOf(xapi, host, cpu)).toSorted((a, b) => a - b);
    const given = readCpupoolParameters(parameters);
    await xapi.hosts.onCpupools(host, host, async (scheduling) => {
      const pools = await scheduling.createCpupool({ name, ...sched, pcpus });
      if (Object.keys(given).length === 0) return pools;
      try {
        return await scheduling.setCpupoolParameters(name, given);
      } catch (error) {
        // All of what was asked, or nothing.
        await scheduling.destroyCpupool(name);
        throw error;
      }
    });
    const made = cpupoolNamed(xapi, host, name);
    if (made === undefined)
      throw new XapiError('INTERNAL_ERROR', `the cpupool ${name} was gone as soon as it was made`);
    return made;
  },
  destroy: ({ xapi }, { self }) => onPool(xapi, self, (scheduling, name) => scheduling.destroyCpupool(name)),
  add_CPU: ({ xapi }, { self, CPU }) => {
    const pcpu = pcpuOf(xapi, xapi.db.get('cpupool', self).host, CPU);
    return onPool(xapi, self, (scheduling, name) => scheduling.addPcpu(name, pcpu));
  },
  remove_CPU: ({ xapi }, { self, CPU }) => {
    const pcpu = pcpuOf(xapi, xapi.db.get('cpupool', self).host, CPU);
    return onPool(xapi, self, (scheduling, name) => scheduling.removePcpu(name, pcpu));
  },
  move_VM: ({ xapi }, { self, VM }) => {
    xapi.db.get('cpupool', self);
    return moveToCpupool(xapi, VM, self);
  },
  numa_split: async ({ xapi }, { host }) => {
    xapi.db.get('host', host);
    await xapi.hosts.onCpupools(host, host, (scheduling) => scheduling.numaSplit());
    return xapi.db.get('host', host).cpupools;
  },
  set_name_label: ({ xapi }, { self, value }) => {
    const name = checkedName(value);
    if (xapi.db.get('cpupool', self).name_label === name) return undefined;
    return onPool(xapi, self, async (scheduling, old) => {
      const pools = await scheduling.renameCpupool(old, name);
      // Known by its new name before the records follow: it is the same pool.
      xapi.db.update('cpupool', self, { name_label: name });
      return pools;
    });
  },
  set_parameters: ({ xapi }, { self, value }) => setParameters(xapi, self, value),
  add_to_parameters: ({ xapi }, { self, key, value }) => setParameters(xapi, self, { [key]: value }),
  /** A parameter always has a value. So that setting one key works as for other maps, this is no error. */
  remove_from_parameters: ({ xapi }, { self }) => {
    xapi.db.get('cpupool', self);
  },
} as const satisfies CallsOf<'cpupool'>;
