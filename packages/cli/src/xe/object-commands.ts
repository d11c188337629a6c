/** Commands about hosts, storage, networks, tasks and the rest. */
import type { WireStruct, WireValue } from '@xenolith/wire';
import { parseBool, parseBytes } from './arguments.ts';
import type { Command, CommandContext } from './command.ts';
import { objectNamed } from './objects.ts';
import { fetchRelated, loadKind, matches, readFilters, nullRef } from './records.ts';
import { refByUuid, selectRows } from './select.ts';
import { UsageError } from './usage-error.ts';
import { isArray, isStruct, textOf } from './wire-text.ts';

/** A command that is one call on the object with the uuid. */
function byUuid(name: string, method: string, help: string): Command {
  const className = method.slice(0, method.indexOf('.'));
  return {
    name,
    help,
    required: ['uuid'],
    optional: [],
    async run(context) {
      await context.rpc.call(method, await refByUuid(context.rpc, className, context.required('uuid')));
    },
  };
}

/** A command that is one call on each host that is chosen. */
const onHost = (name: string, method: string, help: string): Command => ({
  name,
  help,
  required: [],
  optional: [],
  selects: 'host',
  async run(context) {
    for (const host of await selectRows(context, 'host', [])) await context.rpc.call(method, host.ref);
  },
});

/** The entries of `PREFIX:KEY=VALUE` words. */
function mapOf({ values }: CommandContext, prefix: string): Readonly<Record<string, string>> {
  const entries = [...values].filter(([key]) => key.startsWith(`${prefix}:`));
  return Object.fromEntries(entries.map(([key, value]) => [key.slice(prefix.length + 1), value]));
}

const text = ({ values }: CommandContext, key: string, otherwise = ''): string => values.get(key) ?? otherwise;

function bool({ values }: CommandContext, key: string, otherwise: boolean): boolean {
  const given = values.get(key);
  return given === undefined ? otherwise : parseBool(given, key);
}

async function printUuid({ rpc, print }: CommandContext, className: string, ref: WireValue): Promise<void> {
  print(textOf(await rpc.call(`${className}.get_uuid`, ref)));
}

async function addHost(context: CommandContext): Promise<void> {
  const options = Object.fromEntries([...context.values].filter(([key]) => key !== 'address'));
  const host = await context.task('host.add', context.required('address'), options);
  await printUuid(context, 'host', host);
}

async function createVdi(context: CommandContext): Promise<void> {
  const vdi = await context.rpc.call('VDI.create', {
    name_label: context.required('name-label'),
    name_description: text(context, 'name-description'),
    SR: await refByUuid(context.rpc, 'SR', context.required('sr-uuid')),
    virtual_size: parseBytes(context.required('virtual-size'), 'virtual-size'),
    type: text(context, 'type', 'user'),
    sharable: bool(context, 'sharable', false),
    read_only: bool(context, 'read-only', false),
    other_config: mapOf(context, 'other-config'),
    sm_config: mapOf(context, 'sm-config'),
  });
  await printUuid(context, 'VDI', vdi);
}

async function createVbd(context: CommandContext): Promise<void> {
  const { rpc, values } = context;
  const vdi = values.get('vdi-uuid');
  const vbd = await rpc.call('VBD.create', {
    VM: await refByUuid(rpc, 'VM', context.required('vm-uuid')),
    VDI: vdi === undefined ? nullRef : await refByUuid(rpc, 'VDI', vdi),
    userdevice: context.required('device'),
    bootable: bool(context, 'bootable', false),
    mode: text(context, 'mode', 'RW'),
    type: text(context, 'type', 'Disk'),
    unpluggable: bool(context, 'unpluggable', true),
    empty: vdi === undefined,
    other_config: {},
    qos_algorithm_type: '',
    qos_algorithm_params: {},
  });
  await printUuid(context, 'VBD', vbd);
}

async function createVif(context: CommandContext): Promise<void> {
  const { rpc } = context;
  const vif = await rpc.call('VIF.create', {
    VM: await refByUuid(rpc, 'VM', context.required('vm-uuid')),
    network: await refByUuid(rpc, 'network', context.required('network-uuid')),
    device: context.required('device'),
    MAC: text(context, 'mac') === 'random' ? '' : text(context, 'mac'),
    MTU: 1500,
    other_config: {},
    qos_algorithm_type: '',
    qos_algorithm_params: {},
  });
  await printUuid(context, 'VIF', vif);
}

async function createNetwork(context: CommandContext): Promise<void> {
  const mtu = text(context, 'MTU', '1500');
  if (!/^\d{1,5}$/.test(mtu)) throw new UsageError(`MTU=${mtu}: expected a number`);
  const network = await context.rpc.call('network.create', {
    name_label: context.required('name-label'),
    name_description: text(context, 'name-description'),
    MTU: Number(mtu),
    bridge: text(context, 'bridge'),
    managed: bool(context, 'managed', true),
    tags: [],
    other_config: {},
  });
  await printUuid(context, 'network', network);
}

async function coordinator({ rpc }: CommandContext): Promise<WireValue> {
  const pools = await rpc.call('pool.get_all');
  return rpc.call('pool.get_master', isArray(pools) ? (pools[0] ?? '') : '');
}

async function createSr(context: CommandContext): Promise<void> {
  const { rpc, values } = context;
  const host = values.get('host-uuid');
  const sr = await context.task(
    'SR.create',
    host === undefined ? await coordinator(context) : await refByUuid(rpc, 'host', host),
    mapOf(context, 'device-config'),
    parseBytes(text(context, 'physical-size', '0'), 'physical-size'),
    context.required('name-label'),
    text(context, 'name-description'),
    context.required('type'),
    text(context, 'content-type'),
    bool(context, 'shared', false),
    mapOf(context, 'sm-config'),
  );
  await printUuid(context, 'SR', sr);
}

async function createPbd(context: CommandContext): Promise<void> {
  const pbd = await context.rpc.call('PBD.create', {
    host: await refByUuid(context.rpc, 'host', context.required('host-uuid')),
    SR: await refByUuid(context.rpc, 'SR', context.required('sr-uuid')),
    device_config: mapOf(context, 'device-config'),
    other_config: {},
  });
  await printUuid(context, 'PBD', pbd);
}

/** Waits until an object of the class meets the conditions. */
async function waitForEvent(context: CommandContext): Promise<void> {
  const object = objectNamed(context.required('class'));
  if (object === undefined) throw new UsageError(`there are no ${context.required('class')} objects`);
  const kind = await loadKind(object);
  const filters = readFilters(
    kind,
    [...context.values].filter(([key]) => key !== 'class'),
  );
  const seen = new Map<string, WireStruct>();
  for (let token = ''; ;) {
    const batch = await context.rpc.call('event.from', [object.className], token, 30);
    if (!isStruct(batch)) throw new Error('event.from answered no batch');
    token = textOf(batch['token']);
    for (const event of isArray(batch['events']) ? batch['events'] : []) {
      if (!isStruct(event)) continue;
      const record = event['snapshot'];
      if (isStruct(record)) seen.set(textOf(event['ref']), record);
      else seen.delete(textOf(event['ref']));
    }
    const rows = [...seen].map(([ref, record]) => ({ ref, record }));
    const related = await fetchRelated(
      context.rpc,
      rows,
      filters.map(({ column }) => column),
    );
    if (rows.some((row) => filters.every((filter) => matches(row, filter, related)))) return;
  }
}

async function changePassword(context: CommandContext): Promise<void> {
  await context.rpc.call('session.change_password', text(context, 'old'), context.required('new'));
}

async function openConsole(context: CommandContext): Promise<void> {
  const [vm] = await selectRows(context, 'vm', []);
  if (vm === undefined) throw new UsageError('which VM?');
  const { attach } = await import('./console.ts');
  await attach(context.rpc, vm.ref);
}

export const objectCommands: readonly Command[] = [
  {
    name: 'host-add',
    help: 'adds a host to the pool: address=ssh://root@HOST identity-file=… known-hosts-file=…',
    required: ['address'],
    optional: ['identity-file', 'known-hosts-file'],
    anyKey: true,
    run: addHost,
  },
  byUuid('host-forget', 'host.forget', 'removes a host from the pool; nothing is touched on the host itself'),
  onHost('host-enable', 'host.enable', 'lets VMs start on it again'),
  onHost('host-disable', 'host.disable', 'keeps VMs from starting on it'),
  {
    name: 'vdi-create',
    help: 'makes a disk and prints its uuid',
    required: ['sr-uuid', 'name-label', 'virtual-size'],
    optional: ['name-description', 'type', 'sharable', 'read-only', 'sm-config:', 'other-config:'],
    run: createVdi,
  },
  {
    name: 'vdi-resize',
    help: 'makes a disk larger',
    required: ['uuid', 'disk-size'],
    optional: [],
    async run(context) {
      const vdi = await refByUuid(context.rpc, 'VDI', context.required('uuid'));
      await context.task('VDI.resize', vdi, parseBytes(context.required('disk-size'), 'disk-size'));
    },
  },
  byUuid('vdi-destroy', 'VDI.destroy', 'destroys a disk'),
  {
    name: 'vbd-create',
    help: 'gives a disk, or a drive, to a VM and prints the uuid of the VBD',
    required: ['vm-uuid', 'device'],
    optional: ['vdi-uuid', 'bootable', 'type', 'mode', 'unpluggable'],
    run: createVbd,
  },
  byUuid('vbd-destroy', 'VBD.destroy', 'takes a disk from a VM; the disk stays'),
  byUuid('vbd-plug', 'VBD.plug', 'gives a disk to a running guest'),
  byUuid('vbd-unplug', 'VBD.unplug', 'takes a disk from a running guest'),
  {
    name: 'vif-create',
    help: 'gives a VM an interface on a network and prints its uuid',
    required: ['device', 'network-uuid', 'vm-uuid'],
    optional: ['mac'],
    run: createVif,
  },
  byUuid('vif-destroy', 'VIF.destroy', 'takes an interface from a VM'),
  byUuid('vif-plug', 'VIF.plug', 'gives an interface to a running guest'),
  byUuid('vif-unplug', 'VIF.unplug', 'takes an interface from a running guest'),
  {
    name: 'network-create',
    help: 'makes a network and prints its uuid',
    required: ['name-label'],
    optional: ['name-description', 'MTU', 'bridge', 'managed'],
    run: createNetwork,
  },
  byUuid('network-destroy', 'network.destroy', 'destroys a network'),
  {
    name: 'sr-create',
    help: 'makes a storage repository and prints its uuid',
    required: ['name-label', 'type'],
    optional: [
      'name-description',
      'host-uuid',
      'device-config:',
      'shared',
      'physical-size',
      'content-type',
      'sm-config:',
    ],
    run: createSr,
  },
  byUuid('sr-scan', 'SR.scan', 'looks for disks that came or went'),
  byUuid('sr-destroy', 'SR.destroy', 'destroys a storage repository'),
  byUuid('sr-forget', 'SR.forget', 'removes a storage repository from the pool; its disks stay where they are'),
  {
    name: 'pbd-create',
    help: 'says how a host reaches a storage repository and prints the uuid of the PBD',
    required: ['host-uuid', 'sr-uuid'],
    optional: ['device-config:'],
    run: createPbd,
  },
  byUuid('pbd-plug', 'PBD.plug', 'attaches a storage repository to its host'),
  byUuid('pbd-unplug', 'PBD.unplug', 'detaches a storage repository from its host'),
  byUuid('message-destroy', 'message.destroy', 'removes a message'),
  byUuid('task-cancel', 'task.cancel', 'asks a task to stop'),
  byUuid('task-destroy', 'task.destroy', 'forgets a task'),
  {
    name: 'event-wait',
    help: 'waits until an object is as said: class=vm name-label=… power-state=running',
    required: ['class'],
    optional: [],
    anyKey: true,
    run: waitForEvent,
  },
  {
    name: 'user-password-change',
    help: 'changes the password of who is logged in',
    required: ['new'],
    optional: ['old'],
    run: changePassword,
  },
  {
    name: 'console',
    help: 'attaches to the text console of a VM; Ctrl-] ends',
    required: [],
    optional: [],
    selects: 'vm',
    run: openConsole,
  },
];
