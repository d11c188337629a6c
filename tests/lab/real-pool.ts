/** A pool of real Xen hosts for one file of tests: a lab, and a xenolithd that drives it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labDown, labRun, labUp, type LabHost } from '@xenolith/lab';
import { ref, type Ref } from '@xenolith/base';
import { startXenolithd, type Xenolithd } from '@xenolith/server';
import type { Xapi } from '@xenolith/xapi';

export interface RealPool {
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
    hosts: lab.hosts,
    server: () => server,
    close: async () => {
      await server.close();
      await labDown({ stateDirectory });
      await rm(scratch, { recursive: true, force: true });
    },
  };
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

/** The text of a VM's console as the control plane reads it, until it holds `marker`. */
export async function consoleUntil(xapi: Xapi, vm: string, marker: string, timeoutMs: number): Promise<string> {
  const console = await xapi.hosts.openConsole(vmRef(vm));
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => {
      console.close();
      reject(new Error(`no ${marker} on the console within ${timeoutMs} ms:\n${text}`));
    }, timeoutMs);
    console.onData((data) => {
      text += Buffer.from(data).toString('utf8');
      if (!text.includes(marker)) return;
      clearTimeout(timer);
      console.close();
      resolve(text);
    });
  });
}

export const vmRef = (text: string): Ref<'VM'> => ref<'VM'>(text);
