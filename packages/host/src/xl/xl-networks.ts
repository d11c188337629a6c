import { unreachable } from '@xenolith/base';
import { shellQuote } from '@xenolith/wire';
import { HostError, type BondMode, type BondUplink, type HostNetworks, type Uplink } from '@xenolith/xapi';
import { interfacesScript, madeHere, netDirectory, readInterfaces } from './host-facts.ts';
import { readSections, scriptExit, scriptHead, surviveHangup } from './host-script.ts';
import type { XlPort } from './xl-port.ts';

const lookLimitMs = 20_000;
const workLimitMs = 60_000;

/** {@link HostNetworks} by `ip link`, of iproute2 or of busybox, and the bonding driver's files of sysfs. */
export function xlNetworks(run: XlPort['run']): HostNetworks {
  const work = async (called: string, script: string): Promise<void> => {
    await run(called, scriptHead + surviveHangup + functions + script, { timeLimitMs: workLimitMs, lane: 'work' });
  };
  return {
    // Nothing that is here writes rules for packets.
    locksVifs: false,
    bondModes: ['active-backup', 'lacp'],
    interfaces: async () => {
      const text = `${scriptHead}${interfacesScript}exit 0`;
      const { stdout } = await run('ls /sys/class/net', text, { timeLimitMs: lookLimitMs, lane: 'look' });
      const sections = readSections(stdout);
      return readInterfaces(sections.get('interfaces') ?? '', sections.get('addresses') ?? '');
    },
    createBridge: async (bridge) => await work(`ip link add ${bridge}`, createScript(bridge)),
    removeBridge: async (bridge) => await work(`ip link del ${bridge}`, removeScript(bridge)),
    createUplink: async (uplink) => await work(`ip link add ${portOf(uplink)}`, createUplinkScript(uplink)),
    removeUplink: async (uplink) => await work(`ip link del ${portOf(uplink)}`, removeUplinkScript(uplink)),
    setAddresses: async (bridge, addresses) =>
      await work(`ip addr add dev ${bridge}`, setAddressesScript(bridge, addresses)),
  };
}

/** @throws HostError bad-config for what is no name of an interface in Linux */
function interfaceWord(name: string): string {
  if (!/^(?!\.\.?$)[A-Za-z0-9_.-]{1,15}$/.test(name)) {
    throw new HostError('bad-config', `not an interface: ${JSON.stringify(name.slice(0, 100))}`);
  }
  return shellQuote(name);
}

/** The interface that is the port of the bridge. */
const portOf = (uplink: Uplink): string => (uplink.kind === 'vlan' ? `${uplink.device}.${uplink.tag}` : uplink.device);

/**
 * Functions of the scripts below. `spare card master`: nobody has the card, but `master` may. What has an address or a route, or
 * is under an interface that was not made here, is the host's own: the connection that this runs over may depend on it.
 */
const functions =
  `N=${netDirectory}; refuse() { echo "$2" >&2; exit $1; }; ` +
  `ours() { [ "$(cat "$N/$1/ifalias" 2>/dev/null)" = ${shellQuote(madeHere)} ]; }; ` +
  `mark() { ip link set dev "$1" alias ${shellQuote(madeHere)}; }; ` +
  'used() { [ -n "$(ip -o -4 addr show dev "$1"; ip -o -6 addr show dev "$1" scope global; ip -4 route show dev "$1")" ]; }; ' +
  'spare() { [ -e "$N/$1" ] || refuse 1 "Cannot find device \\"$1\\""; ' +
  'for u in "$N/$1"/upper_*; do [ ! -e "$u" ] || ours "${u##*/upper_}" || ' +
  `refuse ${scriptExit.busy} "$1 is in use on the host"; done; ` +
  'm=$(readlink "$N/$1/master"); m=${m##*/}; ' +
  `{ [ -z "$m" ] || [ "$m" = "$2" ]; } && ! used "$1" || refuse ${scriptExit.busy} "$1 is in use on the host"; }; `;

/** Of two that make it at once, one finds it there. One that cannot be made whole is removed. */
function createScript(bridge: string): string {
  const word = interfaceWord(bridge);
  const there = `[ -d "$N"/${word}/bridge ]`;
  return (
    `if [ -e "$N"/${word} ]; then ${there} || refuse ${scriptExit.exists} 'there is an interface of that name'; ` +
    `else ip link add name ${word} type bridge || { ${there}; exit $?; }; ` +
    `{ mark ${word} && ip link set dev ${word} up; } || { ip link del dev ${word}; exit 1; }; fi`
  );
}

function removeScript(bridge: string): string {
  const word = interfaceWord(bridge);
  return `if ours ${word} && [ -z "$(ls "$N"/${word}/brif 2>/dev/null)" ]; then ip link del dev ${word}; fi`;
}

/**
 * The control domain takes no address and no route from what is outside of a bridge for guests, so these are off before it has
 * a port. A kernel without IPv6 has no such files.
 */
const deaf = (word: string): string =>
  `for f in accept_ra autoconf; do echo 0 2>/dev/null >/proc/sys/net/ipv6/conf/${word}/$f; done 2>/dev/null; `;

/** @throws HostError bad-config */
function createUplinkScript(uplink: Uplink): string {
  const [word, port] = [interfaceWord(uplink.bridge), interfaceWord(portOf(uplink))];
  const own = `[ ! -e "$N"/${word} ] || ours ${word} || refuse ${scriptExit.exists} "the bridge is the host's own"; `;
  const join = `ip link set dev ${port} master ${word} && ip link set dev ${port} up`;
  const make = makePort(uplink);
  const undo = `{ ${make.undo}; ${removeScript(uplink.bridge)}; } 2>/dev/null; exit $rc;`;
  return (
    `${own}${make.check}{ ${createScript(uplink.bridge)}; } || exit $?; ${deaf(word)}` +
    `{ ${make.script} && ${join}; } || { rc=$?; ${undo} }`
  );
}

interface PortScript {
  /** What must hold before anything is changed. */
  readonly check: string;
  readonly script: string;
  readonly undo: string;
}

function makePort(uplink: Uplink): PortScript {
  switch (uplink.kind) {
    case 'card': {
      const port = interfaceWord(uplink.device);
      const check = `spare ${port} ${interfaceWord(uplink.bridge)}; `;
      return { check, script: 'true', undo: `ip link set dev ${port} nomaster` };
    }
    case 'vlan': {
      const { device, tag } = uplink;
      const [parent, port] = [interfaceWord(device), interfaceWord(portOf(uplink))];
      if (!Number.isInteger(tag) || tag < 1 || tag > 4094) throw new HostError('bad-config', `not a VLAN tag: ${tag}`);
      const made = `ip link add link ${parent} name ${port} type vlan id ${tag} && mark ${port}`;
      return {
        check: `[ ! -e "$N"/${port} ] || ours ${port} || refuse ${scriptExit.exists} 'there is an interface of that name'; `,
        script: `{ [ -e "$N"/${port} ] || { ${made}; }; } && ip link set dev ${parent} up`,
        undo: `ip link del dev ${port}`,
      };
    }
    case 'bond':
      return makeBond(uplink);
    default:
      return unreachable(uplink);
  }
}

/** What Linux calls the modes (Documentation/networking/bonding.rst of the kernel). */
const linuxModes: Readonly<Partial<Record<BondMode, string>>> = { 'active-backup': 'active-backup', lacp: '802.3ad' };
const linuxHashing: Readonly<Record<BondUplink['hashing'], string>> = { src_mac: 'layer2', tcpudp_ports: 'layer3+4' };

/**
 * The mode can be set of a bond that is down and has no members only. `max_bonds`, as the driver makes a `bond0` of its own when
 * it is loaded. Delays in milliseconds, as XAPI has them (networkd): a link that comes back is used again after a while.
 */
function makeBond({ bridge, device, members, mode, mac, hashing, lacpTime }: BondUplink): PortScript {
  const [word, port] = [interfaceWord(bridge), interfaceWord(device)];
  const words = members.map(interfaceWord);
  const linuxMode = linuxModes[mode];
  if (linuxMode === undefined) throw new HostError('bad-config', `bonds of Linux have no mode ${mode}`);
  if (new Set(members).size < 2) throw new HostError('bad-config', 'a bond has two members or more');
  if (!/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(mac)) throw new HostError('bad-config', 'not a MAC address');
  const option = (value: string, name: string): string => `echo ${shellQuote(value)} >"$o/${name}"`;
  const options = [
    'for m in $(cat "$o/slaves"); do echo "-$m" >"$o/slaves" || exit 1; done',
    option(linuxMode, 'mode'),
    ...(mode === 'lacp' ? [option(lacpTime, 'lacp_rate'), option(linuxHashing[hashing], 'xmit_hash_policy')] : []),
    option('100', 'miimon'),
    option('31000', 'updelay'),
    option('200', 'downdelay'),
    `ip link set dev ${port} address ${mac}`,
    ...words.flatMap((member) => [`ip link set dev ${member} down`, `echo +${member} >"$o/slaves"`]),
    ...(mode === 'active-backup' ? [`echo ${words[0] ?? ''} >"$o/primary"`] : []),
  ];
  const made = `ip link add name ${port} type bond && mark ${port}`;
  return {
    check:
      words.map((member) => `spare ${member} ${port}; `).join('') +
      `[ ! -e "$N"/${port} ] || ours ${port} || refuse ${scriptExit.exists} 'there is an interface of that name'; ` +
      `fresh=; [ -e "$N"/${port} ] || fresh=1; o="$N"/${port}/bonding; ` +
      `m=$(readlink "$N"/${port}/master); m=\${m##*/}; [ -z "$m" ] || [ "$m" = ${word} ] || ` +
      `refuse ${scriptExit.exists} 'there is an interface of that name'; ` +
      '[ -d "$N/../../module/bonding" ] || modprobe bonding max_bonds=0 2>/dev/null; ',
    script: `{ [ -e "$N"/${port} ] || { ${made}; }; } && ip link set dev ${port} down && { ${options.join(' && ')}; }`,
    // One that was there has its guests: it is left for another try.
    undo: `[ -z "$fresh" ] || ip link del dev ${port}`,
  };
}

function removeUplinkScript(uplink: Uplink): string {
  const [word, port] = [interfaceWord(uplink.bridge), interfaceWord(portOf(uplink))];
  const others = `ls "$N"/${word}/brif 2>/dev/null | grep -vxF ${port}`;
  const check = `[ -z "$(${others})" ] || refuse ${scriptExit.busy} 'guests are on the bridge'; `;
  const remove = { card: releaseCard, vlan: deletePort, bond: deleteBond }[uplink.kind](port, word);
  return `${check}${remove}; ${removeScript(uplink.bridge)}`;
}

const deletePort = (port: string): string => `if ours ${port}; then ip link del dev ${port} || exit 1; fi`;

/** The link is taken down unless there is something else on it: nobody listens there any more. */
const releaseCard = (port: string, word: string): string =>
  `m=$(readlink "$N"/${port}/master); if [ "\${m##*/}" = ${word} ] && ours ${word}; then ` +
  `ip link set dev ${port} nomaster || exit 1; ls -d "$N"/${port}/upper_* >/dev/null 2>&1 || ip link set dev ${port} down; fi`;

const deleteBond = (port: string, word: string): string =>
  `[ -z "$(ls -d "$N"/${port}/upper_* 2>/dev/null | grep -vF /upper_${word})" ] || ` +
  `refuse ${scriptExit.busy} 'there are VLANs on the bond'; ${deletePort(port)}`;

/** What the way to whoever is at the other end of this connection must not change by. */
const way = 'way() { [ -z "$SSH_CONNECTION" ] || ip route get "${SSH_CONNECTION%% *}" 2>/dev/null | head -n 1; }; ';

/** @throws HostError bad-config */
function setAddressesScript(bridge: string, addresses: readonly string[]): string {
  const word = interfaceWord(bridge);
  for (const address of addresses) {
    if (!/^[0-9a-f:.]{2,45}\/\d{1,3}$/i.test(address)) {
      throw new HostError('bad-config', `not an address: ${JSON.stringify(address.slice(0, 100))}`);
    }
  }
  return (
    `${way}ours ${word} && [ -d "$N"/${word}/bridge ] || refuse ${scriptExit.exists} "the bridge is the host's own"; ` +
    `put() { ip addr flush dev ${word} scope global; for a in "$@"; do ip addr add "$a" dev ${word} || return 1; done; }; ` +
    `old=$(ip -o addr show dev ${word} scope global | while read -r i n f a r; do echo "$a"; done); w=$(way); rc=1; ` +
    `set -- ${addresses.join(' ')}; [ "$(echo $old)" != "$*" ] || exit 0; if put "$@"; then [ "$(way)" != "$w" ] || exit 0; rc=${scriptExit.busy}; ` +
    `echo 'the way to the manager would be another one' >&2; fi; put $old; exit $rc`
  );
}
