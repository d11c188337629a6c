/** The lab itself, for real: Xen boots, guests run, hosts see each other and nothing else, and nothing is left over. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Lab, LabHost } from '@xenolith/lab';
import {
  cutNetwork,
  GUEST_INITRD_PATH,
  GUEST_KERNEL_PATH,
  GUEST_UP_MARKER,
  killHost,
  LAB_BRIDGE,
  labDown,
  labRun,
  labSshArgv,
  labStatus,
  labUp,
  pauseHost,
  restoreNetwork,
  resumeHost,
  sshGreets,
} from '@xenolith/lab';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { labNeeds, requires } from '../requires.ts';
import { afterTripleFault } from './emulator-fault.ts';

const { skip } = requires(labNeeds);
const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 60_000;
/** Half a minute on an idle machine, two on one with five times the work it can do. */
const GUEST_TIMEOUT_MS = 280_000;

const inDom0 = (host: LabHost, script: string, timeoutMs: number = COMMAND_TIMEOUT_MS): Promise<string> =>
  labRun(host, ['bash', '-s'], { input: `set -e\n${script}\n`, timeoutMs });

/** The processes that name this path in their command line. */
async function processesNaming(path: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(path)).map((line) => line.replaceAll('\0', ' '));
}

const guestConfig = (type: 'pv' | 'pvh', address: string): string => `
name = "tiny-${type}"
type = "${type}"
kernel = "${GUEST_KERNEL_PATH}"
ramdisk = "${GUEST_INITRD_PATH}"
extra = "console=hvc0 hostname=tiny-${type} ip4=${address}/24"
memory = 128
vcpus = 2
disk = ["/var/lib/xen/images/tiny.img,raw,xvda,rw"]
vif = ["bridge=${LAB_BRIDGE}"]
`;

/** Starts a tiny guest and gives the line that it says on its console once it is up. */
async function startGuest(host: LabHost, type: 'pv' | 'pvh', address: string): Promise<string> {
  const script = `
truncate -s 64M /var/lib/xen/images/tiny.img
cat >/root/tiny.cfg <<'END'
${guestConfig(type, address)}
END
# One of an attempt before.
! xl domid tiny-${type} 2>/dev/null || xl destroy tiny-${type}
xl create -q /root/tiny.cfg
# Not a pipeline: that would wait for the console's next line after the one looked for.
grep -a -m 1 '^${GUEST_UP_MARKER}' < <(timeout 250 xl console tiny-${type} </dev/null 2>/dev/null)`;
  return inDom0(host, script, GUEST_TIMEOUT_MS);
}

describe.skipIf(skip)('two hosts', () => {
  let stateDirectory = '';
  let lab: Lab;
  let first: LabHost;
  let second: LabHost;
  const retry = afterTripleFault(() => second);

  beforeAll(async () => {
    stateDirectory = await mkdtemp(join(tmpdir(), 'xenolith-lab-'));
    lab = await labUp({ hosts: 2, stateDirectory });
    const [one, two] = lab.hosts;
    if (one === undefined || two === undefined) throw new Error('two hosts were asked for');
    [first, second] = [one, two];
  });

  afterAll(async () => {
    await labDown({ stateDirectory });
    await rm(stateDirectory, { recursive: true, force: true });
  });

  test('run real Xen 4.17 with the shape that was asked for, each with its own name and the right time', async () => {
    const answers = await Promise.all(lab.hosts.map((host) => inDom0(host, 'xl info; hostname; date +%s')));
    for (const [index, answer] of answers.entries()) {
      const lines = answer.trim().split('\n');
      expect(lines).toContain('xen_version            : 4.17.7');
      expect(lines).toContain('nr_cpus                : 8');
      expect(lines).toContain('nr_nodes               : 2');
      expect(lines.at(-2)).toBe(`lab${index + 1}`);
      expect(Math.abs(Number(lines.at(-1)) - Date.now() / 1000)).toBeLessThan(COMMAND_TIMEOUT_MS / 1000);
    }
  });

  test('show an ssh key of their own, and another host’s key is refused', async () => {
    const lines = (await readFile(first.ssh.knownHostsPath, 'utf8')).trim().split('\n');
    const keys = lines.map((line) => line.split(' ').slice(1).join(' '));
    expect(new Set(keys).size).toBe(2);
    const swapped = join(stateDirectory, 'swapped');
    await writeFile(swapped, `[127.0.0.1]:${first.ssh.port} ${keys[1]}\n`);
    const [ssh = '', ...argv] = labSshArgv({ ...first, ssh: { ...first.ssh, knownHostsPath: swapped } }, ['true']);
    await expect(run(ssh, argv, { timeout: COMMAND_TIMEOUT_MS })).rejects.toMatchObject({
      stderr: expect.stringContaining('Host key verification failed'),
    });
  });

  test('boot a PV and a PVH guest with a disk and a network card', { retry }, async () => {
    const [pv, pvh] = await Promise.all([
      startGuest(first, 'pv', '10.9.0.101'),
      startGuest(second, 'pvh', '10.9.0.102'),
    ]);
    expect(pv).toMatch(/tiny-pv .* vcpus=2 disks=xvda:65536KiB ip4=10\.9\.0\.101\/24/);
    expect(pvh).toMatch(/tiny-pvh .* vcpus=2 disks=xvda:65536KiB ip4=10\.9\.0\.102\/24/);
    // From one host over the switch into the other's guest.
    await inDom0(first, 'ping -c 1 -w 20 10.9.0.102');
    await inDom0(second, 'ping -c 1 -w 20 10.9.0.101');
  });

  test('see each other and nothing else', async () => {
    await inDom0(first, 'ping -c 1 -w 20 lab2');
    const callers: string[] = [];
    const server = createServer((socket) => {
      callers.push(socket.remoteAddress ?? '');
      socket.destroy();
    });
    try {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const said = await inDom0(
        first,
        `for address in 10.0.2.2 10.0.2.3 192.0.2.1; do
  timeout 3 bash -c "echo hello >/dev/tcp/$address/${port}" 2>/dev/null && echo "reached $address" || true
done
ip route show default
echo done`,
      );
      expect(said).toBe('done\n');
      expect(callers).toEqual([]);
    } finally {
      server.close();
    }
  });

  test('a second lab in the same place is refused', async () => {
    await expect(labUp({ hosts: 1, stateDirectory })).rejects.toMatchObject({ code: 'ALREADY_UP' });
  });

  test('a cut network is silence until it is restored, a hung host is paused, a killed one is gone', async () => {
    await cutNetwork(first);
    expect(await sshGreets(first, 3_000)).toBe(false);
    expect(await sshGreets(second, COMMAND_TIMEOUT_MS)).toBe(true);
    await restoreNetwork(first);
    expect(await inDom0(first, 'xl list | grep -c tiny-pv')).toBe('1\n');

    await pauseHost(first);
    expect((await labStatus({ stateDirectory }))?.hosts.map(({ condition }) => condition)).toEqual([
      'paused',
      'running',
    ]);
    await resumeHost(first);
    await killHost(second);
    const status = await labStatus({ stateDirectory });
    expect(status?.hosts.map(({ condition }) => condition)).toEqual(['running', 'gone']);
    expect(status?.switch).toBe('running');
  });

  test('down leaves no process and no file but the lock', async () => {
    expect(await processesNaming(stateDirectory)).not.toEqual([]);
    expect(await labDown({ stateDirectory })).toBe(2);
    expect(await processesNaming(stateDirectory)).toEqual([]);
    expect((await readdir(stateDirectory)).filter((name) => name !== 'swapped')).toEqual(['lock']);
    expect(await labStatus({ stateDirectory })).toBeUndefined();
    expect(await labDown({ stateDirectory })).toBe(0);
  });

  test('an interrupted start leaves nothing running', async () => {
    const interrupt = new AbortController();
    const starting = labUp({ hosts: 2, stateDirectory, signal: interrupt.signal });
    starting.catch(() => {});
    await expect
      .poll(() => processesNaming(join(stateDirectory, 'hosts')), { timeout: COMMAND_TIMEOUT_MS, interval: 5 })
      .not.toEqual([]);
    interrupt.abort();
    await expect(starting).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(await processesNaming(stateDirectory)).toEqual([]);
  });
});
