/**
 * `xl list -l`: libxl's JSON of each domain's configuration (list_domains_details in tools/xl/xl_list.c, names and order of
 * tools/libs/light/libxl_types.idl), as far as the records say it. Like libxl it leaves out what has its default.
 */
import type { WireStruct } from '@xenolith/wire';
import { isArray, isStruct, textOf, type Guest } from '@xenolith/xe';
import { poolsOf, textsOf, whileThere, type Pool, type XlHost } from './world.ts';

type Json = string | number | readonly Json[] | { readonly [key: string]: Json | undefined };

const indentWidth = 4;

/** JSON as yajl's "beautify" has it, which gives an empty object or list a line of its own. */
function yajlText(value: Json, indent = ''): string {
  if (typeof value === 'string' || typeof value === 'number') return JSON.stringify(value);
  const deeper = indent + ' '.repeat(indentWidth);
  const members = isList(value)
    ? value.map((item) => yajlText(item, deeper))
    : Object.entries(value).flatMap(([key, item]) =>
        item === undefined ? [] : [`${JSON.stringify(key)}: ${yajlText(item, deeper)}`],
      );
  const [open, close] = isList(value) ? '[]' : '{}';
  const inner = members.map((member) => `${deeper}${member}`).join(',\n');
  return `${open}\n${inner}\n${indent}${close}`;
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);

/** A domain as {@link domainJson} wants it. */
export interface LongDomain {
  readonly domid: number;
  readonly name: string;
  readonly record: WireStruct;
  readonly pool: Pick<Pool, 'name' | 'scheduler' | 'isDefault'> | undefined;
  readonly onlineVcpus: readonly number[];
  /** As `VM.get_scheduler_parameters` has them. */
  readonly sched: Readonly<Record<string, string>>;
  readonly disks: readonly WireStruct[];
  /** With the name of the bridge as `bridge`. */
  readonly nics: readonly WireStruct[];
}

const kib = (bytes: WireStruct[string] | undefined): number => Math.floor(Number(bytes ?? 0) / 1024);
const given = (value: WireStruct[string] | undefined): string | undefined =>
  value === undefined || value === '' ? undefined : textOf(value);
const action = (value: WireStruct[string] | undefined): string | undefined => {
  const text = given(value)?.replaceAll('-', '_');
  return text === 'destroy' ? undefined : text;
};

/** One element of the list. */
export function domainJson({ domid, name, record, pool, onlineVcpus, sched, disks, nics }: LongDomain): Json {
  const isControl = domid === 0;
  const type = textOf(record['domain_type'] ?? 'pv');
  return {
    domid,
    config: {
      c_info: {
        type,
        name,
        ...(isControl ? {} : { uuid: given(record['uuid']) }),
        ...(pool === undefined || pool.isDefault ? {} : { pool_name: pool.name }),
      },
      b_info: {
        ...(isControl ? {} : { max_vcpus: Number(record['VCPUs_max'] ?? 0), avail_vcpus: onlineVcpus }),
        max_memkb: kib(record['memory_static_max']),
        target_memkb: kib(
          Number(record['memory_target'] ?? 0) > 0 ? record['memory_target'] : record['memory_dynamic_max'],
        ),
        ...(pool === undefined
          ? {}
          : {
              sched_params: {
                sched: pool.scheduler,
                ...Object.fromEntries(Object.entries(sched).map(([key, value]) => [key, Number(value)])),
              },
            }),
        bootloader: given(record['PV_bootloader']),
        kernel: given(record['PV_kernel']),
        cmdline: given(record['PV_args']),
        ramdisk: given(record['PV_ramdisk']),
        [`type.${type}`]: {},
        arch_arm: {},
        arch_x86: {},
      },
      ...(disks.length === 0 ? {} : { disks: disks.map(diskJson) }),
      ...(nics.length === 0 ? {} : { nics: nics.map(nicJson) }),
      ...(isControl
        ? {}
        : {
            on_poweroff: action(record['actions_after_shutdown']),
            on_reboot: action(record['actions_after_reboot']),
            on_crash: action(record['actions_after_crash']),
          }),
    },
  };
}

/** Where on the host its file is, is the host's own matter: there is no path. */
const diskJson = (disk: WireStruct): Json => ({
  vdev: textOf(disk['device'] ?? ''),
  format: 'raw',
  readwrite: disk['mode'] === 'RO' ? 0 : 1,
});

const nicJson = (nic: WireStruct): Json => ({
  devid: Number(nic['device'] ?? 0),
  mac: textOf(nic['MAC'] ?? ''),
  bridge: textOf(nic['bridge'] ?? ''),
  nictype: 'vif',
});

const structs = (values: readonly (WireStruct | undefined)[]): readonly WireStruct[] =>
  values.flatMap((value) => (value === undefined ? [] : [value]));

/** What is printed: yajl ends its text with a line, and xl adds another. */
export const listLongText = (domains: readonly Json[]): string => `${yajlText(domains)}\n\n`;

/** All of the guests that are still there. */
export async function longList(host: XlHost, guests: readonly Guest[]): Promise<string> {
  const { rpc } = host;
  const [pools, vbds, vifs, networks] = await Promise.all([
    poolsOf(host),
    ...['VBD', 'VIF', 'network'].map(async (name): Promise<WireStruct> => {
      const all = await rpc.call(`${name}.get_all_records`);
      return isStruct(all) ? all : {};
    }),
  ]);
  const ofGuest = (all: WireStruct | undefined, refs: WireStruct[string] | undefined): readonly WireStruct[] =>
    structs((isArray(refs) ? refs : []).map((ref) => structOf(all?.[textOf(ref)])));
  const domains = await Promise.all(
    guests.map(({ ref, domid, name, record, pool }) =>
      whileThere(async (): Promise<Json> => {
        const rows = await rpc.call('VM.get_vcpus', ref);
        const vcpus = (isArray(rows) ? rows : []).map(textsOf);
        return domainJson({
          domid,
          name,
          record,
          pool: pools.find((each) => each.ref === pool),
          onlineVcpus: vcpus.filter(({ state }) => state !== 'offline').map(({ vcpu }) => Number(vcpu)),
          sched: textsOf(await rpc.call('VM.get_scheduler_parameters', ref)),
          disks: ofGuest(vbds, record['VBDs']),
          nics: ofGuest(vifs, record['VIFs']).map((vif) => ({
            ...vif,
            bridge: structOf(networks?.[textOf(vif['network'] ?? '')])?.['bridge'] ?? '',
          })),
        });
      }),
    ),
  );
  return listLongText(domains.flat());
}

const structOf = (value: WireStruct[string] | undefined): WireStruct | undefined =>
  value !== undefined && isStruct(value) ? value : undefined;
