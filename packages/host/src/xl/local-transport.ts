import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { disposable, Signal, type Clock, type Disposable } from '@xenolith/base';
import { shellQuote } from '@xenolith/wire';
import { HostError } from '@xenolith/xapi';
import { HeadBuffer, TailBuffer } from './output-buffer.ts';
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

const workPlaces = 8;
const lookPlaces = 1;
const pipePlaces = 4;
/** Bytes that may wait to be written to a console; typing beyond that is dropped. */
const backlogLimitBytes = 1024 * 1024;

/** This machine's own shell: for a control plane that runs in the control domain. */
export class LocalTransport implements Transport {
  readonly name = 'this machine';
  readonly #clock: Clock;
  readonly #turnstiles = { look: new Turnstile(lookPlaces), work: new Turnstile(workPlaces) };
  readonly #pipes = new Turnstile(pipePlaces);
  readonly #channels = new Set<ChildProcessWithoutNullStreams>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  async run(command: Command): Promise<CommandResult> {
    const leave = await this.#turnstiles[command.lane].enter();
    try {
      return await this.#runNow(command);
    } finally {
      leave();
    }
  }

  #runNow(command: Command): Promise<CommandResult> {
    return new Promise((resolve, reject) => {
      const child = shell(command.text);
      const stdout = new HeadBuffer(stdoutLimitBytes);
      const stderr = new TailBuffer(stderrLimitBytes);
      const limit = this.#clock.after(command.timeLimitMs, () => {
        reject(new HostError('timeout', `no end within ${command.timeLimitMs / 1000} s`));
        if (command.lane === 'look') endGroup(child);
      });
      child.stdout.on('data', (data: Buffer) => {
        stdout.add(data);
        if (!stdout.overflowed) return;
        reject(new HostError('command-failed', `more than ${stdoutLimitBytes} bytes of output`));
        endGroup(child);
      });
      child.stderr.on('data', (data: Buffer) => stderr.add(data));
      child.on('error', (error) => {
        limit.dispose();
        reject(new HostError('command-failed', `no shell: ${error.message}`));
      });
      child.on('close', (code, signal) => {
        limit.dispose();
        if (code !== null) resolve({ exitCode: code, stdout: stdout.text(), stderr: stderr.text() });
        else reject(new HostError('command-failed', `it was killed by ${signal ?? 'a signal'}`));
      });
      child.stdin.on('error', () => undefined);
      child.stdin.end(command.stdin ?? '');
    });
  }

  start(text: string, options: { readonly terminal: boolean }): Promise<Channel> {
    // script(1) of util-linux, which every system has, gives a command a terminal.
    const raw = `stty raw -echo; ${text}`;
    const child = shell(options.terminal ? `exec script -qec ${shellQuote(raw)} /dev/null` : text);
    this.#channels.add(child);
    child.on('close', () => this.#channels.delete(child));
    return Promise.resolve(channelOf(child));
  }

  async pipe(text: string): Promise<Pipe> {
    const leave = await this.#pipes.enter();
    const child = shell(text);
    this.#channels.add(child);
    const stderr = new TailBuffer(stderrLimitBytes);
    child.stderr.on('data', (data: Buffer) => stderr.add(data));
    child.stdin.on('error', () => undefined);
    const ended = new Promise<CommandResult>((resolve, reject) => {
      child.on('error', (error) => reject(new HostError('command-failed', `no shell: ${error.message}`)));
      child.on('close', (code, signal) => {
        this.#channels.delete(child);
        leave();
        if (code !== null) resolve({ exitCode: code, stdout: '', stderr: stderr.text() });
        else reject(new HostError('command-failed', `it was killed by ${signal ?? 'a signal'}`));
      });
    });
    ended.catch(() => undefined);
    return {
      output: takeFrom(child.stdout, ended, () => undefined),
      write: writerTo(child.stdin, ended),
      end: () => child.stdin.end(),
      ended,
      kill: () => endGroup(child),
    };
  }

  onLost(): Disposable {
    return disposable(() => undefined);
  }

  close(): Promise<void> {
    for (const child of this.#channels) endGroup(child);
    return Promise.resolve();
  }
}

/** A shell with a process group of its own: what it started ends with it, and a signal to us is none to it. */
const shell = (text: string): ChildProcessWithoutNullStreams =>
  spawn('/bin/sh', ['-c', text], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });

function endGroup(child: ChildProcessWithoutNullStreams): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch {
    // It ended meanwhile.
  }
}

function channelOf(child: ChildProcessWithoutNullStreams): Channel {
  const output = new Signal<Uint8Array>();
  const closed = new Signal<{ readonly exitCode?: number; readonly stderr: string }>();
  const stderr = new TailBuffer(stderrLimitBytes);
  let end: { readonly exitCode?: number; readonly stderr: string } | undefined;
  const finish = (code: number | null): void => {
    if (end !== undefined) return;
    end = { stderr: stderr.text(), ...(code === null ? {} : { exitCode: code }) };
    closed.emit(end);
  };
  // A stream gives nothing before somebody listens, so nothing is lost until then.
  child.stderr.on('data', (data: Buffer) => stderr.add(data));
  child.stdin.on('error', () => undefined);
  child.on('error', () => finish(null));
  child.on('close', (code) => finish(code));
  let flows = false;
  return {
    onData(listener) {
      const subscription = output.listen(listener);
      if (!flows) child.stdout.on('data', (data: Buffer) => output.emit(data));
      flows = true;
      return subscription;
    },
    onClose(listener) {
      if (end !== undefined) listener(end);
      return closed.listen(listener);
    },
    write(data) {
      if (end === undefined && child.stdin.writableLength + data.length <= backlogLimitBytes) child.stdin.write(data);
    },
    end() {
      child.stdin.end();
    },
    close() {
      if (end === undefined) endGroup(child);
    },
  };
}
