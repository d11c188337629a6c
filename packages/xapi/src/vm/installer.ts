/**
 * Guests that install themselves from a mirror: `PV_bootloader` `eliloader` in a VM has its host fetch the kernel and the
 * initrd of an installer for its first boot, and `pygrub` take its own from its disk from then on. XAPI: the program
 * eliloader, and what its templates say in `other_config` (ocaml/xapi/create_templates.ml).
 */
import type { Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { FetchedBoot } from '../host-driver.ts';

/** The boot loader of a VM that is to install itself, and of one that did. */
export const installingLoader = 'eliloader';
export const installedLoader = 'pygrub';

type Guest = Pick<RecordOf<'VM'>, 'PV_bootloader' | 'PV_kernel' | 'PV_args' | 'other_config'>;

/** Its host and a plain path: nothing that a shell, a configuration or a server could take for something else. */
const mirrorForm = /^https?:\/\/[A-Za-z0-9.-]{1,253}(?::\d{1,5})?(?:\/[A-Za-z0-9._~+-]+)*\/?$/;
const mirrorLengthMax = 1000;
const releaseForm = /^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$/;
const architectures: ReadonlySet<string> = new Set(['amd64', 'i386']);

/** Whether a VM's next boot is that of its installer. A kernel that it names itself goes before. */
export const isInstalling = ({ PV_bootloader, PV_kernel }: Guest): boolean =>
  PV_kernel === '' && PV_bootloader === installingLoader;

/**
 * What the host fetches for the boot of an installer, and the command line of its kernel.
 * @throws XapiError BOOTLOADER_FAILED [vm, words] for what says of no mirror, or of an installer that is not known
 */
export function installerBoot(
  ref: Ref<'VM'>,
  { other_config, PV_args }: Guest,
): FetchedBoot & { readonly cmdline: string } {
  const refuse = (words: string): never => {
    throw new XapiError('BOOTLOADER_FAILED', ref, words);
  };
  const given = other_config['install-repository'] ?? '';
  if (given === 'cdrom') refuse('an installer is fetched by HTTP, and not read from a disc');
  if (!mirrorForm.test(given) || given.length > mirrorLengthMax || /\/\.\.?(?:\/|$)/.test(given)) {
    refuse(`other_config:install-repository is no address of a mirror (http://…, https://…): ${given.slice(0, 100)}`);
  }
  const mirror = given.replace(/\/$/, '');
  const distribution = other_config['install-distro'] ?? '';
  if (distribution === 'debianlike') {
    const release = other_config['debian-release'] ?? '';
    const architecture = other_config['install-arch'] ?? 'amd64';
    if (!releaseForm.test(release)) refuse('other_config:debian-release names no release, such as bookworm');
    if (!architectures.has(architecture)) refuse('other_config:install-arch is neither amd64 nor i386');
    const directory = `${mirror}/dists/${release}/main/installer-${architecture}/current/images/netboot/xen`;
    return { kernel: `${directory}/vmlinuz`, ramdisk: `${directory}/initrd.gz`, cmdline: PV_args };
  }
  if (distribution === 'rhlike') {
    const directory = `${mirror}/images/pxeboot`;
    const cmdline = `inst.repo=${mirror} ${PV_args}`.trim();
    return { kernel: `${directory}/vmlinuz`, ramdisk: `${directory}/initrd.img`, cmdline };
  }
  return refuse('other_config:install-distro is neither debianlike nor rhlike');
}
