/** The table of all commands of xe: the truth for what is run, checked, helped with and completed. */
import type { Command } from './command.ts';
import { genericCommand, genericCommands } from './generic-commands.ts';

/** Commands of their own, loaded when the name is not one that every object has: lists do not wait for them. */
async function special(): Promise<ReadonlyMap<string, Command>> {
  const [vm, memory, devices, object, storage, cpupool, one, hosts, vms, others, more, streamed, transfer] =
    await Promise.all([
      import('./vm-commands.ts'),
      import('./memory-commands.ts'),
      import('./vm-device-commands.ts'),
      import('./object-commands.ts'),
      import('./storage-commands.ts'),
      import('./cpupool-commands.ts'),
      import('./call-command.ts'),
      import('./host-calls.ts'),
      import('./vm-calls.ts'),
      import('./device-calls.ts'),
      import('./special-commands.ts'),
      import('./streamed-commands.ts'),
      import('./transfer-commands.ts'),
    ]);
  const rows = [
    ...hosts.poolRows,
    ...hosts.hostRows,
    ...vms.vmRows,
    ...vms.storageRows,
    ...others.networkRows,
    ...others.deviceRows,
    ...others.otherRows,
  ];
  const all = [
    ...vm.vmCommands,
    ...memory.memoryCommands,
    ...devices.vmDeviceCommands,
    ...object.objectCommands,
    ...storage.storageCommands,
    ...cpupool.cpupoolCommands,
    ...rows.map(one.callCommand),
    ...more.specialCommands,
    ...streamed.streamedCommands,
    ...transfer.transferCommands,
  ];
  return new Map(all.map((command) => [command.name, command]));
}

/** The command of this name. */
export const findCommand = async (name: string): Promise<Command | undefined> =>
  genericCommand(name) ?? (await special()).get(name);

/** Every command, by name. */
export const commands = async (): Promise<readonly Command[]> =>
  [...(await special()).values(), ...genericCommands()].sort((a, b) => (a.name < b.name ? -1 : 1));
