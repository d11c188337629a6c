/** A control domain for tests: a real SSH server in this process, whose shell says what the test wants. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostAddress } from '@xenolith/xapi';
import ssh2, { type Connection, type ServerChannel } from 'ssh2';

/** What a command gives; `hang` never ends. */
export type FakeAnswer = { readonly stdout?: string; readonly stderr?: string; readonly exitCode?: number } | 'hang';

/** Answers a command of which the whole stdin is there. */
export type FakeShell = (command: string, stdin: string) => FakeAnswer;

export interface FakeDom0 {
  /** Where it is, with the right key and the right known_hosts file. */
  readonly address: Extract<HostAddress, { kind: 'ssh' }>;
  /** Writes another file beside those of the address, and gives its path. */
  file(name: string, text: string): Promise<string>;
  /** The line for known_hosts with a key of the same form that is not the server's. */
  readonly otherKnownHosts: string;
  /** A private key that the server does not know. */
  readonly otherKey: string;
  shell: FakeShell;
  /** When there is one, every command is a program that streams go to and come from, in the place of {@link shell}. */
  stream?: (command: string) => ChildProcessWithoutNullStreams;
  /**
   * Answers at once, without waiting for stdin, and in one piece: that the command was begun, its output, its exit code
   * and its end come in a single packet of TCP, as they do from a host that is faster than we are.
   */
  allAtOnce: boolean;
  /** What came in so far. */
  readonly commands: { readonly text: string; readonly stdin: string }[];
  /** Ends all connections at once. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts one on a free port of loopback. */
export async function startFakeDom0(shell: FakeShell): Promise<FakeDom0> {
  const directory = await mkdtemp(join(tmpdir(), 'fake-dom0-'));
  const [hostKey, userKey, otherKey] = [keyPair(), keyPair(), keyPair()];
  const connections = new Set<Connection>();
  const sshServer = new ssh2.Server({ hostKeys: [hostKey.private] });
  const serveConnection = (connection: Connection, socket: Socket): void => {
    connections.add(connection);
    connection.on('close', () => connections.delete(connection));
    connection.on('error', () => undefined);
    connection.on('authentication', (context) => {
      const right = ssh2.utils.parseKey(userKey.public);
      const isRight =
        context.method === 'publickey' && !(right instanceof Error) && right.getPublicSSH().equals(context.key.data);
      if (isRight) context.accept();
      else context.reject(['publickey']);
    });
    connection.on('session', (accept) => {
      const session = accept();
      session.on('pty', (acceptPty) => acceptPty?.());
      session.on('exec', (acceptExec, _reject, info) => {
        if (fake.stream !== undefined) {
          connectTo(fake.stream(info.command), acceptExec());
          return;
        }
        if (!fake.allAtOnce) {
          serve(fake, acceptExec(), info.command);
          return;
        }
        socket.cork();
        const channel = acceptExec();
        channel.on('error', () => undefined);
        fake.commands.push({ text: info.command, stdin: '' });
        answer(fake.shell(info.command, ''), channel);
        // The end of the channel is sent when its stream has finished, which is not at once.
        setImmediate(() => socket.uncork());
      });
    });
  };
  const server = createServer((socket) => {
    sshServer.once('connection', (connection) => serveConnection(connection, socket));
    sshServer.injectSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const knownHosts = (key: KeyPair): string => `[127.0.0.1]:${port} ${key.public}\n`;
  const fake: FakeDom0 = {
    address: {
      kind: 'ssh',
      user: 'root',
      hostname: '127.0.0.1',
      port,
      identityFile: await file('key', userKey.private),
      knownHostsFile: await file('known_hosts', knownHosts(hostKey)),
    },
    file,
    otherKnownHosts: knownHosts(otherKey),
    otherKey: otherKey.private,
    shell,
    allAtOnce: false,
    commands: [],
    cut() {
      for (const connection of connections) connection.end();
    },
    async close() {
      fake.cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await rm(directory, { recursive: true, force: true });
    },
  };
  return fake;
}

/** A port of loopback on which nobody listens. */
export async function deafPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

interface KeyPair {
  readonly public: string;
  readonly private: string;
}

/** Not Ed25519: about one in a hundred of those that ssh2 makes (not of those that it reads) is malformed. */
const keyPair = (): KeyPair => ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 });

function serve(fake: FakeDom0, channel: ServerChannel, text: string): void {
  let stdin = '';
  channel.on('error', () => undefined);
  channel.on('data', (data: Buffer) => {
    stdin += data.toString('utf8');
  });
  channel.on('end', () => {
    fake.commands.push({ text, stdin });
    answer(fake.shell(text, stdin), channel);
  });
}

function connectTo(child: ChildProcessWithoutNullStreams, channel: ServerChannel): void {
  channel.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  channel.pipe(child.stdin);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  channel.on('close', () => {
    child.stdin.end();
    child.stdout.destroy();
  });
  child.on('close', (code) => {
    channel.exit(code ?? 1);
    channel.end();
  });
}

function answer(given: FakeAnswer, channel: ServerChannel): void {
  if (given === 'hang') return;
  channel.stderr.write(given.stderr ?? '');
  channel.write(given.stdout ?? '');
  channel.exit(given.exitCode ?? 0);
  channel.end();
}
