/** Commands about cpupools, which are ours. */
import { parseCpuList } from './cpu-list.ts';
import type { Command, CommandContext } from './command.ts';
import { byUuid, mapOf, printUuid, text, thePool } from './command-words.ts';
import { byNameOrUuid, refByUuid } from './select.ts';
import { UsageError } from './usage-error.ts';
import { isArray, isStruct, textOf } from './wire-text.ts';
import type { Rpc } from './call.ts';

/** The given host, or the coordinator. */
async function hostOf(context: CommandContext): Promise<string> {
  const uuid = context.values.get('host-uuid');
  if (uuid !== undefined) return refByUuid(context.rpc, 'host', uuid);
  return textOf(await context.rpc.call('pool.get_master', await thePool(context)));
}

/** References of the CPUs of a host with these numbers. Throws UsageError for one that it does not have. */
export async function cpusOf(rpc: Rpc, host: string, numbers: readonly number[]): Promise<readonly string[]> {
  const all = await rpc.call('host_cpu.get_all_records');
  const refs = new Map<number, string>();
  for (const [ref, cpu] of Object.entries(isStruct(all) ? all : {})) {
    if (isStruct(cpu) && cpu['host'] === host) refs.set(Number(cpu['number']), ref);
  }
  return numbers.map((number) => {
    const ref = refs.get(number);
    if (ref === undefined) throw new UsageError(`the host has no CPU ${number}`);
    return ref;
  });
}

async function create(context: CommandContext): Promise<void> {
  const { rpc, values } = context;
  const host = await hostOf(context);
  const cpus = values.get('cpus');
  const made = await context.task(
    'cpupool.create',
    host,
    context.required('name-label'),
    text(context, 'scheduler'),
    cpus === undefined || cpus === '' ? [] : await cpusOf(rpc, host, parseCpuList(cpus)),
    mapOf(context, 'parameters'),
  );
  await printUuid(context, 'cpupool', made);
}

/** A command that does one thing with each of the CPUs. */
const onCpus = (verb: string, method: string, help: string): Command => ({
  name: `cpupool-cpu-${verb}`,
  help,
  required: ['uuid', 'cpus'],
  optional: [],
  async run(context) {
    const pool = await refByUuid(context.rpc, 'cpupool', context.required('uuid'));
    const numbers = parseCpuList(context.required('cpus'));
    const host = textOf(await context.rpc.call('cpupool.get_host', pool));
    for (const cpu of await cpusOf(context.rpc, host, numbers)) await context.task(`cpupool.${method}`, pool, cpu);
  },
});

async function moveVm(context: CommandContext): Promise<void> {
  const pool = await refByUuid(context.rpc, 'cpupool', context.required('uuid'));
  const vm = await byNameOrUuid(context.rpc, 'vm', context.required('vm'));
  await context.task('cpupool.move_VM', pool, vm.ref);
}

async function numaSplit(context: CommandContext): Promise<void> {
  const host = await hostOf(context);
  await context.task('cpupool.numa_split', host);
  const pools = await context.rpc.call('host.get_cpupools', host);
  for (const pool of isArray(pools) ? pools : []) await printUuid(context, 'cpupool', pool);
}

export const cpupoolCommands: readonly Command[] = [
  {
    name: 'cpupool-create',
    help: 'makes a cpupool of free CPUs (cpus=0-3,5) and prints its uuid; on the coordinator when no host is given',
    required: ['name-label'],
    optional: ['host-uuid', 'scheduler', 'cpus', 'parameters:'],
    run: create,
  },
  byUuid('cpupool-destroy', 'cpupool.destroy', 'ends a cpupool without domains; its CPUs are free then'),
  onCpus('add', 'add_CPU', 'puts free CPUs into a cpupool: cpus=0-3,5'),
  onCpus('remove', 'remove_CPU', 'takes CPUs out of a cpupool: cpus=0-3,5'),
  {
    name: 'cpupool-vm-move',
    help: 'moves a VM into a cpupool: at once when it runs, else when it starts',
    required: ['uuid', 'vm'],
    optional: [],
    run: moveVm,
  },
  {
    name: 'cpupool-numa-split',
    help: 'makes a cpupool of each NUMA node and prints their uuids; on the coordinator when no host is given',
    required: [],
    optional: ['host-uuid'],
    run: numaSplit,
  },
];
