/** The keeper's script under a real shell, with an `xl` whose domains and cpupools are lines of files. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keeperScript, keptDirectory, keptName, takenFile } from './host-keeper.ts';

const xl = `#!/bin/sh
cd "$STATE" || exit 1
echo "$*" >>calls
case $1 in
  list) echo 'Name  ID  Mem VCPUs State Time(s)'; cat domains ;;
  destroy) grep -v " $2 " domains >next; mv next domains ;;
  cpupool-list) echo 'Name               CPU list'; cat pools ;;
  cpupool-destroy) grep -v "^$2 " pools >next; mv next pools ;;
  cpupool-cpu-add) sed "s/^\\($2 .*\\)/\\1,$3/" pools >next; mv next pools ;;
  sched-credit) [ $# -gt 4 ] || echo "Cpupool $4: tslice=30ms ratelimit=1000us" ;;
esac
`;

let directory = '';
let name = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-keeper-'));
  name = keptName(directory);
  writeFileSync(join(directory, 'xl'), xl);
  chmodSync(join(directory, 'xl'), 0o755);
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
  env: { ...process.env, STATE: directory, name, pause: '0.1', PATH: `${directory}:${process.env['PATH']}` },
});

function leaveBehind(): void {
  write('domains', `${read('domains')}${name}-1  5  128  4  r-----  1.0\n${name}-2  6  128  4  --p---  0.0\n`);
  write('pools', `Pool-0  0,1\n${name}  2,3\n`);
  mkdirSync(keptDirectory(name), { recursive: true });
  writeFileSync(takenFile(name), '2 Pool-0\n3 Pool-0\n');
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

  test('says what it could not take away', () => {
    leaveBehind();
    writeFileSync(join(directory, 'xl'), xl.replace('cpupool-destroy)', 'never)'));
    const { command, env } = keeper();
    expect(() => execFileSync('/bin/sh', ['-c', command], { env, input: 'done\n', stdio: 'pipe' })).toThrow(
      /left on the host: domains +, cpupool yes/,
    );
  });
});
