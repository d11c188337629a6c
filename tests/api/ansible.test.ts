/** Debian's ansible: the modules of community.general for XenServer, unmodified, over Debian's XenAPI.py. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requires } from '../requires.ts';
import { startModelPool, type ModelPool } from './model-pool.ts';

const needed = requires(['ansible-playbook', 'XenAPI.py']);
const here = new URL('./ansible/', import.meta.url).pathname;
const uuidForm: unknown = expect.stringMatching(/^[0-9a-f-]{36}$/);

describe.skipIf(needed.skip)(`ansible ${needed.reason}`, () => {
  let pool: ModelPool;
  let directory: string;
  beforeAll(async () => {
    pool = await startModelPool();
    directory = mkdtempSync(join(tmpdir(), 'xenolith-ansible-'));
  });
  afterAll(async () => {
    await pool.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test('xenserver_facts, xenserver_guest_info and xenserver_guest_powerstate', { timeout: 240_000 }, async () => {
    const result = join(directory, 'result.json');
    const env = {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      HOME: directory,
      LC_ALL: 'C.UTF-8',
      ANSIBLE_HOME: directory,
      ANSIBLE_LOCALHOST_WARNING: 'False',
      ANSIBLE_PYTHON_INTERPRETER: '/usr/bin/python3',
      PYTHONPATH: here,
      PYTHONDONTWRITEBYTECODE: '1',
      XENOLITH_URL: pool.url,
      XENOLITH_USER: pool.user,
      XENOLITH_PASSWORD: pool.password,
      RESULT: result,
    };
    await promisify(execFile)('ansible-playbook', [join(here, 'pool.yaml')], { env, timeout: 230_000 });
    expect(JSON.parse(readFileSync(result, 'utf8'))).toEqual({
      info: expect.objectContaining({
        name: 'web',
        uuid: uuidForm,
        state: 'poweredon',
        is_template: false,
        hardware: { memory_mb: 128, num_cpus: 1, num_cpu_cores_per_socket: 1 },
        networks: [expect.objectContaining({ name: 'Pool-wide network on xenbr0', vif_device: '0' })],
      }) as unknown,
      nobody: "VM search: VM with name 'nobody' not found!",
      stranger: expect.stringContaining('Unable to log on to XenServer') as unknown,
      networks: 1,
      srs: 2,
      vms: expect.any(Number) as unknown,
      states: [
        'poweredon',
        'suspended',
        'poweredon',
        'poweredoff',
        'poweredon',
        'poweredon',
        'poweredon',
        'poweredoff',
      ],
      changed: [false, true, true, true, true, true, true, true],
    });
  });
});
