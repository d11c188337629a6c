/** The VMs that run on a host, read over the XenAPI. */
import { xlDomainName, type WireStruct } from '@xenolith/wire';
import type { Rpc } from './call.ts';
import { isStruct, textOf } from './wire-text.ts';

/** A host that is asked about. */
export interface HostOf {
  readonly rpc: Rpc;
  readonly ref: string;
}

/** A VM that runs on the host, as the domain that it has. */
export interface Guest {
  readonly ref: string;
  readonly record: WireStruct;
  readonly name: string;
  readonly domid: number;
  /** Of its cpupool. */
  readonly pool: string;
}

/** All records of a class, by reference. Throws what a call throws. */
export const recordsOf = async (rpc: Rpc, className: string): Promise<readonly (readonly [string, WireStruct])[]> => {
  const all = await rpc.call(`${className}.get_all_records`);
  return Object.entries(isStruct(all) ? all : {}).flatMap(([ref, record]) => (isStruct(record) ? [[ref, record]] : []));
};

/** The VMs that run on the host, by domid. */
export async function guestsOf({ rpc, ref }: HostOf): Promise<readonly Guest[]> {
  const all = await recordsOf(rpc, 'VM');
  const here = all.filter(([, vm]) => vm['resident_on'] === ref && Number(vm['domid']) >= 0);
  const labels = here.map(([, { name_label }]) => textOf(name_label));
  const isUnique = (label: string): boolean => labels.filter((each) => each === label).length === 1;
  const nameOf = ({ name_label, uuid }: WireStruct): string =>
    xlDomainName(textOf(name_label), textOf(uuid), isUnique(textOf(name_label)));
  return here
    .map(([vm, record]) => ({
      ref: vm,
      record,
      domid: Number(record['domid']),
      pool: textOf(record['cpupool']),
      name: record['is_control_domain'] === true ? 'Domain-0' : nameOf(record),
    }))
    .sort((a, b) => a.domid - b.domid);
}
