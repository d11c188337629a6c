import { createHash } from 'node:crypto';
import { Socket } from 'node:net';
import { disposable, Signal, type Clock, type Disposable } from '@xenolith/base';
import { HostError, type HostAddress } from '@xenolith/xapi';
import ssh2, { type Client, type ClientChannel, type ServerHostKeyAlgorithm } from 'ssh2';
import { hostPortName, type HostKeyVerdict } from './known-hosts.ts';
import { HeadBuffer, TailBuffer } from './output-buffer.ts';
import { loadIdentity, loadKnownHosts } from './ssh-identity.ts';
import { takeFrom, writerTo } from './pipe-stream.ts';
import {
  stderrLimitBytes,
  stdoutLimitBytes,
  type Channel,
  type Command,
  type CommandResult,
  type Pipe,
  type Transport,
} from './transport.ts';
import { Turnstile } from './turnstile.ts';

/** How often a sign of life is asked for on a quiet connection. */
const keepaliveMs = 2000;
/**
 * How long a host may be without a single byte before it counts as dead, unless more patience is asked for. It is counted in ticks of {@link keepaliveMs}:
 * ticks rather than elapsed time: when it is this process that was stopped for a while, that is no sign of the host's.
 */
const usualPatienceMs = 4 * keepaliveMs;
/** For TCP, key exchange and login together; an emulated host under load has been seen to take 6 s. */
const connectLimitMs = 15_000;
/**
 * Commands at a time. sshd takes 10 sessions a connection unless told otherwise (MaxSessions): one watch, these, the
 * streams of images, and what is left for consoles.
 */
const workPlaces = 4;
const lookPlaces = 1;
const pipePlaces = 2;
/** Bytes that may wait to be written to a console; typing beyond that is dropped. */
const consoleBacklogLimitBytes = 1024 * 1024;

type SshAddress = Extract<HostAddress, { kind: 'ssh' }>;

interface Connection {
  readonly client: Client;
  readonly turnstiles: { readonly look: Turnstile; readonly work: Turnstile; readonly pipe: Turnstile };
  readonly lost: Signal<string>;
  lostReason: string | undefined;
}

/** A control domain over SSH: one connection for everything, each command a session of its own in it. */
export class SshTransport implements Transport {
  readonly name: string;
  readonly #address: SshAddress;
  readonly #clock: Clock;
  readonly #silentTicksLimit: number;
  readonly #lost = new Signal<string>();
  #connection: Connection | undefined;

  /** @param options.patienceMs how long the host may be silent before it counts as dead: 8 s unless it is said */
  constructor(address: SshAddress, clock: Clock, options: { readonly patienceMs?: number | undefined } = {}) {
    this.#silentTicksLimit = Math.ceil((options.patienceMs ?? usualPatienceMs) / keepaliveMs);
    this.#address = address;
    this.#clock = clock;
    this.name = `ssh ${address.user}@${address.hostname}:${address.port}`;
  }

  async open(): Promise<void> {
    if (this.#connection !== undefined) return;
    const [identity, known] = await Promise.all([loadIdentity(this.#address), loadKnownHosts(this.#address)]);
    const { hostname, port, user: username } = this.#address;
    const client = new ssh2.Client();
    const socket = new Socket();
    socket.setNoDelay(true);
    let verdict: { readonly kind: HostKeyVerdict; readonly fingerprint: string } | undefined;
    let settled = false;
    await new Promise<void>((resolve, reject) => {
      const fail = (error: HostError): void => {
        if (settled) return;
        settled = true;
        limit.dispose();
        reject(error);
        client.destroy();
        socket.destroy();
      };
      const limit = this.#clock.after(connectLimitMs, () => {
        fail(new HostError('unreachable', `${this.name}: no answer within ${connectLimitMs / 1000} s`));
      });
      client.on('error', (error) => fail(this.#connectError(error, verdict, known.path, identity.tried)));
      client.on('close', () => fail(new HostError('unreachable', `${this.name}: the host closed the connection`)));
      client.on('ready', () => {
        if (settled) return;
        settled = true;
        limit.dispose();
        this.#adopt(client, socket);
        resolve();
      });
      socket.on('error', (error) => fail(this.#connectError(error, verdict, known.path, identity.tried)));
      const algorithms = hostKeyAlgorithms(known.hosts.keyTypes(hostname, port));
      client.connect({
        sock: socket,
        username,
        authHandler: [...identity.methods],
        ...(algorithms.length === 0 ? {} : { algorithms: { serverHostKey: algorithms } }),
        hostVerifier: (key: Buffer) => {
          verdict = { kind: known.hosts.verify(hostname, port, key), fingerprint: fingerprint(key) };
          return verdict.kind === 'known';
        },
        readyTimeout: 0,
        keepaliveInterval: keepaliveMs,
        keepaliveCountMax: Number.MAX_SAFE_INTEGER,
      });
      socket.connect({ host: hostname, port });
    });
  }

  run(command: Command): Promise<CommandResult> {
    const connection = this.#connection;
    if (connection === undefined) return Promise.reject(this.#unconnected());
    return new Promise((resolve, reject) => {
      let over = false;
      let leave: (() => void) | undefined;
      let stop: (() => void) | undefined;
      const settle = (act: () => void): void => {
        if (over) return;
        over = true;
        limit.dispose();
        lost.dispose();
        leave?.();
        act();
      };
      const limit = this.#clock.after(command.timeLimitMs, () => {
        const seconds = command.timeLimitMs / 1000;
        settle(() => reject(new HostError('timeout', `${this.name}: no end within ${seconds} s`)));
        if (command.lane === 'look') stop?.();
      });
      const lost = connection.lost.listen((reason) => settle(() => reject(new HostError('unreachable', reason))));
      const begin = async (): Promise<void> => {
        leave = await connection.turnstiles[command.lane].enter();
        if (over) {
          leave();
          return;
        }
        await this.#session(connection, command.text, false, (stream) => {
          stop = () => stream.close();
          collect(stream, command.stdin, this.name, (outcome) => {
            settle(() => {
              if (outcome instanceof HostError) reject(this.#lostOr(connection, outcome));
              else resolve(outcome);
            });
          });
        });
      };
      begin().catch((error: unknown) => {
        settle(() => reject(error instanceof HostError ? error : this.#sessionError(connection, error)));
      });
    });
  }

  async start(text: string, options: { readonly terminal: boolean }): Promise<Channel> {
    const connection = this.#connection;
    if (connection === undefined) throw this.#unconnected();
    try {
      return await this.#session(connection, text, options.terminal, openChannel);
    } catch (error) {
      throw error instanceof HostError ? error : this.#sessionError(connection, error);
    }
  }

  async pipe(text: string): Promise<Pipe> {
    const connection = this.#connection;
    if (connection === undefined) throw this.#unconnected();
    const leave = await connection.turnstiles.pipe.enter();
    try {
      if (connection.lostReason !== undefined) throw new HostError('unreachable', connection.lostReason);
      const pipe = await this.#session(connection, text, false, (stream) => this.#pipeOver(connection, stream));
      pipe.ended.then(leave, leave);
      return pipe;
    } catch (error) {
      leave();
      throw error instanceof HostError ? error : this.#sessionError(connection, error);
    }
  }

  #pipeOver(connection: Connection, stream: ClientChannel): Pipe {
    const ended = new Promise<CommandResult>((resolve, reject) => {
      const stderr = new TailBuffer(stderrLimitBytes);
      let exitCode: number | undefined;
      const lost = connection.lost.listen((reason) => reject(new HostError('unreachable', reason)));
      stream.stderr.on('data', (data: Buffer) => stderr.add(data));
      stream.on('exit', (code: number | null) => {
        exitCode = code ?? undefined;
      });
      stream.on('error', () => undefined);
      stream.on('close', () => {
        lost.dispose();
        if (exitCode !== undefined) resolve({ exitCode, stdout: '', stderr: stderr.text() });
        else {
          const error = new HostError('command-failed', `${this.name}: it ended without an exit code`);
          reject(this.#lostOr(connection, error));
        }
      });
    });
    ended.catch(() => undefined);
    const lostError = (): HostError | undefined =>
      connection.lostReason === undefined ? undefined : new HostError('unreachable', connection.lostReason);
    return {
      output: takeFrom(stream, ended, lostError),
      write: writerTo(stream, ended),
      // As in `collect`: only our EOF, and after what was written.
      end: () => stream.write('', () => stream.eof()),
      ended,
      kill: () => stream.close(),
    };
  }

  onLost(listener: (reason: string) => void): Disposable {
    return this.#lost.listen(listener);
  }

  close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) {
      connection.lostReason = `${this.name}: closed`;
      connection.lost.emit(connection.lostReason);
      connection.client.end();
      connection.client.destroy();
    }
    return Promise.resolve();
  }

  /** Takes a connection that is logged in, and watches over its life. */
  #adopt(client: Client, socket: Socket): void {
    const connection: Connection = {
      client,
      turnstiles: {
        look: new Turnstile(lookPlaces),
        work: new Turnstile(workPlaces),
        pipe: new Turnstile(pipePlaces),
      },
      lost: new Signal(),
      lostReason: undefined,
    };
    this.#connection = connection;
    let silentTicks = 0;
    socket.on('data', () => {
      silentTicks = 0;
    });
    const lose = (reason: string): void => {
      if (connection.lostReason !== undefined) return;
      connection.lostReason = `${this.name}: ${reason}`;
      timer.dispose();
      if (this.#connection === connection) this.#connection = undefined;
      client.destroy();
      socket.destroy();
      connection.lost.emit(connection.lostReason);
      this.#lost.emit(connection.lostReason);
    };
    let timer = disposable(() => undefined);
    const tick = (): void => {
      timer = this.#clock.after(keepaliveMs, () => {
        if (connection.lostReason !== undefined) return;
        silentTicks++;
        if (silentTicks >= this.#silentTicksLimit) {
          lose(`the host has been silent for ${(this.#silentTicksLimit * keepaliveMs) / 1000} s`);
        } else tick();
      });
    };
    tick();
    client.removeAllListeners('error');
    client.removeAllListeners('close');
    client.on('error', (error) => lose(`connection lost: ${error.message}`));
    client.on('close', () => lose('the host closed the connection'));
  }

  /**
   * Begins a command and hands its stream to `attend` at once, not in a later turn: when the host answers in one piece,
   * the exit code is told in this very turn, to who listens by then.
   */
  #session<T>(
    connection: Connection,
    text: string,
    terminal: boolean,
    attend: (stream: ClientChannel) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const take = (error: Error | undefined, stream: ClientChannel): void => {
        if (error === undefined || error === null) resolve(attend(stream));
        else reject(error);
      };
      // A raw terminal from the first byte: what is typed is the guest's to echo.
      const modes = { ECHO: 0, ICANON: 0, ISIG: 0, OPOST: 0 } as const;
      const pty = { term: 'vt100', cols: 80, rows: 24, modes };
      if (terminal) connection.client.exec(text, { pty }, take);
      else connection.client.exec(text, take);
    });
  }

  #unconnected(): HostError {
    return new HostError('unreachable', `${this.name}: not connected`);
  }

  /** A failure that came because the connection went away is told as that. */
  #lostOr(connection: Connection, error: HostError): HostError {
    return connection.lostReason === undefined ? error : new HostError('unreachable', connection.lostReason);
  }

  #sessionError(connection: Connection, error: unknown): HostError {
    const why = error instanceof Error ? error.message : String(error);
    return this.#lostOr(
      connection,
      new HostError(
        'command-failed',
        `${this.name}: no further session: ${why}. Too many consoles may be open (sshd's MaxSessions)`,
      ),
    );
  }

  #connectError(
    error: Error,
    verdict: { readonly kind: HostKeyVerdict; readonly fingerprint: string } | undefined,
    knownHostsPath: string,
    tried: readonly string[],
  ): HostError {
    const { hostname, port, user } = this.#address;
    const name = hostPortName(hostname, port);
    if (verdict !== undefined && verdict.kind !== 'known') {
      if (verdict.kind === 'unknown') {
        return new HostError(
          'unknown-host-key',
          `${name} is not in ${knownHostsPath}; its key is ${verdict.fingerprint}. Compare it with the host's own ` +
            `(ssh-keygen -lf on the host), then add it: ssh-keyscan -p ${port} ${hostname} >> ${knownHostsPath}`,
        );
      }
      const what = verdict.kind === 'revoked' ? 'is marked as revoked' : 'is not the known one';
      return new HostError(
        'bad-host-key',
        `the key of ${name} ${what} in ${knownHostsPath}: it is ${verdict.fingerprint} now. If the host was ` +
          `installed anew, forget the old key: ssh-keygen -R '${name}' -f ${knownHostsPath}`,
      );
    }
    const level = 'level' in error ? String(error.level) : '';
    if (level === 'client-authentication') {
      return new HostError(
        'authentication-failed',
        `${this.name}: the host accepts none of: ${tried.join(', ')}. Put the public key into ` +
          `~${user}/.ssh/authorized_keys there`,
      );
    }
    return new HostError('unreachable', `${this.name}: ${error.message}`);
  }
}

/** `SHA256:…` as ssh-keygen prints it. */
const fingerprint = (key: Buffer): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;

/** The signature algorithms that prove a key of a known type. */
const algorithmsByKeyType: Readonly<Record<string, readonly ServerHostKeyAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

/** All algorithms, those of the known types first, so that a server with several keys shows the one we know. */
function hostKeyAlgorithms(knownTypes: readonly string[]): ServerHostKeyAlgorithm[] {
  if (knownTypes.length === 0) return [];
  const known = knownTypes.flatMap((type) => algorithmsByKeyType[type] ?? []);
  return [...new Set([...known, ...Object.values(algorithmsByKeyType).flat()])];
}

/** Gathers a session's output until it is over. */
function collect(
  stream: ClientChannel,
  stdin: string | undefined,
  name: string,
  done: (outcome: CommandResult | HostError) => void,
): void {
  const stdout = new HeadBuffer(stdoutLimitBytes);
  const stderr = new TailBuffer(stderrLimitBytes);
  let exitCode: number | undefined;
  let signal: string | undefined;
  stream.on('data', (data: Buffer) => {
    stdout.add(data);
    if (stdout.overflowed) {
      done(new HostError('command-failed', `${name}: more than ${stdoutLimitBytes} bytes of output`));
      stream.close();
    }
  });
  stream.stderr.on('data', (data: Buffer) => stderr.add(data));
  stream.on('exit', (code: number | null, name_: string | null) => {
    exitCode = code ?? undefined;
    signal = name_ ?? undefined;
  });
  stream.on('error', () => undefined);
  stream.on('close', () => {
    if (exitCode === undefined) {
      const why = signal === undefined ? 'it ended without an exit code' : `it was killed by ${signal}`;
      done(new HostError('command-failed', `${name}: ${why}`, { stderr: stderr.text() }));
    } else done({ exitCode, stdout: stdout.text(), stderr: stderr.text() });
  });
  // Only our EOF is sent; the stream is not ended. An ended stream whose other side has ended too closes the channel by
  // itself, and a server that has sent its EOF but not yet the exit code then keeps the code to itself.
  stream.write(stdin ?? '', () => stream.eof());
}

function openChannel(stream: ClientChannel): Channel {
  const output = new Signal<Uint8Array>();
  const closed = new Signal<{ readonly exitCode?: number; readonly stderr: string }>();
  const stderr = new TailBuffer(stderrLimitBytes);
  const early: Uint8Array[] = [];
  let end: { readonly exitCode?: number; readonly stderr: string } | undefined;
  let exitCode: number | undefined;
  stream.on('data', (data: Buffer) => {
    if (output.listenerCount === 0) early.push(data);
    else output.emit(data);
  });
  stream.stderr.on('data', (data: Buffer) => stderr.add(data));
  stream.on('exit', (code: number | null) => {
    exitCode = code ?? undefined;
  });
  stream.on('error', () => undefined);
  stream.on('close', () => {
    end = { stderr: stderr.text(), ...(exitCode === undefined ? {} : { exitCode }) };
    closed.emit(end);
  });
  return {
    onData(listener) {
      const subscription = output.listen(listener);
      for (const data of early.splice(0)) output.emit(data);
      return subscription;
    },
    onClose(listener) {
      if (end !== undefined) listener(end);
      return closed.listen(listener);
    },
    write(data) {
      if (end === undefined && stream.writableLength + data.length <= consoleBacklogLimitBytes) stream.write(data);
    },
    end() {
      // As in `collect`: only our EOF, and after what was written.
      if (end === undefined) stream.write('', () => stream.eof());
    },
    close() {
      if (end === undefined) stream.close();
    },
  };
}
