import type { Domain } from '@xenolith/hypervisor';
import type { CpupoolInfo, DomainIdentity, HostScheduling } from '@xenolith/xapi';
import type { ModelCpupools } from './model-cpupools.ts';

/** What the driver of a modelled host lends: each says when the host is away, and counts what was done. */
export interface ModelSchedulingPort {
  readonly cpupools: () => ModelCpupools;
  readonly existing: (identity: DomainIdentity) => Domain;
  readonly look: <T>(work: () => T) => Promise<T>;
  readonly change: <T>(work: () => T) => Promise<T>;
}

/** {@link HostScheduling} over a modelled host. */
export function modelScheduling({ cpupools, existing, look, change }: ModelSchedulingPort): HostScheduling {
  const changePools = (work: () => void): Promise<readonly CpupoolInfo[]> =>
    change(() => {
      work();
      return cpupools().list();
    });
  return {
    cpupools: () => look(() => cpupools().list()),
    createCpupool: (spec) => changePools(() => cpupools().create(spec)),
    destroyCpupool: (name) => changePools(() => cpupools().destroy(name)),
    renameCpupool: (name, newName) => changePools(() => cpupools().rename(name, newName)),
    addPcpu: (name, pcpu) => changePools(() => cpupools().add(name, pcpu)),
    removePcpu: (name, pcpu) => changePools(() => cpupools().remove(name, pcpu)),
    moveDomain: (domain, name) => change(() => cpupools().move(existing(domain).domid, name)),
    numaSplit: () => changePools(() => cpupools().numaSplit()),
    setCpupoolParameters: (name, parameters) => changePools(() => cpupools().setPoolParameters(name, parameters)),
    setDomainParameters: (domain, parameters) =>
      change(() => cpupools().setDomainParameters(existing(domain).domid, parameters)),
    domainParameters: (domain) => look(() => cpupools().parametersOf(existing(domain).domid)),
    vcpus: (domain) => look(() => cpupools().vcpusOf(existing(domain).domid)),
    setVcpusOnline: (domain, count) => change(() => cpupools().setVcpusOnline(existing(domain).domid, count)),
    pinVcpu: (domain, pin) => change(() => cpupools().pin(existing(domain).domid, pin)),
  };
}
