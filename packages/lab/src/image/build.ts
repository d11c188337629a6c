import { randomUUID } from 'node:crypto';
import { chmod, copyFile, mkdir, open, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { LabError } from '../lab-error.ts';
import { BUILD_TOOLS, requireTools, RUN_TOOLS } from '../needed-tool.ts';
import type { Progress } from '../progress.ts';
import { runPipeline, runProgram } from '../program.ts';
import type { DebianPackage } from './apt.ts';
import { fetchPackages, packageFilePrefix, preparePrivateApt, resolveClosure } from './apt.ts';
import { DOM0_DIRECTORIES, DOM0_FILES, GUEST_INITRD_PATH, GUEST_KERNEL_PATH } from './dom0-files.ts';
import { dom0Initramfs, guestInitramfs } from './initramfs.ts';
import { findModules, moduleClosure } from './kernel-modules.ts';
import { kernelPayload } from './kernel-payload.ts';
import {
  DOM0_INITRAMFS_MODULES,
  DOM0_MODULES,
  DOM0_PACKAGES,
  GUEST_MODULES,
  isFetched,
  isWantedInDom0,
  KERNEL_IMAGE_PATTERN,
  KERNEL_PACKAGE,
  TREE_EXCLUDES,
  XEN_PACKAGE,
} from './packages.ts';
import { DOM0_DISK_BYTES } from './recipe.ts';

const gunzipAsync = promisify(gunzip);
const UNPACK_TIMEOUT_MS = 120_000;
const MAKE_DISK_TIMEOUT_MS = 300_000;
/** bookworm's merged /usr, which packages expect and only the installer would make. */
const MERGED_DIRECTORIES = ['bin', 'lib', 'lib64', 'sbin'] as const;

/** Names of the files an image consists of, inside its directory. */
export const IMAGE_FILES = {
  xen: 'xen.elf',
  kernel: 'vmlinux',
  initrd: 'initrd.gz',
  disk: 'dom0.qcow2',
  manifest: 'manifest.json',
} as const;

type Building = {
  readonly packagesDirectory: string;
  readonly fileNames: readonly string[];
  readonly signal: AbortSignal | undefined;
};

function packageFile(building: Building, debianPackage: DebianPackage): string {
  const prefix = packageFilePrefix(debianPackage);
  const name = building.fileNames.find((fileName) => fileName.startsWith(prefix) && fileName.endsWith('.deb'));
  if (name === undefined) throw new LabError('BUILD_FAILED', `apt-get did not fetch ${debianPackage.name}`);
  return join(building.packagesDirectory, name);
}

/** Unpacks a package without running any of its scripts; links such as /bin -> usr/bin in the tree are followed, not replaced. */
async function unpack(building: Building, debianPackage: DebianPackage, into: string): Promise<void> {
  await runPipeline(
    [
      ['dpkg-deb', '--fsys-tarfile', packageFile(building, debianPackage)],
      [
        'tar',
        '-x',
        '-p',
        '-f',
        '-',
        '-C',
        into,
        '--no-same-owner',
        '--keep-directory-symlink',
        '--warning=no-timestamp',
        '--wildcards',
        ...TREE_EXCLUDES.map((pattern) => `--exclude=${pattern}`),
      ],
    ],
    { timeoutMs: UNPACK_TIMEOUT_MS, signal: building.signal },
  );
}

async function onlyPackage(
  closure: readonly DebianPackage[],
  what: string,
  matches: (name: string) => boolean,
): Promise<DebianPackage> {
  const found = closure.find(({ name }) => matches(name));
  if (found === undefined) throw new LabError('BUILD_FAILED', `no package of the ${what} in what apt-get resolved`);
  return found;
}

async function makeTree(
  building: Building,
  closure: readonly DebianPackage[],
  tree: string,
  progress: Progress,
): Promise<void> {
  for (const name of MERGED_DIRECTORIES) {
    await mkdir(join(tree, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(tree, name));
  }
  const wanted = closure.filter(({ name }) => isWantedInDom0(name));
  for (const [index, debianPackage] of wanted.entries()) {
    progress(`unpacking ${debianPackage.name}`, 0.35 + (0.2 * index) / wanted.length);
    await unpack(building, debianPackage, tree);
  }
  for (const path of DOM0_DIRECTORIES) await mkdir(join(tree, path), { recursive: true });
  for (const file of DOM0_FILES) {
    const path = join(tree, file.path);
    await mkdir(dirname(path), { recursive: true });
    await rm(path, { force: true });
    await writeFile(path, file.text);
    await chmod(path, file.mode);
  }
  // Kernel messages name no link target here, so a resolv.conf or mtab is not needed; mount(8) reads /etc/mtab.
  await rm(join(tree, 'etc/mtab'), { force: true });
  await symlink('/proc/self/mounts', join(tree, 'etc/mtab'));
  await chmod(join(tree, 'tmp'), 0o1777);
  await chmod(join(tree, 'root'), 0o700);
}

/** Uncompresses the kernel, and puts dom0's modules into the tree; gives the initramfs's and guest's module files. */
async function takeKernel(
  building: Building,
  kernelDirectory: string,
  tree: string,
): Promise<{ readonly vmlinux: Buffer; readonly initramfs: readonly string[]; readonly guest: readonly string[] }> {
  const boot = await readdir(join(kernelDirectory, 'boot'));
  const vmlinuz = boot.find((name) => name.startsWith('vmlinuz-'));
  if (vmlinuz === undefined) throw new LabError('BUILD_FAILED', 'the kernel package has no /boot/vmlinuz');
  const payload = kernelPayload(await readFile(join(kernelDirectory, 'boot', vmlinuz)));
  const { stdout: vmlinux } = await runProgram(['xz', '-d', '-c'], {
    input: payload.xz,
    timeoutMs: UNPACK_TIMEOUT_MS,
    signal: building.signal,
  });
  if (vmlinux.length !== payload.vmlinuxBytes)
    throw new LabError('BUILD_FAILED', 'the kernel did not uncompress to its stated size');

  const release = vmlinuz.slice('vmlinuz-'.length);
  const modulesDirectory = join(kernelDirectory, 'lib/modules', release);
  const modules = await findModules(modulesDirectory);
  const builtin = await readFile(join(modulesDirectory, 'modules.builtin'), 'utf8');
  const target = join(tree, 'usr/lib/modules', release);
  for (const path of await moduleClosure(modules, builtin, DOM0_MODULES)) {
    const copy = join(target, relative(modulesDirectory, path));
    await mkdir(dirname(copy), { recursive: true });
    await copyFile(path, copy);
  }
  for (const name of await readdir(modulesDirectory)) {
    if (name.startsWith('modules.')) await copyFile(join(modulesDirectory, name), join(target, name));
  }
  return {
    vmlinux,
    initramfs: await moduleClosure(modules, builtin, DOM0_INITRAMFS_MODULES),
    guest: await moduleClosure(modules, builtin, GUEST_MODULES),
  };
}

async function takeXen(directory: string): Promise<Buffer> {
  const names = await readdir(join(directory, 'boot'));
  const name = names.find((candidate) => /^xen-[\d.]+-amd64\.gz$/.test(candidate));
  if (name === undefined) throw new LabError('BUILD_FAILED', 'the hypervisor package has no /boot/xen-…-amd64.gz');
  return gunzipAsync(await readFile(join(directory, 'boot', name)));
}

/**
 * The debugfs commands that give every file of a tree to root. mke2fs copies the owners it finds, and an ordinary user's files are the user's;
 * neither user namespaces (often switched off) nor fakeroot are needed this way.
 */
export function rootOwnerCommands(paths: readonly string[]): string {
  const commands = ['lost+found', ...paths].flatMap((path) => {
    if (/["\n]/.test(path)) throw new LabError('BUILD_FAILED', `debugfs cannot be told about this path: ${path}`);
    return [`sif "/${path}" uid 0`, `sif "/${path}" gid 0`];
  });
  return `${commands.join('\n')}\n`;
}

async function makeDisk(tree: string, work: string, image: string, signal: AbortSignal | undefined): Promise<void> {
  const raw = join(work, 'dom0.raw');
  const file = await open(raw, 'w');
  await file.truncate(DOM0_DISK_BYTES);
  await file.close();
  const options = { timeoutMs: MAKE_DISK_TIMEOUT_MS, signal };
  // No journal: a host is always restored from its saved state, its disk is never read again after a crash.
  await runProgram(
    [
      'mke2fs',
      '-q',
      '-F',
      '-t',
      'ext4',
      '-O',
      '^has_journal',
      '-m',
      '0',
      '-E',
      'root_owner=0:0,lazy_itable_init=1',
      '-L',
      'dom0',
      '-d',
      tree,
      raw,
    ],
    options,
  );
  if (process.getuid?.() !== 0) {
    const commands = join(work, 'owners');
    await writeFile(commands, rootOwnerCommands(await readdir(tree, { recursive: true })));
    await runProgram(['debugfs', '-w', '-f', commands, raw], options);
  }
  await runProgram(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, join(image, IMAGE_FILES.disk)], options);
}

/**
 * Builds a dom0 image in `work` (an empty directory, left to the caller to delete) and renames the finished image to `target`, so that a build that
 * dies leaves nothing that looks finished. `aptDirectory` is kept between builds. Needs no privilege.
 * Throws LabError: TOOL_MISSING, PROGRAM_FAILED, BUILD_FAILED, TIMED_OUT, INTERRUPTED.
 */
export async function buildImage(options: {
  readonly work: string;
  readonly aptDirectory: string;
  readonly target: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}): Promise<void> {
  const { work, progress, signal } = options;
  await requireTools([...RUN_TOOLS, ...BUILD_TOOLS]);
  progress('reading package lists', 0);
  const apt = await preparePrivateApt(options.aptDirectory, signal);
  const closure = await resolveClosure(apt, [...DOM0_PACKAGES, XEN_PACKAGE, KERNEL_PACKAGE], signal);
  const fetched = closure.filter(({ name }) => isFetched(name));
  progress(`fetching ${fetched.length} Debian packages`, 0.1);
  const packagesDirectory = await fetchPackages(apt, fetched, signal);
  const building: Building = { packagesDirectory, fileNames: await readdir(packagesDirectory), signal };

  const [tree, kernelDirectory, xenDirectory, image] = ['tree', 'kernel', 'xen', 'image'].map((name) =>
    join(work, name),
  ) as [string, string, string, string];
  for (const directory of [tree, kernelDirectory, xenDirectory, image]) await mkdir(directory);
  await makeTree(building, closure, tree, progress);
  progress('unpacking the kernel and the hypervisor', 0.55);
  await unpack(
    building,
    await onlyPackage(closure, 'kernel', (name) => KERNEL_IMAGE_PATTERN.test(name)),
    kernelDirectory,
  );
  await unpack(building, await onlyPackage(closure, 'hypervisor', (name) => name === XEN_PACKAGE), xenDirectory);
  const kernel = await takeKernel(building, kernelDirectory, tree);
  const busybox = await readFile(join(tree, 'bin/busybox'));
  await writeFile(join(image, IMAGE_FILES.xen), await takeXen(xenDirectory));
  await writeFile(join(image, IMAGE_FILES.kernel), kernel.vmlinux);
  await writeFile(join(image, IMAGE_FILES.initrd), await dom0Initramfs(busybox, kernel.initramfs));
  await writeFile(join(tree, GUEST_KERNEL_PATH), kernel.vmlinux);
  await writeFile(join(tree, GUEST_INITRD_PATH), await guestInitramfs(busybox, kernel.guest));

  progress('writing the disk', 0.75);
  await makeDisk(tree, work, image, signal);
  // The id tells this build from any other of the same recipe: a saved state fits only the very disk it was made on.
  const manifest = {
    build: randomUUID(),
    packages: Object.fromEntries(fetched.map(({ name, version }) => [name, version])),
  };
  await writeFile(join(image, IMAGE_FILES.manifest), `${JSON.stringify(manifest, null, 2)}\n`);
  if (signal?.aborted === true) throw new LabError('INTERRUPTED', 'interrupted');
  await rename(image, options.target);
  progress('image built', 1);
}
