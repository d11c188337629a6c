/** The cpupool records of a host: read for decisions, and made to say what the host says. */
import { nullRef, pcpuId, type PcpuId, type Ref } from '@xenolith/base';
import type { CpupoolInfo } from '../host-scheduling.ts';
import type { Xapi } from '../xapi.ts';
import { cpupoolParameterTexts, readCpupoolParameters } from './cpupool-parameters.ts';
import { reconcileCpupools, type KnownCpupool } from './cpupool-reconcile.ts';

/** The pCPUs of a pool by the records, ascending. */
export function pcpusOf(xapi: Xapi, pool: Ref<'cpupool'>): readonly PcpuId[] {
  const { db } = xapi;
  return db
    .get('cpupool', pool)
    .CPUs.map((cpu) => pcpuId(db.get('host_cpu', cpu).number))
    .toSorted((a, b) => a - b);
}

/** The pools of a host by the records, the first one of the host first. */
export function knownCpupools(xapi: Xapi, host: Ref<'host'>): readonly KnownCpupool[] {
  const { db } = xapi;
  const pools = db.get('host', host).cpupools.map((ref): KnownCpupool => {
    const { name_label, is_default, scheduler, parameters } = db.get('cpupool', ref);
    return {
      ref,
      name: name_label,
      isDefault: is_default,
      scheduler,
      parameters: readCpupoolParameters(parameters),
      pcpus: pcpusOf(xapi, ref),
    };
  });
  return pools.toSorted((a, b) => Number(b.isDefault) - Number(a.isDefault));
}

/** The first pool of a host, when its pools have been seen. */
export const defaultCpupool = (xapi: Xapi, host: Ref<'host'>): Ref<'cpupool'> | undefined =>
  xapi.db.get('host', host).cpupools.find((pool) => xapi.db.get('cpupool', pool).is_default);

/** The pool of a host with that name. */
export const cpupoolNamed = (xapi: Xapi, host: Ref<'host'>, name: string): Ref<'cpupool'> | undefined =>
  xapi.db.get('host', host).cpupools.find((pool) => xapi.db.get('cpupool', pool).name_label === name);

/** Makes the records of a host's pools and of the CPUs in them say what the host says. */
export function followCpupools(xapi: Xapi, host: Ref<'host'>, pools: readonly CpupoolInfo[]): void {
  const { db } = xapi;
  const poolOf = new Map<number, Ref<'cpupool'>>();
  for (const decision of reconcileCpupools(knownCpupools(xapi, host), pools)) {
    if (decision.kind === 'gone') {
      db.destroy('cpupool', decision.ref);
      continue;
    }
    const { name, scheduler, parameters, pcpus } = decision.pool;
    const fields = {
      name_label: name,
      scheduler,
      parameters: cpupoolParameterTexts(parameters),
      is_default: decision.isDefault,
    };
    if (decision.kind === 'same') db.update('cpupool', decision.ref, fields);
    const ref = decision.kind === 'same' ? decision.ref : db.create('cpupool', { ...fields, host });
    for (const pcpu of pcpus) poolOf.set(pcpu, ref);
  }
  for (const cpu of db.get('host', host).host_CPUs) {
    db.update('host_cpu', cpu, { cpupool: poolOf.get(db.get('host_cpu', cpu).number) ?? nullRef() });
  }
}
