/** Debian's own sshd on a port of loopback, as an ordinary process with keys of its own: it lets in whoever runs it. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { HostAddress } from '@xenolith/xapi';

const program = '/usr/sbin/sshd';

export interface Sshd {
  readonly address: Extract<HostAddress, { kind: 'ssh' }>;
  close(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

/** Starts it. @throws Error when openssh-server is not installed, or it ends at once with its own words */
export async function startSshd(): Promise<Sshd> {
  if (!existsSync(program)) throw new Error(`no ${program}: apt-get install openssh-server`);
  // Run by root it asks for this directory, which only the service makes.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const directory = await mkdtemp(join(tmpdir(), 'xenolith-sshd-'));
  const path = (name: string): string => join(directory, name);
  for (const name of ['host_key', 'key'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path(name)]);
  const port = await freePort();
  await copyFile(path('key.pub'), path('authorized_keys'));
  await chmod(path('authorized_keys'), 0o600);
  const hostKey = (await readFile(path('host_key.pub'), 'utf8')).split(' ').slice(0, 2).join(' ');
  await writeFile(path('known_hosts'), `[127.0.0.1]:${port} ${hostKey}\n`);
  const settings = [
    `HostKey=${path('host_key')}`,
    `AuthorizedKeysFile=${path('authorized_keys')}`,
    'PidFile=none',
    // Not the user's own: what is in ~/.bashrc would be run before every command.
    `SetEnv=HOME=${directory}`,
    'StrictModes=no',
    'UsePAM=no',
    'MaxStartups=100',
    'PermitRootLogin=prohibit-password',
  ].flatMap((setting) => ['-o', setting]);
  const child = spawn(program, ['-D', '-e', '-f', '/dev/null', '-o', `ListenAddress=127.0.0.1:${port}`, ...settings], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let words = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      words = (words + text).slice(-4096);
      if (words.includes('Server listening on')) resolve();
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`sshd ended: ${words}`)));
  });
  return {
    address: {
      kind: 'ssh',
      user: userInfo().username,
      hostname: '127.0.0.1',
      port,
      identityFile: path('key'),
      knownHostsFile: path('known_hosts'),
    },
    close: async () => {
      child.kill('SIGTERM');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
