/**
 * Cpupools through the product on real Xen: made over the XenAPI, shown by `xe` and `xenolith xl` as dom0's own `xl` shows them,
 * and there again, with what is in them, after the host was reset.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { GUEST_UP_MARKER, labRun, resetHost, type LabHost } from '@xenolith/lab';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CachedObject, Xapi as Client } from 'xen-api';
import { labNeeds, requires } from '../requires.ts';
import { startJoinedPool, type JoinedPool } from './real-pool.ts';
import { WireConsole } from './wire-console.ts';

const { skip } = requires(labNeeds);
const bin = new URL('../../packages/cli/bin/', import.meta.url).pathname;
const run = promisify(execFile);

const commandLimitMs = 60_000;
/** A boot of the host, and the driver's longest wait between two attempts to reach it. */
const returnLimitMs = 400_000;
const bootLimitMs = 240_000;
const poll = { timeout: returnLimitMs, interval: 250 };

describe.skipIf(skip)('cpupools of a real host', () => {
  let pool: JoinedPool;
  let client: Client;
  let host: string;
  let guest: string;

  beforeAll(async () => {
    pool = await startJoinedPool();
    ({ client, host } = pool);
  });
  afterAll(() => pool?.close());

  const machine = (): LabHost => pool.machine;
  const environment = (): NodeJS.ProcessEnv => {
    const { url, user, password } = pool.server();
    return { ...process.env, XENOLITH_URL: url, XENOLITH_USER: user, XENOLITH_PASSWORD: password ?? '' };
  };
  const program = async (name: string, words: readonly string[]): Promise<string> =>
    (await run(process.execPath, [`${bin}${name}.js`, ...words], { env: environment(), timeout: commandLimitMs }))
      .stdout;
  const xe = (...words: readonly string[]): Promise<string> => program('xe', words);
  /** What `xl` says in dom0. */
  const xl = (line: string): Promise<string> =>
    labRun(machine(), ['xl', ...line.split(' ')], { timeoutMs: commandLimitMs });
  /** What `xenolith xl` says of the host over the XenAPI. */
  const ours = (line: string): Promise<string> => program('xenolith', ['xl', ...line.split(' ')]);

  /** Cpupools by the records: name, scheduler, parameters, CPUs. */
  async function recorded(): Promise<Readonly<Record<string, readonly unknown[]>>> {
    const [pools, cpus] = [await client.getAllRecords('cpupool'), await client.getAllRecords('host_cpu')];
    const numbers = (ref: string): readonly number[] =>
      cpus.flatMap((cpu) => (cpu['cpupool'] === ref ? [Number(cpu['number'])] : [])).sort((a, b) => a - b);
    return Object.fromEntries(
      pools.map(({ $ref, ...fields }) => [
        String(fields['name_label']),
        [fields['scheduler'], fields['parameters'], numbers($ref)],
      ]),
    );
  }
  async function poolNamed(name: string): Promise<string> {
    const found = (await client.getAllRecords('cpupool')).find((each) => each['name_label'] === name);
    if (found === undefined) throw new Error(`no cpupool ${name}`);
    return found.$ref;
  }
  async function cpus(...numbers: readonly number[]): Promise<readonly string[]> {
    const all = await client.getAllRecords('host_cpu');
    return numbers.map((number) => all.find((cpu) => cpu['number'] === number)?.$ref ?? '');
  }
  const domid = async (): Promise<number> => Number(await client.getField('VM', guest, 'domid'));
  const poolLists = async (): Promise<string> => (await xl('cpupool-list -c')) + (await xl('cpupool-list'));
  /** Asked again when a machine that has too much to do let the host fall silent: a refusal changes nothing. */
  async function refusal(method: string, ...args: readonly unknown[]): Promise<readonly string[]> {
    for (;;) {
      const said = await client.call(method, ...args).then(
        () => ['no refusal'],
        ({ code, params }: { readonly code: string; readonly params: readonly string[] }) => [code, ...params.slice(1)],
      );
      if (said[0] !== 'CANNOT_CONTACT_HOST' && said[0] !== 'HOST_OFFLINE') return said;
      const isLive = async (): Promise<boolean> =>
        (await client.getAllRecords('host_metrics')).every(({ live }) => live === true);
      await expect.poll(isLive, poll).toBe(true);
    }
  }

  const split = {
    'Pool-node0': ['credit2', { ratelimit_us: '1000' }, [0, 1, 2, 3]],
    'Pool-node1': ['credit2', { ratelimit_us: '2000' }, [4, 5]],
    fast: ['credit', { tslice_ms: '5', ratelimit_us: '500', migration_delay_us: '0' }, [6, 7]],
  };

  test('are split by nodes, made of CPUs, given parameters and changed', async () => {
    expect(await recorded()).toEqual({ 'Pool-0': ['credit2', { ratelimit_us: '1000' }, [0, 1, 2, 3, 4, 5, 6, 7]] });
    await client.call('cpupool.numa_split', host);
    expect(await xl('cpupool-list -c')).toMatch(/^Pool-node0 +0,1,2,3\nPool-node1 +4,5,6,7\n$/m);
    expect(await refusal('cpupool.numa_split', host)).toEqual([
      'XEN_REFUSED',
      'EBUSY',
      'splitting not possible, already cpupools in use',
    ]);
    const second = await poolNamed('Pool-node1');
    for (const cpu of await cpus(6, 7)) await client.call('cpupool.remove_CPU', second, cpu);
    await client.call('cpupool.set_parameters', second, { ratelimit_us: '2000' });
    const [six, seven] = await cpus(6, 7);
    const parameters = { tslice_ms: '5', ratelimit_us: '500' };
    const fast = await client.call('cpupool.create', host, 'fast', 'credit', [six], parameters);
    expect((await recorded())['fast']?.[2]).toEqual([6]);
    await client.call('cpupool.add_CPU', fast, seven);
    expect(await recorded()).toEqual(split);
    expect(await xe('cpupool-list', 'name-label=fast', 'params=scheduler,cpu-numbers')).toBe(
      'scheduler ( RO)      : credit\n    cpu-numbers ( RO): 6; 7\n\n\n',
    );
  });

  test('a VM starts in its pool, and what it is given holds at once', async () => {
    const template = (await client.getAllRecords('VM')).find(
      (vm: CachedObject) => vm['is_default_template'] === true && vm['domain_type'] === 'pv',
    );
    guest = String(await client.callAsync('VM.clone', template?.$ref, 'tenant'));
    await client.callAsync('VM.provision', guest);
    for (const field of ['VCPUs_max', 'VCPUs_at_startup']) await client.call(`VM.set_${field}`, guest, 2);
    await client.call('VM.set_VCPUs_params', guest, { weight: '512' });
    await client.call('VM.set_cpupool', guest, await poolNamed('fast'));
    await client.callAsync('VM.start', guest, false, false);
    expect(await xl('list -c')).toMatch(/^tenant .* fast$/m);
    expect(await xl(`sched-credit -d ${await domid()}`)).toMatch(/^tenant +\d+ +512 +0$/m);
    await client.call('VM.set_VCPUs_params', guest, { weight: '1024', cap: '50', mask: '7' });
    expect(await xl(`sched-credit -d ${await domid()}`)).toMatch(/^tenant +\d+ +1024 +50$/m);
    expect(await xl('vcpu-list tenant')).toMatch(/^tenant +\d+ +0 .* 7 \/ /m);
  });

  test('xenolith xl prints what xl prints in dom0', async () => {
    for (const line of ['cpupool-list', 'cpupool-list -c', 'sched-credit', 'sched-credit2'])
      expect(await ours(line), line).toBe(await xl(line));
    // Times go on and vCPUs stop and go between the two looks.
    const steady = (text: string): string =>
      text
        .replaceAll(/[r-][b-][p-][s-][c-][d-] +[\d.]+/g, 'STATE TIME')
        .replaceAll(/ +(?:\d+|-) +[r-][b-][p-] +[\d.]+/g, ' CPU STATE TIME');
    for (const line of ['list -v -c -n', 'vcpu-list'])
      expect(steady(await ours(line)), line).toBe(steady(await xl(line)));
    const [said, known] = [(await xl('info -n')).split('\n'), (await ours('info -n')).split('\n')];
    expect(said).toEqual(expect.arrayContaining(known));
    expect(
      known.filter((each) => /^(?:free_memory|free_cpus|nr_nodes|xen_scheduler|numa_info)/.test(each)),
    ).toHaveLength(5);
  });

  test('what Xen refuses is said in its words, and nothing is changed', async () => {
    const before = await poolLists();
    const [first, second, fast] = [
      await poolNamed('Pool-node0'),
      await poolNamed('Pool-node1'),
      await poolNamed('fast'),
    ];
    const [zero, five, six, seven] = await cpus(0, 5, 6, 7);
    const dom0 = await client.getField('host', host, 'control_domain');
    const table: readonly (readonly [string, readonly unknown[], string, RegExp])[] = [
      ['cpupool.create', [host, 'deadlines', 'rtds', [], {}], 'ENOENT', /^Could not create cpupool .* scheduler rtds/],
      ['cpupool.create', [host, 'fast', 'credit', [], {}], 'EEXIST', /^Pool name "fast" already exists$/],
      ['cpupool.create', [host, 'taken', 'credit', [six], {}], 'ENODEV', /^cpu 6 illegal or not free$/],
      ['cpupool.add_CPU', [fast, zero], 'ENODEV', /^Error moving cpu 0 to cpupool: No such device/],
      ['cpupool.remove_CPU', [fast, five], 'EADDRNOTAVAIL', /^Error removing cpu 5 .* Cannot assign requested address/],
      ['cpupool.destroy', [fast], 'EBUSY', /^Can't destroy cpupool 'fast'/],
      ['cpupool.destroy', [first], 'EBUSY', /^Can't destroy cpupool 'Pool-node0'/],
      ['cpupool.move_VM', [second, dom0], 'EPERM', /^Error moving domain to cpupool/],
      [
        'cpupool.set_parameters',
        [fast, { tslice_ms: '1001' }],
        'EINVAL',
        /^Time slice out of range, .* from 1 to 1000$/,
      ],
      ['VM.set_VCPUs_params', [guest, { cap: '201' }], 'EINVAL', /^Cpu cap out of range, valid range is from 0 to 200/],
    ];
    const holds = async (method: string, args: readonly unknown[], errno: string, words: RegExp): Promise<void> => {
      expect(await refusal(method, ...args), `${method} ${errno}`).toEqual([
        'XEN_REFUSED',
        errno,
        expect.stringMatching(words),
      ]);
    };
    for (const row of table) await holds(...row);
    const bare = await client.call('cpupool.create', host, 'bare', 'credit', [], {});
    await holds('cpupool.move_VM', [bare, guest], 'ENOENT', /^Error moving domain to cpupool/);
    await client.call('cpupool.destroy', bare);
    await client.call('cpupool.remove_CPU', fast, six);
    await holds('cpupool.remove_CPU', [fast, seven], 'EBUSY', /^Error removing cpu 7 .* Device or resource busy/);
    await client.call('cpupool.add_CPU', fast, six);
    expect(await poolLists()).toBe(before);
    expect(await recorded()).toEqual(split);
  });

  test('are there again after a reset of the host, and the VM starts in its pool as it was', async () => {
    await resetHost(pool.lab, machine());
    // The records say all the time what is to be there again.
    await expect
      .poll(() => xl('cpupool-list -c'), poll)
      .toMatch(/^Pool-node0 +0,1,2,3\nPool-node1 +4,5\nfast +6,7\n$/m);
    const parameters = /^Cpupool fast: tslice=5ms ratelimit=500us migration-delay=0us$/m;
    await expect.poll(() => xl('sched-credit'), poll).toMatch(parameters);
    await expect.poll(() => xl('sched-credit2'), poll).toMatch(/^Cpupool Pool-node1: ratelimit=2000us$/m);
    expect(await recorded()).toEqual(split);
    await expect.poll(() => client.getField('VM', guest, 'power_state'), poll).toBe('Halted');
    await client.callAsync('VM.start', guest, false, false);
    expect(await xl('list -c')).toMatch(/^tenant .* fast$/m);
    expect(await xl(`sched-credit -d ${await domid()}`)).toMatch(/^tenant +\d+ +1024 +50$/m);
    expect(await xl('vcpu-list tenant')).toMatch(/^tenant +\d+ +0 .* 7 \/ /m);
    const console = (await client.getAllRecords('console')).find(({ VM }) => VM === guest);
    const wire = await WireConsole.connect(String(console?.['location']), client.sessionId);
    await wire.until(GUEST_UP_MARKER, bootLimitMs);
    wire.close();

    // A kernel that is up takes a vCPU away by itself.
    const metrics = String(await client.getField('VM', guest, 'metrics'));
    await expect.poll(() => client.getField('VM_metrics', metrics, 'VCPUs_number'), poll).toBe(2);
    await client.call('VM.set_VCPUs_number_live', guest, 1);
    await expect.poll(() => client.getField('VM_metrics', metrics, 'VCPUs_number'), poll).toBe(1);
    expect(await xl('vcpu-list tenant')).toMatch(/^tenant +\d+ +1 +- +--p /m);
    const offline = { 0: expect.arrayContaining(['online']), 1: [] };
    await expect.poll(() => client.getField('VM_metrics', metrics, 'VCPUs_flags'), poll).toEqual(offline);
    expect(await client.getField('VM_metrics', metrics, 'VCPUs_CPU')).toEqual({ 0: 7 });
  });
});
