import { ref } from '@xenolith/base';
import { expect, test } from 'vitest';
import { installerBoot, isInstalling } from './installer.ts';

const vm = ref<'VM'>('OpaqueRef:vm');
type Words = Readonly<Record<string, string>>;

const boot = (other_config: Words, PV_args = 'console=hvc0'): ReturnType<typeof installerBoot> =>
  installerBoot(vm, { PV_bootloader: 'eliloader', PV_kernel: '', PV_args, other_config });

const debian = {
  'install-distro': 'debianlike',
  'install-repository': 'http://deb.debian.org/debian/',
  'debian-release': 'bookworm',
};

test('what there is to fetch from a mirror of Debian', () => {
  const directory = 'http://deb.debian.org/debian/dists/bookworm/main/installer-amd64/current/images/netboot/xen';
  expect(boot(debian)).toEqual({
    kernel: `${directory}/vmlinuz`,
    ramdisk: `${directory}/initrd.gz`,
    cmdline: 'console=hvc0',
  });
  expect(boot({ ...debian, 'install-arch': 'i386' }).kernel).toContain('/installer-i386/');
});

test('and from one of a distribution of RPMs, which is told where it is', () => {
  const mirror = 'https://mirror.example:8443/fedora/40/Everything/x86_64/os';
  expect(boot({ 'install-distro': 'rhlike', 'install-repository': mirror }, '')).toEqual({
    kernel: `${mirror}/images/pxeboot/vmlinuz`,
    ramdisk: `${mirror}/images/pxeboot/initrd.img`,
    cmdline: `inst.repo=${mirror}`,
  });
});

test.each<[string, Words]>([
  ['no address', { ...debian, 'install-repository': '' }],
  ['no address', { ...debian, 'install-repository': 'file:///etc' }],
  ['no address', { ...debian, 'install-repository': 'http://x/$(reboot)' }],
  ['no address', { ...debian, 'install-repository': "http://x/'" }],
  ['no address', { ...debian, 'install-repository': 'http://x/../y' }],
  ['no address', { ...debian, 'install-repository': 'http://user:word@x/y' }],
  ['no address', { ...debian, 'install-repository': `http://x/${'y'.repeat(1000)}` }],
  ['not read from a disc', { ...debian, 'install-repository': 'cdrom' }],
  ['names no release', { ...debian, 'debian-release': '../../..' }],
  ['names no release', { ...debian, 'debian-release': '' }],
  ['neither amd64 nor i386', { ...debian, 'install-arch': 'arm64' }],
  ['neither debianlike nor rhlike', { ...debian, 'install-distro': 'sleslike' }],
])('refused, as it is %s: %j', (words, other_config) => {
  expect(() => boot(other_config)).toThrow(words);
  expect(() => boot(other_config)).toThrow(expect.objectContaining({ code: 'BOOTLOADER_FAILED' }));
});

test('a kernel of its own goes before an installer', () => {
  const guest = { PV_bootloader: 'eliloader', PV_kernel: '', PV_args: '', other_config: {} };
  expect(isInstalling(guest)).toBe(true);
  expect(isInstalling({ ...guest, PV_kernel: '/boot/vmlinuz' })).toBe(false);
  expect(isInstalling({ ...guest, PV_bootloader: 'pygrub' })).toBe(false);
});
