import { silentLog } from '@xenolith/xapi';
import { expect, test } from 'vitest';
import { contentFrom, inventoryOf, InventoryError, parseInventory } from './inventory.ts';
import { scrambleInventory } from './scramble.ts';
import { SimPool } from './sim-pool.ts';

const usual = {
  hosts: 1,
  vms: 3,
  seed: 2,
  clock: { kind: 'auto' },
  password: 'p',
  log: silentLog,
  version: '0',
} as const;

test('nothing that was written by anybody is left, and the pool can still be simulated', async () => {
  const pool = await SimPool.open(usual);
  const [vm = '', other = ''] = (await pool.call('VM.get_by_name_label', 'vm-001')) as readonly string[];
  expect(other).toBe('');
  for (const [field, ...args] of [
    ['name_label', 'payroll-db'],
    ['name_description', 'of ACME, ask Bob'],
    ['tags', ['acme']],
  ] as const) {
    await pool.call(`VM.set_${field}`, vm, ...args);
  }
  await pool.call('VM.add_to_other_config', vm, 'owner', 'bob@acme.example');
  await pool.call('VM.add_to_xenstore_data', vm, 'vm-data/key', 'acme');
  const inventory = inventoryOf(await pool.content());
  await pool.close();
  const scrambled = scrambleInventory(inventory, 'key');
  const text = JSON.stringify(scrambled);
  expect(/.{0,40}(?:acme|bob|payroll|vm-00\d|host1|127\.0).{0,20}/i.exec(text)?.[0]).toBeUndefined();
  expect(JSON.stringify(scrambleInventory(inventory, 'key'))).toBe(text);
  expect(JSON.stringify(scrambleInventory(inventory, 'other'))).not.toBe(text);
  const again = await SimPool.open({ ...usual, content: contentFrom(parseInventory(text), 2) });
  expect(await again.call('VM.get_power_state', vm)).toBe('Running');
  expect(await again.call('VM.get_name_label', vm)).toMatch(/^vm-[0-9a-f]{10}$/);
  await again.call('VM.clean_shutdown', vm);
  await again.call('VM.start', vm, false, false);
  await again.close();
});

test('integers that came as text, and repositories elsewhere, are taken', async () => {
  const pool = await SimPool.open(usual);
  const inventory = structuredClone(inventoryOf(await pool.content())) as unknown as {
    readonly classes: Record<string, Record<string, Record<string, unknown>>>;
  };
  await pool.close();
  for (const vm of Object.values(inventory.classes['VM'] ?? {}))
    vm['memory_static_max'] = String(vm['memory_static_max']);
  const iso = { uuid: '0d1e0c9a-0000-4000-8000-000000000001', name_label: 'ISOs', type: 'iso' };
  Object.assign(inventory.classes['SR'] ?? {}, { 'OpaqueRef:iso': iso });
  const [host] = Object.keys(inventory.classes['host'] ?? {});
  const pbd = { SR: 'OpaqueRef:iso', host, device_config: { location: 'nas:/isos' }, currently_attached: true };
  Object.assign(inventory.classes['PBD'] ?? {}, { 'OpaqueRef:pbd': { uuid: iso.uuid, ...pbd } });
  const vdi = { uuid: iso.uuid, SR: 'OpaqueRef:iso', location: 'debian.iso', virtual_size: '700000000' };
  Object.assign((inventory.classes['VDI'] ??= {}), { 'OpaqueRef:vdi': vdi });
  const again = await SimPool.open({ ...usual, content: contentFrom(parseInventory(JSON.stringify(inventory)), 2) });
  expect(await again.call('VDI.get_virtual_size', 'OpaqueRef:vdi')).toBe(700_000_000);
  expect([...again.xapi.db.all('host_metrics')].map(([, { live }]) => live)).toEqual([true]);
  const [vm = ''] = (await again.call('VM.get_by_name_label', 'vm-001')) as readonly string[];
  await again.call('VM.clean_reboot', vm);
  await again.close();
});

test.each([
  ['x', 'it is no JSON'],
  ['[]', 'it is no inventory'],
  ['{"format":"xenolith-inventory","version":2}', 'a version that is not known here'],
  ['{"format":"xenolith-inventory","version":1}', 'it has no "classes"'],
  ['{"format":"xenolith-inventory","version":1,"classes":{"VM":[]}}', 'class VM is no object'],
  ['{"format":"xenolith-inventory","version":1,"classes":{"VM":{"x":{}}}}', 'VM x is no record'],
  ['{"format":"xenolith-inventory","version":1,"classes":{"VM":{}}}', 'it has no host'],
])('%s is no inventory', (text, words) => {
  expect(() => contentFrom(parseInventory(text), 1)).toThrow(InventoryError);
  expect(() => contentFrom(parseInventory(text), 1)).toThrow(words);
});
