import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytes, uuid } from '@xenolith/base';
import { xlConfigText } from '@xenolith/host';
import { labDown, labRun, labSshArgv, labUp, type LabHost } from '@xenolith/lab';
import type { RecordOf } from '@xenolith/xapi';
import { median, spread, timeMs, type Bench } from './bench.ts';
import { login } from './client.ts';
import { startXenolithd } from './process.ts';

/** Runs a command in dom0 over a connection that is up already, as xenolithd's is. */
function overOneConnection(host: LabHost, socket: string, command: readonly string[]): Promise<void> {
  const [ssh = 'ssh', ...args] = labSshArgv(host, command);
  const shared = ['-o', 'ControlMaster=auto', '-o', `ControlPath=${socket}`, '-o', 'ControlPersist=600'];
  return new Promise((resolve, reject) => {
    execFile(ssh, [...shared, ...args], (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

type VmRecord = Pick<
  RecordOf<'VM'>,
  'is_default_template' | 'PV_kernel' | 'PV_ramdisk' | 'PV_args' | 'domain_type' | 'memory_static_max' | 'VCPUs_max'
>;

/** What xenolithd writes for a VM made from this template. */
const sameConfig = (vm: VmRecord): string =>
  xlConfigText(
    {
      uuid: uuid('6d3e3c4a-0d6b-4b52-9d0e-2f6a1f6f7c01'),
      nameLabel: 'bench',
      type: vm.domain_type === 'pv' ? 'pv' : 'pvh',
      kernel: vm.PV_kernel,
      ramdisk: vm.PV_ramdisk,
      cmdline: vm.PV_args,
      vcpusMax: vm.VCPUs_max,
      vcpusAtStartup: vm.VCPUs_max,
      memoryMaxBytes: bytes(vm.memory_static_max),
      memoryTargetBytes: bytes(vm.memory_static_max),
      disks: [],
      vifs: [],
      onPoweroff: 'destroy',
      onReboot: 'restart',
      onCrash: 'destroy',
    },
    'bench',
  );

/** VM.start on real Xen against a bare `xl create` of the same configuration. */
export const vmStart: Bench = {
  name: 'vm-start',
  what: 'VM.start on real Xen against `xl create` of the same config over a shared ssh connection, interleaved',
  bar: { text: 'at most 5 % + 50 ms above', holds: (excess) => excess <= 1 },
  run: async (size) => {
    const rounds = size === 'full' ? 7 : 1;
    const scratch = mkdtempSync(join(tmpdir(), 'xenolith-bench-lab-'));
    const stateDirectory = join(scratch, 'lab');
    const socket = join(scratch, 'ssh');
    const xenolithd = await startXenolithd({ args: ['--empty'] });
    try {
      // The peer has a host of its own, which nobody watches: following costs its dom0 time.
      const [host, peer] = (await labUp({ hosts: 2, stateDirectory })).hosts;
      if (host === undefined || peer === undefined) throw new Error('the lab lacks a host');
      const { ssh } = host;
      const client = await login(xenolithd);
      await client.call('host.add', `ssh://${ssh.user}@${ssh.address}:${ssh.port}`, {
        'identity-file': ssh.keyPath,
        'known-hosts-file': ssh.knownHostsPath,
      });
      const vms = (await client.call('VM.get_all_records')) as Readonly<Record<string, VmRecord>>;
      const [template, record] = Object.entries(vms).find(([, vm]) => vm.is_default_template) ?? [];
      if (record === undefined) throw new Error('the pool has no template');
      const vm = await client.call('VM.clone', template, 'bench');
      await client.call('VM.provision', vm);
      await labRun(peer, ['sh', '-c', 'cat >/root/bench.cfg'], { input: sameConfig(record), timeoutMs: 60_000 });
      const bare: number[] = [];
      const ours: number[] = [];
      for (let round = -1; round < rounds; round++) {
        const bareMs = await timeMs(() => overOneConnection(peer, socket, ['xl', 'create', '-q', '/root/bench.cfg']));
        await overOneConnection(peer, socket, ['xl', 'destroy', 'bench']);
        const oursMs = await timeMs(() => client.call('VM.start', vm, false, false));
        await client.call('VM.hard_shutdown', vm);
        if (round < 0) continue;
        bare.push(bareMs);
        ours.push(oursMs);
      }
      const limitMs = median(bare) * 1.05 + 50;
      return {
        lines: [
          `xl create ${spread(bare, 0)} ms`,
          `VM.start  ${spread(ours, 0)} ms`,
          `limit     ${limitMs.toFixed(0)} ms`,
        ],
        figure: median(ours) / limitMs,
        unit: 'of the limit',
      };
    } finally {
      await xenolithd.stop();
      await labDown({ stateDirectory });
      rmSync(scratch, { recursive: true, force: true });
    }
  },
};
