/** `xl sched-credit`, `sched-credit2`, `sched-rtds`: what they list and set. Settings are kept, as xe's are. */
import { guestsOf, UsageError, type Guest } from '@xenolith/xe';
import type { XlCommand } from './command.ts';
import { lines, poolLine, schedLines, type SchedLine } from './layout.ts';
import type { Options } from './options.ts';
import { guestNamed, poolsOf, textsOf, whileThere, XlError, type Pool, type XlHost } from './world.ts';

interface Scheduler {
  readonly name: 'credit' | 'credit2' | 'rtds';
  readonly usage: string;
  /** Keys of VCPUs_params by option. */
  readonly domain: Readonly<Record<string, string>>;
  /** Keys of cpupool.parameters by option. */
  readonly pool: Readonly<Record<string, string>>;
  /** Options that are pools here: with rtds -p is the period. */
  readonly restricts: boolean;
}

const longNames: Readonly<Record<string, string>> = {
  weight: 'weight',
  cap: 'cap',
  period: 'period',
  budget: 'budget',
  extratime: 'extratime',
  tslice_ms: 'tslice_ms',
  ratelimit_us: 'ratelimit_us',
  migration_delay_us: 'migration_delay_us',
};

async function lineOf(host: XlHost, { ref, name, domid }: Guest): Promise<readonly SchedLine[]> {
  return whileThere(async () => ({
    name,
    domid,
    parameters: textsOf(await host.rpc.call('VM.get_scheduler_parameters', ref)),
  }));
}

/** What options give, by key. */
const given = ({ values }: Options, keys: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(keys).flatMap(([letter, key]) => {
      const value = values.get(letter);
      return value === undefined ? [] : [[key, value] as const];
    }),
  );

async function onDomain(host: XlHost, scheduler: Scheduler, options: Options, word: string): Promise<void> {
  const vcpu = options.values.get('v');
  if (vcpu !== undefined && vcpu !== 'all')
    throw new UsageError('all vCPUs of a domain have one period and budget here');
  const guest = await guestNamed(host, word);
  const pool = (await poolsOf(host)).find(({ ref }) => ref === guest.pool);
  if (pool !== undefined && pool.scheduler !== scheduler.name)
    throw new XlError(`${guest.name} is in cpupool ${pool.name}, whose scheduler is ${pool.scheduler}`);
  const changes = given(options, scheduler.domain);
  if (Object.keys(changes).length === 0) {
    host.print(lines(schedLines(scheduler.name, await lineOf(host, guest))));
    return;
  }
  const old = textsOf(await host.rpc.call('VM.get_VCPUs_params', guest.ref));
  await host.rpc.call('VM.set_VCPUs_params', guest.ref, { ...old, ...changes });
}

async function onPool(host: XlHost, scheduler: Scheduler, options: Options, pools: readonly Pool[]): Promise<void> {
  const [pool] = pools;
  if (pool === undefined) throw new XlError('there is no such cpupool');
  if (pool.scheduler !== scheduler.name)
    throw new XlError(`the scheduler of cpupool ${pool.name} is ${pool.scheduler}`);
  const changes = given(options, scheduler.pool);
  if (Object.keys(changes).length === 0) host.print(lines([poolLine(pool)]));
  else await host.rpc.call('cpupool.set_parameters', pool.ref, changes);
}

async function showAll(host: XlHost, scheduler: Scheduler, pools: readonly Pool[]): Promise<void> {
  const guests = await guestsOf(host);
  const blocks = await Promise.all(
    pools
      .filter((pool) => pool.scheduler === scheduler.name)
      .map(async (pool) => {
        const own = await Promise.all(
          guests.filter(({ pool: ref }) => ref === pool.ref).map((guest) => lineOf(host, guest)),
        );
        return [poolLine(pool), ...schedLines(scheduler.name, own.flat())];
      }),
  );
  host.print(lines(blocks.flat()));
}

async function run(host: XlHost, scheduler: Scheduler, options: Options): Promise<void> {
  const word = options.values.get('d');
  const schedparam = options.flags.has('s');
  if (word !== undefined && schedparam) throw new UsageError('-s and -d do not go together');
  const setsDomain = Object.keys(given(options, scheduler.domain)).length > 0;
  const setsPool = Object.keys(given(options, scheduler.pool)).length > 0;
  if (setsDomain && word === undefined) throw new UsageError('which domain? Say -d');
  if (setsPool && !schedparam) throw new UsageError('parameters of the scheduler are set with -s');
  if (word !== undefined) {
    await onDomain(host, scheduler, options, word);
    return;
  }
  const name = scheduler.restricts ? options.values.get('p') : undefined;
  const all = await poolsOf(host);
  const pools = all.filter((pool) => name === undefined || pool.name === name);
  if (name !== undefined && pools.length === 0) throw new XlError(`unknown cpupool '${name}'`);
  if (schedparam) await onPool(host, scheduler, options, pools);
  else await showAll(host, scheduler, pools);
}

const schedulers: readonly Scheduler[] = [
  {
    name: 'credit',
    usage: '[-d <Domain> [-w[=WEIGHT]|-c[=CAP]]] [-s [-t TSLICE] [-r RATELIMIT] [-m DELAY]] [-p CPUPOOL]',
    domain: { w: 'weight', c: 'cap' },
    pool: { t: 'tslice_ms', r: 'ratelimit_us', m: 'migration_delay_us' },
    restricts: true,
  },
  {
    name: 'credit2',
    usage: '[-d <Domain> [-w[=WEIGHT]|-c[=CAP]]] [-s [-r RATELIMIT]] [-p CPUPOOL]',
    domain: { w: 'weight', c: 'cap' },
    pool: { r: 'ratelimit_us' },
    restricts: true,
  },
  {
    name: 'rtds',
    usage: '[-d <Domain> [-v all] [-p[=PERIOD]] [-b[=BUDGET]] [-e[=Extratime]]]',
    domain: { p: 'period', b: 'budget', e: 'extratime' },
    pool: {},
    restricts: false,
  },
];

const longOf = (keys: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(keys).map(([letter, key]) => [letter, longNames[key] ?? key]));

export const schedCommands: readonly XlCommand[] = schedulers.map((scheduler) => ({
  name: `sched-${scheduler.name}`,
  usage: scheduler.usage,
  help: `shows or sets the parameters of ${scheduler.name}`,
  options: {
    ...(scheduler.restricts ? { flags: { s: 'schedparam' } } : {}),
    values: {
      d: 'domain',
      ...(scheduler.restricts ? { p: 'cpupool' } : { v: 'vcpuid' }),
      ...longOf(scheduler.domain),
      ...longOf(scheduler.pool),
    },
  },
  wordsMax: 0,
  run: (host, options) => run(host, scheduler, options),
}));
