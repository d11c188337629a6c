/** A directory that looks like the root of a control domain: its files, and programs that print what was recorded. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Disposable } from '@xenolith/base';

const recorded = (name: string): string =>
  readFileSync(new URL(`../../../../tests/fixtures/xl/${name}.txt`, import.meta.url), 'utf8');

export interface MadeUpDom0 extends Disposable {
  readonly root: string;
  readonly write: (path: string, text: string) => void;
  readonly program: (name: string, script: string) => void;
  readonly read: (path: string) => string;
}

export function madeUpDom0(): MadeUpDom0 {
  const root = mkdtempSync(join(tmpdir(), "xenolith dom0's-"));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const program = (name: string, script: string): void => {
    write(`/usr/sbin/${name}`, `#!/bin/sh\n${script}`);
    chmodSync(join(root, '/usr/sbin', name), 0o755);
  };
  return {
    root,
    write,
    program,
    read: (path) => readFileSync(join(root, path), 'utf8'),
    dispose: () => rmSync(root, { recursive: true }),
  };
}

/** What follows a command in a recording. */
function answer(recording: string, command: RegExp): string {
  const lines = recorded(recording).split('\n');
  const start = lines.findIndex((line) => line.startsWith('$ ') && command.test(line)) + 1;
  const end = lines.findIndex((line, index) => index > start && line.startsWith('$ '));
  return lines.slice(start, end < 0 ? undefined : end).join('\n');
}

/** Fills it with what was recorded on a lab host of 32 GiB with `dom0_mem=2G`, or `2G,max:2G`. */
export function fillWithRecorded(
  dom0: MadeUpDom0,
  recording: 'dom0mem-dom0_mem_2G' | 'dom0mem-dom0_mem_2G_max_2G',
): void {
  const commandLine = /xen_commandline +: (.*)/.exec(recorded(recording))?.[1] ?? '';
  const info = recorded('idle-xl-info-n')
    .replace(/^\$.*\n/, '')
    .replace(/^(total_memory +: ).*$/m, '$132767')
    .replace(/^(xen_commandline +: ).*$/m, `$1${commandLine}`);
  dom0.write('/proc/sys/kernel/hostname', 'lab1\n');
  dom0.write('/proc/sys/kernel/osrelease', '6.1.0-56-amd64\n');
  dom0.write('/proc/cmdline', 'console=hvc0 panic=-1\n');
  dom0.write('/proc/xen/capabilities', 'control_d\n');
  dom0.write('/proc/meminfo', answer(recording, /\/proc\/meminfo/));
  for (const [, name = '', value = ''] of recorded(recording).matchAll(/xen_memory0\/(\S+_kb) (\d+)$/gm)) {
    dom0.write(`/sys/devices/system/xen_memory/xen_memory0/${name}`, `${value}\n`);
  }
  dom0.write('/answers/info', info);
  dom0.write('/answers/list', answer(recording, /xl list$/));
  dom0.write('/answers/long', answer(recording, /xl list -l 0/));
  dom0.write('/answers/kernel-log', answer(recording, /dmesg/));
  // The log of a host with 4 GiB, whose map is made that of the recorded one.
  dom0.write(
    '/answers/xen-log',
    recorded('xl-dmesg')
      .replace(/(Command line: ).*/, `$1${commandLine}`)
      .replace(' [0000000100000000, 000000013fffffff] (usable)', ' [0000000100000000, 000000083fffffff] (usable)')
      .replace('228923 pages', '491067 pages'),
  );
  dom0.program(
    'xl',
    `cd "$(dirname "$0")/../../answers"
case $* in
  'info -n') cat info ;; 'list 0') cat list ;; 'list -l 0') cat long ;; dmesg) cat xen-log ;;
  *) echo "xl $*" >>../unexpected; exit 1 ;;
esac\n`,
  );
  dom0.program('dmesg', 'cat "$(dirname "$0")/../../answers/kernel-log"\n');
  const xenstore = recorded(recording);
  const key = (name: string): string => new RegExp(`/memory/${name} = "(\\d+)"`).exec(xenstore)?.[1] ?? '';
  dom0.program(
    'xenstore-read',
    `case $1 in */target) echo ${key('target')} ;; */static-max) echo ${key('static-max')} ;; *) exit 1 ;; esac\n`,
  );
}

/** grub as Debian has it: `update-grub` makes an entry of what a shell makes of the files. */
export function addGrub(dom0: MadeUpDom0, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) dom0.write(path, text);
  dom0.write('/boot/grub/grub.cfg', '# old\n');
  dom0.program(
    'update-grub',
    `r=$(dirname "$0")/../..; echo 'Generating grub configuration file ...' >&2
[ ! -e "$r/broken" ] || { echo 'out of luck' >&2; exit 1; }
. "$r/etc/default/grub"; for f in "$r"/etc/default/grub.d/*.cfg; do [ ! -e "$f" ] || . "$f"; done
echo "	multiboot2 /boot/xen-4.17-amd64.gz placeholder $GRUB_CMDLINE_XEN $GRUB_CMDLINE_XEN_DEFAULT" >"$r/boot/grub/grub.cfg"\n`,
  );
}
