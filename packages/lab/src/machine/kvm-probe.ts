import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DOM0_INITRAMFS_MARKER } from '../image/dom0-files.ts';
import { LabError } from '../lab-error.ts';
import { programPath } from '../program.ts';
import { imageParts, qemuVersion } from './saved-state.ts';
import type { Accelerator } from './shape.ts';

/** Working KVM boots Xen and dom0's kernel in a few seconds; one that hangs hangs for ever. */
const PROBE_TIMEOUT_MS = 20_000;
const OUTPUT_CHARS_MAX = 1024 * 1024;
const DEVICE = '/dev/kvm';

/** What Xen says when it can run HVM and PVH guests: without nested virtualization KVM would be fast and useless for them. */
const NESTED_PAGING_LINE = 'HVM: Hardware Assisted Paging (HAP) detected';

/** Whether KVM works here, and the reason in one line when it does not. */
export type KvmProbe = { readonly works: boolean; readonly reason: string };

/** Judges what a probe's machine printed on its console until it reached dom0 or its time was over. */
export function judgeProbe(output: string): KvmProbe {
  if (!output.includes(DOM0_INITRAMFS_MARKER)) return { works: false, reason: 'Xen did not boot under KVM' };
  if (!output.includes(NESTED_PAGING_LINE))
    return { works: false, reason: 'KVM here has no nested paging, which PVH guests need' };
  return { works: true, reason: 'Xen booted under KVM' };
}

/** Boots real Xen and a dom0 kernel under KVM, without a disk, and reads the console until dom0's first program speaks. */
function bootProbe(imageDirectory: string, signal: AbortSignal | undefined): Promise<string> {
  const { xen, kernel, initrd } = imageParts(imageDirectory);
  const argv = [
    '-accel',
    'kvm',
    '-cpu',
    'host',
    '-m',
    '1536M',
    '-smp',
    '2',
    '-display',
    'none',
    '-vga',
    'none',
    '-nodefaults',
    '-no-user-config',
    '-no-reboot',
    '-serial',
    'stdio',
    '-kernel',
    xen,
    '-append',
    'dom0_mem=768M,max:768M com1=115200,8n1 console=com1 bootscrub=0 dom0_max_vcpus=1 loglvl=info',
    '-initrd',
    `${kernel} console=hvc0 panic=-1,${initrd}`,
  ];
  return new Promise((resolve, reject) => {
    const child = spawn('qemu-system-x86_64', argv, {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, PATH: programPath() },
    });
    let output = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), PROBE_TIMEOUT_MS);
    const onAbort = (): void => {
      child.kill('SIGKILL');
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (chunk: string) => {
      output = (output + chunk).slice(-OUTPUT_CHARS_MAX);
      if (output.includes(DOM0_INITRAMFS_MARKER)) child.kill('SIGKILL');
    });
    const done = (finish: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      finish();
    };
    child.on('error', (cause) =>
      done(() => reject(new LabError('TOOL_MISSING', 'qemu-system-x86_64 cannot be started', { cause }))),
    );
    child.on('close', () =>
      done(() => (signal?.aborted === true ? reject(new LabError('INTERRUPTED', 'interrupted')) : resolve(output))),
    );
    if (signal?.aborted === true) onAbort();
  });
}

/** What the answer depends on; asked again after a reboot, with another QEMU or another image. */
async function probeKey(imageDirectory: string): Promise<string> {
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return `${bootId.trim()} ${await qemuVersion()} ${basename(imageDirectory)}`;
}

function parseKept(text: string, key: string): KvmProbe | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const kept: { readonly [field: string]: unknown } = { ...value };
    if (kept['key'] !== key || typeof kept['works'] !== 'boolean' || typeof kept['reason'] !== 'string')
      return undefined;
    return { works: kept['works'], reason: kept['reason'] };
  } catch {
    return undefined;
  }
}

/**
 * Whether KVM really works: a /dev/kvm that opens proves nothing, so Xen is booted under it, with a limit of 20 s. The answer is kept in the cache
 * directory until the machine reboots.
 */
export async function probeKvm(
  cacheDirectory: string,
  imageDirectory: string,
  signal?: AbortSignal,
): Promise<KvmProbe> {
  try {
    await access(DEVICE, constants.R_OK | constants.W_OK);
  } catch {
    return { works: false, reason: `${DEVICE} is not there or may not be opened` };
  }
  const key = await probeKey(imageDirectory);
  const path = join(cacheDirectory, 'kvm-probe.json');
  const kept = parseKept(await readFile(path, 'utf8').catch(() => ''), key);
  if (kept !== undefined) return kept;
  const probe = judgeProbe(await bootProbe(imageDirectory, signal));
  await writeFile(path, `${JSON.stringify({ key, ...probe })}\n`);
  return probe;
}

/** The accelerator to use: `auto` takes KVM only where a probe shows that it works. Throws LabError BAD_OPTION when KVM is insisted on and does not. */
export async function chooseAccelerator(
  wanted: Accelerator | 'auto',
  probe: () => Promise<KvmProbe>,
): Promise<{ readonly accelerator: Accelerator; readonly reason: string }> {
  if (wanted === 'tcg' || wanted === 'icount') return { accelerator: wanted, reason: 'asked for' };
  const { works, reason } = await probe();
  if (works) return { accelerator: 'kvm', reason };
  if (wanted === 'kvm') throw new LabError('BAD_OPTION', `KVM cannot be used: ${reason}`);
  return { accelerator: 'tcg', reason };
}
