/** xenolithd killed with -9 in the middle of a start and of a suspend on real Xen: afterwards the records say what `xl list` says. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GUEST_UP_MARKER, labDown, labRun, labUp, type LabHost } from '@xenolith/lab';
import { labNeeds, requires } from '../requires.ts';
import { sshAddress, sshOptions, xlList } from './real-pool.ts';
import { WireConsole } from './wire-console.ts';
import { XlGate, type GatePoint } from './xl-gate.ts';

const { skip } = requires(labNeeds);
const main = new URL('../../packages/server/src/main.ts', import.meta.url).pathname;

interface Manager {
  readonly process: ChildProcess;
  readonly session: string;
  call(method: string, ...params: readonly unknown[]): Promise<unknown>;
}

/** Starts xenolithd as a process of its own and logs in. */
async function startManager(data: string): Promise<Manager> {
  const environmentFile = join(data, '..', 'env');
  rmSync(environmentFile, { force: true });
  const child = spawn(
    process.execPath,
    ['--', main, '--empty', '--listen', '127.0.0.1:0', '--data', data, '--env-file', environmentFile],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const deadline = performance.now() + 30_000;
  while (!existsSync(environmentFile)) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`xenolithd did not start (${child.exitCode})`);
    await pause(20);
  }
  const line = (name: string): string =>
    (new RegExp(`^${name}=(.*)$`, 'm').exec(readFileSync(environmentFile, 'utf8'))?.[1] ?? '').replaceAll("'", '');
  const request = async (method: string, params: readonly unknown[]): Promise<unknown> => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const response = await fetch(`${line('XENOLITH_URL')}/jsonrpc`, { method: 'POST', body });
    const answer = (await response.json()) as { readonly result?: unknown; readonly error?: unknown };
    if (answer.error !== undefined) throw new Error(JSON.stringify(answer.error));
    return answer.result;
  };
  const session = await request('session.login_with_password', [line('XENOLITH_USER'), line('XENOLITH_PASSWORD')]);
  return {
    process: child,
    session: String(session),
    call: (method, ...params) => request(method, [session, ...params]),
  };
}

async function kill(manager: Manager): Promise<void> {
  const ended = new Promise<void>((resolve) => manager.process.once('exit', () => resolve()));
  manager.process.kill('SIGKILL');
  await ended;
}

interface VmState {
  readonly power_state: string;
  readonly domid: number | string;
  readonly current_operations: object;
  readonly suspend_VDI: string;
}

interface Template {
  readonly is_default_template: boolean;
  readonly domain_type: string;
}

/** The points of the two operations at which the manager is killed. */
export interface KillPoints {
  readonly create: readonly GatePoint[];
  readonly save: readonly GatePoint[];
}

/** Declares the tests for these points: each takes a minute or two. */
export function describeKills(points: KillPoints): void {
  describe.skipIf(skip)('a manager that is killed', () => {
    declareKills(points);
  });
}

function declareKills(points: KillPoints): void {
  let scratch: string;
  let host: LabHost;
  let manager: Manager;
  let vm: unknown;
  let gate: XlGate;
  const data = (): string => join(scratch, 'data');
  const name = 'survivor';

  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'xenolith-crash-'));
    const lab = await labUp({ hosts: 1, stateDirectory: join(scratch, 'lab') });
    const [first] = lab.hosts;
    if (first === undefined) throw new Error('no host in the lab');
    host = first;
    gate = await XlGate.install(host);
    manager = await startManager(data());
    await manager.call('host.add', sshAddress(host), sshOptions(host));
    const vms = (await manager.call('VM.get_all_records')) as Readonly<Record<string, Template>>;
    const isTemplate = ({ is_default_template, domain_type }: Template): boolean =>
      is_default_template && domain_type === 'pv';
    const template = Object.entries(vms).find(([, record]) => isTemplate(record))?.[0];
    vm = await manager.call('VM.clone', template, name);
    await manager.call('VM.provision', vm);
  });
  afterAll(async () => {
    manager?.process.kill('SIGKILL');
    await labDown({ stateDirectory: join(scratch, 'lab') });
    await rm(scratch, { recursive: true, force: true });
  });

  /** Whether dom0 is still at what a killed manager asked of it. Once a domain runs, the xl that made it stays to watch it. */
  async function busy(running: boolean): Promise<boolean> {
    const commands = running ? 'save' : 'create|save|restore';
    const script = `for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f | grep -E '(^|/)xl (${commands}) '; done 2>/dev/null; true`;
    return (await labRun(host, ['bash', '-s'], { input: script, timeoutMs: 60_000 })).trim() !== '';
  }

  /** Asks both sides until nothing is under way any more and they agree, twice in a row. */
  async function agreement(): Promise<VmState> {
    const deadline = performance.now() + 90_000;
    let agreed = 0;
    for (;;) {
      const rows = (await xlList(host)).filter((row) => row.domid !== 0);
      const record = (await manager.call('VM.get_record', vm)) as VmState;
      const running = record.power_state === 'Running' || record.power_state === 'Paused';
      const same = running ? rows.length === 1 && Number(record.domid) === rows[0]?.domid : rows.length === 0;
      const quiet = same && Object.keys(record.current_operations).length === 0 && !(await busy(running));
      agreed = quiet ? agreed + 1 : 0;
      if (agreed === 2) return record;
      if (performance.now() > deadline) {
        throw new Error(`no agreement: ${record.power_state} ${record.domid} against ${JSON.stringify(rows)}`);
      }
    }
  }

  /** Sees to it that the guest runs and is up: one that still boots does not answer when it is asked to suspend. */
  async function runUp(): Promise<void> {
    if ((await manager.call('VM.get_power_state', vm)) === 'Running') return;
    await manager.call('VM.start', vm, false, false);
    const [ref] = (await manager.call('VM.get_consoles', vm)) as readonly string[];
    const location = String(await manager.call('console.get_location', ref));
    const console = await WireConsole.connect(location, manager.session);
    await console.until(GUEST_UP_MARKER, 240_000);
    console.close();
  }

  const isLive = async (): Promise<boolean> => {
    const metrics = (await manager.call('host_metrics.get_all_records')) as Readonly<Record<string, { live: boolean }>>;
    return Object.values(metrics).some(({ live }) => live);
  };

  /** Begins an operation, kills the manager at that point of it, and lets a new one look before dom0 goes on. */
  async function killAt(command: 'create' | 'save', point: GatePoint, begin: () => Promise<unknown>): Promise<VmState> {
    await gate.close(command, point);
    begin().catch(() => undefined);
    await gate.reached();
    await kill(manager);
    manager = await startManager(data());
    await expect.poll(isLive, { timeout: 60_000, interval: 50 }).toBe(true);
    await gate.open();
    return agreement();
  }

  test.each(points.create)('while a domain is being made: %s', async (point) => {
    const { power_state } = await killAt('create', point, () => manager.call('VM.start', vm, false, false));
    // What was begun in dom0 is finished there.
    expect(power_state).toBe('Running');
    await manager.call('VM.hard_shutdown', vm);
  });

  test.each(points.save)('while a domain is being saved: %s', async (point) => {
    await runUp();
    const { power_state, suspend_VDI } = await killAt('save', point, () => manager.call('VM.suspend', vm));
    expect(power_state).toBe('Suspended');
    expect(suspend_VDI).not.toBe('OpaqueRef:NULL');
    await manager.call('VM.resume', vm, false, false);
    expect((await agreement()).power_state).toBe('Running');
  });
}
