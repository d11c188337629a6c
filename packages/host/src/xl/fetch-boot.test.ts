/** The script that fetches, in a real shell, from a server of this test. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fetchedPaths, fetchScript } from './fetch-boot.ts';
import { scriptExit, scriptHead } from './host-script.ts';

let directory: string;
let server: Server;
let mirror: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fetch-boot-'));
  server = createServer((request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: '/kernel' });
    else if (request.url === '/away') response.writeHead(302, { location: `file://${directory}/secret` });
    else if (request.url === '/none') response.writeHead(404);
    response.end(request.url === '/kernel' ? 'K' : request.url === '/initrd' ? 'I' : '');
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.close();
  await rm(directory, { recursive: true });
});

/** How it ended: its exit code, what it said, and what is there. */
async function fetch(kernel: string, ramdisk: string): Promise<readonly [number, string, readonly string[]]> {
  const script = fetchScript({ kernel, ramdisk }, fetchedPaths(directory, 'uuid'));
  const [code, words] = await new Promise<readonly [number, string]>((resolve) => {
    execFile('sh', ['-c', `${scriptHead}${script}echo made`], (error, stdout, stderr) =>
      resolve([Number(error?.code ?? 0), stdout + stderr]),
    );
  });
  return [code, words, (await readdir(directory)).toSorted()];
}

test('both are fetched, also from where a server sends', async () => {
  expect(await fetch(`${mirror}/moved`, `${mirror}/initrd`)).toEqual([0, 'made\n', ['uuid.kernel', 'uuid.ramdisk']]);
  expect(await readFile(join(directory, 'uuid.kernel'), 'utf8')).toBe('K');
  expect(await readFile(join(directory, 'uuid.ramdisk'), 'utf8')).toBe('I');
});

test.each(['/none', '/empty', '/away'])('nothing is left of what could not be: %s', async (path) => {
  const [code, words, left] = await fetch(`${mirror}/kernel`, mirror + path);
  expect([code, left]).toEqual([scriptExit.notFetched, []]);
  expect(words).toContain(`could not fetch ${mirror}${path}`);
  expect(words).not.toContain('made');
});

test('what is no address is refused, and what is odd in one is only odd', async () => {
  for (const url of [
    'file:///etc/passwd',
    'http://a b',
    '-o/etc/x',
    "http://x/\u0000'",
    `http://${'x'.repeat(2000)}`,
  ]) {
    expect(() => fetchScript({ kernel: url, ramdisk: url }, fetchedPaths('/tmp', 'u'))).toThrow('not an address');
  }
  const odd = `${mirror}/'"$(touch\${IFS}${directory}/here)`;
  expect((await fetch(odd, odd))[2]).toEqual([]);
});
