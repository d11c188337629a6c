import { domId, fromMib, ManualClock, uuid } from '@xenolith/base';
import type { DomainConfig, HostAddress, HostNews } from '@xenolith/xapi';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deafPort, startFakeDom0, type FakeAnswer, type FakeDom0 } from '../testing/fake-dom0.ts';
import { SshTransport } from './ssh-transport.ts';
import { stdoutLimitBytes } from './transport.ts';
import { XlDriver } from './xl-driver.ts';

const info = `host                   : dom0.example
release                : 6.1.0
nr_cpus                : 2
nr_nodes               : 1
cores_per_socket       : 2
threads_per_core       : 1
virt_caps              : pv hvm hap
total_memory           : 4095
free_memory            : 3027
cpu_topology           :
cpu:    core    socket     node
  0:       0        0        0
  1:       1        0        0
numa_info              :
node:    memsize    memfree    distances
   0:      4096       3027      10
xen_version            : 4.17.7
xen_caps               : xen-3.0-x86_64
xen_scheduler          : credit2
`;
const facts = `${info}
@xenolith hostname
dom0.example

@xenolith cpu
processor\t: 0
vendor_id\t: GenuineIntel

@xenolith interfaces
bond0|bond|52:54:00:00:01:05|1500|1|xapi0|made by xenolith|free
eth0|physical|52:54:00:00:01:01|1500|1|xenbr0||
eth1|physical|52:54:00:00:01:02|1500|1|||free
eth2|physical|52:54:00:00:01:03|1500|1|||free
eth3|physical|52:54:00:00:01:04|1500|1|||free
eth4|physical|52:54:00:00:01:05|1500|1|||
lo|other|00:00:00:00:00:00|65536|1|||free
xenbr0|bridge|52:54:00:00:01:01|1500|0|||free

@xenolith addresses
4: eth1    inet6 fe80::5054:ff:fe00:102/64 scope link \\       valid_lft forever preferred_lft forever
5: eth2    inet6 2001:db8::3/64 scope global \\       valid_lft forever preferred_lft forever
6: eth3    inet 169.254.1.1/16 scope link eth3\\       valid_lft forever preferred_lft forever
3: xenbr0    inet 192.0.2.1/24 scope global xenbr0\\       valid_lft forever preferred_lft forever

@xenolith uuid

@xenolith boot
5f2c8e4e-2d7a-4d3b-9e0c-0f8a4f5f7c11

@xenolith guest
yes
`;
const list = `Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label         Cpupool
Domain-0                                     0  1024     1     r-----      38.4 00000000-0000-0000-0000-000000000000        -                -          Pool-0
web                                          1   128     2     -b----       7.6 930c6acf-e7a8-4cb5-a9af-617328058e48        -                -          Pool-0
`;

const pools = `
@xenolith cpupools
Name               CPUs   Sched     Active   Domain count
Pool-0               2   credit2       y          2

@xenolith cpupool cpus
Name               CPU list
Pool-0             0,1

@xenolith credit

@xenolith credit2
Cpupool Pool-0: ratelimit=1000us
Name                                ID Weight  Cap
Domain-0                             0    256    0
web                                  1    512   50

@xenolith rtds

@xenolith pools read
`;

const vcpuList = `
@xenolith vcpus
Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)
Domain-0                             0     0    0   r--      38.4  all / all
web                                  1     0    1   -b-       7.5  all / 0-1
web                                  1     1    -   --p       0.1  all / 0-1
`;

/** The domains of the list. */
const domain0 = { domid: domId(0), uuid: uuid('00000000-0000-0000-0000-000000000000') };
const web = { domid: domId(1), uuid: uuid('930c6acf-e7a8-4cb5-a9af-617328058e48') };

const config: DomainConfig = {
  uuid: uuid('dbcfa15d-8a2f-4d99-8705-421053ed5ac7'),
  nameLabel: 'web two',
  type: 'pv',
  kernel: '/boot/vmlinuz',
  vcpusMax: 2,
  vcpusAtStartup: 1,
  memoryMaxBytes: fromMib(128),
  memoryTargetBytes: fromMib(128),
  disks: [],
  vifs: [],
  onPoweroff: 'destroy',
  onReboot: 'restart',
  onCrash: 'destroy',
};

/** A healthy dom0, but for the commands that `special` has an answer for. */
const healthy =
  (special: (command: string, stdin: string) => FakeAnswer | undefined = () => undefined) =>
  (command: string, stdin: string): FakeAnswer => {
    const answer = special(command, stdin);
    if (answer !== undefined) return answer;
    if (command.includes('xenstore-watch') || command.includes('xl console')) return 'hang';
    if (command.includes('command -v xl')) return { stdout: facts };
    if (/xl list -v -c(?: &&|$)/.test(command)) {
      const more = [['xl vcpu-list', vcpuList] as const, ['xl cpupool-list', pools] as const];
      const asked = more.flatMap(([words, text]) => (command.includes(words) ? [text] : []));
      return { stdout: `${list}\n@xenolith info\n${info}${asked.join('')}` };
    }
    return { stderr: `not expected: ${command}`, exitCode: 127 };
  };

describe('the xl driver', () => {
  let dom0: FakeDom0;
  let clock: ManualClock;
  let news: HostNews[];
  let arrivals: (() => void)[];
  const drivers: XlDriver[] = [];

  beforeEach(async () => {
    dom0 = await startFakeDom0(healthy());
    clock = new ManualClock();
    news = [];
    arrivals = [];
  });
  afterEach(async () => {
    await Promise.all(drivers.splice(0).map((driver) => driver.close()));
    await dom0.close();
  });

  const open = (changes: Partial<Extract<HostAddress, { kind: 'ssh' }>> = {}): XlDriver => {
    const driver = new XlDriver(new SshTransport({ ...dom0.address, ...changes }, clock), clock);
    drivers.push(driver);
    driver.onNews((each) => {
      news.push(each);
      for (const arrival of arrivals.splice(0)) arrival();
    });
    return driver;
  };
  /** The first news of a kind from `start` on. */
  const told = async (kind: HostNews['kind'], start = 0): Promise<HostNews> => {
    for (;;) {
      const found = news.slice(start).find((each) => each.kind === kind);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => arrivals.push(resolve));
    }
  };

  test('tells the facts, then a picture, then figures', async () => {
    const driver = open();
    expect(await driver.connect()).toMatchObject({
      hostname: 'dom0.example',
      bootId: '5f2c8e4e-2d7a-4d3b-9e0c-0f8a4f5f7c11',
      cpuVendor: 'GenuineIntel',
      interfaces: [
        { name: 'bond0', kind: 'bond', bridge: 'xapi0', isMade: true },
        { name: 'eth0', kind: 'physical', bridge: 'xenbr0', carrier: true },
        { name: 'eth1', kind: 'physical', isSpare: true },
        { name: 'eth2', kind: 'physical' },
        { name: 'eth3', kind: 'physical', ipv4: ['169.254.1.1/16'] },
        { name: 'eth4', kind: 'physical' },
        { name: 'xenbr0', kind: 'bridge', ipv4: ['192.0.2.1/24'], carrier: false },
      ],
      guests: [{ type: 'pv' }, { type: 'pvh' }],
    });
    const { interfaces } = await driver.connect();
    expect(interfaces.filter(({ isSpare }) => isSpare).map(({ name }) => name)).toEqual(['eth1']);
    await told('figures');
    expect(news.map(({ kind }) => kind)).toEqual(['alive', 'domains', 'figures']);
    expect(news[1]).toMatchObject({
      picture: {
        sequence: 0,
        domains: [
          { domid: 0, vcpuTimesNs: [38_400_000_000] },
          {
            domid: 1,
            name: 'web',
            cpupool: 'Pool-0',
            vcpuTimesNs: [7_500_000_000, 100_000_000],
            vcpuStates: [{ pcpu: 1, state: 'blocked' }, { state: 'offline' }],
          },
        ],
        cpupools: [
          { name: 'Pool-0', scheduler: 'credit2', parameters: { ratelimitUs: 1000 }, pcpus: [0, 1], domainCount: 2 },
        ],
      },
    });
    expect(news[2]).toMatchObject({ figures: { memoryFreeBytes: fromMib(3027), nodesFreeBytes: [fromMib(3027)] } });
  });

  test('memory by node, where a number is left out', async () => {
    const gap = info.replace(/node: .*\n.*\n/, '$&   2:      4096       3027      20,255,10\n');
    dom0.shell = healthy((command) => {
      if (command.includes('xl debug-keys u'))
        return {
          stdout: `(XEN) 'u' pressed -> dumping numa info (now = 1)
(XEN) Memory location of each domain:
(XEN) Domain 1 (total: 7):
(XEN)     Node 0: 4
(XEN)     Node 2: 3
`,
        };
      return command.includes('/proc/cpuinfo') ? { stdout: facts.replace(info, gap) } : undefined;
    });
    const driver = open();
    expect((await driver.connect()).nodes).toMatchObject([{ node: 0 }, { node: 2, distances: [20, 255, 10] }]);
    expect(await driver.memoryByNode()).toEqual([{ domid: 1, bytesByNode: [4, 0, 3].map((pages) => pages * 4096) }]);
  });

  test('cpupools are looked at with every sixth look of the poll, and missing when they make no sense', async () => {
    const driver = open();
    await driver.connect();
    await told('figures');
    const from = news.length;
    for (let look = 0; look < 6; look++) await driver.refresh();
    const pictures = news.slice(from).flatMap((each) => (each.kind === 'domains' ? [each.picture] : []));
    expect(pictures.map(({ cpupools }) => cpupools?.length)).toEqual([...Array(5).fill(undefined), 1]);

    dom0.shell = healthy((command) =>
      command.includes('xl cpupool-list')
        ? { stdout: `${list}\n@xenolith info\n${info}${pools.replace('0,1', '0,1,2')}` }
        : undefined,
    );
    for (let look = 0; look < 6; look++) expect((await driver.refresh()).cpupools).toBeUndefined();
    await expect(driver.scheduling.cpupools()).rejects.toMatchObject({ code: 'command-failed' });
  });

  test('a host that is not in known_hosts is refused before anything is said to it', async () => {
    const knownHostsFile = await dom0.file('empty', '');
    await expect(open({ knownHostsFile }).connect()).rejects.toMatchObject({
      code: 'unknown-host-key',
      message: expect.stringContaining('SHA256:') as string,
    });
    expect(dom0.commands).toEqual([]);
  });

  test('a host with another key than the known one is refused', async () => {
    const knownHostsFile = await dom0.file('other', dom0.otherKnownHosts);
    await expect(open({ knownHostsFile }).connect()).rejects.toMatchObject({ code: 'bad-host-key' });
  });

  test('a key that the host does not accept', async () => {
    const identityFile = await dom0.file('other-key', dom0.otherKey);
    await expect(open({ identityFile }).connect()).rejects.toMatchObject({
      code: 'authentication-failed',
      message: expect.stringContaining(identityFile) as string,
    });
  });

  test('a key file that is not there', async () => {
    const connecting = open({ identityFile: '/no/such/key' }).connect();
    await expect(connecting).rejects.toMatchObject({ code: 'authentication-failed' });
  });

  test('nobody listens', async () => {
    const knownHostsFile = await dom0.file('empty', '');
    const driver = open({ port: await deafPort(), knownHostsFile });
    await expect(driver.connect()).rejects.toMatchObject({ code: 'unreachable' });
    await expect(driver.refresh()).rejects.toMatchObject({ code: 'unreachable' });
    expect(news).toEqual([]);
  });

  test.each<[string, FakeAnswer]>([
    ['there is no xl', { stderr: 'there is no xl: not a Xen control domain\n', exitCode: 94 }],
    ['xl fails', { stderr: 'xencall: error: Could not obtain handle\n', exitCode: 94 }],
    ['garbage', { stdout: '\u0000\u0001 no key, no value\n' }],
    ['nothing', { stdout: '' }],
  ])('not a Xen host: %s', async (_, answer) => {
    dom0.shell = healthy((command) => (command.includes('xl info -n') ? answer : undefined));
    await expect(open().connect()).rejects.toMatchObject({ name: 'HostError', code: 'not-xen' });
  });

  test('create: the configuration goes by stdin under a name that xl takes, the domid comes back', async () => {
    const driver = open();
    await driver.connect();
    dom0.shell = healthy((command) => (command.includes('xl create') ? { stdout: 'domid=7\n' } : undefined));
    expect(await driver.create(config, { paused: true })).toBe(7);
    const { text, stdin } = dom0.commands.find((command) => command.text.includes('xl create')) ?? {};
    expect(text).toContain('xl create -q -p "$f"');
    expect(stdin).toContain('name = "web-two-dbcfa15d"\n');
    expect(stdin).toContain('maxvcpus = 2\n');
    expect(stdin).not.toContain('pool');
    await driver.create({ ...config, cpupool: 'a "b"' }, { paused: true });
    expect(dom0.commands.findLast((command) => command.text.includes('xl create'))?.stdin).toContain(
      'pool = "a \\"b\\""\n',
    );
    expect(driver.sequence()).toBe(2);
  });

  test('create: what a guest boots from once is fetched before, and removed after', async () => {
    const driver = open();
    await driver.connect();
    dom0.shell = healthy((command) => (command.includes('xl create') ? { stdout: 'domid=9\n' } : undefined));
    const mirror = 'http://mirror.example/it';
    const fetched = { kernel: `${mirror}/vmlinuz`, ramdisk: `${mirror}/initrd.gz` };
    await driver.create({ ...config, fetched }, { paused: false });
    const { text = '', stdin } = dom0.commands.find((command) => command.text.includes('xl create')) ?? {};
    const [, kernel = ''] = /^kernel = "(.*)"$/m.exec(stdin ?? '') ?? [];
    expect(kernel).toMatch(new RegExp(`/${config.uuid}\\.kernel$`));
    const order = [`fetch ${mirror}/vmlinuz ${kernel} && fetch `, 'xl create -q "$f"', `rm -f "$f" ${kernel} `];
    expect(order.map((part) => text.indexOf(part)).toSorted((a, b) => a - b)).toEqual(
      order.map((part) => text.indexOf(part)),
    );
    expect(text).toContain(order[0]);
    expect(text).toContain(order[2]);
  });

  test('create: a name that somebody took behind our back is made unique', async () => {
    const driver = open();
    await driver.connect();
    dom0.shell = healthy((command, stdin) => {
      if (!command.includes('xl create')) return undefined;
      return stdin.includes('name = "db"')
        ? { stderr: 'libxl: error: Domain with name "db" already exists.\n', exitCode: 3 }
        : { stdout: 'domid=8\n' };
    });
    expect(await driver.create({ ...config, nameLabel: 'db' }, { paused: true })).toBe(8);
  });

  test.each([
    [3, "xc: error: panic: can't allocate low memory for domain: Out of memory\n", 'not-enough-memory'],
    [3, "xc: error: failed to open file '/boot/vmlinuz': No such file or directory\n", 'command-failed'],
    [1, 'xl: write: No space left on device\n', 'no-space'],
    [90, 'a domain of that uuid is there already\n', 'exists'],
    [97, 'could not fetch http://x/y\n', 'not-fetched'],
    [3, 'libxl: error: Domain 5:Illegal pool specified: no\n', 'xen-refused'],
    [3, 'libxl: error: libxl__domain_make: domain creation fail: No such device\n', 'xen-refused'],
    [3, '', 'command-failed'],
  ])('create: xl fails with %i and %j', async (exitCode, stderr, code) => {
    const driver = open();
    await driver.connect();
    dom0.shell = healthy((command) => (command.includes('xl create') ? { stderr, exitCode } : undefined));
    await expect(driver.create(config, { paused: false })).rejects.toMatchObject({
      code,
      message: stderr.trim() === '' ? 'xl create ended with exit code 3' : stderr.trim(),
      details: { command: 'xl create', exitCode, stderr: stderr.trim() },
    });
  });

  test('create: what xl cannot be told is refused here', async () => {
    const driver = open();
    await driver.connect();
    const before = dom0.commands.length;
    const refused = { code: 'bad-config' };
    await expect(driver.create({ ...config, type: 'hvm' }, { paused: false })).rejects.toMatchObject(refused);
    await expect(driver.create({ ...config, cmdline: 'a\nb' }, { paused: false })).rejects.toMatchObject(refused);
    await expect(driver.restore('relative', config, { paused: false })).rejects.toMatchObject(refused);
    await expect(driver.save(web, '/a\n')).rejects.toMatchObject(refused);
    expect(dom0.commands.slice(before).filter(({ text }) => /xl (?:create|save|restore)/.test(text))).toEqual([]);
  });

  test('a domain that was just destroyed has no console, though the last picture shows it', async () => {
    const driver = open();
    await driver.connect();
    await told('figures');
    (await driver.openConsole(web)).close();
    const without = list.split('\n').slice(0, 2).join('\n');
    dom0.shell = healthy((command) => {
      if (command.includes('xl destroy')) return {};
      if (command.includes('xl console')) return 'hang';
      return command.includes('xl list -v') ? { stdout: `${without}\n` } : undefined;
    });
    await driver.destroy(web);
    await expect(driver.openConsole(web)).rejects.toMatchObject({ code: 'no-such-domain' });
    await expect(driver.openConsole(domain0)).resolves.toBeDefined();
  });

  test('a domain of the same number and another uuid has no console here', async () => {
    const driver = open();
    await driver.connect();
    await told('figures');
    const other = { domid: web.domid, uuid: config.uuid };
    await expect(driver.openConsole(other)).rejects.toMatchObject({ code: 'no-such-domain' });
    await expect(driver.pause({ domid: web.domid, uuid: uuid("x'; reboot; '") })).rejects.toMatchObject({
      code: 'bad-config',
    });
  });

  test('a connection that breaks in the middle of a create: unreachable, dead, and alive anew', async () => {
    const driver = open();
    await driver.connect();
    await told('domains');
    dom0.shell = healthy((command) => {
      if (!command.includes('xl create')) return undefined;
      dom0.cut();
      return 'hang';
    });
    await expect(driver.create(config, { paused: false })).rejects.toMatchObject({ code: 'unreachable' });
    await told('dead');
    const from = news.length;
    await expect(driver.pause(web)).rejects.toMatchObject({ code: 'unreachable' });
    clock.advance(1000);
    await told('figures', from);
    expect(news.slice(from).map(({ kind }) => kind)).toEqual(['alive', 'domains', 'figures']);
  });

  test('a host that is silent for eight seconds is dead', async () => {
    const driver = open();
    await driver.connect();
    await told('figures');
    // In this moment of real time no byte can come.
    clock.advance(8000);
    expect(news.at(-1)).toMatchObject({ kind: 'dead', reason: expect.stringContaining('silent for 8 s') as string });
  });

  test('a command that does not end', async () => {
    const driver = open();
    await driver.connect();
    await told('figures');
    dom0.shell = healthy((command) => (command.includes('xl pause') ? 'hang' : undefined));
    const paused = driver.pause(web);
    const failure = expect(paused).rejects.toMatchObject({ code: 'timeout' });
    // Keepalives are of real time, so silence is counted anew after each of these.
    for (let second = 0; second < 12; second++) {
      await driver.refresh();
      clock.advance(5000);
    }
    await failure;
  });

  test('a flood of output is cut off', async () => {
    const driver = open();
    await driver.connect();
    await told('figures');
    const stdout = 'x'.repeat(stdoutLimitBytes + 1);
    dom0.shell = healthy((command) => (command.includes('xl list -v') ? { stdout } : undefined));
    await expect(driver.refresh()).rejects.toMatchObject({ code: 'command-failed' });
  });

  test('garbage instead of a list is told as such, and two looks of it in a row as the death of the host', async () => {
    const driver = open();
    await driver.connect();
    await told('figures');
    dom0.shell = healthy((command) => (command.includes('xl list -v') ? { stdout: 'segmentation fault' } : undefined));
    await expect(driver.refresh()).rejects.toMatchObject({ code: 'not-xen' });
    clock.advance(5000);
    await expect(driver.refresh()).rejects.toMatchObject({ name: 'HostError' });
    clock.advance(5000);
    expect(await told('dead')).toMatchObject({ reason: expect.stringContaining('xl list') as string });
  });

  test('in the background a host that is away is told dead once, and tried again', async () => {
    const knownHostsFile = await dom0.file('late', '');
    const driver = open({ knownHostsFile });
    driver.connectInBackground();
    expect(await told('dead')).toMatchObject({ reason: expect.stringContaining('ssh-keyscan') as unknown });
    await dom0.file('late', dom0.otherKnownHosts);
    clock.advance(1000);
    const changed = await told('dead', 1);
    expect(changed).toMatchObject({ reason: expect.stringContaining('not the known one') as string });
    await driver.close();
  });
});
