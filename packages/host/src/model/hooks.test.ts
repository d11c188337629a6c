/** Executables that are run before and after what is done to VMs and hosts: real ones of this machine, for modelled hosts. */
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import type { Answer, HostDriver, HostHook, VmHook } from '@xenolith/xapi';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';

const vmHooks: readonly VmHook[] = [
  'vm-pre-start',
  'vm-pre-shutdown',
  'vm-post-destroy',
  'vm-pre-reboot',
  'vm-pre-suspend',
  'vm-pre-resume',
  'vm-post-resume',
  'vm-pre-migrate',
  'vm-post-migrate',
];
const hostHooks: readonly HostHook[] = ['host-pre-declare-dead', 'host-post-declare-dead'];

let pool: ModelPool;
let vm: Ref<'VM'>;
let root: string;
const running = new Set<Promise<unknown>>();

const tracked = <T>(work: Promise<T>): Promise<T> => {
  const done = work.finally(() => running.delete(done));
  running.add(done);
  return done;
};

/** The answer to a call. The pool's time stands still while an executable runs. */
async function answer(method: string, ...params: readonly WireValue[]): Promise<Answer> {
  const given = pool.begin(method, ...params);
  for (;;) {
    await pool.settle();
    if (running.size > 0) await Promise.allSettled(running);
    const ended = await Promise.race([given, new Promise<undefined>((resolve) => setImmediate(resolve, undefined))]);
    if (ended !== undefined) return ended;
    if (running.size === 0) await pool.pass(500);
  }
}

async function call(method: string, ...params: readonly WireValue[]): Promise<unknown> {
  const given = await answer(method, ...params);
  if (!given.ok) throw new Error(given.error.join(' '));
  return given.value;
}

const refusal = async (method: string, ...params: readonly WireValue[]): Promise<readonly string[]> => {
  const given = await answer(method, ...params);
  return given.ok ? [] : given.error;
};

function install(hook: VmHook | HostHook, name: string, body: string): void {
  mkdirSync(join(root, hook), { recursive: true });
  const file = join(root, hook, name);
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
}

/** What was run since the last look: which hook, with which arguments, uuids by name. */
function ran(): readonly string[] {
  const log = join(root, 'log');
  const names = [
    [pool.vm(vm).uuid, 'VM'],
    ...[...pool.db.all('host')].map(([, { uuid, hostname }]) => [uuid, hostname]),
  ] as const;
  const lines = readFileSync(log, 'utf8').trim().split('\n');
  writeFileSync(log, '');
  return lines
    .filter((line) => line !== '')
    .map((line) => line.replace(/-vmdomid \d+$/, 'with a domain'))
    .map((line) => names.reduce((text, [uuid = '', name = '']) => text.replace(uuid, name), line));
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'xenolith-hooks-'));
  appendFileSync(join(root, 'log'), '');
  for (const hook of [...vmHooks, ...hostHooks])
    install(hook, '50-log', `echo "${hook}" "$@" >>'${join(root, 'log')}'`);
  pool = new ModelPool(undefined, root);
  pool.wrapDriver = (driver): HostDriver => ({
    ...driver,
    system: {
      ...driver.system,
      list: (directory) => tracked(driver.system.list(directory)),
      run: (program) => tracked(driver.system.run(program)),
    },
  });
  await pool.addHosts(2);
  vm = await pool.newVm();
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const start = async (): Promise<void> => {
  await call('VM.start_on', vm, pool.host(1), false, false);
  await pool.pass(10_000);
};

describe('hooks of a VM', () => {
  test('are run around each operation, with their reasons', async () => {
    await start();
    expect(ran()).toEqual(['vm-pre-start -vmuuid VM -reason none']);
    await call('VM.suspend', vm);
    expect(ran()).toEqual([
      'vm-pre-suspend -vmuuid VM -reason suspend with a domain',
      'vm-pre-shutdown -vmuuid VM -reason suspend with a domain',
      'vm-post-destroy -vmuuid VM -reason suspend',
    ]);
    await call('VM.resume', vm, false, false);
    expect(ran()).toEqual([
      'vm-pre-resume -vmuuid VM -reason none',
      'vm-post-resume -vmuuid VM -reason none with a domain',
    ]);
    await call('VM.hard_reboot', vm);
    expect(ran()).toEqual([
      'vm-pre-shutdown -vmuuid VM -reason hard-reboot with a domain',
      'vm-post-destroy -vmuuid VM -reason hard-reboot',
      'vm-pre-reboot -vmuuid VM -reason none',
      'vm-pre-start -vmuuid VM -reason none',
    ]);
    await pool.pass(10_000);
    await call('VM.clean_reboot', vm);
    expect(ran()).toEqual([
      'vm-pre-shutdown -vmuuid VM -reason clean-reboot with a domain',
      'vm-pre-reboot -vmuuid VM -reason none',
    ]);
    await pool.pass(10_000);
    await call('VM.clean_shutdown', vm);
    expect(ran()).toEqual([
      'vm-pre-shutdown -vmuuid VM -reason clean-shutdown with a domain',
      'vm-post-destroy -vmuuid VM -reason clean-shutdown',
    ]);
    await start();
    ran();
    await call('VM.hard_shutdown', vm);
    expect(ran()).toEqual([
      'vm-pre-shutdown -vmuuid VM -reason hard-shutdown with a domain',
      'vm-post-destroy -vmuuid VM -reason hard-shutdown',
    ]);
    expect(pool.disagreements()).toEqual([]);
  });

  test('are run on both hosts of a migration', async () => {
    const location = '/shared/pool';
    const sr = await call('SR.create', pool.host(1), { location }, 0, 'shared', '', 'file', 'user', true, {});
    const there = { host: pool.host(2), SR: sr as string, device_config: { location }, other_config: {} };
    await call('PBD.plug', (await call('PBD.create', there)) as string);
    await start();
    ran();
    await call('VM.pool_migrate', vm, pool.host(2), {});
    expect(ran()).toEqual([
      'vm-pre-migrate -vmuuid VM -reason source with a domain',
      'vm-pre-shutdown -vmuuid VM -reason suspend with a domain',
      'vm-post-destroy -vmuuid VM -reason suspend',
      'vm-post-migrate -vmuuid VM -reason destination with a domain',
    ]);
    install('vm-pre-migrate', '10-stay', 'exit 2');
    expect(await refusal('VM.pool_migrate', vm, pool.host(1), {})).toEqual(failed('vm-pre-migrate/10-stay', 'source'));
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Running', resident_on: pool.host(2) });
  });

  test('are run in the order of their names; one that ends with 1 stops nobody, and one that is no program is none', async () => {
    for (const [name, code] of [
      ['60-says', 1],
      ['10-says', 1],
      ['70-last', 0],
    ] as const)
      install('vm-pre-start', name, `echo ${name} >>'${join(root, 'log')}'; exit ${code}`);
    writeFileSync(join(root, 'vm-pre-start', '20-no-program'), '#!/bin/sh\nexit 2\n');
    await start();
    expect(ran()).toEqual(['10-says', 'vm-pre-start -vmuuid VM -reason none', '60-says', '70-last']);
    expect(pool.vm(vm).power_state).toBe('Running');
  });
});

const failed = (hook: string, reason: string, stdout = '', code = '2'): readonly string[] => [
  'XAPI_HOOK_FAILED',
  hook,
  reason,
  stdout,
  code,
];

describe('a hook of a VM that fails', () => {
  test('keeps it from starting, and nobody after it is run', async () => {
    install('vm-pre-start', '10-no', 'echo "not today"; echo "for a reason" >&2; exit 7');
    expect(await refusal('VM.start', vm, false, false)).toEqual(
      failed('vm-pre-start/10-no', 'none', 'not today\n', '7'),
    );
    expect(ran()).toEqual([]);
    expect(pool.vm(vm)).toMatchObject({ power_state: 'Halted', current_operations: {} });
    expect(pool.disagreements()).toEqual([]);
    rmSync(join(root, 'vm-pre-start', '10-no'));
    await start();
  });

  test.each<[string, VmHook, string, string]>([
    ['VM.clean_shutdown', 'vm-pre-shutdown', 'clean-shutdown', 'Running'],
    ['VM.hard_shutdown', 'vm-pre-shutdown', 'hard-shutdown', 'Running'],
    ['VM.shutdown', 'vm-pre-shutdown', 'hard-shutdown', 'Running'],
    ['VM.clean_reboot', 'vm-pre-reboot', 'none', 'Running'],
    ['VM.suspend', 'vm-pre-suspend', 'suspend', 'Running'],
    ['VM.suspend', 'vm-pre-shutdown', 'suspend', 'Running'],
    ['VM.hard_reboot', 'vm-pre-shutdown', 'hard-reboot', 'Running'],
    // The domain has ended by then.
    ['VM.hard_reboot', 'vm-pre-start', 'none', 'Halted'],
    ['VM.hard_shutdown', 'vm-post-destroy', 'hard-shutdown', 'Halted'],
    ['VM.clean_shutdown', 'vm-post-destroy', 'clean-shutdown', 'Halted'],
    ['VM.suspend', 'vm-post-destroy', 'suspend', 'Suspended'],
  ])('%s, %s: the call fails with the reason %s, and the VM is %s', async (method, hook, reason, state) => {
    await start();
    install(hook, '10-no', 'exit 2');
    expect(await refusal(method, vm)).toEqual(failed(`${hook}/10-no`, reason));
    expect(pool.vm(vm).power_state).toBe(state);
    expect(pool.disagreements()).toEqual([]);
  });

  test('keeps it from going on, with its image; and a checkpoint that it fails goes on', async () => {
    await start();
    install('vm-post-destroy', '10-no', 'exit 2');
    expect(await refusal('VM.checkpoint', vm, 'then')).toEqual(failed('vm-post-destroy/10-no', 'suspend'));
    expect(pool.vm(vm).power_state).toBe('Running');
    rmSync(join(root, 'vm-post-destroy', '10-no'));
    await pool.pass(10_000);
    await call('VM.suspend', vm);
    install('vm-pre-resume', '10-no', 'exit 2');
    expect(await refusal('VM.resume', vm, false, false)).toEqual(failed('vm-pre-resume/10-no', 'none'));
    expect(pool.vm(vm).power_state).toBe('Suspended');
    expect(pool.disagreements()).toEqual([]);
  });
});

describe('hooks of a host', () => {
  const one = (): Ref<'host'> => pool.host(1);
  const two = (): Ref<'host'> => pool.host(2);

  test.each([
    ['host.reboot', 'clean-reboot'],
    ['host.shutdown', 'clean-shutdown'],
  ])('%s', async (method, reason) => {
    await call('host.disable', two());
    install('host-pre-declare-dead', '10-no', 'exit 2');
    expect(await refusal(method, two())).toEqual(failed('host-pre-declare-dead/10-no', reason));
    expect(pool.xapi.hosts.isLive(two())).toBe(true);
    rmSync(join(root, 'host-pre-declare-dead', '10-no'));
    await call(method, two());
    expect(ran()).toEqual(['pre', 'post'].map((when) => `host-${when}-declare-dead -hostuuid xen2 -reason ${reason}`));
    expect(pool.xapi.hosts.isLive(two())).toBe(false);
  });

  test('are run elsewhere when the coordinator is the dead one, and on none when there is no other', async () => {
    pool.machine(1).setReachable(false);
    await pool.settle();
    await call('host.declare_dead', one());
    expect(ran()).toEqual(['pre', 'post'].map((when) => `host-${when}-declare-dead -hostuuid xen1 -reason user`));
    pool.machine(2).setReachable(false);
    await pool.settle();
    await call('host.declare_dead', two());
    expect(ran()).toEqual([]);
  });

  test('are told of a host that is destroyed while its records are there', async () => {
    pool.machine(2).setReachable(false);
    await pool.settle();
    install('host-post-declare-dead', '10-no', 'exit 2');
    expect(await refusal('host.destroy', two())).toEqual(failed('host-post-declare-dead/10-no', 'dbdestroy'));
    rmSync(join(root, 'host-post-declare-dead', '10-no'));
    ran();
    const { uuid } = pool.db.get('host', two());
    await call('host.destroy', two());
    expect(ran()).toEqual(
      ['pre', 'post'].map((when) => `host-${when}-declare-dead -hostuuid ${uuid} -reason dbdestroy`),
    );
  });
});
