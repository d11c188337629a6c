/** Disks and VMs as files, by our `xe` as a program and by what the stock `xe` says on the wire. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runProgram, startModelPool, type Finished, type ModelPool } from './model-pool.ts';
import { thinCli, type ThinCliAsk, type ThinCliEnd } from './thin-cli-client.ts';

const bin = new URL('../../packages/cli/bin/xe.js', import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), 'xenolith-transfer-'));
const at = (name: string): string => join(directory, name);
let pool: ModelPool;
beforeAll(async () => {
  pool = await startModelPool();
});
afterAll(async () => {
  await pool.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Our program. */
const xe = (...args: readonly string[]): Promise<Finished> =>
  runProgram(process.execPath, [bin, '-s', pool.url, '-u', pool.user, '-pw', pool.password, ...args]);

/** The stock program's side of the thin CLI. */
const stock = (lines: readonly string[], more: Partial<ThinCliAsk> = {}): Promise<ThinCliEnd> =>
  thinCli({ url: pool.url, ...more, lines: [...lines, `username=${pool.user}`, `password=${pool.password}`] });

async function said(...lines: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await stock(lines);
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  return stdout.trim();
}

async function newDisk(): Promise<string> {
  const [sr = ''] = (await said('sr-list', 'type=file', 'minimal=true')).split(',');
  return said('vdi-create', `sr-uuid=${sr}`, 'name-label=disk', 'virtual-size=1MiB');
}

const mib = 1024 * 1024;
const good = { code: 0, stdout: '', stderr: '' };

test('a disk is filled from a file and written to one, by our xe', async () => {
  const vdi = await newDisk();
  const bytes = Buffer.alloc(mib, 'our xe');
  writeFileSync(at('in'), bytes);
  expect(await xe('vdi-import', `uuid=${vdi}`, `filename=${at('in')}`)).toEqual(good);
  expect(await xe('vdi-export', `uuid=${vdi}`, `filename=${at('out')}`, 'format=raw')).toEqual(good);
  expect(readFileSync(at('out')).equals(bytes)).toBe(true);
  const again = await xe('vdi-export', `uuid=${vdi}`, `filename=${at('out')}`);
  expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('it is there already')]);
  writeFileSync(at('in'), Buffer.alloc(mib + 1));
  const large = await xe('vdi-import', `uuid=${vdi}`, `filename=${at('in')}`);
  expect([large.code, large.stderr]).toEqual([1, expect.stringContaining('Error code: VDI_TOO_SMALL')]);
  const none = await xe('vdi-import', `uuid=${vdi}`, `filename=${at('none')}`);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('ENOENT')]);
  expect(await said('task-list', 'minimal=true')).toBe('');
});

test('the same by the stock xe, which waits for the answer before it sends', async () => {
  const vdi = await newDisk();
  const text = 'stock '.repeat(1000);
  const put = await stock(['vdi-import', `uuid=${vdi}`, 'filename=f'], { files: { f: text } });
  expect(put).toEqual({ ...good, asked: ['put f /import_raw_vdi?session_id=…&vdi=…&task_id=…'] });
  const got = new Map<string, string>();
  const get = await stock(['vdi-export', `uuid=${vdi}`, 'filename=g'], { got });
  expect(get).toEqual({ ...good, asked: ['get g /export_raw_vdi?session_id=…&vdi=…&task_id=…'] });
  expect(got.get('g')?.startsWith(text)).toBe(true);
  expect(got.get('g')?.length).toBe(mib);
  const vhd = await stock(['vdi-export', `uuid=${vdi}`, 'filename=g', 'format=vhd'], { got });
  expect([vhd.code, vhd.stderr]).toEqual([1, expect.stringContaining('VALUE_NOT_SUPPORTED')]);
  const missing = await stock(['vdi-import', `uuid=${vdi}`, 'filename=none']);
  expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining('none could not be sent')]);
});

test('a VM is written to a file and made of one, by our xe and by the stock one', async () => {
  const [template = ''] = (await said('template-list', 'minimal=true')).split(',');
  const vm = await said('vm-install', `template=${template}`, 'new-name-label=traveller');
  const exported = await xe('vm-export', `uuid=${vm}`, `filename=${at('vm.xva')}`, 'compress=gzip');
  expect(exported).toEqual({ ...good, stdout: 'Export succeeded\n' });
  expect([...readFileSync(at('vm.xva')).subarray(0, 2)]).toEqual([0x1f, 0x8b]);
  const imported = await xe('vm-import', `filename=${at('vm.xva')}`);
  expect(imported).toMatchObject({ code: 0, stderr: '' });
  expect(await said('vm-list', 'name-label=traveller', 'minimal=true')).toContain(imported.stdout.trim());
  const again = await xe('vm-import', `filename=${at('vm.xva')}`, 'preserve=true');
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('DUPLICATE_VM')]);
  const got = new Map<string, string>();
  const get = await stock(['vm-export', `uuid=${vm}`, 'filename=g'], { got });
  expect([get.code, get.stdout]).toEqual([0, 'Export succeeded\n']);
  await said('vm-destroy', `uuid=${vm}`);
  const put = await stock(['vm-import', 'filename=f', 'preserve=true'], { files: { f: got.get('g') ?? '' } });
  expect(put).toMatchObject({ code: 0, stdout: `${vm}\n`, stderr: '' });
  expect(await said('task-list', 'minimal=true')).toBe('');
});

test('blobs and the audit log are files too', async () => {
  const vm = (await said('vm-list', 'name-label=web', 'minimal=true')).trim();
  const blob = await said('blob-create', 'name=b', `vm-uuid=${vm}`);
  writeFileSync(at('in'), 'text');
  const put = await xe('blob-put', `uuid=${blob}`, `filename=${at('in')}`);
  expect(put).toEqual({ ...good, stdout: 'Blob put succeeded\n' });
  const got = new Map<string, string>();
  const get = await stock(['blob-get', `uuid=${blob}`, 'filename=g'], { got });
  expect([get.code, get.stdout, got.get('g')]).toEqual([0, 'Blob get succeeded\n', 'text']);
  expect((await xe('audit-log-get', `filename=${at('audit')}`)).code).toBe(0);
  expect(readFileSync(at('audit'), 'utf8')).toMatch(/'root' 'ALLOWED' 'OK' 'HTTP' 'http\/put_blob'/);
});
