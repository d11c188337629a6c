/**
 * What some tests need beyond Node: programs from Debian packages. A test that misses one is skipped with the
 * reason; with XENOLITH_TESTS_REQUIRE_ALL=1 (as in CI) it fails instead.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

interface Tool {
  /** The Debian package that has it. */
  readonly package: string;
  /** A command that succeeds when the tool is there; without one the program's name is looked up in PATH. */
  readonly probe?: readonly [string, ...string[]];
}

const tools = {
  'qemu-system-x86_64': { package: 'qemu-system-x86' },
  'qemu-img': { package: 'qemu-utils' },
  'dpkg-deb': { package: 'dpkg' },
  'apt-get': { package: 'apt' },
  'debian-archive-keyring': {
    package: 'debian-archive-keyring',
    probe: ['test', '-e', '/usr/share/keyrings/debian-archive-keyring.gpg'],
  },
  mke2fs: { package: 'e2fsprogs' },
  debugfs: { package: 'e2fsprogs' },
  tar: { package: 'tar' },
  flock: { package: 'util-linux' },
  xz: { package: 'xz-utils' },
  ssh: { package: 'openssh-client' },
  'ssh-keygen': { package: 'openssh-client' },
  bash: { package: 'bash' },
  'bash-completion': {
    package: 'bash-completion',
    probe: ['test', '-e', '/usr/share/bash-completion/bash_completion'],
  },
  python3: { package: 'python3' },
  curl: { package: 'curl' },
  'ansible-playbook': { package: 'ansible' },
  'XenAPI.py': { package: 'python3-os-xenapi', probe: ['/usr/bin/python3', '-c', 'import os_xenapi'] },
  fence_xenapi: { package: 'fence-agents' },
  hspace: { package: 'ganeti-htools' },
  ministat: { package: 'ministat' },
  pbzip2: { package: 'pbzip2' },
  make: { package: 'make' },
  cc: { package: 'gcc', probe: ['sh', '-c', 'command -v cc && test -e "$(cc -print-file-name=libc.a)"'] },
  postgres: { package: 'postgresql', probe: ['sh', '-c', 'ls /usr/lib/postgresql/*/bin/pgbench'] },
} as const satisfies Readonly<Record<string, Tool>>;

export type ToolName = keyof typeof tools;

/** What building the lab's image and running its hosts takes. */
export const labNeeds: readonly ToolName[] = [
  'qemu-system-x86_64',
  'qemu-img',
  'dpkg-deb',
  'apt-get',
  'debian-archive-keyring',
  'mke2fs',
  'debugfs',
  'tar',
  'flock',
  'xz',
  'ssh',
  'ssh-keygen',
];

/** The groups of tests that need something, for the lines that `npm test` closes with. */
export const groups: readonly { readonly what: string; readonly needs: readonly ToolName[] }[] = [
  {
    what: 'tests on real Xen in QEMU (tests/lab)',
    needs: labNeeds,
  },
  { what: 'a campaign in guests (tests/lab)', needs: [...labNeeds, 'cc'] },
  { what: 'the Python client (tests/api)', needs: ['python3', 'XenAPI.py'] },
  { what: 'Ansible (tests/api)', needs: ['ansible-playbook', 'XenAPI.py'] },
  { what: 'the fencing agent (tests/api)', needs: ['fence_xenapi'] },
  { what: 'capacity beside hspace (tests/api)', needs: ['hspace'] },
  { what: "FreeBSD's ministat (tests/api)", needs: ['ministat'] },
  { what: 'benchmarks of real programs (tests/api)', needs: ['pbzip2', 'postgres', 'make'] },
  { what: 'the lines that npm start prints (tests/api)', needs: ['python3', 'curl'] },
  { what: 'bash completion (tests/api)', needs: ['bash', 'bash-completion'] },
];

function inPath(program: string): boolean {
  const places = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return places.some((place) => {
    try {
      accessSync(join(place, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function isThere(name: ToolName): boolean {
  const tool: Tool = tools[name];
  if (tool.probe === undefined) return inPath(name);
  const [program, ...args] = tool.probe;
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** The Debian packages of the tools in `names` that this machine lacks. */
export function missingPackages(names: readonly ToolName[]): readonly string[] {
  return [...new Set(names.filter((name) => !isThere(name)).map((name) => tools[name].package))];
}

/**
 * Whether tests that need these tools are to be skipped, and why: `describe.skipIf(requires(['ssh']).skip)`.
 * @throws Error when something is missing and XENOLITH_TESTS_REQUIRE_ALL=1
 */
export function requires(names: readonly ToolName[]): { readonly skip: boolean; readonly reason: string } {
  const missing = missingPackages(names);
  if (missing.length === 0) return { skip: false, reason: '' };
  const reason = `needs ${missing.join(', ')}: apt-get install ${missing.join(' ')}`;
  if (process.env['XENOLITH_TESTS_REQUIRE_ALL'] === '1') throw new Error(reason);
  return { skip: true, reason };
}
