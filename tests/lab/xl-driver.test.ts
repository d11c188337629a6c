/** The xl driver against real Xen: the same conformance suite as the model's, and what only a real host can do. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mibBytes } from '@xenolith/base';
import { openHost } from '@xenolith/host';
import { describeHostDriver } from '@xenolith/host/conformance';
import {
  cutNetwork,
  GUEST_INITRD_PATH,
  GUEST_KERNEL_PATH,
  GUEST_UP_MARKER,
  killHost,
  labDown,
  labRun,
  labUp,
  restoreNetwork,
  type LabHost,
} from '@xenolith/lab';
import { formatXlConfig, shellQuote } from '@xenolith/wire';
import type { DomainConfig, HostAddress, HostDriver, HostNews } from '@xenolith/xapi';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock, systemRandom } from '@xenolith/server';
import { requires } from '../requires.ts';
import { afterTripleFault } from './emulator-fault.ts';

const needs = requires(['qemu-system-x86_64', 'qemu-img', 'ssh', 'ssh-keygen']);

/** The longest that anything awaited here may take on a slow machine. */
const untilLimitMs = 120_000;
/** How often a condition is looked at that no news tells of, as a console's text. */
const lookMs = 50;
/** The issue's own limit for a host that stops answering. */
const deadLimitMs = 10_000;
const byHandLimitMs = 60_000;
const directory = '/srv/conformance';
const guest = { kernel: GUEST_KERNEL_PATH, ramdisk: GUEST_INITRD_PATH, cmdline: 'console=hvc0' };

const addressOf = ({ ssh }: LabHost): HostAddress => ({
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

/** Waits until `condition` gives a value; fails when it does not within the limit. */
function until<T>(what: string, condition: () => T | undefined, limitMs = untilLimitMs): Promise<T> {
  return new Promise((resolve, reject) => {
    const deadline = systemClock.now() + limitMs;
    const look = (): void => {
      const value = condition();
      if (value !== undefined) resolve(value);
      else if (systemClock.now() > deadline) reject(new Error(`waited in vain for ${what}`));
      else setTimeout(look, lookMs);
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

/** A driver, connected, and all that it told. */
async function connected(host: LabHost): Promise<{ readonly driver: HostDriver; readonly news: HostNews[] }> {
  const driver = openHost(addressOf(host), { clock: systemClock });
  const news: HostNews[] = [];
  driver.onNews((each) => news.push(each));
  await driver.connect();
  return { driver, news };
}

describe.skipIf(needs.skip)('real Xen', () => {
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
    { types: ['pv', 'pvh'], slowTypes: ['pvh'], absentScheduler: 'rtds', timeoutMs: 300_000, retry },
  );

  test('a host whose network is cut is dead within ten seconds, and alive again with a picture', async () => {
    const { driver, news } = await connected(theHost());
    try {
      await until('the first picture', () => news.find(({ kind }) => kind === 'domains'));
      await cutNetwork(theHost());
      await until('its death', () => news.find(({ kind }) => kind === 'dead'), deadLimitMs);
      await expect(driver.refresh()).rejects.toMatchObject({ code: 'unreachable' });
      const told = news.length;
      await restoreNetwork(theHost());
      await until('its return', () => news.slice(told).find(({ kind }) => kind === 'alive'));
      await until('a picture', () => news.slice(told).find(({ kind }) => kind === 'domains'));
    } finally {
      await driver.close();
    }
  });

  test('a host whose machine dies is dead within ten seconds', async () => {
    const { driver, news } = await connected(theHost());
    try {
      await killHost(theHost());
      await until('its death', () => news.find(({ kind }) => kind === 'dead'), deadLimitMs);
      await expect(driver.refresh()).rejects.toMatchObject({ code: 'unreachable' });
    } finally {
      await driver.close();
    }
  });
});
