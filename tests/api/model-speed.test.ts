/** The time of modelled hosts goes faster or slower than the wall clock, as xenolithd is told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock, type Ref } from '@xenolith/base';
import { parseModelSpeed } from '@xenolith/host';
import { startXenolithd } from '@xenolith/server';
import { expect, test } from 'vitest';
import { hostOpener } from '../../packages/server/src/start/host-opener.ts';
import { OpenPool } from '../../packages/xapi/src/testing/open-pool.ts';

type Call = (method: string, ...params: readonly (string | number | boolean)[]) => Promise<unknown>;

const speedOf = (text: string): number => {
  const speed = parseModelSpeed(text);
  if (!speed.ok) throw new Error(speed.error);
  return speed.value;
};

/** A VM that computes on its one vCPU. */
async function newHog(call: Call): Promise<string> {
  const all = Object.entries((await call('VM.get_all_records')) as Record<string, Record<string, unknown>>);
  const [template = ''] = all.find(([, vm]) => vm['is_default_template'] === true) ?? [];
  const vm = String(await call('VM.clone', template, 'hog'));
  await call('VM.provision', vm);
  await call('VM.add_to_other_config', vm, 'xenolith:work', 'hog');
  return vm;
}

async function cpuTimeMs(call: Call, vm: string): Promise<number> {
  const [vcpu] = (await call('VM.get_vcpus', vm)) as readonly Readonly<Record<string, string>>[];
  return Number(vcpu?.['cpu_time_ns']) / 1e6;
}

/** The control domain wakes now and then, and takes a little. */
const isAlmost =
  (all: number) =>
  (part: number): boolean =>
    part > all * 0.99 && part <= all;

test.each(['0.5', '1', '10', '100'])(
  'at speed %s a VM has so much CPU time, is down so soon, and uses all of its vCPU',
  async (text) => {
    const speed = speedOf(text);
    const clock = new ManualClock();
    const pool = await OpenPool.start({ clock, openHost: hostOpener(clock, speed) });
    const call: Call = (...params) => pool.call(...params);
    await pool.call('host.add', 'model:', {});
    await clock.advanceAsync(0);
    const vm = await newHog(call);
    await call('VM.start', vm, false, false);
    const beginMs = await cpuTimeMs(call, vm);
    await clock.advanceAsync(200);
    expect((await cpuTimeMs(call, vm)) - beginMs).toSatisfy(isAlmost(200 * speed));
    // Looks at the host come every five seconds of the wall clock.
    await clock.advanceAsync(10_000);
    expect((await cpuTimeMs(call, vm)) - beginMs).toSatisfy(isAlmost(10_200 * speed));
    const { metrics } = pool.xapi.db.get('VM', vm as Ref<'VM'>);
    expect(pool.xapi.db.get('VM_metrics', metrics).VCPUs_utilisation[0]).toBeGreaterThan(0.99);
    const cpus = Object.values((await call('host_cpu.get_all_records')) as Record<string, Record<string, number>>);
    const use = cpus.reduce((sum, cpu) => sum + (cpu['utilisation'] ?? 0), 0);
    // The VM has one pCPU all the time; control domains have little to do.
    expect(use).toBeGreaterThan(1);
    expect(use).toBeLessThan(1.1);
    let halted = false;
    void call('VM.clean_shutdown', vm).then(() => (halted = true));
    await clock.advanceAsync(1000 / speed - 0.5);
    expect(halted).toBe(false);
    await clock.advanceAsync(1);
    expect(halted).toBe(true);
  },
);

test('xenolithd hands it on', async () => {
  const data = mkdtempSync(join(tmpdir(), 'xenolith-speed-'));
  const server = await startXenolithd({ data, modelSpeed: speedOf('max') });
  try {
    const session = server.xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
    const call: Call = async (method, ...params) => {
      const answer = await server.xapi.call({ method, params: [session, ...params], origin: { address: '127.0.0.1' } });
      if (answer.ok) return answer.value;
      throw new Error(answer.error.join(' '));
    };
    const vm = await newHog(call);
    await call('VM.start', vm, false, false);
    // Two minutes of its time: longer than this test may take.
    await expect.poll(() => cpuTimeMs(call, vm), { timeout: 30_000, interval: 10 }).toBeGreaterThan(120_000);
  } finally {
    await server.close();
    rmSync(data, { recursive: true, force: true });
  }
});
