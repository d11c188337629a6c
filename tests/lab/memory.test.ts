/**
 * Memory of running VMs through the product on real Xen: ranges that clients set move balloons, starts take memory from others
 * and are refused where that is not enough, and what dom0's own `xl` and the guest say is what the records say.
 */
import { mibBytes } from '@xenolith/base';
import { PageHeap } from '@xenolith/hypervisor';
import { GUEST_INITRD_PATH, GUEST_KERNEL_PATH, GUEST_UP_MARKER, labRun, type LabHost } from '@xenolith/lab';
import { parseXlInfo } from '@xenolith/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Xapi as Client } from 'xen-api';
import { labNeeds, requires } from '../requires.ts';
import { startJoinedPool, type JoinedPool } from './real-pool.ts';
import { WireConsole } from './wire-console.ts';

const { skip } = requires(labNeeds);

const commandLimitMs = 60_000;
const bootLimitMs = 240_000;
/** A guest that boots, and some rounds of balancing, on a machine that emulates. */
const poll = { timeout: 240_000, interval: 500 };
const mib = (count: number): number => count * mibBytes;

describe.skipIf(skip)('memory of VMs on a real host', () => {
  let pool: JoinedPool;
  let client: Client;
  let host: string;
  let web: string;

  beforeAll(async () => {
    pool = await startJoinedPool();
    ({ client, host } = pool);
  });
  afterAll(() => pool?.close());

  const machine = (): LabHost => pool.machine;
  const run = (...words: readonly string[]): Promise<string> => labRun(machine(), words, { timeoutMs: commandLimitMs });
  /** What dom0's own `xl list` says that a domain has, in MiB; undefined when it is not there. */
  async function xlMib(name: string): Promise<number | undefined> {
    const row = (await run('xl', 'list')).split('\n').find((line) => line.startsWith(`${name} `));
    return row === undefined ? undefined : Number(/^\S+\s+\d+\s+(\d+)/.exec(row)?.[1]);
  }
  const number = async (className: string, ref: string, field: string): Promise<number> =>
    Number(await client.getField(className, ref, field));
  const actual = async (vm: string): Promise<number> =>
    await number('VM_metrics', String(await client.getField('VM', vm, 'metrics')), 'memory_actual');

  /** A halted PV guest; sizes in MiB. */
  async function newVm(name: string, min: number, max: number, staticMax = max): Promise<string> {
    const templates = await client.getAllRecords('VM');
    const template = templates.find((vm) => vm['is_default_template'] === true && vm['domain_type'] === 'pv');
    const vm = String(await client.callAsync('VM.clone', template?.$ref, name));
    await client.callAsync('VM.provision', vm);
    await client.call('VM.set_memory_limits', vm, mib(64), mib(staticMax), mib(min), mib(max));
    return vm;
  }
  const start = async (vm: string, paused = false): Promise<void> => {
    await client.callAsync('VM.start', vm, paused, false);
  };
  async function consoleOf(vm: string): Promise<WireConsole> {
    const console = (await client.getAllRecords('console')).find(({ VM }) => VM === vm);
    return await WireConsole.connect(String(console?.['location']), client.sessionId);
  }
  async function refusal(method: string, ...args: readonly unknown[]): Promise<readonly string[]> {
    return await client.call(method, ...args).then(
      () => ['no refusal'],
      ({ code, params }: { readonly code: string; readonly params: readonly string[] }) => [code, ...params],
    );
  }

  test('a range that is set moves the balloon: xl, the guest and the records agree', async () => {
    const overhead = await number('host', host, 'memory_overhead');
    expect(overhead).toBeGreaterThan(mib(72));
    const free = Number(await client.call('host.compute_free_memory', host));
    const dom0 = String(await client.getField('host', host, 'control_domain'));
    const [metrics] = await client.getAllRecords('host_metrics');
    expect(free).toBe(Number(metrics?.['memory_total']) - overhead - (await number('VM', dom0, 'memory_dynamic_min')));

    web = await newVm('web', 128, 256);
    await start(web);
    expect(await xlMib('web')).toBe(256);
    const takes = mib(128) + (await number('VM', web, 'memory_overhead'));
    expect(Number(await client.call('host.compute_free_memory', host))).toBe(free - takes);
    const console = await consoleOf(web);
    try {
      await console.until(GUEST_UP_MARKER, bootLimitMs);
      for (const [low, high] of [
        [128, 128],
        [144, 200],
        [128, 256],
      ] as const) {
        await client.callAsync('VM.set_memory_dynamic_range', web, mib(low), mib(high));
        // A guest whose drivers were not up yet is moved by the next balance.
        await expect.poll(() => xlMib('web'), poll).toBe(high);
        expect(await number('VM', web, 'memory_target')).toBe(mib(high));
        await client.callAsync('VM.wait_memory_target_live', web);
        await expect.poll(() => actual(web), poll).toBe(mib(high));
        const domid = String(await client.getField('VM', web, 'domid'));
        const target = await run('xenstore-read', `/local/domain/${domid}/memory/target`);
        expect(target.trim()).toBe(String(high * 1024));
        console.type(`echo has-${high}-$(cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb)-kib\n`);
        const said = await console.until(`has-${high}-${high * 1024}-kib`, bootLimitMs);
        expect(said).toContain(GUEST_UP_MARKER);
      }
    } finally {
      console.close();
    }
    const before = await run('xl', 'list');
    expect((await refusal('VM.set_memory_dynamic_range', web, mib(128), mib(257)))[0]).toBe(
      'MEMORY_CONSTRAINT_VIOLATION',
    );
    expect((await refusal('VM.set_memory_static_max', web, mib(512)))[0]).toBe('VM_BAD_POWER_STATE');
    const memory = (text: string): readonly string[] => text.split('\n').map((line) => line.slice(0, 50));
    expect(memory(await run('xl', 'list'))).toEqual(memory(before));
  });

  test('a start takes memory from a VM that has a range, which gets it back; what does not fit is refused', async () => {
    // All but 400 MiB goes to a domain that stands still. Nothing in it is ever touched.
    const free = Number(await client.call('host.compute_free_memory', host)) + mib(128);
    const ballast = await newVm('ballast', 1024, 1024);
    const size = Math.floor((free - mib(400)) / mibBytes);
    await client.call('VM.set_memory_limits', ballast, mib(64), mib(size), mib(size), mib(size));
    const left = free - mib(size) - (await number('VM', ballast, 'memory_overhead'));
    await start(ballast, true);
    expect(Number(await client.call('host.compute_free_memory', host))).toBe(left - mib(128));
    expect(await xlMib('web')).toBe(256);

    const second = await newVm('second', 192, 192);
    const needs = mib(192) + (await number('VM', second, 'memory_overhead'));
    // It fits only when the other one gives.
    expect(needs).toBeGreaterThan(left - mib(256));
    expect(needs).toBeLessThan(left - mib(128) - mib(8));
    await start(second);
    expect(await xlMib('second')).toBe(192);
    const squeezed = (await xlMib('web')) ?? 0;
    expect(squeezed).toBeLessThan(256);
    expect(squeezed).toBeGreaterThanOrEqual(128);

    const third = await newVm('third', 192, 192);
    const room = Number(await client.call('host.compute_free_memory', host));
    expect(room).toBeLessThan(needs);
    expect((await refusal('VM.start', third, false, false)).slice(0, 3)).toEqual([
      'HOST_NOT_ENOUGH_FREE_MEMORY',
      String(needs),
      String(room),
    ]);
    expect(await client.getField('VM', third, 'power_state')).toBe('Halted');
    expect(await xlMib('third')).toBeUndefined();
    expect(await number('VM', third, 'memory_target')).toBe(0);

    await client.callAsync('VM.hard_shutdown', second);
    await expect.poll(() => xlMib('web'), poll).toBe(256);
    // The ballast stays: ended, Xen would scrub it, and the emulator take that much memory.
    await client.callAsync('VM.hard_shutdown', web);
    const dom0 = await xlMib('Domain-0');
    expect(dom0 === undefined ? 0 : mib(dom0)).toBe(
      await number('VM', String(await client.getField('host', host, 'control_domain')), 'memory_target'),
    );
  });

  test('of two domains that are made at once and do not fit together one is made, as with the model’s claims, and no claim stays', async () => {
    const before = parseXlInfo(await run('xl', 'info'));
    const freeMib = before.freeMemoryMib ?? 0;
    const sizeMib = Math.floor(freeMib * 0.6);
    const heap = new PageHeap({ nodes: [[{ startPage: 0, endPage: freeMib * pagesPerMib }]] });
    for (const domid of [1, 2]) heap.addDomain(domid);
    expect(heap.claim(1, sizeMib * pagesPerMib)).toMatchObject({ ok: true });
    expect(heap.claim(2, sizeMib * pagesPerMib)).toEqual({ ok: false, error: 'ENOMEM' });

    const script = `cd /root; for n in one two; do { cat >$n.cfg <<CFG
name = "$n"
type = "pv"
kernel = "${GUEST_KERNEL_PATH}"
ramdisk = "${GUEST_INITRD_PATH}"
memory = ${sizeMib}
CFG
{ xl create -q -p $n.cfg 2>$n.said; echo $n $? >$n.end; } & }; done; wait; cat one.end two.end; cat one.said two.said >&2`;
    const ends = await run('bash', '-c', `exec 2>/root/said; ${script}`);
    const codes = [...ends.matchAll(/^(?:one|two) (\d+)$/gm)].map((match) => Number(match[1]));
    expect(codes.filter((code) => code === 0)).toHaveLength(1);
    expect(await run('cat', '/root/said')).toMatch(/memory/i);
    const there = [await xlMib('one'), await xlMib('two')].filter((size) => size !== undefined);
    expect(there).toEqual([sizeMib]);
    const after = parseXlInfo(await run('xl', 'info'));
    expect(after.outstandingClaimsMib).toBe(0);
    expect(Math.abs(freeMib - sizeMib - (after.freeMemoryMib ?? 0))).toBeLessThanOrEqual(16);
  });
});

const pagesPerMib = 256;
