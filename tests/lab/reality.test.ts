/** What happens behind the pool's back on real Xen: by hand in dom0, on the network, and to dom0 itself. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cutNetwork, GUEST_INITRD_PATH, GUEST_KERNEL_PATH, killHost, labRun, restoreNetwork } from '@xenolith/lab';
import { disposable, type Clock, type Ref } from '@xenolith/base';
import { openHost } from '@xenolith/host';
import { systemClock } from '@xenolith/server';
import type { WireValue } from '@xenolith/wire';
import type { HostDriver, Xapi } from '@xenolith/xapi';
import { labNeeds, requires } from '../requires.ts';
import { recordsSay, sshAddress, sshOptions, startRealPool, xlList, type RealPool } from './real-pool.ts';

const { skip } = requires(labNeeds);

/** What is noticed is in the records within this, on a machine that takes ten seconds for a command in the emulated dom0. */
const noticedMs = 60_000;
/** The limit for a host that stops answering. */
const deadWithinMs = 10_000;

/** How long a command by hand and what it makes a host tell may take. */
const toldMs = 60_000;

/** A clock on which nothing happens by itself but what is due at once: a driver's poll never is, nor a limit of it. */
const withoutPoll: Clock = {
  now: () => systemClock.now(),
  after: (delayMs, action) => (delayMs < 1000 ? systemClock.after(delayMs, action) : disposable(() => undefined)),
};

/** Resolves when a driver tells of a picture in which a domain of that name runs, or of one in which none does. */
function pictureShows(driver: HostDriver, name: string, isThere: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      listening.dispose();
      settle();
    };
    const late = new Error(`no picture ${isThere ? 'with' : 'without'} ${name}`);
    const timer = setTimeout(() => end(() => reject(late)), toldMs);
    const listening = driver.onNews((news) => {
      if (news.kind !== 'domains') return;
      const isNow = news.picture.domains.some((domain) => domain.name === name && !domain.dying);
      if (isNow === isThere) end(resolve);
    });
  });
}

describe.skipIf(skip)('following reality on real Xen', () => {
  let pool: RealPool;
  let xapi: Xapi;
  let host: Ref<'host'>;
  beforeAll(async () => {
    pool = await startRealPool();
    xapi = pool.server().xapi;
    host = await xapi.hosts.add(sshAddress(lab()), sshOptions(lab()));
  });
  afterAll(() => pool?.close());

  const lab = () => {
    const [first] = pool.hosts;
    if (first === undefined) throw new Error('no host in the lab');
    return first;
  };
  const vmNamed = (name: string): Ref<'VM'> | undefined =>
    [...xapi.db.all('VM')].find(([, vm]) => vm.name_label === name)?.[0];
  const stateOf = (name: string): string | undefined => {
    const vm = vmNamed(name);
    return vm === undefined ? undefined : xapi.db.get('VM', vm).power_state;
  };
  const isLive = (): boolean => xapi.db.get('host_metrics', xapi.db.get('host', host).metrics).live;
  const refusal = async (method: string, ...params: readonly WireValue[]): Promise<readonly string[]> => {
    const session = xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
    const answer = await xapi.call({ method, params: [session, ...params], origin: { address: '127.0.0.1' } });
    return answer.ok ? ['no refusal'] : answer.error;
  };
  const createByHand = (name: string): Promise<string> =>
    labRun(lab(), ['bash', '-s'], {
      input: `set -e
cat >/root/${name}.cfg <<'CFG'
name = "${name}"
type = "pv"
kernel = "${GUEST_KERNEL_PATH}"
ramdisk = "${GUEST_INITRD_PATH}"
extra = "console=hvc0"
memory = 128
vcpus = 1
CFG
xl create -q /root/${name}.cfg
`,
      timeoutMs: 120_000,
    });

  test('a domain made by hand becomes a VM, and is halted when it is destroyed by hand', async () => {
    await createByHand('by-hand');
    await recordsSay(xapi, 'the VM runs', () => stateOf('by-hand') === 'Running', noticedMs);
    const [, row] = await xlList(lab());
    expect(xapi.db.get('VM', vmNamed('by-hand')!)).toMatchObject({
      domid: row?.domid,
      resident_on: host,
      domain_type: 'pv',
    });

    await labRun(lab(), ['xl', 'pause', 'by-hand'], { timeoutMs: 60_000 });
    await recordsSay(xapi, 'the VM is paused', () => stateOf('by-hand') === 'Paused', noticedMs);
    await labRun(lab(), ['xl', 'unpause', 'by-hand'], { timeoutMs: 60_000 });
    await recordsSay(xapi, 'the VM runs again', () => stateOf('by-hand') === 'Running', noticedMs);

    await labRun(lab(), ['xl', 'destroy', 'by-hand'], { timeoutMs: 60_000 });
    await recordsSay(xapi, 'the VM is halted', () => stateOf('by-hand') === 'Halted', noticedMs);
  });

  test('what is made and destroyed by hand is told by xenstore’s watches, without the poll', async () => {
    const { ssh } = lab();
    const { user, address: hostname, port, keyPath: identityFile, knownHostsPath: knownHostsFile } = ssh;
    const driver = openHost(
      { kind: 'ssh', user, hostname, port, identityFile, knownHostsFile },
      { clock: withoutPoll },
    );
    try {
      await driver.connect();
      await driver.refresh();
      const made = pictureShows(driver, 'watched', true);
      await createByHand('watched');
      await made;
      await driver.refresh();
      const gone = pictureShows(driver, 'watched', false);
      await labRun(lab(), ['xl', 'destroy', 'watched'], { timeoutMs: 60_000 });
      await gone;
    } finally {
      await driver.close();
    }
  });

  test('a host cut from the network is dead within 10 s, its VMs are not lied about, and it comes back', async () => {
    await createByHand('cut-off');
    await recordsSay(xapi, 'the VM runs', () => stateOf('cut-off') === 'Running', noticedMs);
    const vm = vmNamed('cut-off')!;
    await cutNetwork(lab());
    await recordsSay(xapi, 'the host is dead', () => !isLive(), deadWithinMs);
    expect(stateOf('cut-off')).toBe('Running');
    expect(xapi.db.get('VM', vm).allowed_operations).not.toContain('pause');
    expect(await refusal('VM.pause', vm)).toEqual(['HOST_OFFLINE', host]);
    await restoreNetwork(lab());
    await recordsSay(xapi, 'the host is alive', isLive, 60_000);
    expect(await refusal('VM.pause', vm)).toEqual(['no refusal']);
    expect(await refusal('VM.hard_shutdown', vm)).toEqual(['no refusal']);
  });

  test('a dom0 that dies is dead within 10 s', async () => {
    await killHost(lab());
    await recordsSay(xapi, 'the host is dead', () => !isLive(), deadWithinMs);
  });

  test('a host that is not there, or has another key, is refused with the reason', async () => {
    expect(await refusal('host.add', 'ssh://root@127.0.0.1:1', {})).toEqual([
      'CANNOT_CONTACT_HOST',
      'ssh://root@127.0.0.1:1',
      expect.stringMatching(/./),
    ]);
  });
});
