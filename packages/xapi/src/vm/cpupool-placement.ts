/** The cpupool that a VM starts in, and its moves to another one. */
import { nullRef, type Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { cpupoolNamed, defaultCpupool, pcpusOf } from '../host/cpupool-records.ts';
import type { Xapi } from '../xapi.ts';
import { strictPcpus } from './numa-policy.ts';
import { applyAll, readVcpusParams, schedulerOf } from './vcpus-params.ts';

/**
 * The pool of a host that a VM starts in there: its own, or the one of the same name when its own is on another host.
 * A VM that belongs to no pool, or to the first one of any host, starts in the first one.
 * @returns undefined for the first one of a host whose pools were never seen
 * @throws XapiError VM_REQUIRES_CPUPOOL when the host has none of that name
 */
export function cpupoolOn(xapi: Xapi, ref: Ref<'VM'>, host: Ref<'host'>): Ref<'cpupool'> | undefined {
  const { db } = xapi;
  const { cpupool } = db.get('VM', ref);
  const own = db.find('cpupool', cpupool);
  if (own === undefined || own.is_default) return defaultCpupool(xapi, host);
  if (own.host === host) return cpupool;
  const other = cpupoolNamed(xapi, host, own.name_label);
  if (other === undefined) throw new XapiError('VM_REQUIRES_CPUPOOL', ref, cpupool);
  return other;
}

/** The host of the pool that a VM belongs to by name; undefined when it starts in the first one of any. */
export function hostOfCpupool(xapi: Xapi, { cpupool }: Pick<RecordOf<'VM'>, 'cpupool'>): Ref<'host'> | undefined {
  const pool = xapi.db.find('cpupool', cpupool);
  return pool === undefined || pool.is_default ? undefined : pool.host;
}

/**
 * Moves a VM into a pool: a running one at once, where its weight, cap and pinning are set again (Xen forgets them in a
 * move); another one when it starts. The null pool is the first one.
 * @throws XapiError HANDLE_INVALID; INVALID_VALUE for a pool of another host than a running VM's, or without any pCPU
 * of its mask; XEN_REFUSED
 */
export async function moveToCpupool(xapi: Xapi, vm: Ref<'VM'>, pool: Ref<'cpupool'>): Promise<void> {
  const { db } = xapi;
  const { power_state, resident_on: host, VCPUs_params, is_control_domain } = db.get('VM', vm);
  if (pool !== nullRef()) db.get('cpupool', pool);
  if (power_state !== 'Running' && power_state !== 'Paused') {
    db.update('VM', vm, { cpupool: pool });
    return;
  }
  const target = pool === nullRef() ? defaultCpupool(xapi, host) : pool;
  if (target === undefined) throw new XapiError('INVALID_VALUE', 'cpupool', 'the cpupools of the host are not known');
  const { name_label, host: poolHost } = db.get('cpupool', target);
  if (poolHost !== host)
    throw new XapiError('INVALID_VALUE', 'cpupool', `${name_label} is on another host than the VM`);
  const { mask } = readVcpusParams(VCPUs_params);
  const pcpus = pcpusOf(xapi, target);
  // An empty pool is for Xen to refuse, and so is a move of the control domain.
  if (mask !== undefined && pcpus.length > 0 && !is_control_domain && !pcpus.some((pcpu) => mask.includes(pcpu)))
    throw new XapiError(
      'INVALID_VALUE',
      'VCPUs_params:mask',
      `${name_label} has none of ${VCPUs_params['mask'] ?? ''}`,
    );
  await xapi.hosts.driveDomain(vm, async (driver, domain) => {
    await driver.scheduling.moveDomain(domain, name_label);
    if (db.has('VM', vm)) db.update('VM', vm, { cpupool: db.has('cpupool', target) ? target : nullRef() });
    const strict = strictPcpus(xapi, vm, mask ?? xapi.hosts.factsOf(host).pcpus.map(({ pcpu }) => pcpu));
    const hard = strict?.some((pcpu) => pcpus.includes(pcpu)) === true ? strict : mask;
    await applyAll(driver.scheduling, domain, VCPUs_params, schedulerOf(xapi, target), hard);
  });
}
