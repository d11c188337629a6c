/** `xe console`: this terminal on the text console of a VM (PROTOCOL.md §8). */
import type { Duplex } from 'node:stream';
import { builtinHttp, builtinHttps } from './builtin-http.ts';
import { ConnectionError } from '@xenolith/xe';
import { tlsOptions, type ServerRpc } from './rpc.ts';

/** Ctrl-]. */
const escapeByte = 0x1d;
const openMs = 30_000;

/**
 * Joins standard input and output with the console until either ends or Ctrl-] is typed.
 * @throws ConnectionError in the server's words when there is no console
 */
export async function attach(rpc: ServerRpc, vm: string): Promise<void> {
  const { socket, head } = await open(rpc, vm);
  const { stdin, stdout, stderr } = process;
  const raw = stdin.isTTY;
  if (raw) {
    stderr.write('Ctrl-] ends.\r\n');
    stdin.setRawMode(true);
  }
  try {
    await new Promise<void>((resolve) => {
      socket.once('close', resolve);
      socket.on('error', () => socket.destroy());
      stdout.write(head);
      socket.on('data', (data: Buffer) => {
        if (stdout.write(data)) return;
        socket.pause();
        stdout.once('drain', () => socket.resume());
      });
      stdin.on('data', (data: Buffer) => {
        const end = raw ? data.indexOf(escapeByte) : -1;
        if (end < 0) {
          socket.write(data);
          return;
        }
        if (end > 0) socket.write(data.subarray(0, end));
        socket.destroy();
      });
      stdin.once('end', () => socket.end());
    });
  } finally {
    if (raw) {
      stdin.setRawMode(false);
      stderr.write('\r\n');
    }
    stdin.destroy();
  }
}

function open(rpc: ServerRpc, vm: string): Promise<{ readonly socket: Duplex; readonly head: Buffer }> {
  const url = new URL(rpc.server.url);
  const { request } = url.protocol === 'https:' ? builtinHttps() : builtinHttp();
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: 'CONNECT',
      path: `/console?ref=${encodeURIComponent(vm)}`,
      agent: false,
      timeout: openMs,
      headers: { cookie: `session_id=${rpc.session}` },
      ...(url.protocol === 'https:' ? tlsOptions(rpc.server) : {}),
    });
    sent.once('connect', (response, socket, head) => {
      if (response.statusCode === 200) {
        socket.setTimeout(0);
        resolve({ socket, head });
        return;
      }
      const chunks: Buffer[] = [head];
      socket.on('data', (data: Buffer) => chunks.push(data));
      socket.once('close', () => {
        const words = Buffer.concat(chunks).toString('utf8').trim().slice(0, 500);
        reject(new ConnectionError(words === '' ? `the console was refused (${response.statusCode})` : words));
      });
      socket.resume();
    });
    sent.once('timeout', () => sent.destroy(new Error('no answer')));
    sent.once('error', (error) => reject(new ConnectionError(error.message, { cause: error })));
    sent.end();
  });
}
