/** Commands that are more than one call, or one of several: snapshots, moves, users, and what is given to both. */
import type { WireStruct, WireValue } from '@xenolith/wire';
import { createCommand, givenObject } from './call-command.ts';
import { ApiError } from './call.ts';
import type { Command, CommandContext } from './command.ts';
import { bool, mapOf, printUuid, text } from './command-words.ts';
import { showRows, wantedColumns } from './generic-commands.ts';
import { objectNamed } from './objects.ts';
import { fetchRows, loadKind, nullRef, type Row } from './records.ts';
import { byNameOrUuid, refByUuid } from './select.ts';
import { UsageError } from './usage-error.ts';
import { givenSr, onVm } from './vm-choice.ts';
import { destroyWithDisks } from './vm-commands.ts';
import { listDrives } from './vm-device-commands.ts';
import { isArray, isStruct, textOf } from './wire-text.ts';

async function describeIt(context: CommandContext, vm: string): Promise<void> {
  const words = context.values.get('new-name-description');
  if (words !== undefined) await context.rpc.call('VM.set_name_description', vm, words);
  await printUuid(context, 'VM', vm);
}

/** A command that keeps what a VM is now. */
const keep = (verb: string, method: string, help: string, optional: readonly string[] = []): Command =>
  onVm(
    verb,
    help,
    { required: ['new-name-label'], optional: ['new-name-description', ...optional] },
    async (context, vm) => {
      const ignored = context.values.get('ignore-vdi-uuids')?.split(',') ?? [];
      const vdis = await Promise.all(ignored.map((uuid) => refByUuid(context.rpc, 'VDI', uuid)));
      const more: readonly WireValue[] = vdis.length === 0 ? [] : [vdis];
      await describeIt(context, await context.task(method, vm.ref, context.required('new-name-label'), ...more));
    },
  );

const givenSnapshot = (context: CommandContext): Promise<string> => givenObject(context, 'VM', 'snapshot-uuid', 'uuid');

async function snapshotRow(context: CommandContext): Promise<Row> {
  const ref = await givenSnapshot(context);
  return { ref, record: (await context.rpc.call('VM.get_record', ref)) as WireStruct };
}

async function copySnapshot(context: CommandContext, isCopy: boolean): Promise<void> {
  const snapshot = await givenObject(context, 'VM', 'uuid');
  const name = context.required('new-name-label');
  const made = isCopy
    ? await context.task('VM.copy', snapshot, name, (await givenSr(context)) ?? nullRef)
    : await context.task('VM.clone', snapshot, name);
  await describeIt(context, made);
}

async function resetSnapshot(context: CommandContext): Promise<void> {
  const { options } = context;
  const snapshot = await givenSnapshot(context);
  if (!options.force) throw new UsageError('this forgets what a snapshot would go on with: say so with force=true');
  await context.task('VM.power_state_reset', snapshot);
}

/** Within the pool; to another one only the server of that pool could say how. */
async function migrate(context: CommandContext, vm: Row): Promise<void> {
  const { rpc, values } = context;
  const uuid = values.get('host-uuid');
  const name = values.get('host');
  if (values.has('remote-master')) throw new ApiError(['NOT_IMPLEMENTED', 'VM.migrate_send']);
  if (uuid === undefined && name === undefined) throw new UsageError('where to? Give host= or host-uuid=');
  const host =
    uuid === undefined ? (await byNameOrUuid(rpc, 'host', name ?? '')).ref : await refByUuid(rpc, 'host', uuid);
  const given = ['force', 'live', 'copy', 'compress'].flatMap((key) => {
    const value = key === 'force' && context.options.force ? 'true' : values.get(key);
    return value === undefined ? [] : [[key, value] as const];
  });
  const [disks, networks] = [
    await placesOf(context, 'vdi', 'VDI', 'SR'),
    await placesOf(context, 'vif', 'VIF', 'network'),
  ];
  if (Object.keys({ ...disks, ...networks }).length === 0) {
    await context.task('VM.pool_migrate', vm.ref, host, Object.fromEntries(given));
    return;
  }
  const destination = await rpc.call('host.migrate_receive', host, await networkOf(context, host), {});
  const live = bool(context, 'live', true);
  await context.task('VM.migrate_send', vm.ref, destination, live, disks, networks, Object.fromEntries(given));
}

/** A network that a host is on: that of its management where it has one. */
async function networkOf({ rpc }: CommandContext, host: string): Promise<WireValue> {
  const pifs = await rpc.call('host.get_PIFs', host);
  let found: WireValue = nullRef;
  for (const pif of isArray(pifs) ? pifs : []) {
    const record = await rpc.call('PIF.get_record', pif);
    if (!isStruct(record) || (found !== nullRef && record['management'] !== true)) continue;
    found = record['network'] ?? nullRef;
  }
  return found;
}

/** Where disks or interfaces are to go, from `vdi:UUID=UUID` words. */
async function placesOf(
  context: CommandContext,
  prefix: string,
  className: string,
  placeClass: string,
): Promise<Readonly<Record<string, string>>> {
  const places: Record<string, string> = {};
  for (const [uuid, place] of Object.entries(mapOf(context, prefix))) {
    places[await refByUuid(context.rpc, className, uuid)] = await refByUuid(context.rpc, placeClass, place);
  }
  return places;
}

async function isCustomized(context: CommandContext, vm: Row): Promise<void> {
  const strings = await context.rpc.call('VM.get_bios_strings', vm.ref);
  const vendors = isStruct(strings) ? [strings['bios-vendor'], strings['system-manufacturer']].map(textOf) : [];
  const custom = vendors.some((vendor) => vendor !== '' && vendor !== 'Xen');
  context.print(vendors.every((vendor) => vendor === '') ? 'unset' : custom ? 'customized' : 'generic');
}

/** Rows of a kind that belong to an object. */
async function showOf(context: CommandContext, kindName: string, field: string, ref: string): Promise<void> {
  const object = objectNamed(kindName);
  if (object === undefined) throw new Error(`no object ${kindName}`);
  const kind = await loadKind(object);
  const rows = (await fetchRows(context.rpc, kind)).filter(
    (row) => (field === '' ? row.ref : row.record[field]) === ref,
  );
  await showRows(context, rows, wantedColumns(kind, context.values.get('params')));
}

async function addSubject(context: CommandContext): Promise<void> {
  const { rpc } = context;
  const identifier = await rpc.call('auth.get_subject_identifier', context.required('subject-name'));
  const about = await rpc.call('auth.get_subject_information_from_identifier', identifier);
  const subject = await rpc.call('subject.create', { subject_identifier: identifier, other_config: about });
  await printUuid(context, 'subject', subject);
}

async function changeRole(context: CommandContext, method: string): Promise<void> {
  const { rpc, values } = context;
  const subject = await refByUuid(rpc, 'subject', context.required('uuid'));
  const name = values.get('role-name');
  if (name === undefined) {
    await rpc.call(method, subject, await givenObject(context, 'role', 'role-uuid'));
    return;
  }
  const found = await rpc.call('role.get_by_name_label', name);
  const [role] = isArray(found) ? found : [];
  if (role === undefined) throw new UsageError(`there is no role ${name}`);
  await rpc.call(method, subject, role);
}

const blobOwners = {
  'vm-uuid': 'VM',
  'host-uuid': 'host',
  'sr-uuid': 'SR',
  'network-uuid': 'network',
  'pool-uuid': 'pool',
};

async function createBlob(context: CommandContext): Promise<void> {
  const { rpc, values } = context;
  const given = Object.entries(blobOwners).filter(([key]) => values.has(key));
  const [owner] = given;
  if (owner === undefined || given.length > 1) {
    throw new UsageError(`of what? Give one of ${Object.keys(blobOwners).join('=, ')}=`);
  }
  const [key, className] = owner;
  const ref = await refByUuid(rpc, className, context.required(key));
  const blob = await rpc.call(
    `${className}.create_new_blob`,
    ref,
    context.required('name'),
    text(context, 'mime-type'),
    text(context, 'public', 'false') === 'true',
  );
  await printUuid(context, 'blob', blob);
}

async function joinPool(context: CommandContext): Promise<void> {
  const keys = ['master-address', 'master-username', 'master-password'] as const;
  const method = context.options.force ? 'pool.join_force' : 'pool.join';
  await context.rpc.call(method, ...keys.map((key) => context.required(key)));
}

async function queryUsage(context: CommandContext): Promise<void> {
  const { rpc, values } = context;
  const group = values.get('group');
  const [what, of]: readonly [string, string] =
    group === undefined
      ? ['Caller.query_', await givenObject(context, 'Caller', 'uuid')]
      : ['Caller.query_group_', group];
  for (const figure of ['call_count', 'token_usage']) {
    context.print(`${figure}: ${textOf(await rpc.call(`${what}${figure}`, of))}`);
  }
}

const plain = (
  name: string,
  help: string,
  [required, optional]: readonly [required: readonly string[], optional: readonly string[]],
  run: (context: CommandContext) => Promise<void>,
): Command => ({ name, help, required, optional, run });

const snapshotKeys = ['uuid', 'snapshot-uuid'];
const newName = ['new-name-description'];

export const specialCommands: readonly Command[] = [
  keep('snapshot', 'VM.snapshot', 'keeps what its disks have now and prints the uuid of that', ['ignore-vdi-uuids']),
  keep('snapshot-with-quiesce', 'VM.snapshot_with_quiesce', 'keeps what its disks have once its guest has written all'),
  keep('checkpoint', 'VM.checkpoint', 'keeps what its disks and its memory have now and prints the uuid of that'),
  plain(
    'snapshot-clone',
    'makes a VM of a snapshot and prints its uuid',
    [['new-name-label'], ['uuid', ...newName]],
    (context) => copySnapshot(context, false),
  ),
  plain(
    'snapshot-copy',
    'makes a VM of a snapshot with full copies of its disks and prints its uuid',
    [['new-name-label'], ['uuid', ...newName, 'sr-uuid']],
    (context) => copySnapshot(context, true),
  ),
  plain(
    'snapshot-uninstall',
    'destroys a snapshot and its disks: force=true',
    [[], [...snapshotKeys, 'force']],
    async (context) => destroyWithDisks(context, await snapshotRow(context)),
  ),
  plain('snapshot-reset-powerstate', 'calls it halted: force=true', [[], [...snapshotKeys, 'force']], resetSnapshot),
  plain('snapshot-disk-list', 'lists its disks', [[], [...snapshotKeys, 'vbd-params', 'vdi-params']], async (context) =>
    listDrives(context, await snapshotRow(context), 'Disk'),
  ),
  onVm(
    'migrate',
    'moves it to another host: host=NAME or host-uuid=',
    {
      optional: [
        'live',
        'host',
        'host-uuid',
        'remote-master',
        'remote-username',
        'remote-password',
        'remote-network',
        'force',
        'copy',
        'compress',
        'vif:',
        'vdi:',
        'image-format:',
      ],
    },
    migrate,
  ),
  onVm('crashdump-list', 'lists what was kept of its crashes', {}, (context, vm) =>
    showOf(context, 'crashdump', 'VM', vm.ref),
  ),
  onVm('is-bios-customized', 'says whether it has BIOS strings of its own', {}, isCustomized),
  plain(
    'appliance-shutdown',
    'shuts the VMs of an appliance down; force=true does not ask the guests',
    [['uuid'], ['force']],
    async (context) => {
      const appliance = await givenObject(context, 'VM_appliance', 'uuid');
      await context.task(`VM_appliance.${context.options.force ? 'hard' : 'clean'}_shutdown`, appliance);
    },
  ),
  plain(
    'subject-add',
    'lets a user or group of a directory in and prints the uuid',
    [['subject-name'], []],
    addSubject,
  ),
  plain(
    'subject-role-add',
    'gives a role: role-name= or role-uuid=',
    [['uuid'], ['role-name', 'role-uuid']],
    (context) => changeRole(context, 'subject.add_to_roles'),
  ),
  plain(
    'subject-role-remove',
    'takes a role: role-name= or role-uuid=',
    [['uuid'], ['role-name', 'role-uuid']],
    (context) => changeRole(context, 'subject.remove_from_roles'),
  ),
  plain(
    'blob-create',
    'makes a blob of an object and prints its uuid',
    [['name'], ['mime-type', 'public', ...Object.keys(blobOwners)]],
    createBlob,
  ),
  plain(
    'pool-join',
    'takes this host into another pool',
    [['master-address', 'master-username', 'master-password'], ['force']],
    joinPool,
  ),
  plain('pool-emergency-transition-to-master', 'makes this host a coordinator', [[], ['force']], async ({ rpc }) => {
    await rpc.call('pool.emergency_transition_to_master');
  }),
  plain(
    'pool-ha-compute-hypothetical-max-host-failures-to-tolerate',
    'shows how many hosts might fail were no VM protected',
    [[], []],
    async (context) => {
      const found = await context.rpc.call('pool.ha_compute_hypothetical_max_host_failures_to_tolerate', {});
      context.print(textOf(found));
    },
  ),
  plain('caller-query-usage', 'shows what a caller, or a group of them, has used', [[], ['uuid', 'group']], queryUsage),
  plain('diagnostic-vm-status', 'shows a VM and its devices', [['uuid'], []], async (context) => {
    const vm = await givenObject(context, 'VM', 'uuid');
    await showOf(context, 'vm', '', vm);
    await showOf(context, 'vbd', 'VM', vm);
    await showOf(context, 'vif', 'VM', vm);
  }),
  plain('diagnostic-vdi-status', 'shows a disk and the devices that have it', [['uuid'], []], async (context) => {
    const vdi = await givenObject(context, 'VDI', 'uuid');
    await showOf(context, 'vdi', '', vdi);
    await showOf(context, 'vbd', 'VDI', vdi);
  }),
  plain('host-all-editions', 'lists the editions that there are', [[], []], async (context) => {
    const [host] = await fetchHosts(context);
    context.print(textOf(host?.record['edition']));
  }),
  createCommand(
    'vm-group-create',
    'makes a group of VMs and prints its uuid',
    'VM_group',
    'name_label=name-label name_description=name-description? placement=placement',
  ),
  createCommand(
    'vmss-create',
    'makes a schedule of snapshots and prints its uuid',
    'VMSS',
    'name_label=name-label name_description=name-description? type=type frequency=frequency enabled=enabled?true schedule=schedule: retained_snapshots=retained-snapshots?',
  ),
  createCommand(
    'appliance-create',
    'makes an appliance, which VMs may belong to, and prints its uuid',
    'VM_appliance',
    'name_label=name-label name_description=name-description?',
  ),
  createCommand(
    'pvs-cache-storage-create',
    'gives a PVS site a cache on a host and prints its uuid',
    'PVS_cache_storage',
    'host=host-uuid? SR=sr-uuid site=pvs-site-uuid size=size',
  ),
  createCommand(
    'observer-create',
    'makes an observer and prints its uuid',
    'Observer',
    'name_label=name-label name_description=name-description? hosts=host-uuids? enabled=enabled? attributes=attributes: endpoints=endpoints? components=components?',
  ),
  createCommand(
    'caller-create',
    'names a caller and prints its uuid',
    'Caller',
    'name_label=name-label? name_description=name-description? user_agent=user-agent? client_ip=client-ip?',
  ),
  createCommand(
    'rate-limit-create',
    'makes a limit for callers and prints its uuid',
    'Rate_limit',
    'name_label=name-label? name_description=name-description? burst_size=burst-size fill_rate=fill-rate',
  ),
];

async function fetchHosts(context: CommandContext): Promise<readonly Row[]> {
  const object = objectNamed('host');
  return object === undefined ? [] : fetchRows(context.rpc, await loadKind(object));
}
