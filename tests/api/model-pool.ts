/** A xenolithd with the small model pool, for one file of tests. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startXenolithd } from '@xenolith/server';

export interface ModelPool {
  readonly url: string;
  /** The same over TLS. */
  readonly tlsUrl: string;
  readonly user: string;
  readonly password: string;
  /** PEM: what the server shows over TLS. */
  readonly certificate: string;
  close(): Promise<void>;
}

export async function startModelPool(): Promise<ModelPool> {
  const data = mkdtempSync(join(tmpdir(), 'xenolith-api-'));
  const server = await startXenolithd({ data });
  if (server.password === undefined) throw new Error('a first start makes a password');
  return {
    url: server.url,
    tlsUrl: server.url.replace('http:', 'https:'),
    user: server.user,
    password: server.password,
    certificate: readFileSync(join(data, 'tls-certificate.pem'), 'utf8'),
    async close() {
      await server.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever that is, while this process goes on serving it. */
export function runProgram(program: string, args: readonly string[], timeoutMs = 60_000): Promise<Finished> {
  return new Promise((resolve, reject) => {
    execFile(program, [...args], { timeout: timeoutMs, encoding: 'utf8' }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === 'number') resolve({ code, stdout, stderr });
      else reject(new Error(`${program}: ${error?.message}\n${stdout}\n${stderr}`, { cause: error }));
    });
  });
}
