/** Commands about the life of virtual machines. */
import type { Command, CommandContext } from './command.ts';
import { bool, printUuid, text } from './command-words.ts';
import { printable } from './format.ts';
import { nullRef, type Row } from './records.ts';
import { byNameOrUuid, refByUuid } from './select.ts';
import { UsageError } from './usage-error.ts';
import { givenSr, onVm, ownDisks } from './vm-choice.ts';
import { textOf } from './wire-text.ts';

const simple = (verb: string, method: string, help: string): Command =>
  onVm(verb, help, {}, async (context, vm) => {
    await context.task(`VM.${method}`, vm.ref);
  });

/** Cleanly, or at once with force=true. */
const forcible = (verb: string, name: string, help: string): Command =>
  onVm(verb, help, { optional: ['force'] }, async (context, vm) => {
    await context.task(`VM.${context.options.force ? 'hard' : 'clean'}_${name}`, vm.ref);
  });

async function start(context: CommandContext, vm: Row): Promise<void> {
  const paused = bool(context, 'paused', false);
  const { force } = context.options;
  const on = context.values.get('on');
  if (on === undefined) {
    await context.task('VM.start', vm.ref, paused, force);
    return;
  }
  const host = await byNameOrUuid(context.rpc, 'host', on);
  await context.task('VM.start_on', vm.ref, host.ref, paused, force);
}

async function resume(context: CommandContext, vm: Row): Promise<void> {
  const paused = bool(context, 'paused', false);
  const { force } = context.options;
  const on = context.values.get('on');
  if (on === undefined) {
    await context.task('VM.resume', vm.ref, paused, force);
    return;
  }
  const host = await byNameOrUuid(context.rpc, 'host', on);
  await context.task('VM.resume_on', vm.ref, host.ref, paused, force);
}

async function clone(context: CommandContext, vm: Row, copyTo: string | undefined): Promise<string> {
  const name = context.required('new-name-label');
  const made =
    copyTo === undefined
      ? await context.task('VM.clone', vm.ref, name)
      : await context.task('VM.copy', vm.ref, name, copyTo);
  const description = context.values.get('new-name-description');
  if (description !== undefined) await context.rpc.call('VM.set_name_description', made, description);
  return made;
}

async function install(context: CommandContext): Promise<void> {
  const { rpc, values } = context;
  const wanted = values.get('template-uuid') ?? values.get('template') ?? values.get('template-name-label');
  if (wanted === undefined) throw new UsageError('from which template? Give template=NAME-OR-UUID');
  const template = await byNameOrUuid(rpc, 'template', wanted);
  const bios = values.get('copy-bios-strings-from');
  const host = bios === undefined ? undefined : await refByUuid(rpc, 'host', bios);
  const vm = await clone(context, template, await givenSr(context));
  try {
    if (host !== undefined) await rpc.call('VM.copy_bios_strings', vm, host);
    await context.task('VM.provision', vm);
  } catch (error) {
    // A clone that was never provisioned is of no use to anybody.
    await rpc.call('VM.destroy', vm).catch(() => {});
    throw error;
  }
  await printUuid(context, 'VM', vm);
}

/** Destroys a VM, or a snapshot, and its disks, once that is agreed to. Throws UsageError when it is not. */
export async function destroyWithDisks(context: CommandContext, vm: Row): Promise<void> {
  const { rpc } = context;
  const disks = await ownDisks(context, vm);
  await mustAgree(context, vm, disks);
  if (vm.record['power_state'] !== 'Halted') await context.task('VM.hard_shutdown', vm.ref);
  await rpc.call('VM.destroy', vm.ref);
  for (const disk of disks) await context.task('VDI.destroy', disk);
}

/** Shows what is going to be lost, and waits for a `yes`. Throws UsageError without one. */
async function mustAgree(context: CommandContext, vm: Row, disks: readonly string[]): Promise<void> {
  const { rpc, options, exchange, write } = context;
  const { ask } = exchange;
  if (options.force || ask === undefined) {
    mustForce(context, 'this destroys the VM and its disks');
    return;
  }
  const shown = (text: string): string => (context.outIsTerminal ? printable(text) : text);
  write('These are about to be destroyed:\n');
  write(`VM : ${textOf(vm.record['uuid'])} (${shown(textOf(vm.record['name_label']))})\n`);
  for (const disk of disks) {
    const [uuid, name] = await Promise.all([rpc.call('VDI.get_uuid', disk), rpc.call('VDI.get_name_label', disk)]);
    write(`VDI: ${textOf(uuid)} (${shown(textOf(name))})\n`);
  }
  write("Type 'yes' to go on.\n");
  if ((await ask()).trim().toLowerCase() !== 'yes') throw new UsageError('nothing was destroyed');
}

function mustForce({ options }: CommandContext, what: string): void {
  if (!options.force) throw new UsageError(`${what}: say so with force=true`);
}

async function uninstallTemplate(context: CommandContext): Promise<void> {
  await destroyWithDisks(context, await byNameOrUuid(context.rpc, 'template', context.required('template-uuid')));
}

/** A VM from nothing but its name, for those who set the rest by vm-param-set. */
async function create(context: CommandContext): Promise<void> {
  const memory = 256 * 2 ** 20;
  const vm = await context.rpc.call('VM.create', {
    name_label: context.required('name-label'),
    name_description: text(context, 'name-description'),
    user_version: 0,
    is_a_template: false,
    affinity: nullRef,
    memory_static_max: memory,
    memory_dynamic_max: memory,
    memory_dynamic_min: memory,
    memory_static_min: memory,
    VCPUs_params: {},
    VCPUs_max: 1,
    VCPUs_at_startup: 1,
    actions_after_shutdown: 'destroy',
    actions_after_reboot: 'restart',
    actions_after_crash: 'restart',
    PV_bootloader: '',
    PV_kernel: '',
    PV_ramdisk: '',
    PV_args: '',
    PV_bootloader_args: '',
    PV_legacy_args: '',
    HVM_boot_policy: '',
    HVM_boot_params: {},
    HVM_shadow_multiplier: 1,
    platform: {},
    PCI_bus: '',
    other_config: {},
    recommendations: '',
    xenstore_data: {},
    ha_always_run: false,
    ha_restart_priority: '',
    tags: [],
    blocked_operations: {},
    protection_policy: nullRef,
    is_snapshot_from_vmpp: false,
    appliance: nullRef,
    start_delay: 0,
    shutdown_delay: 0,
    order: 0,
    suspend_SR: nullRef,
    version: 0,
    generation_id: '',
    hardware_platform_version: 0,
    has_vendor_device: false,
  });
  await printUuid(context, 'VM', vm);
}

export const vmCommands: readonly Command[] = [
  {
    name: 'vm-install',
    help: 'makes a VM from a template and prints its uuid',
    required: ['new-name-label'],
    optional: [
      'template',
      'template-uuid',
      'template-name-label',
      'new-name-description',
      'sr-uuid',
      'sr-name-label',
      'copy-bios-strings-from',
    ],
    run: install,
  },
  onVm(
    'clone',
    'makes another VM like this one and prints its uuid',
    { required: ['new-name-label'], optional: ['new-name-description'], templates: true },
    async (context, vm) => printUuid(context, 'VM', await clone(context, vm, undefined)),
  ),
  onVm(
    'copy',
    'makes another VM with full copies of the disks and prints its uuid',
    { required: ['new-name-label'], optional: ['new-name-description', 'sr-uuid'], templates: true },
    async (context, vm) => printUuid(context, 'VM', await clone(context, vm, (await givenSr(context)) ?? nullRef)),
  ),
  onVm('start', 'starts it: on=HOST, paused=true', { optional: ['on', 'paused', 'force'] }, start),
  forcible('shutdown', 'shutdown', 'shuts it down; force=true does not ask the guest'),
  forcible('reboot', 'reboot', 'reboots it; force=true does not ask the guest'),
  simple('suspend', 'suspend', 'writes its memory to disk and ends its domain'),
  onVm('resume', 'goes on where suspend left it: on=HOST', { optional: ['on', 'paused', 'force'] }, resume),
  simple('pause', 'pause', 'stops its vCPUs'),
  simple('unpause', 'unpause', 'lets its vCPUs go on'),
  onVm('destroy', 'forgets the VM; its disks stay', {}, async ({ rpc }, vm) => {
    await rpc.call('VM.destroy', vm.ref);
  }),
  onVm('uninstall', 'destroys the VM and its disks: force=true', { optional: ['force'] }, destroyWithDisks),
  {
    name: 'template-uninstall',
    help: 'destroys a template and its disks: force=true',
    required: ['template-uuid'],
    optional: ['force'],
    run: uninstallTemplate,
  },
  {
    name: 'vm-create',
    help: 'makes a VM with nothing but a name, 256 MiB and one vCPU, and prints its uuid',
    required: ['name-label'],
    optional: ['name-description'],
    run: create,
  },
  onVm(
    'reset-powerstate',
    'calls it halted, whatever its domain does: force=true',
    { optional: ['force'] },
    async (context, vm) => {
      mustForce(context, 'a domain that still runs would write to disks that another one may use');
      await context.task('VM.power_state_reset', vm.ref);
    },
  ),
];
