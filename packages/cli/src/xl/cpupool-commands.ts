/** `xl cpupool-…` and `vcpu-pin`: what changes a host. */
import { ApiError, parseCpuList, UsageError } from '@xenolith/xe';
import type { XlCommand } from './command.ts';
import { readPoolConfig, type PoolConfig } from './pool-config.ts';
import { cpusOf, guestNamed, poolNamed, poolsOf, tableOf, textsOf, XlError, type Pool, type XlHost } from './world.ts';

/** Numbers of the CPUs of nodes. Throws XlError for a node without any. */
async function cpusOfNodes(host: XlHost, nodes: readonly number[]): Promise<readonly number[]> {
  const topology = await tableOf(host, 'host.get_CPU_topology');
  const unknown = nodes.find((each) => !topology.some(({ node }) => Number(node) === each));
  if (unknown !== undefined) throw new XlError(`there is no node ${unknown} with cpus`);
  return topology.filter(({ node }) => nodes.includes(Number(node))).map(({ cpu }) => Number(cpu));
}

/** `0-3,5` or `node:1`. */
async function cpusNamed(host: XlHost, text: string): Promise<readonly number[]> {
  const node = /^nodes?:(.+)$/.exec(text)?.[1];
  return node === undefined ? parseCpuList(text) : cpusOfNodes(host, parseCpuList(node));
}

async function create(host: XlHost, config: PoolConfig): Promise<void> {
  const cpus = await cpusOf(host);
  const pools = await poolsOf(host);
  if (pools.some(({ name }) => name === config.name)) throw new XlError(`Pool name "${config.name}" already exists`);
  const isFree = (number: number): boolean => {
    const cpu = cpus.get(number);
    return cpu !== undefined && !pools.some(({ ref }) => ref === cpu.pool);
  };
  let numbers = config.cpus;
  if (config.nodes !== undefined) {
    numbers = (await cpusOfNodes(host, config.nodes)).filter(isFree);
    if (numbers.length === 0) throw new XlError('no free cpu found');
  }
  const taken = numbers.find((number) => !isFree(number));
  if (taken !== undefined) throw new XlError(`cpu ${taken} illegal or not free`);
  const scheduler = config.scheduler ?? pools.find(({ isDefault }) => isDefault)?.scheduler ?? '';
  host.print(
    [
      `Using config file "${config.source}"`,
      `cpupool name:   ${config.name}`,
      `scheduler:      ${scheduler}`,
      `number of cpus: ${numbers.length}`,
      '',
    ].join('\n'),
  );
  const refs = numbers.map((number) => cpus.get(number)?.ref ?? '');
  await host.rpc.call('cpupool.create', host.ref, config.name, scheduler, refs, {});
}

/** One after the other, as `xl` does: what is refused keeps the rest from nothing. */
async function onCpus(host: XlHost, pool: Pool, text: string, verb: 'add' | 'remove'): Promise<void> {
  const cpus = await cpusOf(host);
  let refused = false;
  for (const number of await cpusNamed(host, text)) {
    try {
      const ref = cpus.get(number)?.ref;
      if (ref === undefined) throw new XlError(`there is no cpu ${number}`);
      await host.rpc.call(`cpupool.${verb}_CPU`, pool.ref, ref);
    } catch (error) {
      const isRefusal = error instanceof XlError || (error instanceof ApiError && error.code === 'XEN_REFUSED');
      if (!isRefusal) throw error;
      // What it means for the rest of them is said once, at the end.
      const [words = ''] = (error instanceof ApiError ? (error.params[2] ?? error.message) : error.message).split('\n');
      host.warn(words);
      refused = true;
    }
  }
  if (!refused) return;
  if (verb === 'add') host.warn(`some cpus may not have been added to ${pool.name}`);
  else {
    host.warn(`Some cpus may have not or only partially been removed from '${pool.name}'.`);
    host.warn(`If a cpu can't be added to another cpupool, add it to '${pool.name}' again and retry.`);
  }
}

/** All vCPUs to a hard mask is what VCPUs_params:mask keeps; the rest lasts as long as the domain. */
async function pin(host: XlHost, words: readonly string[]): Promise<void> {
  const [domain = '', which = '', hard = '-', soft = '-'] = words;
  const guest = await guestNamed(host, domain);
  const isAll = which === 'all';
  if (!isAll && !/^\d{1,4}$/.test(which)) throw new UsageError(`${which}: expected a vCPU or all`);
  const mask = async (text: string): Promise<string> =>
    text === '-' ? '' : text.startsWith('node') ? (await cpusNamed(host, text)).join(',') : text;
  const [hardMask, softMask] = [await mask(hard), await mask(soft)];
  if (isAll && hardMask !== '') {
    const old = textsOf(await host.rpc.call('VM.get_VCPUs_params', guest.ref));
    await host.rpc.call('VM.set_VCPUs_params', guest.ref, { ...old, mask: hardMask });
  }
  if (softMask !== '' || hardMask !== '')
    await host.rpc.call('VM.pin_vcpu', guest.ref, isAll ? -1 : Number(which), hardMask, softMask);
}

const plain = (
  name: string,
  usage: string,
  help: string,
  words: readonly [min: number, max: number],
  run: (host: XlHost, words: readonly string[]) => Promise<void>,
): XlCommand => ({
  name,
  usage,
  help,
  options: {},
  wordsMin: words[0],
  wordsMax: words[1],
  run: (host, options) => run(host, options.words),
});

const onCpusCommand = (verb: 'add' | 'remove', help: string): XlCommand =>
  plain(
    `cpupool-cpu-${verb}`,
    '<CPU Pool> <CPU nr>|node:<node nr>',
    help,
    [2, 2],
    async (host, [name = '', cpus = '']) => {
      await onCpus(host, await poolNamed(host, name), cpus, verb);
    },
  );

export const cpupoolCommands: readonly XlCommand[] = [
  {
    name: 'cpupool-create',
    usage: '[-f FILE | FILE] [name="NAME"] [sched="SCHEDULER"] [cpus="0-3,5" | nodes="0"]',
    help: 'makes a cpupool of free CPUs',
    options: { values: { f: 'defconfig' } },
    wordsMax: Infinity,
    async run(host, { values, words }) {
      await create(host, readPoolConfig(values.get('f'), words));
    },
  },
  plain('cpupool-destroy', '<CPU Pool>', 'ends a cpupool without domains', [1, 1], async (host, [name = '']) => {
    await host.rpc.call('cpupool.destroy', (await poolNamed(host, name)).ref);
  }),
  plain('cpupool-rename', '<CPU Pool> <new name>', 'renames a cpupool', [2, 2], async (host, [name = '', to = '']) => {
    await host.rpc.call('cpupool.set_name_label', (await poolNamed(host, name)).ref, to);
  }),
  onCpusCommand('add', 'puts free CPUs into a cpupool'),
  onCpusCommand('remove', 'takes CPUs out of a cpupool'),
  plain(
    'cpupool-migrate',
    '<Domain> <CPU Pool>',
    'moves a domain into a cpupool',
    [2, 2],
    async (host, [domain = '', name = '']) => {
      const guest = await guestNamed(host, domain);
      await host.rpc.call('cpupool.move_VM', (await poolNamed(host, name)).ref, guest.ref);
    },
  ),
  plain('cpupool-numa-split', '', 'makes a cpupool of each NUMA node', [0, 0], async (host) => {
    await host.rpc.call('cpupool.numa_split', host.ref);
  }),
  plain(
    'vcpu-pin',
    '<Domain> <VCPU|all> <Hard affinity|-|all> [<Soft affinity|-|all>]',
    'says where vCPUs may run',
    [3, 4],
    pin,
  ),
];
