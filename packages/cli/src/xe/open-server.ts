/** The login that the command line and the environment describe. */
import type { Server } from './arguments.ts';
import { UsageError } from '@xenolith/xe';
import { connect, type ServerRpc } from './rpc.ts';

/**
 * Reads the files that are named and logs in.
 * @throws UsageError when there is no password or a file cannot be read; else as `connect`
 */
export async function openServer(server: Server): Promise<ServerRpc> {
  const { url, user, verify, caFile } = server;
  const password = await readPassword(server);
  const ca = caFile === undefined ? {} : { ca: await readGiven(caFile) };
  return connect({ url, verify, ...ca }, user, password);
}

async function readGiven(path: string): Promise<Buffer> {
  const { readFile } = await import('node:fs/promises');
  return readFile(path).catch((error: unknown) => {
    throw new UsageError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  });
}

async function readPassword({ password: given, passwordFile }: Server): Promise<string> {
  if (given !== undefined) return given;
  if (passwordFile === undefined) throw new UsageError('no password: give -pw, -pwf or XENOLITH_PASSWORD');
  // As xe has it: a line with the user, a line with the password; one line alone is the password.
  const [first = '', second] = (await readGiven(passwordFile)).toString('utf8').split(/\r?\n/);
  return second === undefined || second === '' ? first : second;
}
