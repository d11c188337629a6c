/** What the tests of the xl driver on real Xen share: a lab of one host, and the conformance suite's harness for it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mibBytes } from '@xenolith/base';
import { openHost } from '@xenolith/host';
import { describeHostDriver, type ConformancePart } from '@xenolith/host/conformance';
import {
  GUEST_INITRD_PATH,
  GUEST_KERNEL_PATH,
  GUEST_UP_MARKER,
  labDown,
  labRun,
  labUp,
  type LabHost,
} from '@xenolith/lab';
import { systemClock, systemRandom } from '@xenolith/server';
import { formatXlConfig, shellQuote } from '@xenolith/wire';
import type { DomainConfig, HostAddress } from '@xenolith/xapi';
import { afterAll, beforeAll, expect } from 'vitest';
import { afterTripleFault } from './emulator-fault.ts';

/** The longest that anything awaited here may take on a slow machine. */
const untilLimitMs = 120_000;
/** How often a condition is looked at that no news tells of, as a console's text. */
const lookMs = 50;
const byHandLimitMs = 60_000;
const directory = '/srv/conformance';
const guest = { kernel: GUEST_KERNEL_PATH, ramdisk: GUEST_INITRD_PATH, cmdline: 'console=hvc0' };

/** Where the manager finds a host of the lab. */
export const addressOf = ({ ssh }: LabHost): HostAddress => ({
  kind: 'ssh',
  user: ssh.user,
  hostname: ssh.address,
  port: ssh.port,
  identityFile: ssh.keyPath,
  knownHostsFile: ssh.knownHostsPath,
});

/** A lab of one host in a directory of its own. */
async function startLab(): Promise<{ readonly host: LabHost; stop(): Promise<void> }> {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'xl-lab-'));
  const stop = async (): Promise<void> => {
    await labDown({ stateDirectory });
    await rm(stateDirectory, { recursive: true, force: true });
  };
  try {
    const lab = await labUp({ hosts: 1, stateDirectory });
    const [host] = lab.hosts;
    if (host === undefined) throw new Error('a lab without hosts');
    return { host, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits until `condition` gives a value; fails when it does not within the limit, or throws. */
export function until<T>(what: string, condition: () => T | undefined, limitMs = untilLimitMs): Promise<T> {
  return new Promise((resolve, reject) => {
    const deadline = systemClock.now() + limitMs;
    const look = (): void => {
      try {
        const value = condition();
        if (value !== undefined) resolve(value);
        else if (systemClock.now() > deadline) reject(new Error(`waited in vain for ${what}`));
        else setTimeout(look, lookMs);
      } catch (error) {
        reject(error);
      }
    };
    look();
  });
}

function configText(config: DomainConfig): string {
  if (config.type === 'hvm') throw new Error('no HVM in the lab');
  const memoryMib = config.memoryTargetBytes / mibBytes;
  return formatXlConfig({
    type: config.type,
    name: config.nameLabel,
    uuid: config.uuid,
    kernel: config.kernel,
    ramdisk: config.ramdisk,
    cmdline: config.cmdline,
    memoryMib,
    vcpus: config.vcpusAtStartup,
  });
}

/** To be called in a `describe`: a lab for its tests, and these parts of the suite. Gives the host, once it is up. */
export function describeRealXen(parts: readonly ConformancePart[]): () => LabHost {
  let lab: { readonly host: LabHost; stop(): Promise<void> } | undefined;
  const theHost = (): LabHost => {
    if (lab === undefined) throw new Error('the lab is not up');
    return lab.host;
  };
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab?.stop());
  const retry = afterTripleFault(theHost);

  describeHostDriver(
    'xl over ssh',
    async () => {
      const host = theHost();
      const run = (words: readonly string[], input = ''): Promise<string> =>
        labRun(host, words, { timeoutMs: byHandLimitMs, input });
      const xl = async (...words: string[]): Promise<void> => {
        await run(['xl', ...words]);
      };
      await run(['mkdir', '-p', directory]);
      return {
        driver: openHost(addressOf(host), { clock: systemClock }),
        byHand: {
          create: async (config) => {
            const file = `/tmp/${config.uuid}.cfg`;
            await run(['sh', '-c', `cat >${file} && xl create -q ${file} && rm ${file}`], configText(config));
          },
          pause: (domid) => xl('pause', String(domid)),
          unpause: (domid) => xl('unpause', String(domid)),
          destroy: (domid) => xl('destroy', String(domid)),
        },
        directory,
        guest,
        upText: GUEST_UP_MARKER,
        memoryMib: 128,
        random: systemRandom(),
        until,
        programs: {
          install: async (path, text, mode) => {
            const file = shellQuote(`/etc/xapi.d/${path}`);
            const script = `mkdir -p "$(dirname ${file})" && cat >${file} && chmod ${mode.toString(8)} ${file}`;
            await run(['sh', '-c', script], text);
          },
          remove: async (name) => {
            await run(['rm', '-r', `/etc/xapi.d/${name}`]);
          },
        },
        close: async () => {
          expect(await run(['ls', '/tmp', '/run/xenolith', directory])).not.toMatch(/was-here|\.part|\.cfg$/m);
        },
      };
    },
    {
      types: ['pv', 'pvh'],
      slowTypes: ['pvh'],
      absentScheduler: 'rtds',
      spareCards: [],
      timeoutMs: 300_000,
      retry,
      parts,
    },
  );
  return theHost;
}
