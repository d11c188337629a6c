import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WireValue } from '@xenolith/wire';
import type { Xapi } from '@xenolith/xapi';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startXenolithd, type Xenolithd } from '../xenolithd.ts';
import { RawConnection } from './raw-exchange.ts';

const mib = 1024 * 1024;
let server: Xenolithd;
let xapi: Xapi;
let session = '';
let vdi = '';
const directory = mkdtempSync(join(tmpdir(), 'xenolith-raw-vdi-'));

beforeAll(async () => {
  server = await startXenolithd({ data: directory });
  ({ xapi } = server);
  session = xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
});
afterAll(async () => {
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  vdi = await disk(3 * mib);
});

async function call(method: string, ...params: readonly WireValue[]): Promise<string> {
  const answer = await xapi.call({ method, params: [session, ...params], origin: { address: 'test' } });
  if (!answer.ok) throw new Error(answer.error.join(' '));
  return typeof answer.value === 'string' ? answer.value : '';
}

function disk(virtual_size: number, more: Readonly<Record<string, WireValue>> = {}): Promise<string> {
  const [SR = ''] = [...xapi.db.all('SR')].find(([, { type }]) => type === 'file') ?? [];
  const fields = { name_label: 'disk', name_description: '', SR, virtual_size, type: 'user', sharable: false };
  return call('VDI.create', { ...fields, read_only: false, other_config: {}, sm_config: {}, tags: [], ...more });
}

type Bytes = Uint8Array<ArrayBuffer>;
const at = (path: string, query: string): string => `${server.url}/${path}?session_id=${session}&${query}`;
const put = (query: string, body: Bytes, headers = {}): Promise<Response> =>
  fetch(at('import_raw_vdi', query), { method: 'PUT', body, headers });
const get = (query: string): Promise<Response> => fetch(at('export_raw_vdi', query));
const contents = async (): Promise<Buffer> => Buffer.from(await (await get(`vdi=${vdi}`)).arrayBuffer());
const record = (): ReturnType<Xapi['db']['getAny']> => xapi.db.getAny('VDI', vdi);
const task = (ref: string): Record<string, unknown> => ({ ...xapi.db.getAny('task', ref) });
const newTask = (): Promise<string> => call('task.create', 'mine', '');
/** The task that the last transfer made. */
const taskOf = (answer: Response): Record<string, unknown> => task(answer.headers.get('task-id') ?? '');
const free = { current_operations: {}, managed: true };

/** Until a condition holds, over turns of the event loop. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('the blocks of a disk over HTTP', () => {
  test('go in, and come out again; what was not written stays', async () => {
    const body = Buffer.alloc(2 * mib + 5, 'blocks');
    body.fill(0, mib, mib + 200_000);
    const answer = await put(`vdi=${vdi}&format=raw`, body);
    expect(answer.status).toBe(200);
    expect(taskOf(answer)).toMatchObject({
      status: 'success',
      progress: 1,
      result: '',
      name_label: 'Importing raw VDI',
    });
    expect(record()).toMatchObject(free);
    expect(Number(record()['physical_utilisation'])).toBeGreaterThan(mib);
    const { uuid } = record() as { readonly uuid: string };
    const out = await get(`vdi=${uuid}`);
    expect(Object.fromEntries(out.headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': String(3 * mib),
      'content-disposition': `attachment; filename="${uuid}.raw"`,
    });
    const wanted = Buffer.concat([body, Buffer.alloc(mib - 5)]);
    expect(Buffer.from(await out.arrayBuffer()).equals(wanted)).toBe(true);
    expect(taskOf(out)).toMatchObject({ status: 'success', name_label: 'Exporting raw VDI' });
    await put(`vdi=${vdi}`, Buffer.from('BLOCKS'));
    wanted.write('BLOCKS');
    expect((await contents()).equals(wanted)).toBe(true);
  });

  test('come in the chunked form too, where each record says', async () => {
    const piece = (offset: number, data: string): Buffer => {
      const head = Buffer.alloc(12);
      head.writeBigUInt64LE(BigInt(offset));
      head.writeUInt32LE(data.length, 8);
      return Buffer.concat([head, Buffer.from(data)]);
    };
    const body = Buffer.concat([piece(mib, 'there'), piece(7, 'here'), piece(0, '')]);
    expect((await put(`vdi=${vdi}&chunked=true`, body)).status).toBe(200);
    const wanted = Buffer.alloc(3 * mib);
    wanted.write('here', 7);
    wanted.write('there', mib);
    expect((await contents()).equals(wanted)).toBe(true);
    const beyond = await put(`vdi=${vdi}&chunked`, Buffer.concat([piece(3 * mib - 1, 'xx'), piece(0, '')]));
    expect([beyond.status, await beyond.text()]).toEqual([400, expect.stringContaining('VDI_TOO_SMALL')]);
    expect(record()).toMatchObject(free);
  });

  test.each([
    ['more than the disk has', 'vdi=VDI', {}, 400, `VDI_TOO_SMALL VDI ${3 * mib + 1}`],
    ['another format', 'vdi=VDI&format=vhd', {}, 400, 'VALUE_NOT_SUPPORTED format vhd'],
    ['no disk', 'vdi=OpaqueRef:none', {}, 404, 'VDI OpaqueRef:none'],
    ['a session cookie from a page elsewhere', 'vdi=VDI', { Origin: 'https://elsewhere.example' }, 403, 'A page'],
  ])('%s is refused, and nothing is written', async (_name, query, headers, status, text) => {
    const own = 'Origin' in headers ? { ...headers, Cookie: `session_id=${session}` } : headers;
    const answer = await put(query.replace('VDI', vdi), Buffer.alloc(3 * mib + 1, 1), own);
    const words = text.replace(' VDI ', ` ${vdi} `);
    expect([answer.status, await answer.text()]).toEqual([status, expect.stringContaining(words)]);
    expect(record()).toMatchObject(free);
    expect((await contents()).equals(Buffer.alloc(3 * mib))).toBe(true);
  });

  test('of unknown length are refused where they go beyond the disk', async () => {
    const body = new Blob([Buffer.alloc(3 * mib), 'x']).stream();
    const request = { method: 'PUT', body, duplex: 'half' } as const;
    const answer = await fetch(at('import_raw_vdi', `vdi=${vdi}`), request);
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining(`VDI_TOO_SMALL ${vdi}`)]);
    expect(record()).toMatchObject(free);
  });

  test('is for vm-admin and above; a client that is nobody is asked who it is', async () => {
    const as = (role: 'vm-admin' | 'vm-operator'): string =>
      `${server.url}/export_raw_vdi?vdi=${vdi}&session_id=${xapi.sessions.open(role, 'test', { superuser: false, role })}`;
    expect((await fetch(as('vm-admin'))).status).toBe(200);
    const mine = await newTask();
    const denied = await fetch(as('vm-operator'));
    expect([denied.status, await denied.text()]).toEqual([403, expect.stringContaining('http/get_export_raw_vdi')]);
    const refusals = [...xapi.db.all('task')].filter(
      ([
        ,
        {
          error_info: [code],
        },
      ]) => code === 'RBAC_PERMISSION_DENIED',
    );
    expect(refusals.map(([, { status }]) => status)).toEqual(['failure']);
    const stolen = await fetch(`${as('vm-admin')}&task_id=${mine}`);
    expect([stolen.status, task(mine)['status']]).toEqual([403, 'pending']);
    expect((await fetch(`${server.url}/export_raw_vdi?vdi=${vdi}`)).status).toBe(401);
  });

  test('a task of the client’s shows how it went', async () => {
    const [good, bad] = [await newTask(), await newTask()];
    await put(`vdi=${vdi}&task_id=${good}`, Buffer.alloc(mib, 3));
    expect(task(good)).toMatchObject({ status: 'success', progress: 1, name_label: 'mine' });
    await put(`vdi=${vdi}&task_id=${bad}`, Buffer.alloc(4 * mib));
    expect(task(bad)).toMatchObject({ status: 'failure', error_info: ['VDI_TOO_SMALL', vdi, String(4 * mib)] });
    const again = await put(`vdi=${vdi}&task_id=${good}`, Buffer.alloc(1));
    expect([again.status, await again.text()]).toEqual([400, expect.stringContaining('OPERATION_NOT_ALLOWED')]);
  });

  test('a disk that a running VM has is left alone until it is halted', async () => {
    const [guest = ''] = [...xapi.db.all('VM')].find(([, item]) => item.is_default_template) ?? [];
    const own = await call('VM.clone', guest, 'user of disks');
    await call('VM.provision', own);
    const vbd = { VM: own, VDI: vdi, userdevice: 'autodetect', bootable: false, mode: 'RW', type: 'Disk' };
    const rest = {
      unpluggable: true,
      empty: false,
      other_config: {},
      qos_algorithm_type: '',
      qos_algorithm_params: {},
    };
    await call('VBD.create', { ...vbd, ...rest });
    await call('VM.start', own, false, false);
    for (const answer of [await put(`vdi=${vdi}`, Buffer.alloc(1)), await get(`vdi=${vdi}`)]) {
      expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining(`VDI_IN_USE ${vdi}`)]);
    }
    await call('VM.hard_shutdown', own);
    expect((await put(`vdi=${vdi}`, Buffer.alloc(1))).status).toBe(200);
  });
});

describe('a client by hand', () => {
  const head = (length: number, version: '1.0' | '1.1', more = ''): string =>
    `PUT /import_raw_vdi?session_id=${session}&vdi=${vdi}${more} HTTP/${version}\r\nHost: test\r\nContent-Length: ${length}\r\n\r\n`;
  const port = (): number => Number(new URL(server.url).port);

  test('of HTTP/1.0 hears 200 before it sends anything, as the stock xe waits for it', async () => {
    const mine = await newTask();
    const connection = await RawConnection.open(port());
    connection.write(head(5, '1.0', `&task_id=${mine}`));
    expect(await connection.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(record()['current_operations']).toEqual({ [mine]: 'blocked' });
    expect(record()['allowed_operations']).toEqual([]);
    connection.write('12345');
    await connection.end();
    expect(task(mine)).toMatchObject({ status: 'success' });
    expect((await contents()).toString('latin1', 0, 5)).toBe('12345');
  });

  test('that leaves in the middle leaves a failed task and a free disk', async () => {
    const mine = await newTask();
    const socket = connect({ host: '127.0.0.1', port: port() });
    await once(socket, 'connect');
    socket.write(head(2 * mib, '1.1', `&task_id=${mine}`));
    socket.write(Buffer.alloc(mib, 1));
    await until(() => Object.keys(record()['current_operations'] as object).length > 0);
    const refusal = await put(`vdi=${vdi}`, Buffer.alloc(1));
    expect(await refusal.text()).toContain('OTHER_OPERATION_IN_PROGRESS');
    socket.destroy();
    await until(() => task(mine)['status'] !== 'pending');
    expect(task(mine)).toMatchObject({ status: 'failure', error_info: ['IMPORT_ERROR_PREMATURE_EOF'] });
    expect(record()).toMatchObject(free);
  });

  test('whose task is cancelled is cut off', async () => {
    const mine = await newTask();
    const connection = await RawConnection.open(port());
    connection.write(head(mib, '1.0', `&task_id=${mine}`));
    await connection.until('\r\n\r\n');
    await call('task.cancel', mine);
    await connection.end();
    await until(() => task(mine)['status'] !== 'cancelling');
    expect(task(mine)).toMatchObject({ status: 'cancelled', error_info: ['TASK_CANCELLED', mine] });
    expect(record()).toMatchObject(free);
  });

  test('that does not take a disk holds it back, and leaves it free when it leaves', async () => {
    vdi = await disk(1024 * mib);
    const mine = await newTask();
    const socket = connect({ host: '127.0.0.1', port: port() });
    await once(socket, 'connect');
    socket.pause();
    socket.write(
      `GET /export_raw_vdi/?session_id=${session}&vdi=${vdi}&task_id=${mine} HTTP/1.1\r\nHost: test\r\n\r\n`,
    );
    await until(() => Object.keys(record()['current_operations'] as object).length > 0);
    for (let turn = 0; turn < 5; turn++) await get(`vdi=OpaqueRef:none`);
    expect(task(mine)).toMatchObject({ status: 'pending', allowed_operations: ['cancel'] });
    expect(Number(task(mine)['progress'])).toBeLessThan(0.5);
    socket.destroy();
    await until(() => task(mine)['status'] !== 'pending');
    expect(task(mine)).toMatchObject({ status: 'failure', error_info: ['CLIENT_ERROR', 'the client left'] });
    expect(record()).toMatchObject(free);
  });
});
