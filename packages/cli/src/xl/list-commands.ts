/** `xl list`, `vcpu-list`, `info` and `cpupool-list`. */
import { guestsOf, UsageError, type Guest } from '@xenolith/xe';
import type { XlCommand } from './command.ts';
import { cpupoolListText, infoText, listText, vcpuListText } from './layout.ts';
import { longList } from './list-long.ts';
import { cpusOf, domainsOf, guestNamed, poolsOf, tableOf, textsOf, XlError, type XlHost } from './world.ts';

async function guestsNamed(host: XlHost, words: readonly string[]): Promise<readonly Guest[]> {
  return words.length === 0 ? guestsOf(host) : Promise.all(words.map((word) => guestNamed(host, word)));
}

export const listCommands: readonly XlCommand[] = [
  {
    name: 'list',
    usage: '[-l | [-v] [-c] [-n]] [Domain]',
    help: 'lists domains; -v with uuids, -c with cpupools, -n with NUMA nodes; -l their configuration as JSON',
    options: { flags: { l: 'long', v: 'verbose', c: 'cpupool', n: 'numa' } },
    wordsMax: 1,
    async run(host, { flags, words }) {
      if (flags.has('l')) {
        host.print(await longList(host, await guestsNamed(host, words)));
        return;
      }
      const nodes = new Set((await tableOf(host, 'host.get_CPU_topology')).map(({ node }) => node));
      const columns = { verbose: flags.has('v'), cpupool: flags.has('c'), numa: flags.has('n') };
      host.print(listText(await domainsOf(host, await guestsNamed(host, words)), columns, nodes.size));
    },
  },
  {
    name: 'vcpu-list',
    usage: '[Domain …]',
    help: 'lists vCPUs with where they are and may be',
    options: {},
    wordsMax: Infinity,
    async run(host, { words }) {
      const cpus = await cpusOf(host);
      host.print(vcpuListText(await domainsOf(host, await guestsNamed(host, words)), cpus.size));
    },
  },
  {
    name: 'info',
    usage: '[-n]',
    help: 'shows the host; -n with its topology',
    options: { flags: { n: 'numa' } },
    wordsMax: 0,
    async run(host, { flags }) {
      const info = textsOf(await host.rpc.call('host.get_xen_info', host.ref));
      const tables = flags.has('n')
        ? { cpus: await tableOf(host, 'host.get_CPU_topology'), nodes: await tableOf(host, 'host.get_NUMA_nodes') }
        : undefined;
      host.print(infoText(info, tables));
    },
  },
  {
    name: 'cpupool-list',
    usage: '[-c] [CPU Pool]',
    help: 'lists cpupools; -c with their CPUs',
    options: { flags: { c: 'cpus' } },
    wordsMax: 1,
    async run(host, { flags, words: [name] }) {
      const pools = await poolsOf(host);
      if (pools.length === 0) throw new UsageError('the host has not shown its cpupools');
      const shown = pools.filter((pool) => name === undefined || pool.name === name);
      if (shown.length === 0) throw new XlError(`Pool '${name}' does not exist`);
      host.print(cpupoolListText(shown, flags.has('c')));
    },
  },
];
