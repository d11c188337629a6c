import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const main = new URL('../xenolith.ts', import.meta.url).pathname;
const fixture = (name: string): string =>
  new URL(`../../../../tests/fixtures/xl/${name}.txt`, import.meta.url).pathname;

let root = '';
const write = (path: string, text: string, mode = 0o644): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  chmodSync(join(root, path), mode);
};
const program = (name: string, script: string): void => write(`/usr/sbin/${name}`, `#!/bin/sh\n${script}`, 0o755);
const sysfs = '/sys/devices/system/xen_memory/xen_memory0';
const grub = 'GRUB_CMDLINE_XEN_DEFAULT="dom0_mem=2G"\n';

/** A dom0 of 2 GiB that Linux keeps tables of 22 GiB for. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'xenolith-doctor-'));
  write('/proc/sys/kernel/osrelease', '6.1.0-56-amd64\n');
  write('/proc/meminfo', 'MemTotal:        1482276 kB\n');
  write(`${sysfs}/info/current_kb`, '2097152\n');
  write(`${sysfs}/target_kb`, '2097152\n');
  write(`${sysfs}/info/low_kb`, '20971132\n');
  write(`${sysfs}/info/high_kb`, '0\n');
  const info = readFileSync(fixture('idle-xl-info-n'), 'utf8')
    .replace(/^\$.*\n/, '')
    .replace(/^(total_memory +: ).*$/m, '$132767')
    .replace(/^(xen_commandline +: ).*$/m, '$1dom0_mem=2G');
  write('/info', info);
  program('xl', `[ "$1" = info ] && cat "$(dirname "$0")/../../info"\n`);
  for (const name of ['dmesg', 'journalctl', 'xenstore-read']) program(name, 'exit 1\n');
});
afterEach(() => rmSync(root, { recursive: true }));

function withGrub(): void {
  write('/etc/default/grub', grub);
  write('/boot/grub/grub.cfg', '\n');
  program(
    'update-grub',
    `. '${root}/etc/default/grub'; for f in '${root}'/etc/default/grub.d/xenolith.cfg; do [ ! -e "$f" ] || . "$f"; done; echo "multiboot2 xen $GRUB_CMDLINE_XEN_DEFAULT" >'${root}/boot/grub/grub.cfg'\n`,
  );
}

interface Said {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const run = (...args: readonly string[]): Said =>
  spawnSync(process.execPath, [main, 'doctor', ...args], { encoding: 'utf8' });
const doctor = (...args: readonly string[]): Said => run('--root', root, ...args);

describe('the doctor', () => {
  test('advises, and ends with 3', () => {
    const { status, stdout } = doctor();
    expect(stdout).toMatch(/^\[!\] {2}dom0 has no maximum: Linux keeps tables for 22\.0 GiB/m);
    expect(stdout).toContain('\n    dom0_mem=2G,max:2G\n');
    expect(status).toBe(3);
  });

  test('as JSON, for another size', () => {
    const { status, stdout } = doctor('local:', '--json', '--dom0-memory', '1536M');
    expect(JSON.parse(stdout)).toMatchObject({ recommendation: { dom0Mem: '1536M,max:1536M' }, applied: null });
    expect(status).toBe(3);
  });

  test('has nothing to do where dom0 has a maximum, and ends with 0', () => {
    write(`${sysfs}/info/low_kb`, '0\n');
    write('/info', readFileSync(join(root, '/info'), 'utf8').replace('dom0_mem=2G', 'dom0_mem=2G,max:2G'));
    const { status, stdout } = doctor('--apply');
    expect([status, stdout]).toEqual([0, expect.stringMatching(/Nothing to do/)]);
  });

  test('--apply writes it and says how to undo it; a second time there is nothing to write', () => {
    withGrub();
    expect(doctor().status).toBe(3);
    expect(readFileSync(join(root, '/etc/default/grub'), 'utf8')).toBe(grub);
    const { status, stdout } = doctor('--apply');
    expect(stdout).toMatch(
      /is written to \/etc\/default\/grub\s.*To\sundo,\sin\sdom0:\n\n {4}mv -- \S+ \/etc\/default\/grub && update-grub\n/s,
    );
    // The log of Xen is not there.
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain('not known which boot loader started Xen: ');
    expect(status).toBe(0);
    const written = readFileSync(join(root, '/etc/default/grub'), 'utf8');
    expect(written).toBe('GRUB_CMDLINE_XEN_DEFAULT="dom0_mem=2G,max:2G"\n');
    const again = doctor('--apply');
    expect([again.status, again.stdout]).toEqual([0, expect.stringMatching(/stands in \/etc\/default\/grub, line 1/)]);
  });

  test('--apply without grub, or with a file of somebody else, ends with 1 and says why', () => {
    expect(doctor('--apply')).toMatchObject({
      status: 1,
      stderr:
        'xenolith: nothing was written: it is not known which boot loader started Xen, and there is no /etc/default/grub\n',
    });
    withGrub();
    write('/etc/default/grub', '\n');
    write('/etc/default/grub.d/site.cfg', grub);
    expect(doctor('--apply')).toMatchObject({
      status: 1,
      stderr: 'xenolith: nothing was written: another file sets dom0_mem=2G: /etc/default/grub.d/site.cfg, line 1\n',
    });
    expect(readFileSync(join(root, '/boot/grub/grub.cfg'), 'utf8')).toBe('\n');
  });

  test('--apply writes nothing where nothing says dom0_mem= and no size was given: it ends with 1', () => {
    withGrub();
    write('/etc/default/grub', '\n');
    write(`${sysfs}/info/current_kb`, '524288\n');
    write(`${sysfs}/target_kb`, '524288\n');
    write('/info', readFileSync(join(root, '/info'), 'utf8').replace('dom0_mem=2G', 'loglvl=info'));
    expect(doctor()).toMatchObject({
      status: 3,
      stdout: expect.stringMatching(/Say\s+how\s+much\s+with\s+--dom0-memory/),
    });
    expect(doctor('--apply')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^xenolith: nothing was written: nothing says how much .* --dom0-memory\n$/),
    });
    expect(existsSync(join(root, '/etc/default/grub.d/xenolith.cfg'))).toBe(false);
    expect(doctor('--apply', '--dom0-memory', '2G').status).toBe(0);
    expect(readFileSync(join(root, '/etc/default/grub.d/xenolith.cfg'), 'utf8')).toContain('dom0_mem=2G,max:2G');
  });

  test('what is no Xen host ends with 1', () => {
    write('/proc/xen/capabilities', '\n');
    expect(doctor()).toMatchObject({ status: 1, stderr: 'xenolith: a domain of Xen, but not its control domain\n' });
  });

  test('more than the machine has ends with 1', () => {
    expect(doctor('--dom0-memory', '64G')).toMatchObject({ status: 1, stderr: expect.stringMatching(/32767 MiB/) });
  });
});

test.each<[readonly string[], RegExp]>([
  [['--dom0-memory', '64M'], /from 128M to 64T/],
  [['model:'], /no dom0 to look at/],
  [['dom0.example'], /begins with ssh:/],
  [['--identity-file', '/k'], /are for ssh:/],
])('%j ends with 2 and says why', (args, message) => {
  expect(run(...args)).toMatchObject({ status: 2, stderr: expect.stringMatching(message) });
});
