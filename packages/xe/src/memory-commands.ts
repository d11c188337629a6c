/** Commands about the memory of VMs and hosts; all sizes are bytes, given as `512MiB` too. */
import type { WireValue } from '@xenolith/wire';
import { parseBytes } from './quantity.ts';
import type { Command, CommandContext } from './command.ts';
import { bool } from './command-words.ts';
import { forEachRow, selectRows } from './select.ts';
import { onVm } from './vm-choice.ts';
import { textOf } from './wire-text.ts';

/** A command that sets sizes: each key is a number of bytes, in the order of the call. Balloons may take their time, so it is a task. */
const sizes = (verb: string, method: string, help: string, keys: readonly string[]): Command =>
  onVm(verb, help, { required: keys }, async (context, vm) => {
    await context.task(`VM.${method}`, vm.ref, ...keys.map((key) => parseBytes(context.required(key), key)));
  });

const show = (context: CommandContext, value: WireValue): void => context.print(textOf(value));

const ofHost = (verb: string, help: string): Command => ({
  name: `host-${verb}`,
  help,
  required: [],
  optional: [],
  selects: 'host',
  async run(context) {
    await forEachRow(await selectRows(context, 'host', []), async (host) => {
      show(context, await context.rpc.call(`host.${verb.replaceAll('-', '_')}`, host.ref));
    });
  },
});

export const memoryCommands: readonly Command[] = [
  sizes('memory-set', 'set_memory', 'sets all four limits of its memory', ['memory']),
  sizes('memory-dynamic-range-set', 'set_memory_dynamic_range', 'sets how small and large it may be while it runs', [
    'min',
    'max',
  ]),
  sizes('memory-static-range-set', 'set_memory_static_range', 'sets how small and large it may ever be', [
    'min',
    'max',
  ]),
  sizes('memory-limits-set', 'set_memory_limits', 'sets all limits of its memory, each for itself', [
    'static-min',
    'static-max',
    'dynamic-min',
    'dynamic-max',
  ]),
  sizes(
    'memory-target-set',
    'set_memory_target_live',
    'sets the memory of a running guest, as both its dynamic limits',
    ['target'],
  ),
  onVm('memory-target-wait', 'waits until a running guest has what it was told to have', {}, async (context, vm) => {
    await context.task('VM.wait_memory_target_live', vm.ref);
  }),
  onVm('compute-memory-overhead', 'shows what it takes of its host beyond its own memory', {}, async (context, vm) => {
    show(context, await context.rpc.call('VM.compute_memory_overhead', vm.ref));
  }),
  onVm(
    'compute-maximum-memory',
    'shows the most memory it could have within total=BYTES; approximate=true for any number of vCPUs',
    { required: ['total'], optional: ['approximate'] },
    async (context, vm) => {
      const total = parseBytes(context.required('total'), 'total');
      show(context, await context.rpc.call('VM.maximise_memory', vm.ref, total, bool(context, 'approximate', false)));
    },
  ),
  ofHost('compute-free-memory', 'shows what a VM that starts on it could have, others as small as they may get'),
  ofHost('compute-memory-overhead', 'shows what the hypervisor keeps for itself, and what stays free'),
];
