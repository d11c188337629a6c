/** The scripts of {@link xlFiles} by this machine's own shell and coreutils. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, open, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytes, fromMib, ManualClock } from '@xenolith/base';
import type { HostFiles } from '@xenolith/xapi';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LocalTransport } from './local-transport.ts';
import { xlFiles } from './xl-files.ts';

let directory: string;
let transports: readonly LocalTransport[];
let files: HostFiles;
/** The files as another manager reaches them, or this one after its end. */
let other: HostFiles;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'xl-files-'));
  transports = [new LocalTransport(new ManualClock()), new LocalTransport(new ManualClock())];
  [files, other] = transports.map((transport) => xlFiles(transport)) as [HostFiles, HostFiles];
});
afterEach(async () => {
  for (const transport of transports) await transport.close();
  await rm(directory, { recursive: true, force: true });
});

test('a listing has files and links to files, under any name but one with a control character', async () => {
  const names = ['plain', '-n', 'it\'s $(odd) "\\', '🧀', 'a b'];
  for (const name of names) await writeFile(join(directory, name), '12345');
  await writeFile(join(directory, 'two\n1 2 3 lines'), '');
  await mkdir(join(directory, 'below'));
  await writeFile(join(directory, 'below', 'deep'), '');
  await symlink('plain', join(directory, 'link'));
  await symlink('nothing', join(directory, 'dangling'));
  const listed = await files.list(directory);
  expect(listed.map(({ name }) => name).toSorted()).toEqual([...names, 'link'].toSorted());
  expect(listed.every(({ sizeBytes }) => sizeBytes === 5)).toBe(true);
});

test('a listing has many files', async () => {
  const names = Array.from({ length: 300 }, (_, index) => `${'x'.repeat(100)}${index}`);
  for (const name of names) await writeFile(join(directory, name), '');
  expect((await files.list(directory)).map(({ name }) => name).toSorted()).toEqual(names.toSorted());
});

test('a directory that is not there has nothing in it', async () => {
  expect(await files.list(join(directory, 'no such'))).toEqual([]);
});

test('a sparse image is listed with what it takes', async () => {
  await files.createImage(join(directory, 'image'), fromMib(64));
  const [image] = await files.list(directory);
  expect(image).toMatchObject({ name: 'image', sizeBytes: fromMib(64) });
  expect(image?.usedBytes).toBeLessThan(fromMib(1));
});

test('an image that is replaced has what the other one has, and zeros after it', async () => {
  const [source, target] = [join(directory, 'source'), join(directory, 'target')];
  await writeFile(source, 'new');
  await writeFile(target, 'what was there before');
  await files.replaceImage(source, target, bytes(5));
  expect(await readFile(target, 'latin1')).toBe('new\0\0');
  expect((await readdir(directory)).toSorted()).toEqual(['source', 'target']);
});

test('a copy whose name is removed under it comes to nothing', async () => {
  const [source, target] = [join(directory, 'source'), join(directory, 'target')];
  execFileSync('mkfifo', [source]);
  const copied = files.copyImage(source, target);
  const failure = expect(copied).rejects.toMatchObject({ code: 'command-failed' });
  const writer = await open(source, 'w');
  // More than a pipe holds: once it is written, the copy has begun its own file.
  await writer.writeFile(Buffer.alloc(256 * 1024, 1));
  expect((await readdir(directory)).length).toBe(2);
  await other.remove(target);
  await writer.close();
  await failure;
  expect(await readdir(directory)).toEqual(['source']);
});
