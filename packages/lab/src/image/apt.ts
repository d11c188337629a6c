import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LabError } from '../lab-error.ts';
import { findProgram, runProgram } from '../program.ts';
import { DEBIAN_RELEASE } from './packages.ts';

const UPDATE_TIMEOUT_MS = 180_000;
const RESOLVE_TIMEOUT_MS = 60_000;
const FETCH_TIMEOUT_MS = 1_200_000;

/** Used where the machine itself is not the wanted Debian release (Ubuntu, other Debians). */
const ARCHIVE_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const ARCHIVE_SOURCES = [
  ['http://deb.debian.org/debian', DEBIAN_RELEASE],
  ['http://deb.debian.org/debian', `${DEBIAN_RELEASE}-updates`],
  ['http://deb.debian.org/debian-security', `${DEBIAN_RELEASE}-security`],
] as const;

/** A package of a closure, as `apt-get` names it. */
export type DebianPackage = { readonly name: string; readonly version: string };

/** An apt of our own: its lists, cache and (empty) dpkg status are under `directory`; nothing of the machine's apt is changed. */
export type PrivateApt = { readonly directory: string; readonly configPath: string };

/** Whether /etc/os-release is of the release the image is made of, so that the machine's own sources and mirrors can be used. */
export function isWantedRelease(osRelease: string): boolean {
  const values = new Map(
    osRelease.split('\n').flatMap((line) => {
      const match = /^([A-Z_]+)="?([^"]*)"?$/.exec(line.trim());
      return match === null ? [] : [[match[1] ?? '', match[2] ?? ''] as const];
    }),
  );
  return values.get('ID') === 'debian' && values.get('VERSION_CODENAME') === DEBIAN_RELEASE;
}

/** An apt.conf string is double-quoted and has no escapes, so a path with a quote cannot be written at all. */
function quoted(value: string): string {
  if (/["\n]/.test(value))
    throw new LabError('BAD_OPTION', `the cache directory's path must not contain quotes or newlines: ${value}`);
  return `"${value}"`;
}

/**
 * The text of apt.conf for a private apt. `acquire` is the machine's own `Acquire::…` settings (proxies, certificates) as `apt-config dump` prints
 * them; hooks and everything else of the machine's configuration is left out.
 */
export function aptConfig(directory: string, acquire: readonly string[], ownSources: boolean): string {
  const sources = ownSources
    ? [`Dir::Etc::sourcelist ${quoted(join(directory, 'sources.list'))};`, 'Dir::Etc::sourceparts "/dev/null";']
    : [];
  return [
    'Dir::Etc::main "/dev/null";',
    'Dir::Etc::parts "/dev/null";',
    'Dir::Etc::preferences "/dev/null";',
    'Dir::Etc::preferencesparts "/dev/null";',
    `Dir::State ${quoted(join(directory, 'state'))};`,
    `Dir::State::status ${quoted(join(directory, 'status'))};`,
    `Dir::Cache ${quoted(join(directory, 'cache'))};`,
    'APT::Architecture "amd64";',
    'APT::Architectures { "amd64"; };',
    'APT::Install-Recommends "false";',
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    ...sources,
    ...acquire,
    '',
  ].join('\n');
}

/** The lines of `apt-config dump` that say how to reach archives. */
export function acquireSettings(dump: string): readonly string[] {
  return dump.split('\n').filter((line) => /^Acquire::(https?|ftp|Check-|ForceIPv)/i.test(line));
}

async function needsOwnSources(): Promise<boolean> {
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '');
  if (isWantedRelease(osRelease)) return false;
  const keyring = await readFile(ARCHIVE_KEYRING).catch(() => undefined);
  if (keyring === undefined) {
    throw new LabError(
      'TOOL_MISSING',
      'the dom0 image is made of Debian packages and this machine cannot verify them. Install with: apt-get install debian-archive-keyring',
    );
  }
  return true;
}

/**
 * Makes a private apt under `directory` (kept between builds, so that only what changed is fetched) and brings its package lists up to date.
 * Throws LabError when the lists cannot be fetched.
 */
export async function preparePrivateApt(directory: string, signal?: AbortSignal): Promise<PrivateApt> {
  const ownSources = await needsOwnSources();
  await mkdir(join(directory, 'state/lists/partial'), { recursive: true });
  await mkdir(join(directory, 'cache/archives/partial'), { recursive: true });
  await mkdir(join(directory, 'packages'), { recursive: true });
  await writeFile(join(directory, 'status'), '');
  if (ownSources) {
    const lines = ARCHIVE_SOURCES.map(([uri, suite]) => `deb [signed-by=${ARCHIVE_KEYRING}] ${uri} ${suite} main\n`);
    await writeFile(join(directory, 'sources.list'), lines.join(''));
  }
  const aptConfigProgram = await findProgram('apt-config');
  const dump =
    aptConfigProgram === undefined
      ? ''
      : (await runProgram([aptConfigProgram, 'dump'], { timeoutMs: RESOLVE_TIMEOUT_MS, signal })).stdout.toString();
  const apt = { directory, configPath: join(directory, 'apt.conf') };
  await writeFile(apt.configPath, aptConfig(directory, acquireSettings(dump), ownSources));
  await aptGet(apt, ['update'], { timeoutMs: UPDATE_TIMEOUT_MS, signal });
  return apt;
}

async function aptGet(
  apt: PrivateApt,
  argv: readonly string[],
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined; readonly cwd?: string },
): Promise<string> {
  const { stdout } = await runProgram(['apt-get', '-q', ...argv], { ...options, env: { APT_CONFIG: apt.configPath } });
  return stdout.toString();
}

/** Reads the packages out of `apt-get -s install`: lines such as `Inst bash (5.2.15-2+b13 Debian:12/stable [amd64])`. */
export function parseSimulatedInstall(text: string): readonly DebianPackage[] {
  return text.split('\n').flatMap((line) => {
    const match = /^Inst (\S+) \((\S+) /.exec(line);
    return match === null ? [] : [{ name: (match[1] ?? '').replace(/:amd64$/, ''), version: match[2] ?? '' }];
  });
}

/** Everything that installing `names` on an empty system would install, in apt's order. */
export async function resolveClosure(
  apt: PrivateApt,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<readonly DebianPackage[]> {
  const text = await aptGet(apt, ['-s', 'install', ...names], { timeoutMs: RESOLVE_TIMEOUT_MS, signal });
  const closure = parseSimulatedInstall(text);
  if (closure.length < names.length)
    throw new LabError('BUILD_FAILED', 'apt-get named fewer packages than were asked for');
  return closure;
}

/** The file name `apt-get download` gives a package: a colon (of an epoch) is written %3a. */
export function packageFilePrefix(debianPackage: DebianPackage): string {
  return `${debianPackage.name}_${debianPackage.version.replaceAll(':', '%3a')}_`;
}

/** Fetches packages, checked by apt against the signed lists, into the private apt's `packages` directory, and gives that directory. */
export async function fetchPackages(
  apt: PrivateApt,
  packages: readonly DebianPackage[],
  signal?: AbortSignal,
): Promise<string> {
  const directory = join(apt.directory, 'packages');
  const names = packages.map(({ name, version }) => `${name}=${version}`);
  await aptGet(apt, ['download', ...names], { timeoutMs: FETCH_TIMEOUT_MS, cwd: directory, signal });
  return directory;
}
