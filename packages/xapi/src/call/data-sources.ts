/**
 * Figures of hosts and VMs as they are now, under the names that XAPI's databases of figures have them. None is kept over
 * time, so there is nothing to begin or to forget. XAPI: ocaml/xapi/xapi_vm.ml and xapi_host.ml (`get_data_sources`),
 * ocaml/xcp-rrdd/bin/rrdd/ (`dss_…`).
 */
import { kibBytes, type Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';
import type { CallsOf } from './call.ts';

type DataSource = RecordOf<'data_source'>;

const source = (
  name_label: string,
  name_description: string,
  figure: Pick<DataSource, 'units' | 'max' | 'value'>,
): DataSource => ({ name_label, name_description, enabled: true, standard: true, min: 0, ...figure });

/** Of a CPU: the share of the last seconds in which it was busy. */
const share = (name: string, description: string, value: number): DataSource =>
  source(name, description, { units: '(fraction)', max: 1, value });

function hostSources({ db }: Xapi, host: Ref<'host'>): readonly DataSource[] {
  const { metrics, host_CPUs } = db.get('host', host);
  const { memory_total, memory_free, live } = db.find('host_metrics', metrics) ?? { live: false };
  // Of a host that does not answer nothing is known now.
  if (!live) return [];
  const cpus = host_CPUs.map((cpu) => db.get('host_cpu', cpu)).toSorted((a, b) => a.number - b.number);
  const totalKib = Math.floor((memory_total ?? 0) / kibBytes);
  const kib = { units: 'KiB', max: totalKib };
  const average = cpus.reduce((sum, { utilisation }) => sum + utilisation, 0) / Math.max(1, cpus.length);
  return [
    source('memory_total_kib', 'All of its memory', { ...kib, value: totalKib }),
    source('memory_free_kib', 'Its free memory', { ...kib, value: Math.floor((memory_free ?? 0) / kibBytes) }),
    share('cpu_avg', 'Use of its physical CPUs on average', average),
    ...cpus.map(({ number, utilisation }) => share(`cpu${number}`, `Use of physical CPU ${number}`, utilisation)),
  ];
}

function vmSources({ db, hosts }: Xapi, ref: Ref<'VM'>): readonly DataSource[] {
  const { metrics, memory_target, memory_static_max, resident_on } = db.get('VM', ref);
  const figures = db.find('VM_metrics', metrics);
  if (figures === undefined || !db.has('host', resident_on) || !hosts.isLive(resident_on)) return [];
  const memory = { units: 'B', max: memory_static_max };
  const cpus = Object.entries(figures.VCPUs_utilisation).toSorted(([a], [b]) => Number(a) - Number(b));
  return [
    ...cpus.map(([number, use]) => share(`cpu${number}`, `Use of its vCPU ${number}`, use)),
    source('memory', 'The memory that it has', { ...memory, value: figures.memory_actual }),
    source('memory_target', 'The memory that its balloon was told', { ...memory, value: memory_target }),
  ];
}

/** @throws XapiError INVALID_VALUE for a figure that there is not now */
function valueOf(sources: readonly DataSource[], name: string): number {
  const found = sources.find(({ name_label }) => name_label === name);
  if (found === undefined) throw new XapiError('INVALID_VALUE', 'data_source', name.slice(0, 200));
  return found.value;
}

export const hostFigureCalls = {
  get_data_sources: ({ xapi }, { host }) => hostSources(xapi, host),
  query_data_source: ({ xapi }, { host, data_source }) => valueOf(hostSources(xapi, host), data_source),
} as const satisfies CallsOf<'host'>;

export const vmFigureCalls = {
  get_data_sources: ({ xapi }, { self }) => vmSources(xapi, self),
  query_data_source: ({ xapi }, { self, data_source }) => valueOf(vmSources(xapi, self), data_source),
} as const satisfies CallsOf<'VM'>;
