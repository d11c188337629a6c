/** A VM that installs itself: its first boot is its installer's, and there is no second one of that. */
import type { Ref } from '@xenolith/base';
import { HostError, type DomainConfig } from '@xenolith/xapi';
import { beforeEach, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';

let pool: ModelPool;
let vm: Ref<'VM'>;

async function open(): Promise<void> {
  pool = await ModelPool.open();
  vm = await pool.newVm();
  for (const [field, value] of Object.entries({
    PV_kernel: '',
    PV_ramdisk: '',
    PV_args: 'console=hvc0',
    PV_bootloader: 'eliloader',
    other_config: {
      'install-distro': 'debianlike',
      'install-repository': 'http://mirror.example/debian',
      'debian-release': 'bookworm',
    },
  })) {
    await pool.call(`VM.set_${field}`, vm, value);
  }
}

beforeEach(open);

const config = (): DomainConfig | undefined => pool.machine().configOf(pool.vm(vm).domid as never);
const start = (): Promise<string> => pool.refusal('VM.start', vm, false, false);

test('the first boot fetches, the next one is from its disk', async () => {
  expect(await start()).toBe('no refusal');
  expect(config()).toMatchObject({ cmdline: 'console=hvc0', onReboot: 'destroy' });
  expect(config()?.fetched?.kernel).toMatch(/^http:\/\/mirror\.example\/debian\/.*\/vmlinuz$/);
  expect(config()?.bootloader).toBeUndefined();
  expect(pool.vm(vm).PV_bootloader).toBe('pygrub');
  await pool.call('VM.hard_reboot', vm);
  expect(config()).toMatchObject({ bootloader: 'pygrub', onReboot: 'restart' });
  expect(config()?.fetched).toBeUndefined();
});

test('a VM whose installer ends is halted, and not installed again', async () => {
  await start();
  await pool.pass(10_000);
  pool.machine().hypervisor.request(pool.vm(vm).domid as never, 'reboot');
  await pool.pass(120_000);
  expect(pool.vm(vm)).toMatchObject({ power_state: 'Halted', PV_bootloader: 'pygrub' });
});

test('what could not be fetched is said, and tried again by the next start', async () => {
  pool.machine().failNext('create', new HostError('not-fetched', 'could not fetch http://mirror.example/…'));
  expect(await start()).toBe(`BOOTLOADER_FAILED ${vm} could not fetch http://mirror.example/…`);
  expect(pool.vm(vm)).toMatchObject({ power_state: 'Halted', PV_bootloader: 'eliloader' });
  expect(await start()).toBe('no refusal');
});

test('records that name no mirror are refused before anything is done', async () => {
  await pool.call('VM.remove_from_other_config', vm, 'install-repository');
  expect(await start()).toMatch(new RegExp(`^BOOTLOADER_FAILED ${vm} other_config:install-repository is no address`));
  expect(pool.vm(vm).PV_bootloader).toBe('eliloader');
});

test.each(['killed', 'host lost'] as const)('it is installed at most once: %s', async (mishap) => {
  for (let step = 0; ; step++) {
    expect(step).toBeLessThan(100);
    await open();
    const wentWrong = await pool.befall(mishap, step, () => pool.call('VM.start', vm, false, false));
    await pool.xapi.hosts.driverOf(pool.host()).refresh();
    await pool.settle();
    expect(pool.disagreements(), `step ${step}`).toEqual([]);
    const wasMade = pool.vm(vm).power_state === 'Running';
    if (wasMade) expect(pool.vm(vm).PV_bootloader, `step ${step}`).toBe('pygrub');
    if (!wentWrong) break;
  }
});
