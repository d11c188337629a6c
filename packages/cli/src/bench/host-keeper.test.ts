/** The keeper's script under a real shell, with an `xl` whose domains and cpupools are lines of files, and a `sleep` that takes no time. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pcpuId } from '@xenolith/base';
import type { Channel, Transport } from '@xenolith/host';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BenchInterrupted } from './bench-error.ts';
import {
  cleanScript,
  cleanUnsettledScript,
  keeperScript,
  keptDirectory,
  keptName,
  noteScript,
  startKeeper,
  takenFile,
  takenText,
  type Keeper,
} from './host-keeper.ts';

const xl = `#!/bin/sh
cd "$STATE" || exit 1
echo "$*" >>calls
case $1 in
  list) echo 'Name  ID  Mem VCPUs State Time(s)'; cat domains ;;
  destroy) grep -v " $2 " domains >next; mv next domains ;;
  cpupool-list)
    echo 'Name               CPU list'
    while read -r pool pcpus; do [ $# -eq 3 ] && [ "$3" != "$pool" ] || printf '%-19s%s\\n' "$pool" "$pcpus"; done <pools ;;
  cpupool-destroy) grep -v "^$2 " pools >next; mv next pools ;;
  cpupool-cpu-add) sed "s/^\\($2 .*\\)/\\1,$3/" pools >next; mv next pools ;;
  # A removal of a pCPU that goes on at the same time has the longest timeslice set.
  sched-credit) [ $# -gt 4 ] || echo "Cpupool $4: tslice=1000ms ratelimit=1000us" ;;
esac
`;
/** At the second one a removal that was begun before the campaign was killed comes to its end. */
const sleep = `#!/bin/sh
cd "$STATE" || exit 1
echo x >>sleeps
[ ! -e late ] || [ "$(wc -l <sleeps)" -ne 2 ] || mv late pools
`;

let directory = '';
let name = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-keeper-'));
  name = keptName(directory);
  writeFileSync(join(directory, 'xl'), xl);
  writeFileSync(join(directory, 'sleep'), sleep);
  for (const program of ['xl', 'sleep']) chmodSync(join(directory, program), 0o755);
  write('domains', 'Domain-0  0  1024  1  r-----  1.0\nbench-other-1  4  128  1  -b----  1.0\n');
  write('pools', 'Pool-0  0,1,2,3\n');
});
afterEach(() => {
  rmSync(directory, { recursive: true });
  rmSync(keptDirectory(name), { recursive: true, force: true });
  rmSync(`/run/lock/${name}`, { force: true });
});

const write = (file: string, text: string): void => writeFileSync(join(directory, file), text);
const read = (file: string): string => readFileSync(join(directory, file), 'utf8');
const keeper = (): { readonly command: string; readonly env: NodeJS.ProcessEnv } => ({
  command: keeperScript,
  env: { ...process.env, STATE: directory, name, pause: '2', looks: '9', PATH: `${directory}:${process.env['PATH']}` },
});

const taken = takenText([
  { pcpu: pcpuId(2), pool: { name: 'Pool-0', scheduler: 'credit', parameters: { tsliceMs: 30 } } },
  { pcpu: pcpuId(3), pool: { name: 'Pool-0', scheduler: 'credit', parameters: { tsliceMs: 30 } } },
]);

function leaveBehind(): void {
  write('domains', `${read('domains')}${name}-1  5  128  4  r-----  1.0\n${name}-2  6  128  4  --p---  0.0\n`);
  write('pools', `Pool-0  0,1\n${name}  2,3\n`);
  mkdirSync(keptDirectory(name), { recursive: true });
  writeFileSync(takenFile(name), taken);
  writeFileSync(join(keptDirectory(name), '1.disk'), 'disk');
}

function expectTidy(): void {
  expect(read('domains')).toBe('Domain-0  0  1024  1  r-----  1.0\nbench-other-1  4  128  1  -b----  1.0\n');
  expect(read('pools')).toBe('Pool-0  0,1,2,3\n');
}

describe('the keeper', () => {
  test('takes away what is left of the campaign and nothing else, before it says that it is ready and at its end', () => {
    leaveBehind();
    const { command, env } = keeper();
    const said = execFileSync('/bin/sh', ['-c', command], { env, input: 'done\n', encoding: 'utf8' });
    expect(said).toBe('ready\n');
    expectTidy();
    expect(existsSync(keptDirectory(name))).toBe(false);
    // A credit pool has the longest timeslice while a pCPU joins it, and its own afterwards.
    const calls = read('calls')
      .split('\n')
      .filter((call) => /cpu-add|sched-credit.*-t/.test(call));
    expect(calls.slice(1, 4)).toEqual([
      'sched-credit -s -p Pool-0 -t 1000',
      'cpupool-cpu-add Pool-0 2',
      'sched-credit -s -p Pool-0 -t 30',
    ]);
  });

  test('does so when its standard input ends, as when the campaign is killed', async () => {
    const { command, env } = keeper();
    const child = spawn('/bin/sh', ['-c', command], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    leaveBehind();
    child.stdin.end();
    await ended;
    expectTidy();
    expect(existsSync(keptDirectory(name))).toBe(false);
  });

  test('gives back a pCPU that is taken when the campaign is gone, and waits for such', async () => {
    const { command, env } = keeper();
    const child = spawn('/bin/sh', ['-c', command], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    writeFileSync(takenFile(name), taken);
    write('late', 'Pool-0  0,1,3\n');
    child.stdin.end();
    await ended;
    expect(read('pools')).toBe('Pool-0  0,1,3,2\n');
    expect(
      read('calls')
        .match(/^sched-credit .*-t .*/gm)
        ?.at(-1),
    ).toBe('sched-credit -s -p Pool-0 -t 30');
    expect(existsSync(keptDirectory(name))).toBe(false);
  });

  test('waits for what a failed run had begun, and gives back a pCPU that is taken after the clean-up', async () => {
    const { command, env } = keeper();
    const child = spawn('/bin/sh', ['-c', command], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    writeFileSync(takenFile(name), taken);
    // Nothing is amiss yet: the removal of a pCPU was given up on, and goes on.
    expect(spawnSync('/bin/sh', ['-c', cleanUnsettledScript], { env }).status).toBe(0);
    expect(readFileSync(takenFile(name), 'utf8')).toBe(taken);
    // Nor does the end of a later run that went well make it forgotten.
    expect(spawnSync('/bin/sh', ['-c', cleanScript], { env }).status).toBe(0);
    expect(readFileSync(takenFile(name), 'utf8')).toBe(taken);
    write('late', 'Pool-0  0,1,3\n');
    child.stdin.end('done\n');
    expect(await ended).toBe(0);
    expect(read('pools')).toBe('Pool-0  0,1,3,2\n');
    expect(existsSync(keptDirectory(name))).toBe(false);
  });

  test('does not wait at the end of a campaign whose runs went well', () => {
    const { command, env } = keeper();
    execFileSync('/bin/sh', ['-c', command], { env, input: 'done\n' });
    expect(existsSync(join(directory, 'sleeps'))).toBe(false);
  });

  test.each(['done\n', ''])('keeps its note of pCPUs that are in no cpupool (after %j)', (input) => {
    writeFileSync(join(directory, 'xl'), xl.replace('cpupool-cpu-add)', 'never)'));
    const { command, env } = keeper();
    const leaving = `read -r _; printf '%s' "$TAKEN" >${takenFile(name)}; echo 'Pool-0  0,1' >"$STATE/pools"; printf '%s' "$INPUT"`;
    const both = `{ ${leaving}; } <"$STATE/said" | /bin/sh -c "$SCRIPT" >"$STATE/said"`;
    execFileSync('mkfifo', [join(directory, 'said')]);
    spawnSync('/bin/sh', ['-c', both], { env: { ...env, TAKEN: taken, INPUT: input, SCRIPT: command } });
    expect(readFileSync(takenFile(name), 'utf8')).toBe(taken);
  });

  test('says what it could not take away', () => {
    leaveBehind();
    writeFileSync(join(directory, 'xl'), xl.replace('cpupool-destroy)', 'never)'));
    const { command, env } = keeper();
    expect(() => execFileSync('/bin/sh', ['-c', command], { env, input: 'done\n', stdio: 'pipe' })).toThrow(
      /^Command failed[^]*left on the host: cpupool bench-/,
    );
  });
});

test('what is noted of a pCPU stays as it was noted first', () => {
  const pool = { name: 'a pool', scheduler: 'credit', parameters: { tsliceMs: 1000 } } as const;
  const note = (lines: string): unknown =>
    execFileSync('/bin/sh', ['-c', noteScript], { env: { ...process.env, LINES: lines, FILE: takenFile(name) } });
  mkdirSync(keptDirectory(name));
  note(taken);
  note(takenText([2, 23].map((pcpu) => ({ pcpu: pcpuId(pcpu), pool }))));
  expect(readFileSync(takenFile(name), 'utf8')).toBe(`${taken}23 1000 a pool\n`);
});

describe('cleaning up after a run', () => {
  const clean = (): { readonly status: number | null; readonly stderr: string } =>
    spawnSync('/bin/sh', ['-c', cleanScript], { env: keeper().env, encoding: 'utf8' });

  test('gives the pCPUs back, with the timeslice that their pool had', () => {
    leaveBehind();
    expect(clean()).toMatchObject({ status: 0, stderr: '' });
    expectTidy();
    expect(
      read('calls')
        .match(/^sched-credit .*-t .*/gm)
        ?.at(-1),
    ).toBe('sched-credit -s -p Pool-0 -t 30');
    expect(existsSync(takenFile(name))).toBe(false);
  });

  test('sets no timeslice where there is none, and knows a pCPU behind a long name', () => {
    leaveBehind();
    const pool = { name: 'a_pool_with_a_long_name', scheduler: 'credit2', parameters: {} } as const;
    write('pools', `Pool-0  0,1\n${pool.name}  2\n`);
    writeFileSync(takenFile(name), takenText([2, 3].map((pcpu) => ({ pcpu: pcpuId(pcpu), pool }))));
    expect(clean()).toMatchObject({ status: 0, stderr: '' });
    expect(read('pools')).toBe(`Pool-0  0,1\n${pool.name}  2,3\n`);
    expect(read('calls')).not.toMatch(/cpu-add .* 2$|sched-credit/m);
  });

  test('fails while a pCPU is in no cpupool, says which, and gives it back later', () => {
    leaveBehind();
    writeFileSync(join(directory, 'xl'), xl.replace('cpupool-cpu-add)', 'cpupool-cpu-add) exit 1 ;; never)'));
    expect(clean()).toMatchObject({ status: 1, stderr: 'left on the host: pCPUs in no cpupool 2 3\n' });
    expect(readFileSync(takenFile(name), 'utf8')).toBe(taken);
    writeFileSync(join(directory, 'xl'), xl);
    expect(clean()).toMatchObject({ status: 0, stderr: '' });
    expectTidy();
  });

  test.each(['list', 'cpupool-list'])('does not take an xl %s that fails for a host that is tidy', (command) => {
    leaveBehind();
    writeFileSync(
      join(directory, 'xl'),
      xl.replace(`  ${command})`, `  ${command}) echo 'no hypercall' >&2; exit 1 ;; never)`),
    );
    expect(clean()).toMatchObject({ status: 1, stderr: expect.stringContaining('no hypercall') as string });
    expect(readFileSync(takenFile(name), 'utf8')).toBe(taken);
  });
});

describe('starting the keeper', () => {
  type End = Parameters<Parameters<Channel['onClose']>[0]>[0];

  /** A connection to a host where the keeper says `said`, and then ends as `end`, if it does. */
  function start(said: string, end: End | undefined, interruption = new AbortController()): Promise<Keeper> {
    const nothing = { dispose: (): void => undefined };
    const channel: Channel = {
      onData(listener) {
        listener(Buffer.from(said));
        return nothing;
      },
      onClose(listener) {
        if (end !== undefined) listener(end);
        return nothing;
      },
      write: () => undefined,
      end: () => undefined,
      close: () => undefined,
    };
    const transport = { start: () => Promise.resolve(channel) } as Partial<Transport> as Transport;
    return startKeeper(transport, 'host dom0', 'bench-0123456789', interruption.signal);
  }

  test.each<readonly [End, string]>([
    [{ exitCode: 1, stderr: 'Permission denied\n' }, 'Permission denied'],
    [{ exitCode: 1, stderr: '' }, 'exit status 1'],
    [{ stderr: '' }, 'the connection is lost'],
  ])('where it ends with %j, says so', async (end, why) => {
    await expect(start('', end)).rejects.toThrow(`host dom0: the keeper did not start: ${why}`);
  });

  test('is not waited for when the campaign is interrupted', async () => {
    const interruption = new AbortController();
    const starting = start('', undefined, interruption);
    interruption.abort();
    await expect(starting).rejects.toThrow(BenchInterrupted);
    await expect(start('ready\n', undefined, interruption)).rejects.toThrow(BenchInterrupted);
  });

  test('at the end a lost connection is told from a host that is not tidy', async () => {
    const stopped = async (end: End): Promise<void> => (await start('ready\n', end)).stop();
    await stopped({ exitCode: 0, stderr: '' });
    await expect(stopped({ exitCode: 1, stderr: 'left' })).rejects.toThrow(
      'host dom0: it could not be tidied up\nleft',
    );
    await expect(stopped({ stderr: '' })).rejects.toThrow('the connection is lost; the host tidies up by itself');
  });
});
