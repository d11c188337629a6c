/**
 * The release the dom0 image is made of, whatever the machine it is built on runs: one Xen, one kernel, one set of outputs to test against.
 */
export const DEBIAN_RELEASE = 'bookworm';

/** Packages whose closure makes dom0's root file system. */
export const DOM0_PACKAGES = [
  'base-files',
  'bash',
  'bridge-utils',
  'busybox-static',
  'coreutils',
  'dash',
  'e2fsprogs',
  'findutils',
  'grep',
  'gzip',
  'hostname',
  'iproute2',
  'iputils-ping',
  'kmod',
  'libc-bin',
  'mount',
  'openssh-server',
  'perl-base', // reseeds the kernel's random numbers after a restore, see dom0-files.ts
  'procps',
  'sed',
  'tar',
  'util-linux',
  'xen-utils-4.17',
  'xenstore-utils',
] as const;

/** Packages that are not unpacked into dom0: the hypervisor and the kernel, from which single files are taken. */
export const XEN_PACKAGE = 'xen-hypervisor-4.17-amd64';
export const KERNEL_PACKAGE = 'linux-image-amd64';
/** The name of the package that really holds the kernel; KERNEL_PACKAGE only depends on it. */
export const KERNEL_IMAGE_PATTERN = /^linux-image-\d.*-amd64$/;

/**
 * Parts of the closure that only maintainer scripts, package management or pygrub need. No maintainer script is ever run, so they would only make
 * the image larger and its first build slower.
 */
const LEFT_OUT = [
  /^adduser$/,
  /^cpio$/,
  /^debconf$/,
  /^dpkg$/,
  /^init-system-helpers$/,
  /^initramfs-tools/,
  /^klibc-utils$|^libklibc$/,
  /^libdb5\.3$|^libgdbm/,
  /^libperl|^perl$|^perl-modules|-perl$/,
  /^libpython|^python3/,
  /^libsqlite3-0$/,
  /^linux-base$/,
  /^logsave$/,
  /^media-types$/,
  /^passwd$|^libsemanage|^libsepol/,
  /^readline-common$/,
  /^runit-helper$/,
  /^sensible-utils$|^ucf$|^usrmerge$/,
  /^udev$/,
] as const;

/** Whether a package of the closure goes into dom0's root file system. */
export function isWantedInDom0(name: string): boolean {
  if (name === XEN_PACKAGE || name === KERNEL_PACKAGE || KERNEL_IMAGE_PATTERN.test(name)) return false;
  return !LEFT_OUT.some((pattern) => pattern.test(name));
}

/** Whether a package is fetched at all. */
export function isFetched(name: string): boolean {
  return isWantedInDom0(name) || name === XEN_PACKAGE || KERNEL_IMAGE_PATTERN.test(name);
}

/** What of the packages' files stays out of dom0: it is only read by people, and a tenth of the image otherwise. */
export const TREE_EXCLUDES = [
  './usr/share/doc/*',
  './usr/share/man/*',
  './usr/share/locale/*',
  './usr/share/i18n/*',
  './usr/share/info/*',
  './usr/share/lintian/*',
  './usr/share/bug/*',
  './usr/share/gcc/*',
  './usr/lib/debug/*',
  './usr/share/zoneinfo/*',
] as const;

/** Kernel modules of dom0; what they depend on comes with them. */
export const DOM0_MODULES = [
  'virtio_pci',
  'virtio_blk',
  'virtio_net',
  'ext4',
  'crc32c_generic',
  'xen-evtchn',
  'xen-gntdev',
  'xen-gntalloc',
  'xenfs',
  'xen-privcmd',
  'xen-blkback',
  'xen-netback',
  'bridge',
  'loop',
  'tun',
  'af_packet',
  'dummy',
  '8021q',
  'bonding',
] as const;

/** Modules dom0's initramfs needs to find its root. */
export const DOM0_INITRAMFS_MODULES = ['virtio_pci', 'virtio_blk', 'crc32c_generic', 'ext4'] as const;

/** Modules of the tiny guest. */
export const GUEST_MODULES = ['xen-blkfront', 'xen-netfront', 'crc32c_generic', 'ext4'] as const;
