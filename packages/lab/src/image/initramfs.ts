import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { writeCpio, type CpioEntry } from '@xenolith/wire';
import { dom0InitramfsInit } from './dom0-files.ts';
import { guestFiles } from './guest-files.ts';

const gzipAsync = promisify(gzip);

const DIRECTORIES = [
  'bin',
  'sbin',
  'etc',
  'dev',
  'proc',
  'sys',
  'root',
  'run',
  'tmp',
  'mnt',
  'modules',
  'usr',
  'usr/bin',
  'usr/sbin',
] as const;

/** Applets the guest's scripts and a person at its console use. */
const GUEST_APPLETS = [
  'awk',
  'blkdiscard',
  'blockdev',
  'chmod',
  'clear',
  'cut',
  'date',
  'env',
  'expr',
  'false',
  'find',
  'getty',
  'id',
  'killall',
  'ln',
  'losetup',
  'mke2fs',
  'mknod',
  'more',
  'mv',
  'od',
  'printf',
  'pwd',
  'readlink',
  'rmmod',
  'route',
  'sed',
  'seq',
  'setsid',
  'sort',
  'stat',
  'stty',
  'sysctl',
  'tee',
  'test',
  'time',
  'tr',
  'traceroute',
  'true',
  'uniq',
  'usleep',
  'watch',
  'xargs',
  'yes',
  'sh',
  'ash',
  'cat',
  'cp',
  'dd',
  'df',
  'dmesg',
  'echo',
  'free',
  'grep',
  'head',
  'hexdump',
  'hostname',
  'ifconfig',
  'insmod',
  'ip',
  'kill',
  'ls',
  'lsmod',
  'md5sum',
  'mkdir',
  'mount',
  'nc',
  'ping',
  'ps',
  'rm',
  'sleep',
  'sync',
  'tail',
  'top',
  'touch',
  'umount',
  'uname',
  'uptime',
  'vi',
  'wc',
  'wget',
] as const;

/** What dom0's /init calls: Debian's static busybox runs only some of its applets without a name of their own. */
const DOM0_APPLETS = ['sh', 'insmod', 'mount', 'switch_root', 'umount', 'usleep'] as const;

const CONSOLE_DEVICE: CpioEntry = { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 };

async function moduleEntries(modules: readonly string[]): Promise<readonly CpioEntry[]> {
  return Promise.all(
    modules.map(async (path) => ({
      kind: 'file' as const,
      path: `modules/${basename(path)}`,
      mode: 0o644,
      content: await readFile(path),
    })),
  );
}

function appletLinks(applets: readonly string[]): readonly CpioEntry[] {
  return applets.map((applet) => ({ kind: 'symlink', path: `bin/${applet}`, target: 'busybox' }));
}

async function pack(entries: readonly CpioEntry[]): Promise<Buffer> {
  const directories = DIRECTORIES.map((path) => ({ kind: 'directory' as const, path }));
  return gzipAsync(writeCpio([...directories, CONSOLE_DEVICE, ...entries]));
}

/** dom0's initramfs: busybox, the modules (files, in loading order) and an /init that mounts /dev/vda. */
export async function dom0Initramfs(busybox: Buffer, modules: readonly string[]): Promise<Buffer> {
  const init = dom0InitramfsInit(modules.map((path) => basename(path)));
  return pack([
    { kind: 'file', path: 'bin/busybox', mode: 0o755, content: busybox },
    ...appletLinks(DOM0_APPLETS),
    { kind: 'file', path: 'init', mode: 0o755, content: Buffer.from(init) },
    ...(await moduleEntries(modules)),
  ]);
}

/** The tiny guest's whole userland. */
export async function guestInitramfs(busybox: Buffer, modules: readonly string[]): Promise<Buffer> {
  const files = guestFiles(modules.map((path) => basename(path)));
  return pack([
    { kind: 'file', path: 'bin/busybox', mode: 0o755, content: busybox },
    { kind: 'symlink', path: 'init', target: 'bin/busybox' },
    ...appletLinks(GUEST_APPLETS),
    ...files.map(({ path, mode, text }) => ({ kind: 'file' as const, path, mode, content: Buffer.from(text) })),
    ...(await moduleEntries(modules)),
  ]);
}
