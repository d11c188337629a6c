/**
 * `VM.VCPUs_params`: what a VM is given by its cpupool's scheduler, and the pCPUs that it may run on. Read at the start
 * of its domain, and applied to a running one when they change. XAPI: ocaml/xapi/xapi_xenops.ml (`MD.of_vm`),
 * xapi_vm.ml (`add_to_VCPUs_params_live`). The keys of RTDS are ours.
 */
import { pcpuId, vcpuId, type PcpuId, type Ref } from '@xenolith/base';
import { domainParametersRefusal, type SchedulerName } from '@xenolith/hypervisor';
import { XapiError } from '../errors.ts';
import { HostError, type DomainIdentity } from '../host-driver.ts';
import type { DomainSchedParameters, HostScheduling } from '../host-scheduling.ts';
import type { Xapi } from '../xapi.ts';
import { strictPcpus } from './numa-policy.ts';

export type VcpusParams = Readonly<Record<string, string>>;

/** Ranges as in xen/include/public/domctl.h (`XEN_DOMCTL_SCHEDOP_putinfo`); RTDS in µs, its budget at most its period. */
const ranges = {
  weight: { member: 'weight', min: 1, max: 65_535 },
  cap: { member: 'cap', min: 0, max: 65_535 },
  period: { member: 'periodUs', min: 10, max: 4_294_967_295 },
  budget: { member: 'budgetUs', min: 10, max: 4_294_967_295 },
} as const;

/** What a domain has when nothing is asked for. */
const shareDefaults: DomainSchedParameters = { weight: 256, cap: 0 };
const deadlineDefaults: DomainSchedParameters = { periodUs: 10_000, budgetUs: 4_000, extratime: true };

const pcpuMax = 4095;
const maskTextMax = 4096;

const bad = (key: string, text: string): XapiError => new XapiError('INVALID_VALUE', `VCPUs_params:${key}`, text);

/** What `xl` says of a number that is out of range, where that can be told without a domain. */
function wordsFor(member: keyof DomainSchedParameters, value: number): string | undefined {
  if (member === 'weight') return domainParametersRefusal('credit2', {}, { weight: value }, 1)?.words;
  if (member === 'cap') return undefined;
  return domainParametersRefusal('rtds', {}, { periodUs: value, budgetUs: value }, 1)?.words;
}

const withWords = (text: string, words: string | undefined): string =>
  words === undefined ? text : `${text}: ${words}`;

/** pCPUs that a mask names; undefined for all. `0-3,5`, `all`, and `^1` takes one away, as `xl` has it. */
export function readMask(text: string): readonly PcpuId[] | undefined {
  const refuse = (): never => {
    throw bad('mask', text);
  };
  if (text === 'all') return undefined;
  if (text.length > maskTextMax) refuse();
  const named = new Set<number>();
  const without = new Set<number>();
  let all = false;
  for (const word of text.split(',')) {
    const match = /^(\^?)(?:(\d{1,4})(?:-(\d{1,4}))?|all)$/.exec(word);
    if (match === null) return refuse();
    const from = Number(match[2] ?? 0);
    const to = Number(match[3] ?? match[2] ?? pcpuMax);
    if (from > to || to > pcpuMax) return refuse();
    if (match[2] === undefined) all = match[1] === '';
    for (let pcpu = from; pcpu <= to; pcpu++) (match[1] === '' ? named : without).add(pcpu);
  }
  // With nothing but exclusions all others are meant.
  if (named.size === 0 && !all) for (let pcpu = 0; pcpu <= pcpuMax; pcpu++) named.add(pcpu);
  const pcpus = [...named].filter((pcpu) => !without.has(pcpu)).toSorted((a, b) => a - b);
  return pcpus.length === 0 ? refuse() : pcpus.map(pcpuId);
}

/** Numbers of a scheduler that are there; an empty text is none. @throws XapiError INVALID_VALUE */
function readNumbers(params: VcpusParams): DomainSchedParameters {
  const entries = Object.entries(ranges).flatMap(([key, { member, min, max }]) => {
    const text = params[key] ?? '';
    if (text === '') return [];
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isNaN(value)) throw bad(key, text);
    if (value < min || value > max) throw bad(key, withWords(text, wordsFor(member, value)));
    return [[member, value] as const];
  });
  return Object.fromEntries(entries);
}

/** Everything that a VM's parameters say. @throws XapiError INVALID_VALUE [VCPUs_params:key, text] */
export function readVcpusParams(params: VcpusParams): {
  readonly scheduler: DomainSchedParameters;
  /** Absent: any. */
  readonly mask?: readonly PcpuId[];
} {
  const numbers = readNumbers(params);
  const { periodUs = deadlineDefaults.periodUs ?? 0, budgetUs } = numbers;
  const tooMuch = budgetUs === undefined ? undefined : domainParametersRefusal('rtds', {}, { periodUs, budgetUs }, 1);
  if (tooMuch !== undefined) throw bad('budget', withWords(String(budgetUs), tooMuch.words));
  const extra = params['extratime'] ?? '';
  if (!/^[01]?$/.test(extra)) throw bad('extratime', extra);
  const { mask: text } = params;
  const mask = text === undefined ? undefined : readMask(text);
  return {
    scheduler: { ...numbers, ...(extra === '' ? {} : { extratime: extra === '1' }) },
    ...(mask === undefined ? {} : { mask }),
  };
}

/** Which of the parameters a scheduler knows. */
export function parametersFor(scheduler: SchedulerName, all: DomainSchedParameters): DomainSchedParameters {
  const { weight, cap, periodUs, budgetUs, extratime } = all;
  const known =
    scheduler === 'credit' || scheduler === 'credit2'
      ? { weight, cap }
      : scheduler === 'rtds'
        ? { periodUs, budgetUs, extratime }
        : {};
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
}

const defaultsFor = (scheduler: SchedulerName): DomainSchedParameters =>
  parametersFor(scheduler, { ...shareDefaults, ...deadlineDefaults });

/** The scheduler of the pool that a VM is in or starts in on a host; Xen's default one when no pool is known there. */
export function schedulerOf(xapi: Xapi, pool: Ref<'cpupool'> | undefined): SchedulerName {
  return pool !== undefined && xapi.db.has('cpupool', pool) ? xapi.db.get('cpupool', pool).scheduler : 'credit2';
}

const runs = (state: string): boolean => state === 'Running' || state === 'Paused';

/**
 * Sets a VM's parameters; on a running VM they hold at once. What is refused, here or by Xen, changes nothing.
 * @throws XapiError INVALID_VALUE, XEN_REFUSED [VM, errno, words]
 */
export async function setVcpusParams(xapi: Xapi, vm: Ref<'VM'>, params: VcpusParams): Promise<void> {
  const wanted = readVcpusParams(params);
  const { power_state, VCPUs_params: old, resident_on: host, cpupool } = xapi.db.get('VM', vm);
  if (!runs(power_state)) {
    xapi.db.update('VM', vm, { VCPUs_params: params });
    return;
  }
  const scheduler = schedulerOf(xapi, cpupool);
  const numbers = changed(parametersFor(scheduler, wanted.scheduler), presentOf(scheduler, old), scheduler);
  const pins = (params['mask'] ?? '') !== (old['mask'] ?? '');
  if (Object.keys(numbers).length > 0 || pins) {
    const allowed = wanted.mask ?? xapi.hosts.factsOf(host).pcpus.map(({ pcpu }) => pcpu);
    const hard = strictPcpus(xapi, vm, allowed) ?? allowed;
    await xapi.hosts.driveDomain(vm, async (driver, domain) => {
      await applyLive(driver.scheduling, domain, numbers, pins ? hard : undefined);
    });
  }
  if (xapi.db.has('VM', vm)) xapi.db.update('VM', vm, { VCPUs_params: params });
}

/** What the records asked for so far; what was there before the records were checked counts as nothing. */
function presentOf(scheduler: SchedulerName, params: VcpusParams): DomainSchedParameters {
  try {
    return parametersFor(scheduler, readVcpusParams(params).scheduler);
  } catch (error) {
    if (error instanceof XapiError) return {};
    throw error;
  }
}

/** What differs between two sets of parameters, defaults filled in. */
function changed(
  next: DomainSchedParameters,
  old: DomainSchedParameters,
  scheduler: SchedulerName,
): DomainSchedParameters {
  const defaults = defaultsFor(scheduler);
  const before = new Map(Object.entries({ ...defaults, ...old }));
  return Object.fromEntries(
    Object.entries({ ...defaults, ...next }).filter(([key, value]) => before.get(key) !== value),
  );
}

/** Both or neither: when the pinning is refused, the parameters are as before. */
async function applyLive(
  scheduling: HostScheduling,
  domain: DomainIdentity,
  numbers: DomainSchedParameters,
  hard: readonly PcpuId[] | undefined,
): Promise<void> {
  const names = Object.keys(numbers);
  const before = names.length === 0 ? {} : await scheduling.domainParameters(domain);
  if (names.length > 0) await scheduling.setDomainParameters(domain, numbers);
  if (hard === undefined) return;
  try {
    await scheduling.pinVcpu(domain, { hard });
  } catch (error) {
    if (error instanceof HostError && names.length > 0) {
      const back = Object.entries(before).filter(([key]) => names.includes(key));
      await scheduling.setDomainParameters(domain, Object.fromEntries(back));
    }
    throw error;
  }
}

/**
 * What a domain was not created with, or has lost in a move to another pool: set again as the records have it.
 * @param hard where it may run; undefined leaves that as it is
 */
export async function applyAll(
  scheduling: HostScheduling,
  domain: DomainIdentity,
  params: VcpusParams,
  scheduler: SchedulerName,
  hard = readVcpusParams(params).mask,
): Promise<void> {
  const { scheduler: all } = readVcpusParams(params);
  const numbers = parametersFor(scheduler, all);
  if (Object.keys(numbers).length > 0) await scheduling.setDomainParameters(domain, numbers);
  if (hard !== undefined) await scheduling.pinVcpu(domain, { hard });
}

/** Puts a key in. @throws XapiError MAP_DUPLICATE_KEY as the generic call does */
export function withKey(xapi: Xapi, vm: Ref<'VM'>, key: string, value: string): VcpusParams {
  const { VCPUs_params: params } = xapi.db.get('VM', vm);
  if (Object.hasOwn(params, key)) throw new XapiError('MAP_DUPLICATE_KEY', 'VM', 'VCPUs_params', vm, key);
  return { ...params, [key]: value };
}

/** Takes a key out. */
export const withoutKey = (params: VcpusParams, key: string): VcpusParams =>
  Object.fromEntries(Object.entries(params).filter(([name]) => name !== key));

/** @throws XapiError VM_BAD_POWER_STATE for a VM without a domain */
export function assertRuns(xapi: Xapi, vm: Ref<'VM'>): void {
  const { power_state } = xapi.db.get('VM', vm);
  if (!runs(power_state)) throw new XapiError('VM_BAD_POWER_STATE', vm, 'running, paused', power_state.toLowerCase());
}

/** Pins vCPUs of a running VM for as long as its domain lasts. */
export async function pinVcpu(
  xapi: Xapi,
  vm: Ref<'VM'>,
  pin: { readonly vcpu: number; readonly hard: string; readonly soft: string },
): Promise<void> {
  assertRuns(xapi, vm);
  const { resident_on: host, VCPUs_max } = xapi.db.get('VM', vm);
  if (pin.vcpu < -1 || pin.vcpu >= VCPUs_max) throw new XapiError('INVALID_VALUE', 'vcpu', String(pin.vcpu));
  const everything = xapi.hosts.factsOf(host).pcpus.map(({ pcpu }) => pcpu);
  const maskOf = (text: string): readonly PcpuId[] | undefined =>
    text === '' ? undefined : (readMask(text) ?? everything);
  const hard = maskOf(pin.hard);
  const soft = maskOf(pin.soft);
  await xapi.hosts.driveDomain(vm, (driver, domain) =>
    driver.scheduling.pinVcpu(domain, {
      ...(pin.vcpu === -1 ? {} : { vcpu: vcpuId(pin.vcpu) }),
      ...(hard === undefined ? {} : { hard }),
      ...(soft === undefined ? {} : { soft }),
    }),
  );
}

/** The vCPUs of a running VM, as texts by name. */
export async function vcpusOf(xapi: Xapi, vm: Ref<'VM'>): Promise<readonly Readonly<Record<string, string>>[]> {
  assertRuns(xapi, vm);
  const vcpus = await xapi.hosts.lookAtDomain(vm, (driver, domain) => driver.scheduling.vcpus(domain));
  return vcpus.map(({ vcpu, pcpu, state, cpuTimeNs, hardAffinity, softAffinity }) => ({
    vcpu: String(vcpu),
    pcpu: pcpu === undefined ? '' : String(pcpu),
    state,
    cpu_time_ns: String(cpuTimeNs),
    hard: hardAffinity.join(','),
    ...(softAffinity === undefined ? {} : { soft: softAffinity.join(',') }),
  }));
}

/** What the scheduler gives a running VM's domain now, in the words of VCPUs_params. */
export async function schedulerParametersOf(xapi: Xapi, vm: Ref<'VM'>): Promise<Readonly<Record<string, string>>> {
  assertRuns(xapi, vm);
  const now = await xapi.hosts.lookAtDomain(vm, (driver, domain) => driver.scheduling.domainParameters(domain));
  const { weight, cap, periodUs: period, budgetUs: budget, extratime } = now;
  const numbers = Object.entries({ weight, cap, period, budget }).filter(([, value]) => value !== undefined);
  return {
    ...Object.fromEntries(numbers.map(([key, value]) => [key, String(value)])),
    ...(extratime === undefined ? {} : { extratime: extratime ? '1' : '0' }),
  };
}
