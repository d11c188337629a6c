/** `xl list -l` against recordings of xl's, which its own reader reads. */
import { readFileSync } from 'node:fs';
import { parseXlListLong, type XlDomainLong } from '@xenolith/wire';
import { expect, test } from 'vitest';
import { domainJson, listLongText, type LongDomain } from './list-long.ts';

const recorded = (name: string): string => {
  const text = readFileSync(new URL(`../../../../tests/fixtures/xl/${name}.txt`, import.meta.url), 'utf8');
  return text.slice(text.indexOf('\n') + 1);
};

/** A domain as the records would have it. */
function longDomain(domain: XlDomainLong): LongDomain {
  const { schedParams: { sched = 'credit2', weight, cap } = {} } = domain;
  return {
    domid: domain.domid,
    name: domain.name ?? '',
    record: {
      domain_type: domain.type ?? '',
      uuid: domain.uuid ?? '',
      VCPUs_max: domain.maxVcpus ?? 0,
      memory_static_max: (domain.maxMemKib ?? 0) * 1024,
      memory_dynamic_max: (domain.maxMemKib ?? 0) * 1024,
      memory_target: (domain.targetMemKib ?? 0) * 1024,
      PV_kernel: domain.kernel ?? '',
      PV_ramdisk: domain.ramdisk ?? '',
      PV_args: domain.cmdline ?? '',
      PV_bootloader: '',
      actions_after_shutdown: 'destroy',
      actions_after_reboot: domain.onReboot ?? 'destroy',
      actions_after_crash: domain.onCrash ?? 'destroy',
    },
    pool: { name: domain.cpupool ?? 'Pool-0', scheduler: sched, isDefault: domain.cpupool === undefined },
    onlineVcpus: Array.from({ length: domain.onlineVcpus ?? 0 }, (_, vcpu) => vcpu),
    sched: { weight: String(weight), cap: String(cap) },
    disks: domain.disks.map(({ vdev, readonly }) => ({ device: vdev, mode: readonly ? 'RO' : 'RW' })),
    nics: domain.vifs.map(({ devid = 0, mac = '', bridge = '' }) => ({ device: String(devid), MAC: mac, bridge })),
  };
}

test('the control domain alone, byte for byte', () => {
  const text = recorded('idle-xl-list-l');
  expect(listLongText(parseXlListLong(text).map((domain) => domainJson(longDomain(domain))))).toBe(text);
});

test.each(['guests-xl-list-l', 'disks-xl-list-l'])('%s is read back as what it was, but for paths of disks', (name) => {
  const domains = parseXlListLong(recorded(name));
  const read = parseXlListLong(listLongText(domains.map((domain) => domainJson(longDomain(domain)))));
  const withoutPaths = domains.map((domain) => ({
    ...domain,
    disks: domain.disks.map((disk) => ({ ...disk, path: undefined })),
  }));
  expect(read).toEqual(withoutPaths);
});

test('a domain in another pool says so, and what is done at its end', () => {
  const [, guest] = parseXlListLong(recorded('guests-xl-list-l'));
  if (guest === undefined) throw new Error('no guest');
  const json = domainJson(longDomain({ ...guest, cpupool: 'fast', onCrash: 'rename_restart' }));
  expect(parseXlListLong(listLongText([json]))).toMatchObject([{ cpupool: 'fast', onCrash: 'rename_restart' }]);
});
