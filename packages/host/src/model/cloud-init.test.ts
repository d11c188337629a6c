/** The disk that tells cloud-init in a guest what to do: made, made anew and removed by starts. */
import { mibBytes, type Ref } from '@xenolith/base';
import { HostError, type ImagePiece } from '@xenolith/xapi';
import { beforeEach, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk } from '../testing/new-objects.ts';

let pool: ModelPool;
let vm: Ref<'VM'>;
/** Images that were written, as text: what is not text in them is not looked at. */
let written: string[];

async function open(): Promise<void> {
  written = [];
  pool = new ModelPool();
  pool.wrapDriver = (driver) => ({
    ...driver,
    files: {
      ...driver.files,
      writeImage: async (path, pieces) => {
        const all: ImagePiece[] = [];
        for await (const piece of pieces) all.push(piece);
        written.push(all.map((piece) => ('data' in piece ? Buffer.from(piece.data).toString('latin1') : '')).join(''));
        await driver.files.writeImage(
          path,
          (async function* () {
            yield* all;
          })(),
        );
      },
    },
  });
  await pool.reopen();
  await pool.call('host.add', 'model:xen1?nodes=1&sockets=1&cores=2&threads=1&memory=4G&dom0=1G&seed=1', {});
  await pool.settle();
  vm = await pool.newVm('Web Server #1');
}

beforeEach(open);

const tell = (key: string, text: string, to = vm): Promise<unknown> =>
  pool.call('VM.add_to_other_config', to, key, text);
const untell = (key: string): Promise<unknown> => pool.call('VM.remove_from_other_config', vm, key);

async function startAndStop(of = vm): Promise<readonly string[]> {
  await pool.call('VM.start', of, false, false);
  const disks = [...(pool.machine().configOf(pool.vm(of).domid as never)?.disks ?? [])];
  await pool.call('VM.hard_shutdown', of);
  return disks.map(({ device, readOnly }) => `${device} ${readOnly ? 'ro' : 'rw'}`);
}

const images = (): number => pool.machine().files.paths.filter((path) => path.endsWith('.raw')).length;

test('a VM that says nothing has no seed', async () => {
  expect(await startAndStop()).toEqual([]);
  expect([written, images()]).toEqual([[], 0]);
});

test('a seed has what the record says, and what cloud-init needs beside', async () => {
  await tell('cloud-init-user-data', '#cloud-config\npackages: [jq]\n');
  expect(await startAndStop()).toEqual(['xvdd ro']);
  expect(written).toHaveLength(1);
  expect(written[0]).toContain('cidata');
  expect(written[0]).toContain('packages: [jq]');
  expect(written[0]).toContain(`instance-id: ${pool.vm(vm).uuid}\nlocal-hostname: web-server-1\n`);
  expect([...pool.db.all('VDI')].map(([, vdi]) => vdi)).toMatchObject([
    { name_label: 'Web Server #1 cloud-init', read_only: true, managed: true, virtual_size: mibBytes },
  ]);
});

test('it is made anew when the record says something else, and only then', async () => {
  await tell('cloud-init-network-config', 'version: 2\n');
  await startAndStop();
  await startAndStop();
  expect(written).toHaveLength(1);
  expect(written[0]).toContain('#cloud-config\n');
  await tell('cloud-init-meta-data', 'instance-id: mine\n');
  expect(await startAndStop()).toEqual(['xvdd ro']);
  expect(written).toHaveLength(2);
  expect(written[1]).not.toContain(pool.vm(vm).uuid);
  expect([images(), pool.db.count('VDI'), pool.db.count('VBD')]).toEqual([1, 1, 1]);
  await untell('cloud-init-network-config');
  await untell('cloud-init-meta-data');
  expect(await startAndStop()).toEqual([]);
  expect([images(), pool.db.count('VDI'), pool.db.count('VBD')]).toEqual([0, 0, 0]);
});

test('a clone has one of its own, in a place that is free', async () => {
  await tell('cloud-init-user-data', 'x');
  await startAndStop();
  const clone = await pool.call<Ref<'VM'>>('VM.clone', vm, 'second');
  expect(await startAndStop(clone)).toEqual(['xvdd ro']);
  expect(written.map((image) => /instance-id: (\S+)/.exec(image)?.[1])).toEqual([
    pool.vm(vm).uuid,
    pool.vm(clone).uuid,
  ]);
  expect(images()).toBe(2);
  const taken = await pool.newVm('taken');
  const [sr = ''] = pool.db.refs('SR');
  await pool.call('VBD.create', newDevice(taken, await pool.call('VDI.create', newDisk(sr, mibBytes)), 'xvdd'));
  await tell('cloud-init-user-data', 'x', taken);
  expect(await startAndStop(taken)).toEqual(['xvdd rw', 'xvdz ro']);
});

test('what is too long, and a host that cannot write, keep a VM from starting, and leave nothing', async () => {
  await tell('cloud-init-user-data', 'ä'.repeat(128 * 1024 + 1));
  expect(await pool.refusal('VM.start', vm, false, false)).toBe(
    'INVALID_VALUE other_config:cloud-init-user-data 262146 bytes; 262144 at most',
  );
  await untell('cloud-init-user-data');
  await tell('cloud-init-user-data', 'x');
  pool.machine().failNext('files', new HostError('no-space', 'full'));
  expect(await pool.refusal('VM.start', vm, false, false)).toMatch(/^SR_FULL|full/);
  expect([images(), pool.db.count('VDI'), pool.db.count('VBD')]).toEqual([0, 0, 0]);
  expect(pool.vm(vm)).toMatchObject({ power_state: 'Halted', current_operations: {} });
});

test.each(['killed', 'host lost'] as const)('there is one seed or none, and no file beside: %s', async (mishap) => {
  for (let step = 0; ; step++) {
    expect(step).toBeLessThan(100);
    await open();
    await tell('cloud-init-user-data', 'first');
    await startAndStop();
    await untell('cloud-init-user-data');
    await tell('cloud-init-user-data', 'second');
    const wentWrong = await pool.befall(mishap, step, () => pool.call('VM.start', vm, false, false));
    await pool.xapi.hosts.driverOf(pool.host()).refresh();
    await pool.settle();
    expect([pool.db.count('VDI'), pool.db.count('VBD'), images()], `step ${step}`).toEqual([1, 1, 1]);
    expect(pool.disagreements(), `step ${step}`).toEqual([]);
    if (!wentWrong) break;
  }
});
