/** The xl.cfg of a domain: which pCPUs it may and should run on. */
import { fromMib, nodeId, pcpuId, uuid, type PcpuId } from '@xenolith/base';
import { parseXlBitmap } from '@xenolith/wire';
import type { DomainConfig } from '@xenolith/xapi';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { xlConfigText } from './domain-config.ts';

const config: DomainConfig = {
  uuid: uuid('dbcfa15d-8a2f-4d99-8705-4210552ed5ac'),
  nameLabel: 'web',
  type: 'pv',
  kernel: '/boot/vmlinuz',
  vcpusMax: 1,
  vcpusAtStartup: 1,
  memoryMaxBytes: fromMib(64),
  memoryTargetBytes: fromMib(64),
  disks: [],
  vifs: [],
  onPoweroff: 'destroy',
  onReboot: 'restart',
  onCrash: 'restart',
};
const written = (key: string, changes: Partial<DomainConfig>): string | undefined =>
  new RegExp(`^${key} = "(.*)"$`, 'm').exec(xlConfigText({ ...config, ...changes }, 'web'))?.[1];
const pcpus = (...numbers: readonly number[]): readonly PcpuId[] => numbers.map(pcpuId);
const first1100 = pcpus(...Array(1100).keys());

test('pCPUs are written as ranges, as a host with 1100 of them needs', () => {
  expect(written('cpus', { cpus: pcpus(0, 1, 2, 3, 5) })).toBe('0-3,5');
  const placement = { nodes: [nodeId(0)], pcpus: first1100, strict: false };
  expect([written('cpus', { placement }), written('cpus_soft', { placement })]).toEqual([undefined, '0-1099']);
  expect(written('cpus', { placement: { ...placement, strict: true }, cpus: pcpus(7) })).toBe('0-1099');
});

test('any pCPUs are read back as they were, every second one of the largest host too', () => {
  const everySecond = Array.from({ length: 2048 }, (_, index) => index * 2);
  const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 4095 }), { minLength: 1, maxLength: 4096 });
  fc.assert(
    fc.property(numbers, (some) => {
      expect(parseXlBitmap(written('cpus', { cpus: pcpus(...some) }) ?? '')).toEqual(some.toSorted((a, b) => a - b));
    }),
    { examples: [[everySecond]] },
  );
});
