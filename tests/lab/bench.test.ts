/**
 * A campaign in guests of real Xen, by the command itself: the switch of PV spinlocks on and off, by the guests' own word, and what
 * is left on the host afterwards, also by a campaign that was killed.
 */
import { execFile, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Sample } from '@xenolith/experiments/campaign';
import { labDown, labRun, labUp, type LabHost } from '@xenolith/lab';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { labNeeds, requires } from '../requires.ts';

const { skip } = requires([...labNeeds, 'cc']);
const main = new URL('../../packages/cli/src/xenolith.ts', import.meta.url).pathname;
const examples = new URL('../../docs/guide/campaigns/', import.meta.url).pathname;
const commandLimitMs = 120_000;
/** A boot of four vCPUs takes twenty seconds on a quiet machine; five minutes were seen beside eleven others' work on two CPUs. */
const campaignLimitMs = 14 * 60_000;

const guest = (more: string): string =>
  '{in: guests, host: lab, vcpus: 4, memory: 128MiB, scheduler: credit, placement: 2-3, ' +
  `files: {/bench/dup-close: {make: 'cc -O2 -static -pthread -o "$OUT" dup-close.c'}}, ${more}}`;

const definition = `
name: small
runs: 1
warm-up: 0
time-limit: 5 min
threads: [4]
workloads:
  dup-close:
    kind: command
    command: /bench/dup-close "$THREADS" 5
    figure: {regexp: '^([0-9.]+) pairs/s', unit: pairs/s, better: more}
configurations:
  pv: ${guest('check: {command: "dmesg | grep -i spinlock", says: spinlock event irq}')}
  plain: ${guest('guest-command-line: nopvspin, check: {command: "dmesg | grep -i spinlock", says: PV spinlocks disabled}')}
`;

describe.skipIf(skip)('a campaign in guests', () => {
  let folder = '';
  let host: LabHost;
  const file = (name: string): string => join(folder, name);
  const environment = (): NodeJS.ProcessEnv => ({ ...process.env, XDG_STATE_HOME: folder });
  const argv = (): readonly string[] => [main, 'bench', 'run', file('small.yaml'), '--directory', file('small')];
  const onHost = (script: string): Promise<string> => labRun(host, ['sh', '-c', script], { timeoutMs: commandLimitMs });
  const guests = (): Promise<string> => onHost(`xl list | awk 'NR > 2 { print $1 }'`);
  const tidy = { guests: '', pools: 'Pool-0 0,1,2,3', files: '' };
  const left = async (): Promise<typeof tidy> => ({
    guests: await guests(),
    pools: (await onHost(`xl cpupool-list -c | awk 'NR > 1 { print $1, $2 }'`)).trim(),
    files: await onHost('ls /var/tmp'),
  });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'xenolith-bench-lab-'));
    cpSync(join(examples, 'dup-close.c'), file('dup-close.c'));
    writeFileSync(file('small.yaml'), definition);
    const { hosts } = await labUp({ hosts: 1, shape: { cpus: 4, nodes: 1 }, stateDirectory: file('xenolith/lab') });
    host = hosts[0]!;
  });
  afterAll(async () => {
    await labDown({ stateDirectory: file('xenolith/lab') });
    rmSync(folder, { recursive: true, force: true });
  });

  test('that is killed with -9 leaves nothing on the host', async () => {
    const child = spawn(process.execPath, argv(), { env: environment(), stdio: 'ignore' });
    await expect.poll(guests, { timeout: 5 * 60_000, interval: 2000 }).toMatch(/^bench-/);
    child.kill('SIGKILL');
    await expect.poll(left, { timeout: 3 * 60_000, interval: 2000 }).toEqual(tidy);
  });

  test(
    'says by the guests themselves that PV spinlocks are on and off, and what they are worth',
    async () => {
      await promisify(execFile)(process.execPath, [...argv()], { env: environment(), timeout: campaignLimitMs });
      const lines = readFileSync(file('small/samples.jsonl'), 'utf8').trim().split('\n');
      const samples = lines.map((line) => JSON.parse(line) as Sample).filter(({ value }) => value !== undefined);
      expect(samples.map(({ configuration }) => configuration)).toEqual(['pv', 'plain']);
      const [pv, plain] = samples;
      expect(pv).toMatchObject({
        source: 'measured',
        place: 'a guest of lab host lab1',
        said: expect.stringContaining('spinlock event irq'),
        host: { xenVersion: expect.stringMatching(/^4\.17/), pcpus: 4, isEmulated: 'yes' },
        machine: { cpus: 4 },
        guests: [{ name: 'guest 1', value: pv?.value }],
      });
      expect(plain).toMatchObject({ said: expect.stringContaining('PV spinlocks disabled') });
      expect(plain?.machine.kernel.commandLine).toContain('nopvspin');
      // Ten times as much was seen on a busy machine.
      expect(pv?.value).toBeGreaterThan(2 * plain!.value!);
      expect(existsSync(file('small/report.html'))).toBe(true);
      expect(await left()).toEqual(tidy);
    },
    campaignLimitMs + 60_000,
  );
});
