import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ManualClock } from '@xenolith/base';
import { bootLoaderAdvice, diagnoseDom0, type Dom0Evidence } from '@xenolith/experiments';
import type { GrubPlan } from '@xenolith/wire';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addGrub, fillWithRecorded, madeUpDom0, type MadeUpDom0 } from '../testing/made-up-dom0.ts';
import { defaultModelShape } from '../host-address.ts';
import { LocalTransport } from '../xl/local-transport.ts';
import { applyGrubPlan, applyScript, type AppliedGrub } from './apply-grub.ts';
import { onControlDomain } from './control-domain.ts';
import { gatherEvidence } from './dom0-evidence.ts';

const clock = new ManualClock();
let transport: LocalTransport;
let dom0: MadeUpDom0;
beforeEach(() => {
  transport = new LocalTransport(clock);
  dom0 = madeUpDom0();
});
afterEach(async () => {
  await transport.close();
  dom0.dispose();
});

const gather = (): Promise<Dom0Evidence> => gatherEvidence(transport, { root: dom0.root });

/** Every file with its size and time. */
const filesOf = (root: string): readonly string[] =>
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((path) => {
      const { size, mtimeMs, mode } = statSync(join(root, path));
      return `${path} ${size} ${mtimeMs} ${mode}`;
    });

describe('the look at a host', () => {
  test('finds what was recorded, by a real shell', async () => {
    fillWithRecorded(dom0, 'dom0mem-dom0_mem_2G');
    const { machineMap, grub, ...evidence } = await gather();
    expect(evidence).toEqual({
      hostname: 'lab1',
      kernel: '6.1.0-56-amd64',
      kernelCommandLine: 'console=hvc0 panic=-1',
      xenVersion: '4.17.7',
      xenCommandLine: 'dom0_mem=2G loglvl=info com1=115200,8n1 console=com1 bootscrub=0 dom0_max_vcpus=1',
      bootloader: 'qemu',
      dom0Type: 'pv',
      vcpus: 1,
      machineMib: 32_767,
      initialPages: 524_288,
      maximumKib: 'unlimited',
      memTotalKib: 1_482_276,
      balloon: { currentKib: 2_097_152, targetKib: 2_097_152, roomKib: 20_971_132 },
      xenstoreTargetKib: 2_097_152,
      knownKib: 23_068_280,
      imageKib: 43_157,
      releasedPages: 0,
    });
    expect(machineMap?.length).toBe(8);
    expect(grub).toBeUndefined();
  });

  test('and its diagnosis is that of the recording', async () => {
    fillWithRecorded(dom0, 'dom0mem-dom0_mem_2G');
    const { recommendation } = diagnoseDom0(await gather());
    expect(recommendation).toMatchObject({ dom0Mem: '2G,max:2G' });
    expect(Math.abs((recommendation?.memTotalKib ?? 0) - 1_938_848)).toBeLessThan(64);
    fillWithRecorded(dom0, 'dom0mem-dom0_mem_2G_max_2G');
    expect(diagnoseDom0(await gather()).recommendation).toBeUndefined();
  });

  test('writes nothing, and asks xl nothing else', async () => {
    fillWithRecorded(dom0, 'dom0mem-dom0_mem_2G');
    addGrub(dom0, { '/etc/default/grub': '\n' });
    const before = filesOf(dom0.root);
    await gather();
    expect(filesOf(dom0.root)).toEqual(before);
  });

  test('an ordinary user, whom xl, xenstore and dmesg tell nothing', async () => {
    fillWithRecorded(dom0, 'dom0mem-dom0_mem_2G');
    for (const name of ['xl', 'xenstore-read', 'dmesg', 'journalctl']) {
      dom0.program(name, 'echo "Permission denied" >&2; exit 1\n');
    }
    expect(await gather()).toEqual({
      hostname: 'lab1',
      kernel: '6.1.0-56-amd64',
      kernelCommandLine: 'console=hvc0 panic=-1',
      memTotalKib: 1_482_276,
      balloon: { currentKib: 2_097_152, targetKib: 2_097_152, roomKib: 20_971_132 },
    });
  });

  test("what the kernel's ring has lost, the journal has", async () => {
    fillWithRecorded(dom0, 'dom0mem-dom0_mem_2G');
    dom0.program('dmesg', 'echo "[9.0] newer"\n');
    dom0.program('journalctl', 'echo "Memory: 1K/99K available (3K kernel code, 4K data)"\n');
    expect(await gather()).toMatchObject({ knownKib: 99, imageKib: 7 });
  });

  test('output without sense is not there, and endless output ends', async () => {
    fillWithRecorded(dom0, 'dom0mem-dom0_mem_2G');
    dom0.program('xl', 'exec yes "nonsense of xl"\n');
    dom0.program('xenstore-read', 'exec yes 1\n');
    const evidence = await gather();
    expect(Object.keys(evidence)).not.toContain('xenVersion');
    expect(Object.keys(evidence)).not.toContain('maximumKib');
    expect(evidence.memTotalKib).toBe(1_482_276);
  });

  test.each(['', '\n'])('what is no control domain is refused: capabilities are %j', async (capabilities) => {
    dom0.program('xl', 'exit 1\n');
    dom0.write('/proc/xen/capabilities', capabilities);
    await expect(gather()).rejects.toMatchObject({
      code: 'not-xen',
      message: expect.stringContaining('not its control'),
    });
  });

  test('a model is refused', async () => {
    const address = { kind: 'model', seed: 1, shape: defaultModelShape } as const;
    await expect(onControlDomain(address, { clock }, () => gather())).rejects.toMatchObject({ code: 'bad-config' });
  });

  test("grub's files, in order and byte for byte", async () => {
    fillWithRecorded(dom0, 'dom0mem-dom0_mem_2G');
    const files = {
      '/etc/default/grub': 'A=1\n\n\n# ü\nGRUB_CMDLINE_XEN=\tx',
      '/etc/default/grub.d/a.cfg': '',
      '/etc/default/grub.d/b.cfg': '\n\nB=2\n',
    };
    addGrub(dom0, { ...files, '/etc/default/grub.d/c.cfg.old': 'C=3\n' });
    const { grub } = await gather();
    expect(grub).toEqual({ files: Object.entries(files).map(([path, text]) => ({ path, text })), canUpdate: true });
  });
});

describe('--apply on grub', () => {
  const option = { name: 'dom0_mem', value: '2G,max:2G' };

  async function plan(): Promise<GrubPlan> {
    const { bootloader: _, ...evidence } = await gather();
    const advice = bootLoaderAdvice(evidence, option.value);
    if (advice.kind !== 'grub') throw new Error(JSON.stringify(advice));
    return advice.plan;
  }

  async function apply(of?: GrubPlan): Promise<AppliedGrub> {
    const planned = of ?? (await plan());
    if (planned.kind !== 'write') throw new Error('nothing to write');
    return applyGrubPlan(transport, planned, option, { root: dom0.root });
  }

  const main = 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_XEN_DEFAULT="loglvl=all  dom0_mem=2G ucode=scan"\n';
  const entry = '	multiboot2 /boot/xen-4.17-amd64.gz placeholder  loglvl=all  dom0_mem=2G,max:2G ucode=scan\n';
  const undo = async (line: string): Promise<void> => {
    // The line is for the root of a host: here every path of it is below the made-up one.
    const text = line.replaceAll(/ (\/(?:etc|boot))/g, ` "$r"$1`).replace('update-grub', '"$r"/usr/sbin/update-grub');
    const result = await transport.run({
      text: `r='${dom0.root.replaceAll("'", "'\\''")}'; ${text}`,
      timeLimitMs: 10_000,
      lane: 'work',
    });
    expect(result.exitCode, result.stderr).toBe(0);
  };

  beforeEach(() => fillWithRecorded(dom0, 'dom0mem-dom0_mem_2G'));

  test('changes the word, keeps a backup of both files, and runs update-grub', async () => {
    addGrub(dom0, { '/etc/default/grub': main });
    const applied = await apply();
    expect(dom0.read('/etc/default/grub')).toBe(main.replace('dom0_mem=2G', 'dom0_mem=2G,max:2G'));
    expect(dom0.read('/boot/grub/grub.cfg')).toBe(entry);
    expect(applied.backup).toMatch(/^\/etc\/default\/grub\.xenolith-\d{8}T\d{6}Z$/);
    expect(dom0.read(applied.backup ?? '')).toBe(main);
    expect(applied.configBackup).toMatch(/^\/boot\/grub\/grub\.cfg\.xenolith-\d{8}T\d{6}Z$/);
    expect(dom0.read(applied.configBackup)).toBe('# old\n');
    expect((await plan()).kind).toBe('there');
    await undo(applied.undo);
    expect(dom0.read('/etc/default/grub')).toBe(main);
    expect(dom0.read('/boot/grub/grub.cfg')).toBe(entry.replace(',max:2G', ''));
  });

  test('makes a file of ours where nobody sets it, which goes away again', async () => {
    addGrub(dom0, { '/etc/default/grub': 'GRUB_CMDLINE_XEN_DEFAULT="loglvl=all"\n' });
    const applied = await apply();
    expect(applied).toMatchObject({ path: '/etc/default/grub.d/xenolith.cfg' });
    expect(applied.backup).toBeUndefined();
    expect(dom0.read('/etc/default/grub')).toBe('GRUB_CMDLINE_XEN_DEFAULT="loglvl=all"\n');
    expect(dom0.read('/boot/grub/grub.cfg')).toContain('placeholder  loglvl=all dom0_mem=2G,max:2G\n');
    await undo(applied.undo);
    expect(readdirSync(join(dom0.root, '/etc/default/grub.d'))).toEqual([]);
    expect(dom0.read('/boot/grub/grub.cfg')).not.toContain('dom0_mem');
  });

  /** Paths, sizes and modes: a file that was put back has a new time. */
  const lasting = (): readonly string[] =>
    filesOf(dom0.root).map((line) =>
      line
        .split(' ')
        .filter((_, index) => index !== 2)
        .join(' '),
    );

  test.each<[string, () => void, RegExp]>([
    [
      'update-grub fails',
      () => dom0.write('/broken', ''),
      /update-grub failed: all is as it was before\n.*out of luck/s,
    ],
    [
      'a later file overrides it',
      () => dom0.write('/etc/default/grub.d/z.cfg', 'GRUB_CMDLINE_XEN_DEFAULT=quiet\n'),
      /made no entry with it/,
    ],
    ['somebody else was quicker', () => dom0.write('/etc/default/grub', `${main}#\n`), /not as it was seen/],
    ['update-grub does nothing', () => dom0.program('update-grub', 'exit 0\n'), /made no entry with it/],
  ])('when %s, all is as it was', async (_, upset, message) => {
    addGrub(dom0, { '/etc/default/grub': main });
    const planned = await plan();
    upset();
    const before = lasting();
    await expect(apply(planned)).rejects.toMatchObject({
      code: 'command-failed',
      message: expect.stringMatching(message),
    });
    expect(lasting()).toEqual(before);
    expect(dom0.read('/boot/grub/grub.cfg')).toBe('# old\n');
  });

  test.each<[string, (text: string) => string]>([
    ['nothing', () => ''],
    ['half of it', (text) => text.slice(0, text.length / 2)],
    ['all but the last byte', (text) => text.slice(0, -1)],
    ['another text', (text) => text.replace('2G', '3G')],
  ])('when %s of the new text arrives, as when the connection goes, nothing is written', async (_, cut) => {
    addGrub(dom0, { '/etc/default/grub': main });
    const planned = await plan();
    if (planned.kind !== 'write') throw new Error('nothing to write');
    const before = lasting();
    const result = await transport.run({
      text: applyScript(planned, option, dom0.root),
      stdin: cut(planned.text),
      timeLimitMs: 10_000,
      lane: 'work',
    });
    expect(result.exitCode).toBe(84);
    expect(lasting()).toEqual(before);
  });

  test('after the time limit the backups are named, and that it may still go on', async () => {
    addGrub(dom0, { '/etc/default/grub': main });
    const planned = await plan();
    const gate = join(dom0.root, 'gate');
    expect(spawnSync('mkfifo', [gate]).status).toBe(0);
    dom0.program('update-grub', 'read -r _ <"$(dirname "$0")/../../gate"; kill -KILL $PPID\n');
    const failure = expect(apply(planned)).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringMatching(
        /^no end within 300 s.*may still be running.*\/etc\/default\/grub\.xenolith-\*, \/boot\/grub\/grub\.cfg\.xenolith-\*/s,
      ),
    });
    await clock.advanceAsync(300_000);
    await failure;
    // update-grub is there by now, or soon; it takes its script with it.
    await writeFile(gate, 'go\n');
  });

  test('a file of ours that came to be in between is not overwritten', async () => {
    addGrub(dom0, { '/etc/default/grub': '\n' });
    const planned = await plan();
    dom0.write('/etc/default/grub.d/xenolith.cfg', 'precious\n');
    await expect(apply(planned)).rejects.toThrow(/not as it was seen/);
    expect(dom0.read('/etc/default/grub.d/xenolith.cfg')).toBe('precious\n');
  });
});
