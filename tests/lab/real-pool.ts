/** A pool of real Xen hosts for one file of tests: a lab, and a xenolithd that drives it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostStatus, hostStatusText, labDown, labRun, labUp, type Lab, type LabHost } from '@xenolith/lab';
import { startXenolithd, type Xenolithd } from '@xenolith/server';
import type { Xapi } from '@xenolith/xapi';
import { Xapi as Client } from 'xen-api';

export interface RealPool {
  readonly lab: Lab;
  readonly hosts: readonly LabHost[];
  /** The running manager. */
  server(): Xenolithd;
  close(): Promise<void>;
}

/** How xenolithd is told of a lab host. */
export const sshAddress = ({ ssh }: LabHost): string => `ssh://${ssh.user}@${ssh.address}:${ssh.port}`;
export const sshOptions = ({ ssh }: LabHost): Record<string, string> => ({
  'identity-file': ssh.keyPath,
  'known-hosts-file': ssh.knownHostsPath,
});

/** Boots a lab and starts an empty pool; hosts are added by the tests. */
export async function startRealPool(hosts = 1): Promise<RealPool> {
  const scratch = await mkdtemp(join(tmpdir(), 'xenolith-real-'));
  const stateDirectory = join(scratch, 'lab');
  const data = join(scratch, 'data');
  const lab = await labUp({ hosts, stateDirectory });
  const server = await startXenolithd({ data, modelPool: false });
  return {
    lab,
    hosts: lab.hosts,
    server: () => server,
    close: async () => {
      await server.close();
      for (const status of await Promise.all(lab.hosts.map(hostStatus)))
        if (status.condition !== 'running') console.error(hostStatusText(status));
      await labDown({ stateDirectory });
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

/** A pool that has one lab host in it, and a client of the XenAPI that is logged in. */
export interface JoinedPool extends RealPool {
  readonly client: Client;
  readonly machine: LabHost;
  /** The host's reference. */
  readonly host: string;
}

/** Boots a lab host and adds it to a pool, as a client does. */
export async function startJoinedPool(): Promise<JoinedPool> {
  const pool = await startRealPool();
  try {
    const [machine] = pool.hosts;
    if (machine === undefined) throw new Error('no host in the lab');
    const { url, user, password } = pool.server();
    const client = new Client({ url, auth: { user, password: password ?? '' }, allowUnauthorized: true, debounce: 0 });
    await client.connect();
    const host = String(await client.callAsync('host.add', sshAddress(machine), sshOptions(machine)));
    const close = async (): Promise<void> => {
      await client.disconnect();
      await pool.close();
    };
    return { ...pool, client, machine, host, close };
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** A row of `xl list` in dom0, asked over a connection of our own. */
export interface XlRow {
  readonly name: string;
  readonly domid: number;
  readonly state: string;
}

/** What dom0's own `xl list` says. */
export async function xlList(host: LabHost): Promise<readonly XlRow[]> {
  const text = await labRun(host, ['xl', 'list'], { timeoutMs: 60_000 });
  return text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const match = /^(.*?)\s+(\d+)\s+\d+\s+\d+\s+(\S+)\s+[\d.]+$/.exec(line);
      if (match === null) throw new Error(`unexpected line of xl list: ${line}`);
      return { name: match[1] ?? '', domid: Number(match[2]), state: match[3] ?? '' };
    });
}

/** Resolves when the records say what `test` asks for; fails after `timeoutMs` with what they say instead. */
export function recordsSay(xapi: Xapi, what: string, test: () => boolean, timeoutMs: number): Promise<number> {
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    const release: { dispose(): void }[] = [];
    const end = (settle: () => void): void => {
      for (const item of release) item.dispose();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error(`not within ${timeoutMs} ms: ${what}`))), timeoutMs);
    const look = (): void => {
      if (!test()) return;
      clearTimeout(timer);
      end(() => resolve(performance.now() - begin));
    };
    release.push(xapi.db.changed.listen(look));
    look();
  });
}
