/** The main job on real Xen: an unmodified client adds a host, makes a guest and takes it through its whole life. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Xapi as Client, type CachedObject } from 'xen-api';
import { GUEST_UP_MARKER } from '@xenolith/lab';
import { labNeeds, requires } from '../requires.ts';
import { afterTripleFault } from './emulator-fault.ts';
import { GuestLife, type Step } from './guest-life.ts';
import { sshAddress, sshOptions, startRealPool, xlList, type RealPool } from './real-pool.ts';
import { WireConsole } from './wire-console.ts';

const { skip } = requires(labNeeds);

/** Half a minute on an idle machine that emulates. */
const bootTimeoutMs = 240_000;

describe.skipIf(skip)('the life of a guest on real Xen', () => {
  let pool: RealPool;
  beforeAll(async () => {
    pool = await startRealPool();
  });
  afterAll(() => pool?.close());

  const domainOf = async (name: string) => (await xlList(host())).find((row) => row.name === name);
  const host = () => {
    const [first] = pool.hosts;
    if (first === undefined) throw new Error('no host in the lab');
    return first;
  };

  const retry = afterTripleFault(host);

  async function connect(transport: 'json-rpc' | 'xml-rpc'): Promise<Client> {
    const { url, user, password } = pool.server();
    const client = new Client({
      url,
      auth: { user, password: password ?? '' },
      transport,
      allowUnauthorized: true,
      debounce: 0,
    });
    await client.connect();
    await client.objectsFetched;
    return client;
  }

  const templateOf = async (client: Client, type: string): Promise<CachedObject | undefined> =>
    (await client.getAllRecords('VM')).find((vm) => vm['is_default_template'] === true && vm['domain_type'] === type);

  test('a host joins by its address, with its figures and templates', async () => {
    const client = await connect('json-rpc');
    try {
      expect(await client.getAllRecords('host')).toEqual([]);
      const joined = await client.callAsync('host.add', sshAddress(host()), sshOptions(host()));
      const [record] = await client.getAllRecords('host');
      expect(record).toMatchObject({ $ref: joined, enabled: true, hostname: host().name });
      expect(record?.['software_version']).toMatchObject({ xen: expect.stringMatching(/^4\./) });
      expect(await client.getAllRecords('host_cpu')).toHaveLength(8);
      const [metrics] = await client.getAllRecords('host_metrics');
      expect(metrics).toMatchObject({ live: true });
      for (const type of ['pv', 'pvh']) expect(await templateOf(client, type), type).toBeDefined();
    } finally {
      await client.disconnect();
    }
  });

  test.each([
    ['json-rpc', 'pvh', 'connect'],
    ['xml-rpc', 'pv', 'webSocket'],
  ] as const)('over %s: a %s guest from template to destroy', { retry }, async (transport, type, way) => {
    const client = await connect(transport);
    const name = `story-${type}`;
    const life = await GuestLife.begin(client, (await templateOf(client, type))?.$ref ?? '', name);
    const does = async (step: Step): Promise<number | undefined> => {
      await life.does(step);
      const row = await domainOf(name);
      expect(Number(await client.getField('VM', life.vm, 'domid')), step.operation).toBe(row?.domid ?? -1);
      expect(row?.state.includes('p') ?? false, step.operation).toBe(step.to === 'Paused');
      return row?.domid;
    };
    const console = async (): Promise<WireConsole> => WireConsole[way](await life.consoleLocation(), client.sessionId);
    try {
      const started = await does({ operation: 'start', args: [false, false], from: 'Halted', to: 'Running' });
      const first = await console();
      expect(await first.until(GUEST_UP_MARKER, bootTimeoutMs)).toContain('Linux version');
      // What the shell answers is not what was typed, which the terminal shows too.
      first.type('echo answer-$((6 * 7))\n');
      await first.until('answer-42', bootTimeoutMs);

      await does({ operation: 'pause', from: 'Running', to: 'Paused' });
      await does({ operation: 'unpause', from: 'Paused', to: 'Running' });
      expect(await does({ operation: 'suspend', from: 'Running', to: 'Suspended' })).toBeUndefined();
      first.close();
      const resumed = await does({ operation: 'resume', args: [false, false], from: 'Suspended', to: 'Running' });
      expect(resumed).toBeGreaterThan(started ?? Number.MAX_SAFE_INTEGER);
      expect(await client.getField('VM', life.vm, 'suspend_VDI')).toBe('OpaqueRef:NULL');
      const second = await console();
      second.type('echo still-$((6 * 7))\n');
      await second.until('still-42', bootTimeoutMs);
      second.close();

      const rebooted = await does({ operation: 'clean_reboot', from: 'Running', to: 'Running' });
      expect(rebooted).toBeGreaterThan(resumed ?? Number.MAX_SAFE_INTEGER);
      const third = await console();
      await third.until(GUEST_UP_MARKER, bootTimeoutMs);
      third.close();
      expect(await does({ operation: 'clean_shutdown', from: 'Running', to: 'Halted' })).toBeUndefined();

      await does({ operation: 'start', args: [true, false], from: 'Halted', to: 'Paused' });
      expect(await does({ operation: 'hard_shutdown', from: 'Paused', to: 'Halted' })).toBeUndefined();
      await life.ends();
      await client.barrier();
      expect(client.getObject(life.vm, undefined)).toBeUndefined();
    } finally {
      await life.close();
      await client.disconnect();
    }
  });

  test('what xl refuses reaches the client in its own words, and nothing is left half done', async () => {
    const client = await connect('json-rpc');
    try {
      const vm = String(await client.call('VM.clone', (await templateOf(client, 'pv'))?.$ref, 'no "kernel"; here'));
      await client.call('VM.provision', vm);
      await client.call('VM.set_PV_kernel', vm, '/nowhere/vmlinux');
      await expect(client.call('VM.start', vm, false, false)).rejects.toThrow(/nowhere|kernel/i);
      expect(await client.getField('VM', vm, 'power_state')).toBe('Halted');
      expect(await client.getField('VM', vm, 'current_operations')).toEqual({});
      expect((await xlList(host())).map((row) => row.domid)).toEqual([0]);
      await client.call('VM.destroy', vm);
    } finally {
      await client.disconnect();
    }
  });
});
