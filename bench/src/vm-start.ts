import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labDown, labRun, labSshArgv, labUp, type LabHost } from '@xenolith/lab';
import { median, spread, timeMs, type Bench } from './bench.ts';
import { login } from './client.ts';
import { startXenolithd } from './process.ts';

/** Runs a command in dom0 over a connection that is up already, as xenolithd's is. */
function overOneConnection(host: LabHost, socket: string, command: string): Promise<void> {
  const [ssh = 'ssh', ...args] = labSshArgv(host, [command]);
  const shared = ['-o', 'ControlMaster=auto', '-o', `ControlPath=${socket}`, '-o', 'ControlPersist=600'];
  return new Promise((resolve, reject) => {
    execFile(ssh, [...shared, ...args], (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** VM.start on real Xen against a bare `xl create` of the very configuration that it wrote. */
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
      const [host] = (await labUp({ hosts: 1, stateDirectory })).hosts;
      if (host === undefined) throw new Error('the lab has no host');
      const { ssh } = host;
      const client = await login(xenolithd);
      await client.call('host.add', `ssh://${ssh.user}@${ssh.address}:${ssh.port}`, {
        'identity-file': ssh.keyPath,
        'known-hosts-file': ssh.knownHostsPath,
      });
      const vms = (await client.call('VM.get_all_records')) as Readonly<
        Record<string, { is_default_template: boolean }>
      >;
      const template = Object.keys(vms).find((ref) => vms[ref]?.is_default_template === true);
      const vm = await client.call('VM.clone', template, 'bench');
      await client.call('VM.provision', vm);
      // What xenolithd wrote for its first start is what the peer creates from.
      await client.call('VM.start', vm, false, false);
      await labRun(host, ['sh', '-c', "'cp $(ls -t /run/xenolith/*.cfg | head -n 1) /root/bench.cfg'"], {
        timeoutMs: 60_000,
      });
      await client.call('VM.hard_shutdown', vm);
      const bare: number[] = [];
      const ours: number[] = [];
      for (let round = -1; round < rounds; round++) {
        const bareMs = await timeMs(() => overOneConnection(host, socket, 'xl create -q /root/bench.cfg'));
        await overOneConnection(host, socket, 'xl destroy bench');
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
