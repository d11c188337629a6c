/** Files between this machine and paths of the server, of any size. */
import { createReadStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApiError, ConnectionError, UsageError, type ServerPath } from '@xenolith/xe';
import { builtinHttp, builtinHttps } from './builtin-http.ts';
import { problem, tlsOptions, type ServerRpc } from './rpc.ts';

const fileProblem = (file: string, error: unknown): UsageError =>
  new UsageError(`${file}: ${error instanceof Error ? error.message : String(error)}`);

/** Begins a request. */
function begin(
  { server, session }: ServerRpc,
  method: 'GET' | 'PUT',
  { path, query }: ServerPath,
  headers: Readonly<Record<string, string | number>>,
) {
  const url = new URL(`${path}?${new URLSearchParams(query).toString()}`, server.url);
  // In the cookie the session is in nobody's log of addresses.
  const options = { method, headers: { ...headers, cookie: `session_id=${session}` } };
  const request =
    url.protocol === 'https:'
      ? builtinHttps().request(url, { ...options, ...tlsOptions(server) })
      : builtinHttp().request(url, options);
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', (error) => reject(new ConnectionError(problem(error, server.url), { cause: error })));
  });
  answer.catch(() => undefined);
  return { request, answer };
}

/** @throws ApiError with the words of a page that says no */
async function assertFine(answer: IncomingMessage): Promise<void> {
  if (answer.statusCode === 200) return;
  let page = '';
  for await (const part of answer as AsyncIterable<Buffer>) {
    page += part.toString('utf8');
    if (page.length > 10_000) break;
  }
  const words = /<p>([^<]*)<\/p>/.exec(page)?.[1] ?? `the server answered ${answer.statusCode ?? 0}`;
  throw new ApiError(['INTERNAL_ERROR', words]);
}

/** Sends a file to a path. Throws UsageError, ApiError, ConnectionError. */
export async function upload(rpc: ServerRpc, to: ServerPath, file: string): Promise<void> {
  const found = await stat(file).catch((error: unknown) => {
    throw fileProblem(file, error);
  });
  if (!found.isFile()) throw new UsageError(`${file}: not a file`);
  const { request, answer } = begin(rpc, 'PUT', to, { 'content-length': found.size });
  const sent = pipeline(createReadStream(file), request).then(
    () => undefined,
    // When the server has said no in the middle, its word is better than that it no longer listened.
    async (error: unknown) => {
      if ((error as NodeJS.ErrnoException).path === file) throw fileProblem(file, error);
      await answer;
    },
  );
  const [response] = await Promise.all([answer, sent]);
  await assertFine(response);
  response.resume();
}

/** Writes what a path gives to a file. Throws UsageError, ApiError, ConnectionError. */
export async function download(rpc: ServerRpc, from: ServerPath, file: string): Promise<void> {
  if (file === '') {
    await fetchInto(rpc, from, process.stdout, { end: false });
    return;
  }
  // Before anything is asked for: what is there already stays.
  const handle = await open(file, 'wx', 0o600).catch((error: unknown) => {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw isThere ? new UsageError(`${file}: it is there already`) : fileProblem(file, error);
  });
  const out = handle.createWriteStream();
  try {
    await fetchInto(rpc, from, out, { end: true });
  } catch (error) {
    out.destroy();
    await rm(file, { force: true });
    throw isOfFile(error) ? fileProblem(file, (error as Error).cause) : error;
  }
}

/** Whether it was the file that could not be written, as on a full disk. */
const isOfFile = (error: unknown): boolean =>
  error instanceof ConnectionError && (error.cause as NodeJS.ErrnoException | undefined)?.syscall === 'write';

async function fetchInto(
  rpc: ServerRpc,
  from: ServerPath,
  out: Writable,
  options: { readonly end: boolean },
): Promise<void> {
  const { request, answer } = begin(rpc, 'GET', from, {});
  request.end();
  const response = await answer;
  await assertFine(response);
  await pipeline(response, out, options).catch((error: Error) => {
    throw new ConnectionError(problem(error, rpc.server.url), { cause: error });
  });
}
