/** Commands about disks, drives and storage repositories. */
import { parseBytes } from './quantity.ts';
import type { Command, CommandContext } from './command.ts';
import { bool, byUuid, mapOf, printUuid, text, thePool, unplug } from './command-words.ts';
import { nullRef } from './records.ts';
import { refByUuid } from './select.ts';

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
    tags: Object.keys(mapOf(context, 'tags')),
  });
  await printUuid(context, 'VDI', vdi);
}

async function cloneVdi(context: CommandContext): Promise<void> {
  const { rpc, values } = context;
  const vdi = await refByUuid(rpc, 'VDI', context.required('uuid'));
  const made = await context.task('VDI.clone', vdi, mapOf(context, 'driver-params-'));
  for (const field of ['name_label', 'name_description']) {
    const word = values.get(`new-${field.replace('_', '-')}`);
    if (word !== undefined) await rpc.call(`VDI.set_${field}`, made, word);
  }
  await printUuid(context, 'VDI', made);
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

async function createSr(context: CommandContext): Promise<void> {
  const { rpc, values } = context;
  const host = values.get('host-uuid');
  const sr = await context.task(
    'SR.create',
    host === undefined
      ? await context.rpc.call('pool.get_master', await thePool(context))
      : await refByUuid(rpc, 'host', host),
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

export const storageCommands: readonly Command[] = [
  {
    name: 'vdi-create',
    help: 'makes a disk and prints its uuid',
    required: ['sr-uuid', 'name-label', 'virtual-size'],
    optional: ['name-description', 'type', 'sharable', 'read-only', 'sm-config:', 'other-config:', 'tags:'],
    run: createVdi,
  },
  {
    name: 'vdi-resize',
    help: 'makes a disk larger',
    required: ['uuid', 'disk-size'],
    // Whether the disk is in use is the server's to see.
    optional: ['online'],
    async run(context) {
      const vdi = await refByUuid(context.rpc, 'VDI', context.required('uuid'));
      await context.task('VDI.resize', vdi, parseBytes(context.required('disk-size'), 'disk-size'));
    },
  },
  {
    name: 'vdi-clone',
    help: 'makes a disk like this one and prints its uuid',
    required: ['uuid'],
    optional: ['new-name-label', 'new-name-description', 'driver-params-'],
    run: cloneVdi,
  },
  byUuid('vdi-forget', 'VDI.forget', 'drops a disk from the database; the disk itself stays'),
  byUuid('vdi-update', 'VDI.update', 'reads the figures of a disk anew'),
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
  unplug('vbd-unplug', 'VBD', 'takes a disk from a running guest; force=true does not wait for it'),
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
  byUuid('sr-update', 'SR.update', 'reads the figures of a storage repository anew'),
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
  byUuid('pbd-destroy', 'PBD.destroy', 'forgets how a host reaches a storage repository'),
  byUuid('pbd-plug', 'PBD.plug', 'attaches a storage repository to its host'),
  byUuid('pbd-unplug', 'PBD.unplug', 'detaches a storage repository from its host'),
];
