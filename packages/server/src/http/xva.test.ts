import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { ref as makeRef } from '@xenolith/base';
import { formatTarHeader, parseTarHeader, tarEnd, tarPadding, xxHash64, type WireValue } from '@xenolith/wire';
import type { Xapi } from '@xenolith/xapi';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startXenolithd, type Xenolithd } from '../xenolithd.ts';

const mib = 1024 * 1024;
let server: Xenolithd;
let xapi: Xapi;
let session = '';
const directory = mkdtempSync(join(tmpdir(), 'xenolith-xva-'));

beforeAll(async () => {
  server = await startXenolithd({ data: directory });
  ({ xapi } = server);
  session = xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
});
afterAll(async () => {
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

async function call(method: string, ...params: readonly WireValue[]): Promise<string> {
  const answer = await xapi.call({ method, params: [session, ...params], origin: { address: 'test' } });
  if (!answer.ok) throw new Error(answer.error.join(' '));
  return typeof answer.value === 'string' ? answer.value : '';
}

type Bytes = Uint8Array<ArrayBuffer>;
const at = (path: string, query: string): string => `${server.url}/${path}?session_id=${session}&${query}`;
const vmAt = (vm: string) => xapi.db.get('VM', makeRef<'VM'>(vm));
const vbdsOf = (vm: string) =>
  vmAt(vm)
    .VBDs.map((vbd) => xapi.db.get('VBD', vbd))
    .toSorted((a, b) => Number(a.userdevice) - Number(b.userdevice));
const vifsOf = (vm: string) => vmAt(vm).VIFs.map((vif) => xapi.db.get('VIF', vif));
const sr = (): string => [...xapi.db.all('SR')].find(([, { type }]) => type === 'file')?.[0] ?? '';

async function archiveOf(vm: string, query = ''): Promise<Buffer<ArrayBuffer>> {
  const answer = await fetch(at('export', `ref=${vm}${query}`));
  expect(answer.status).toBe(200);
  return Buffer.from(await answer.arrayBuffer());
}

const sendArchive = (body: Bytes, query = ''): Promise<Response> =>
  fetch(at('import', `sr_id=${sr()}${query}`), { method: 'PUT', body });

/** The VM that an import made, by its task. */
function made(answer: Response): string {
  const { status, result, error_info } = xapi.db.getAny('task', answer.headers.get('task-id') ?? '');
  expect({ http: answer.status, status, error_info }).toEqual({ http: 200, status: 'success', error_info: [] });
  return (
    /^<value><array><data><value>(OpaqueRef:[^<]*)<\/value><\/data><\/array><\/value>$/.exec(result as string)?.[1] ??
    ''
  );
}

interface File {
  readonly name: string;
  readonly data: Buffer;
}

function filesOf(archive: Buffer): readonly File[] {
  const files: File[] = [];
  for (let offset = 0; ;) {
    const entry = parseTarHeader(archive.subarray(offset, offset + 512));
    if (entry === undefined) return files;
    const { name, sizeBytes } = entry;
    files.push({ name, data: archive.subarray(offset + 512, offset + 512 + sizeBytes) });
    offset += 512 + sizeBytes + tarPadding(sizeBytes);
  }
}

const archiveWith = (files: readonly File[]): Buffer<ArrayBuffer> =>
  Buffer.concat([
    ...files.flatMap(({ name, data }) => [
      formatTarHeader({ name, sizeBytes: data.length }, 0),
      data,
      new Uint8Array(tarPadding(data.length)),
    ]),
    tarEnd(),
  ]);

const diskBytes = 6 * mib;
let contents: Buffer<ArrayBuffer>;
let vm = '';

/** A VM with a disk that has holes, an empty one, a drive, and an interface. */
beforeEach(async () => {
  const [template = ''] = [...xapi.db.all('VM')].find(([, item]) => item.is_default_template) ?? [];
  vm = await call('VM.clone', template, 'traveller <&>');
  await call('VM.provision', vm);
  await call('VM.add_to_other_config', vm, 'colour', 'blue & green');
  const rest = { unpluggable: true, other_config: {}, qos_algorithm_type: '', qos_algorithm_params: {} };
  const vdis: string[] = [];
  for (const [userdevice, size] of [
    ['0', diskBytes],
    ['1', 2 * mib],
  ] as const) {
    const fields = { name_label: `disk ${userdevice}`, name_description: 'its own', SR: sr(), virtual_size: size };
    const vdi = await call('VDI.create', {
      ...fields,
      type: 'user',
      sharable: false,
      read_only: false,
      other_config: {},
    });
    vdis.push(vdi);
    const vbd = { VM: vm, VDI: vdi, userdevice, bootable: userdevice === '0', mode: 'RW', type: 'Disk', empty: false };
    await call('VBD.create', { ...vbd, ...rest });
  }
  const drive = {
    VM: vm,
    VDI: 'OpaqueRef:NULL',
    userdevice: '3',
    bootable: false,
    mode: 'RO',
    type: 'CD',
    empty: true,
  };
  await call('VBD.create', { ...drive, ...rest });
  const [network = ''] = xapi.db.refs('network');
  const vif = { VM: vm, network, device: '0', MAC: '02:00:00:00:00:07', MTU: 1500, other_config: {} };
  await call('VIF.create', { ...vif, qos_algorithm_type: '', qos_algorithm_params: {} });
  contents = Buffer.alloc(diskBytes);
  contents.fill('third', 2 * mib, 3 * mib);
  contents.fill('fifth', 4 * mib + 77, 4 * mib + 999);
  await fetch(at('import_raw_vdi', `vdi=${vdis[0]}`), { method: 'PUT', body: contents });
});

async function expectSame(copy: string): Promise<void> {
  const { name_label, memory_static_max, VCPUs_max, platform, PV_kernel, PV_args, domain_type } = vmAt(vm);
  const kept = { name_label, memory_static_max, VCPUs_max, platform, PV_kernel, PV_args, domain_type };
  expect(vmAt(copy)).toMatchObject({ ...kept, power_state: 'Halted', is_a_template: false, current_operations: {} });
  expect(vmAt(copy).other_config).toMatchObject({ colour: 'blue & green' });
  expect(vmAt(copy).allowed_operations).toContain('start');
  const shown = vbdsOf(copy).map(({ userdevice, bootable, mode, type, empty }) => ({
    userdevice,
    bootable,
    mode,
    type,
    empty,
  }));
  expect(shown).toEqual([
    { userdevice: '0', bootable: true, mode: 'RW', type: 'Disk', empty: false },
    { userdevice: '1', bootable: false, mode: 'RW', type: 'Disk', empty: false },
    { userdevice: '3', bootable: false, mode: 'RO', type: 'CD', empty: true },
  ]);
  const [first, second] = vbdsOf(copy).map(({ VDI }) => xapi.db.find('VDI', VDI));
  expect(first).toMatchObject({
    name_label: 'disk 0',
    name_description: 'its own',
    managed: true,
    virtual_size: diskBytes,
  });
  expect(second).toMatchObject({ name_label: 'disk 1', virtual_size: 2 * mib });
  const out = await fetch(at('export_raw_vdi', `vdi=${first?.uuid}`));
  expect(Buffer.from(await out.arrayBuffer()).equals(contents)).toBe(true);
}

const uuids = (): readonly string[] => [...xapi.db.all('VDI')].map(([, { uuid }]) => uuid).toSorted();

/** What an import is refused with; nothing of it is left. */
async function refusal(body: Bytes, query = ''): Promise<string> {
  const before = { vdis: uuids(), vms: xapi.db.refs('VM').length, networks: xapi.db.refs('network').length };
  const answer = await sendArchive(body, query);
  expect({ vdis: uuids(), vms: xapi.db.refs('VM').length, networks: xapi.db.refs('network').length }).toEqual(before);
  expect([400, 404]).toContain(answer.status);
  return /<p>(.*)<\/p>/.exec(await answer.text())?.[1] ?? '';
}

describe('a VM over HTTP', () => {
  test('is a tar with its records and those blocks that are not zeros', async () => {
    const archive = await archiveOf(vm);
    const files = filesOf(archive);
    const [{ name: first, data: ova } = { name: '', data: Buffer.alloc(0) }] = files;
    expect(first).toBe('ova.xml');
    expect(String(ova)).not.toContain('OpaqueRef:1');
    const blocks = files.map(({ name }) => name.replace(/^Ref:\d+/, 'D')).slice(1);
    const withSums = (...numbers: readonly string[]): readonly string[] =>
      numbers.flatMap((n) => [`D/${n}`, `D/${n}.checksum`]);
    const holes = withSums('00000000', '00000002', '00000004', '00000005');
    expect(blocks).toEqual([...holes, ...withSums('00000000', '00000001')]);
    const listed = execFileSync('tar', ['-tf', '-'], { input: archive, encoding: 'utf8' }).trim().split('\n');
    expect(listed).toEqual(files.map(({ name }) => name));
    expect(vmAt(vm)).toMatchObject({ current_operations: {} });
  });

  test('comes back as another VM: the same disks, another uuid and other addresses', async () => {
    const copy = made(await sendArchive(await archiveOf(vm)));
    await expectSame(copy);
    expect(vmAt(copy).uuid).not.toBe(vmAt(vm).uuid);
    expect(vifsOf(copy)).toMatchObject([{ device: '0', network: vifsOf(vm)[0]?.network, MAC_autogenerated: true }]);
    expect(vifsOf(copy)[0]?.MAC).not.toBe('02:00:00:00:00:07');
    await call('VM.start', copy, false, false);
    await call('VM.hard_shutdown', copy);
  });

  test.each([
    ['true', gunzipSync],
    ['zstd', zstdDecompressSync],
  ])('is compressed when that is asked for: use_compression=%s', async (how, unpack) => {
    const packed = await archiveOf(vm, `&use_compression=${how}`);
    expect(filesOf(unpack(packed)).length).toBe(13);
    await expectSame(made(await sendArchive(packed)));
    expect(await refusal(packed.subarray(0, packed.length - 20))).toMatch(/^IMPORT_ERROR decompression/);
  });

  test('is what it was with restore, unless it is there still', async () => {
    const archive = await archiveOf(vm);
    expect(await refusal(archive, '&restore=true')).toBe(`DUPLICATE_VM ${vm}`);
    const { uuid } = vmAt(vm);
    const old = vm;
    const copy = made(await sendArchive(archive));
    await call('VM.destroy', old);
    vm = copy;
    const again = made(await sendArchive(archive, '&restore=true'));
    await expectSame(again);
    expect(vmAt(again).uuid).toBe(uuid);
    expect(vifsOf(again)).toMatchObject([{ MAC: '02:00:00:00:00:07', MAC_autogenerated: false }]);
  });

  test('may have the checksums of newer archives, and keep-alives', async () => {
    const files = filesOf(await archiveOf(vm));
    const newer = files.map((file, index) =>
      file.name.endsWith('.checksum')
        ? {
            name: file.name.replace('checksum', 'xxhash'),
            data: Buffer.from(xxHash64(files[index - 1]?.data ?? Buffer.alloc(0))),
          }
        : file,
    );
    await expectSame(made(await sendArchive(archiveWith(newer))));
    const [ova, zero, sum, ...rest] = newer as [File, File, File, ...File[]];
    const later = rest.map(({ name, data }) => ({
      name: name.replace(/\d{8}/, (n) =>
        String(Number(n) + (name.startsWith(zero.name.slice(0, 6)) ? 1 : 0)).padStart(8, '0'),
      ),
      data,
    }));
    const alive = { name: zero.name.replace('00000000', '00000001'), data: Buffer.alloc(0) };
    await expectSame(made(await sendArchive(archiveWith([ova, zero, sum, alive, ...later]))));
  });

  test('comes whole or not at all', async () => {
    const archive = await archiveOf(vm);
    const files = filesOf(archive);
    const changed = (index: number, change: (file: File) => File): Buffer<ArrayBuffer> =>
      archiveWith(files.map((file, i) => (i === index ? change(file) : file)));
    const flipped = changed(3, ({ name, data }) => ({
      name,
      data: Buffer.from(data.map((byte, i) => (i === 5 ? byte ^ 1 : byte))),
    }));
    expect(await refusal(flipped)).toBe('IMPORT_ERROR_SOME_CHECKSUMS_FAILED');
    expect(vmAt(made(await sendArchive(flipped, '&force=true'))).name_label).toBe('traveller <&>');
    expect(await refusal(archive.subarray(0, archive.length - 2 * mib))).toBe('IMPORT_ERROR_PREMATURE_EOF');
    expect(await refusal(archiveWith(files.slice(1)))).toMatch(/^IMPORT_ERROR_UNEXPECTED_FILE ova.xml Ref:/);
    expect(await refusal(archiveWith(files.slice(0, 5)))).toMatch(/^IMPORT_ERROR_FAILED_TO_FIND_OBJECT Ref:/);
    const noSum = files.filter((_, index) => index !== 2);
    expect(await refusal(archiveWith(noSum))).toMatch(/^IMPORT_ERROR_UNEXPECTED_FILE Ref:.*checksum Ref:/);
    const beyond = changed(7, ({ name, data }) => ({ name: name.replace('00000005', '00000006'), data }));
    expect(await refusal(beyond)).toMatch(/^IMPORT_ERROR/);
    expect(await refusal(changed(0, ({ name }) => ({ name, data: Buffer.from('<value>x</value>') })))).toMatch(
      /^IMPORT_ERROR ova/,
    );
    const many = changed(0, ({ name, data }) => ({
      name,
      data: Buffer.from(String(data).replace(/(<name>VCPUs_max<\/name><value>)\d+/, '$199999')),
    }));
    expect(await refusal(many)).toMatch(/^INVALID_VALUE VCPUs_max/);
    const nobody = changed(0, ({ name, data }) => ({
      name,
      data: Buffer.from(String(data).replaceAll(vmAt(vm).uuid, 'x')),
    }));
    expect(await refusal(nobody, '&restore=true')).toMatch(/^IMPORT_ERROR Ref:\d+ has no uuid/);
    const twice = changed(0, ({ name, data }) => ({
      name,
      data: Buffer.from(String(data).replace(/(<name>userdevice<\/name><value>)3/, '$10')),
    }));
    expect(await refusal(twice)).toMatch(/^DEVICE_ALREADY_EXISTS/);
    expect(await refusal(Buffer.alloc(2000, 'no tar'))).toBe('IMPORT_ERROR not a tar archive');
    expect(await refusal(Buffer.alloc(0))).toBe('IMPORT_ERROR_PREMATURE_EOF');
  });

  test('may be a snapshot of one that runs: it comes back as a template', async () => {
    await call('VM.start', vm, false, false);
    const snapshot = await call('VM.snapshot', vm, 'as it was');
    await call('VM.hard_shutdown', vm);
    const copy = made(await sendArchive(await archiveOf(snapshot)));
    expect(vmAt(copy)).toMatchObject({ name_label: 'as it was', is_a_template: true, is_a_snapshot: false });
    expect(vbdsOf(copy).length).toBe(3);
  });

  test('runs, and so is not exported; a client without the role is refused; records go alone', async () => {
    await call('VM.start', vm, false, false);
    const running = await fetch(at('export', `ref=${vm}`));
    expect([running.status, await running.text()]).toEqual([400, expect.stringContaining(`VM_BAD_POWER_STATE ${vm}`)]);
    const records = await fetch(at('export_metadata', `uuid=${vmAt(vm).uuid}`));
    expect(filesOf(Buffer.from(await records.arrayBuffer())).map(({ name }) => name)).toEqual(['ova.xml']);
    await call('VM.hard_shutdown', vm);
    const operator = xapi.sessions.open('operator', 'test', { superuser: false, role: 'vm-operator' });
    const denied = await fetch(`${server.url}/export?session_id=${operator}&ref=${vm}`);
    expect([denied.status, await denied.text()]).toEqual([403, expect.stringContaining('http/get_export')]);
    expect((await fetch(at('export', 'ref=OpaqueRef:none'))).status).toBe(404);
  });
});
