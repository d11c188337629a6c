/** Bridges, bonds and addresses by `ip`: the scripts in a real shell, over files that stand for sysfs and an `ip` that changes them. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BondUplink, HostNetworks } from '@xenolith/xapi';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { netDirectory } from './host-facts.ts';
import { commandFailure } from './host-script.ts';
import { xlNetworks } from './xl-networks.ts';

/** As much of `ip` as the scripts use; `fails` has a command that fails. */
const ip = `
echo "$*" >>"$N/../log"
if [ -e "$N/../fails" ] && [ "$*" = "$(cat "$N/../fails")" ]; then echo 'RTNETLINK answers: Operation not supported' >&2; exit 2; fi
need() { [ -e "$N/$1" ] || { echo "Cannot find device \\"$1\\"" >&2; exit 1; }; }
leave() { m=$(readlink "$N/$1/master") || return 0; m=\${m##*/}; rm -rf "$N/$1/master" "$N/$1/upper_$m" "$N/$m/brif/$1"; }
make() { [ ! -e "$N/$1" ] || { echo 'RTNETLINK answers: File exists' >&2; exit 2; }; mkdir "$N/$1"; : >"$N/$1/ifalias"; echo 02:00:00:00:00:99 >"$N/$1/address"; }
case "$*" in
'link add name '*' type bridge') make $4; mkdir "$N/$4/bridge" "$N/$4/brif";;
'link add name '*' type bond') make $4; mkdir "$N/$4/bonding"; : >"$N/$4/bonding/slaves";;
'link add link '*' type vlan id '*) need $4; make $6; ln -s "../$6" "$N/$4/upper_$6";;
'link set dev '*' alias '*) need $4; echo "$6" >"$N/$4/ifalias";;
'link set dev '*' address '*) need $4; echo "$6" >"$N/$4/address";;
'link set dev '*' nomaster') need $4; leave $4;;
'link set dev '*' master '*) need $4; leave $4; ln -s "../$6" "$N/$4/master"; ln -s "../$6" "$N/$4/upper_$6"; mkdir "$N/$6/brif/$4";;
'link set dev '*) need $4; echo $5 >"$N/$4/state";;
'link del dev '*) need $4; leave $4; rm -rf "$N/$4" "$N"/*/upper_$4;;
'-o -4 addr show dev '*) grep 'inet ' "$N/$6/addr";;
'-o -6 addr show dev '*' scope global') grep 'inet6 .*global' "$N/$6/addr";;
'-o addr show dev '*' scope global') cat "$N/$5/addr";;
'-o addr show') for d in "$N"/*; do cat "$d/addr"; done;;
'addr flush dev '*) : >"$N/$4/addr";;
'addr add '*) case $3 in *:*) f=inet6;; *) f=inet;; esac; echo "9: $5    $f $3 scope global $5" >>"$N/$5/addr";;
'route get '*) if grep -qs 203.0.113 "$N"/xapi42/addr; then echo "$3 dev xapi42"; else echo "$3 dev eth0"; fi;;
'-4 route show dev '*) cat "$N/$5/routes";;
*) echo "what is $*?" >&2; exit 1;;
esac 2>>"$N/../ip-errors"
`;

let directory = '';
let net = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xl-networks-'));
  net = join(directory, 'sys/class/net');
  mkdirSync(net, { recursive: true });
  mkdirSync(join(directory, 'sys/module/bonding'), { recursive: true });
  writeFileSync(join(directory, 'ip'), `#!/bin/sh\nN=${net}${ip}`, { mode: 0o755 });
  for (const device of ['eth0', 'eth1', 'eth2', 'eth3']) addCard(device);
  write('eth0/addr', '2: eth0    inet 192.0.2.10/24 scope global eth0\n');
  mkdirSync(join(net, 'xenbr0/bridge'), { recursive: true });
  write('log', '', '..');
});
afterEach(() => rmSync(directory, { recursive: true }));

const write = (name: string, text: string, from = '.'): void => writeFileSync(join(net, from, name), text);
const read = (name: string): string => readFileSync(join(net, name), 'utf8').trim();
function addCard(device: string): void {
  mkdirSync(join(net, device, 'device'), { recursive: true });
  for (const [name, text] of [
    ['addr', ''],
    ['routes', ''],
    ['ifalias', ''],
    ['carrier', '1\n'],
    ['address', '52:54:00:00:00:01\n'],
  ] as const)
    write(`${device}/${name}`, text);
}

/** What there is, as text; the log of `ip` and what cards are up beside. */
const tree = (): readonly string[] =>
  readdirSync(net, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.endsWith('/state'))
    .flatMap((name) => {
      const stat = lstatSync(join(net, name));
      return stat.isFile() ? [`${name} ${read(name)}`] : [name];
    })
    .toSorted();

let connection: string | undefined;
beforeEach(() => (connection = '192.0.2.1 4000 192.0.2.10 22'));
const networks: HostNetworks = xlNetworks((called, text) => {
  const env = {
    PATH: `${directory}:${process.env['PATH'] ?? ''}`,
    ...(connection === undefined ? {} : { SSH_CONNECTION: connection }),
  };
  const script = text.replaceAll(netDirectory, net);
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8', env });
  const result = { exitCode: status ?? -1, stdout, stderr };
  return status === 0 ? Promise.resolve(result) : Promise.reject(commandFailure(called, result));
});

const card = { kind: 'card', device: 'eth1', bridge: 'xapi42' } as const;
const bond: BondUplink = {
  kind: 'bond',
  device: 'bond0',
  bridge: 'xapi42',
  members: ['eth1', 'eth2'],
  mode: 'active-backup',
  mac: '02:00:00:00:00:42',
  hashing: 'src_mac',
  lacpTime: 'fast',
};
const mark = 'made by xenolith';

test('a spare card gets a bridge, made once, and is as it was without it', async () => {
  const before = tree();
  await networks.createUplink(card);
  await networks.createUplink(card);
  expect([read('xapi42/ifalias'), read('xapi42/state'), read('eth1/state')]).toEqual([mark, 'up', 'up']);
  expect(existsSync(join(net, 'xapi42/brif/eth1'))).toBe(true);
  expect(await networks.interfaces()).toMatchObject([
    { name: 'eth0', kind: 'physical', ipv4: ['192.0.2.10/24'] },
    { name: 'eth1', kind: 'physical', isSpare: true },
    { name: 'eth2', isSpare: true },
    { name: 'eth3', isSpare: true },
    { name: 'xapi42', kind: 'bridge', isMade: true },
    { name: 'xenbr0', kind: 'bridge' },
  ]);
  mkdirSync(join(net, 'xapi42/brif/vif7.0'));
  await expect(networks.removeUplink(card)).rejects.toMatchObject({ code: 'device-busy' });
  rmSync(join(net, 'xapi42/brif/vif7.0'), { recursive: true });
  await networks.removeUplink(card);
  await networks.removeUplink(card);
  expect([tree(), read('eth1/state')]).toEqual([before, 'down']);
});

test.each<readonly [string, () => void]>([
  ['an address', () => write('eth1/addr', '3: eth1    inet 10.0.0.1/8 scope global eth1\n')],
  ['an IPv6 address', () => write('eth1/addr', '3: eth1    inet6 2001:db8::1/64 scope global \n')],
  ['a route', () => write('eth1/routes', 'default scope link\n')],
  ['a VLAN of the host', () => tool('link add link eth1 name eth1.100 type vlan id 100')],
  ['a bridge of the host', () => mkdirSync(join(net, 'xenbr0/brif')) ?? tool('link set dev eth1 master xenbr0')],
  [
    'another bridge of ours',
    () => {
      for (const line of ['link add name xapi9 type bridge', `link set dev xapi9 alias "${mark}"`]) tool(line);
      tool('link set dev eth1 master xapi9');
    },
  ],
])('a card with %s is not touched', async (_what, use) => {
  use();
  const [before, log] = [tree(), readFileSync(join(net, '../log'), 'utf8')];
  await expect(networks.createUplink(card)).rejects.toMatchObject({ code: 'device-busy' });
  await expect(networks.createUplink(bond)).rejects.toMatchObject({ code: 'device-busy' });
  await networks.removeUplink(card);
  expect(tree()).toEqual(before);
  const asked = readFileSync(join(net, '../log'), 'utf8').slice(log.length);
  expect(asked.split('\n').filter((line) => /^(?:link|addr)/.test(line))).toEqual([]);
});

/** What somebody else does with `ip`. */
function tool(line: string): void {
  const { status, stderr } = spawnSync('sh', ['-c', `${join(directory, 'ip')} ${line}`], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

test('a link-local address is of every interface that is up, and VLANs of ours are no hindrance', async () => {
  write('eth1/addr', '3: eth1    inet6 fe80::1/64 scope link \n');
  const vlan = { kind: 'vlan', device: 'eth1', tag: 7, bridge: 'xapi7' } as const;
  await networks.createUplink(vlan);
  expect([read('eth1.7/ifalias'), read('eth1/state')]).toEqual([mark, 'up']);
  await networks.createUplink(card);
  await networks.removeUplink(card);
  expect([existsSync(join(net, 'xapi7/brif/eth1.7')), read('eth1/state')]).toEqual([true, 'up']);
  await networks.removeUplink(vlan);
  expect(readdirSync(net).filter((name) => name.startsWith('eth1'))).toEqual(['eth1']);
});

test('a bond is made down and without members, then has them; a change keeps it', async () => {
  await networks.createUplink({ ...bond, mode: 'lacp' });
  const option = (name: string): string => read(`bond0/bonding/${name}`);
  expect(['mode', 'lacp_rate', 'xmit_hash_policy', 'miimon', 'slaves'].map(option)).toEqual([
    '802.3ad',
    'fast',
    'layer2',
    '100',
    '+eth2',
  ]);
  expect([read('bond0/ifalias'), read('bond0/address'), read('bond0/state')]).toEqual([mark, bond.mac, 'up']);
  expect(existsSync(join(net, 'xapi42/brif/bond0'))).toBe(true);
  expect(['eth1', 'eth2'].map((name) => read(`${name}/state`))).toEqual(['down', 'down']);
  write('log', '', '..');
  write('bond0/bonding/slaves', '');
  await networks.createUplink(bond);
  expect(['mode', 'primary'].map(option)).toEqual(['active-backup', 'eth1']);
  expect(readFileSync(join(net, '../log'), 'utf8')).not.toMatch(/link (?:add|del)/);
  tool('link add link bond0 name bond0.7 type vlan id 7');
  await expect(networks.removeUplink(bond)).rejects.toMatchObject({ code: 'device-busy' });
  tool('link del dev bond0.7');
  await networks.removeUplink(bond);
  expect(readdirSync(net)).toEqual(['eth0', 'eth1', 'eth2', 'eth3', 'xenbr0']);
});

test('a bond that cannot be made leaves nothing, and one that is the host’s own is not taken', async () => {
  const before = tree();
  for (const line of ['link add name bond0 type bond', 'link set dev bond0 master xapi42']) {
    write('fails', line, '..');
    await expect(networks.createUplink(bond)).rejects.toMatchObject({ code: 'command-failed' });
    expect(tree()).toEqual(before);
  }
  rmSync(join(net, '../fails'));
  const slb = networks.createUplink({ ...bond, mode: 'balance-slb' });
  await expect(slb).rejects.toMatchObject({ code: 'bad-config' });
  await expect(networks.createUplink({ ...bond, mac: '; reboot' })).rejects.toMatchObject({ code: 'bad-config' });
  tool('link add name bond0 type bond');
  const theirs = tree();
  await expect(networks.createUplink(bond)).rejects.toMatchObject({ code: 'exists' });
  await networks.removeUplink(bond);
  expect(tree()).toEqual(theirs);
});

test('a bridge of the host’s own is given no port and no address', async () => {
  const before = tree();
  await expect(networks.createUplink({ ...card, bridge: 'xenbr0' })).rejects.toMatchObject({ code: 'exists' });
  await expect(networks.createUplink({ ...bond, bridge: 'xenbr0' })).rejects.toMatchObject({ code: 'exists' });
  await expect(networks.setAddresses('xenbr0', ['192.0.2.9/24'])).rejects.toMatchObject({ code: 'exists' });
  await expect(networks.setAddresses('eth1', ['192.0.2.9/24'])).rejects.toMatchObject({ code: 'exists' });
  expect(tree()).toEqual(before);
});

test('addresses take the place of those before, unless the way to the manager would change', async () => {
  await networks.createUplink(card);
  write('xapi42/addr', '');
  await networks.setAddresses('xapi42', ['198.51.100.1/24', '2001:db8::1/64']);
  await networks.setAddresses('xapi42', ['198.51.100.2/24', '2001:db8::1/64']);
  const addresses = () => read('xapi42/addr').match(/[0-9a-f:.]+\/\d+/g);
  expect(addresses()).toEqual(['198.51.100.2/24', '2001:db8::1/64']);
  await expect(networks.setAddresses('xapi42', ['203.0.113.1/24'])).rejects.toMatchObject({ code: 'device-busy' });
  expect(addresses()).toEqual(['198.51.100.2/24', '2001:db8::1/64']);
  write('log', '', '..');
  await networks.setAddresses('xapi42', ['198.51.100.2/24', '2001:db8::1/64']);
  expect(readFileSync(join(net, '../log'), 'utf8')).not.toContain('flush');
  // In a shell of the host's own there is no connection to lose.
  connection = undefined;
  await networks.setAddresses('xapi42', ['203.0.113.1/24']);
  await networks.setAddresses('xapi42', []);
  expect(addresses()).toBeNull();
  await expect(networks.setAddresses('xapi42', ['$(reboot)/24'])).rejects.toMatchObject({ code: 'bad-config' });
});
