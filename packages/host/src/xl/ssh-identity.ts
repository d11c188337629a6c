import { readFile } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { HostError, type HostAddress } from '@xenolith/xapi';
import ssh2, { type AnyAuthMethod } from 'ssh2';
import { KnownHosts, knownHostsLimitBytes } from './known-hosts.ts';

type SshAddress = Extract<HostAddress, { kind: 'ssh' }>;

/** What to prove who we are with, in the order to try, and in words. */
export interface SshIdentity {
  readonly methods: readonly AnyAuthMethod[];
  readonly tried: readonly string[];
}

/** The user's own keys, as ssh looks for them (ssh_config(5), IdentityFile) less those of retired types. */
const usualKeyFiles = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/** A private key or known_hosts file is read up to this size. */
const keyLimitBytes = 64 * 1024;

/** The home directory, also where the environment does not say. */
export function homeDirectory(): string {
  try {
    return homedir();
  } catch {
    return userInfo().homedir;
  }
}

/**
 * The identity file of the address alone, or else the agent and the usual key files.
 * @throws HostError authentication-failed when the named file cannot be used, or there is nothing to try.
 */
export async function loadIdentity(address: SshAddress): Promise<SshIdentity> {
  const { user: username } = address;
  if (address.identityFile !== undefined) {
    const key = await readKey(address.identityFile);
    if ('problem' in key) throw new HostError('authentication-failed', key.problem);
    return { methods: [{ type: 'publickey', username, key: key.text }], tried: [address.identityFile] };
  }
  const methods: AnyAuthMethod[] = [];
  const tried: string[] = [];
  const problems: string[] = [];
  const agent = process.env['SSH_AUTH_SOCK'];
  if (agent !== undefined && agent !== '') {
    methods.push({ type: 'agent', username, agent });
    tried.push('the agent');
  }
  for (const file of usualKeyFiles) {
    const path = join(homeDirectory(), '.ssh', file);
    const key = await readKey(path);
    if ('text' in key) {
      methods.push({ type: 'publickey', username, key: key.text });
      tried.push(path);
    } else if (!key.missing) problems.push(key.problem);
  }
  if (methods.length === 0) {
    const why = problems.length > 0 ? problems.join('; ') : 'no agent is running and ~/.ssh has no key';
    throw new HostError('authentication-failed', `nothing to log in with: ${why}. Name a key: ?identity=FILE`);
  }
  return { methods, tried };
}

async function readKey(
  path: string,
): Promise<{ readonly text: string } | { readonly problem: string; readonly missing: boolean }> {
  const file = await readSmallFile(path, keyLimitBytes);
  if ('problem' in file) return file;
  const parsed = ssh2.utils.parseKey(file.text);
  if (parsed instanceof Error) {
    const encrypted = /encrypted|passphrase/i.test(parsed.message);
    const why = encrypted ? 'is protected by a passphrase: put it into an agent' : 'holds no private key ssh can use';
    return { problem: `${path} ${why}`, missing: false };
  }
  return { text: file.text };
}

/** The known_hosts file of the address, or the user's own. A missing one knows nobody. */
export async function loadKnownHosts(
  address: SshAddress,
): Promise<{ readonly path: string; readonly hosts: KnownHosts }> {
  const path = address.knownHostsFile ?? join(homeDirectory(), '.ssh', 'known_hosts');
  const file = await readSmallFile(path, knownHostsLimitBytes);
  if ('text' in file) return { path, hosts: new KnownHosts(file.text) };
  if (file.missing) return { path, hosts: new KnownHosts('') };
  throw new HostError('unknown-host-key', `the known hosts cannot be read: ${file.problem}`);
}

async function readSmallFile(
  path: string,
  limitBytes: number,
): Promise<{ readonly text: string } | { readonly problem: string; readonly missing: boolean }> {
  try {
    const content = await readFile(path);
    if (content.length > limitBytes) return { problem: `${path} is larger than ${limitBytes} bytes`, missing: false };
    return { text: content.toString('utf8') };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return { problem: `${path} cannot be read (${code})`, missing: code === 'ENOENT' };
  }
}
