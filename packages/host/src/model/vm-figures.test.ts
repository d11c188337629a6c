/** What a running VM and its host are asked and told beside their life: figures, keys, triggers, the time. */
import { gibBytes, type Ref } from '@xenolith/base';
import { beforeEach, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';

interface Source {
  readonly name_label: string;
  readonly value: number;
  readonly units: string;
  readonly max: number;
}

let pool: ModelPool;
let vm: Ref<'VM'>;
let host: Ref<'host'>;

beforeEach(async () => {
  pool = await ModelPool.open();
  host = pool.host();
  vm = await pool.newVm();
});

const sources = async (method: string, ref: string): Promise<Readonly<Record<string, Source>>> =>
  Object.fromEntries((await pool.call<readonly Source[]>(method, ref)).map((source) => [source.name_label, source]));

test('figures of a VM are there while it runs', async () => {
  expect(await sources('VM.get_data_sources', vm)).toEqual({});
  await pool.call('VM.add_to_other_config', vm, 'xenolith:work', 'hog');
  await pool.call('VM.start', vm, false, false);
  await pool.pass(120_000);
  const now = await sources('VM.get_data_sources', vm);
  expect(Object.keys(now)).toEqual(['cpu0', 'memory', 'memory_target']);
  expect(now['cpu0']).toMatchObject({ units: '(fraction)', max: 1 });
  expect(now['cpu0']?.value).toBeGreaterThan(0.5);
  expect(now['memory_target']).toMatchObject({ units: 'B', value: pool.vm(vm).memory_target });
  expect(await pool.call('VM.query_data_source', vm, 'cpu0')).toBe(now['cpu0']?.value);
  expect(await pool.refusal('VM.query_data_source', vm, 'pv0')).toBe('INVALID_VALUE data_source pv0');
  pool.machine().setReachable(false);
  await pool.settle();
  expect(await sources('VM.get_data_sources', vm)).toEqual({});
  expect(await sources('host.get_data_sources', host)).toEqual({});
});

test('figures of a host', async () => {
  const now = await sources('host.get_data_sources', host);
  expect(Object.keys(now)).toEqual(['memory_total_kib', 'memory_free_kib', 'cpu_avg', 'cpu0', 'cpu1']);
  expect(now['memory_total_kib']?.value).toBe((4 * gibBytes) / 1024);
  expect(await pool.call('host.query_data_source', host, 'memory_free_kib')).toBe(now['memory_free_kib']?.value);
  expect(now['memory_free_kib']?.value).toBeGreaterThan(0);
});

test('keys and triggers are for running VMs', async () => {
  expect(await pool.refusal('VM.send_sysrq', vm, 'h')).toBe(`VM_BAD_POWER_STATE ${vm} running halted`);
  await pool.call('VM.start', vm, false, false);
  expect(pool.vm(vm).allowed_operations).toEqual(expect.arrayContaining(['send_sysrq', 'send_trigger']));
  expect(await pool.refusal('VM.send_sysrq', vm, 'h')).toBe('no refusal');
  for (const key of ['', 'hh', ';'])
    expect(await pool.refusal('VM.send_sysrq', vm, key)).toBe(`INVALID_VALUE key ${key}`);
  expect(await pool.refusal('VM.send_trigger', vm, 'nmi')).toBe('no refusal');
  expect(await pool.refusal('VM.send_trigger', vm, 'power')).toMatch(/takes no trigger power/);
  expect(await pool.refusal('VM.send_trigger', vm, 'reboot')).toBe('INVALID_VALUE trigger reboot');
  expect(pool.vm(vm).power_state).toBe('Running');
});

test('a host says its time, and that no VM is uncooperative', async () => {
  expect(await pool.call('host.get_server_localtime', host)).toMatch(/^2026\d{4}T\d\d:\d\d:\d\d$/);
  expect(await pool.call('host.get_uncooperative_resident_VMs', host)).toEqual([]);
  expect(await pool.call('VM.get_cooperative', vm)).toBe(true);
  expect(await pool.refusal('VM.set_has_vendor_device', vm, true)).toMatch(/^VALUE_NOT_SUPPORTED has_vendor_device/);
  expect(await pool.refusal('VM.set_has_vendor_device', vm, false)).toBe('no refusal');
});
