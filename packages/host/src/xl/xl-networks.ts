import { shellQuote } from '@xenolith/wire';
import { HostError, type HostNetworks, type InterfaceFacts, type VlanBridge } from '@xenolith/xapi';
import { interfacesScript, madeHere, readInterfaces } from './host-facts.ts';
import { readSections, scriptExit, scriptHead, surviveHangup } from './host-script.ts';
import type { XlPort } from './xl-port.ts';

const lookLimitMs = 20_000;
const workLimitMs = 60_000;

/** {@link HostNetworks} by `ip link`, of iproute2 or of busybox. */
export function xlNetworks(run: XlPort['run']): HostNetworks {
  const work = async (called: string, script: string): Promise<void> => {
    await run(called, scriptHead + surviveHangup + script, { timeLimitMs: workLimitMs, lane: 'work' });
  };
  return {
    // Nothing that is here writes rules for packets.
    locksVifs: false,
    interfaces: async (): Promise<readonly InterfaceFacts[]> => {
      const text = `${scriptHead}${interfacesScript}exit 0`;
      const { stdout } = await run('ls /sys/class/net', text, { timeLimitMs: lookLimitMs, lane: 'look' });
      const sections = readSections(stdout);
      return readInterfaces(sections.get('interfaces') ?? '', sections.get('ipv4') ?? '');
    },
    createBridge: async (bridge) => await work(`ip link add ${bridge}`, createScript(bridge)),
    removeBridge: async (bridge) => await work(`ip link del ${bridge}`, removeScript(bridge)),
    createVlan: async (vlan) => await work(`ip link add ${vlanName(vlan)}`, createVlanScript(vlan)),
    removeVlan: async (vlan) => await work(`ip link del ${vlanName(vlan)}`, removeVlanScript(vlan)),
  };
}

/** @throws HostError bad-config for what is no name of an interface in Linux */
function interfaceWord(name: string): string {
  if (!/^(?!\.\.?$)[A-Za-z0-9_.-]{1,15}$/.test(name)) {
    throw new HostError('bad-config', `not an interface: ${JSON.stringify(name.slice(0, 100))}`);
  }
  return shellQuote(name);
}

const vlanName = ({ device, tag }: VlanBridge): string => `${device}.${tag}`;
const marked = (word: string): string => `ip link set dev ${word} alias ${shellQuote(madeHere)}`;
const isMarked = (word: string): string =>
  `[ "$(cat /sys/class/net/${word}/ifalias 2>/dev/null)" = ${shellQuote(madeHere)} ]`;

/** Of two that make it at once, one finds it there. One that cannot be made whole is removed. */
function createScript(bridge: string): string {
  const word = interfaceWord(bridge);
  const there = `[ -d /sys/class/net/${word}/bridge ]`;
  return (
    `if [ -e /sys/class/net/${word} ]; then ${there} || { echo 'there is an interface of that name' >&2; ` +
    `exit ${scriptExit.exists}; }; else ip link add name ${word} type bridge || { ${there}; exit $?; }; ` +
    `{ ${marked(word)} && ip link set dev ${word} up; } || { ip link del dev ${word}; exit 1; }; fi`
  );
}

function removeScript(bridge: string): string {
  const word = interfaceWord(bridge);
  const ports = `[ -z "$(ls /sys/class/net/${word}/brif 2>/dev/null)" ]`;
  return `if ${isMarked(word)} && ${ports}; then ip link del dev ${word}; fi`;
}

function createVlanScript(vlan: VlanBridge): string {
  const { device, tag, bridge } = vlan;
  const [word, parent, port] = [interfaceWord(bridge), interfaceWord(device), interfaceWord(vlanName(vlan))];
  if (!Number.isInteger(tag) || tag < 1 || tag > 4094) throw new HostError('bad-config', `not a VLAN tag: ${tag}`);
  const undo = `{ ip link del dev ${port}; ${removeScript(bridge)}; } 2>/dev/null; exit 1;`;
  return (
    `{ ${createScript(bridge)}; } || exit $?; [ -e /sys/class/net/${port} ] || ` +
    `{ ip link add link ${parent} name ${port} type vlan id ${tag} && ${marked(port)}; } || { ${undo} }; ` +
    `{ ip link set dev ${port} master ${word} && ip link set dev ${port} up; } || { ${undo} }`
  );
}

function removeVlanScript(vlan: VlanBridge): string {
  const [word, port] = [interfaceWord(vlan.bridge), interfaceWord(vlanName(vlan))];
  const others = `ls /sys/class/net/${word}/brif 2>/dev/null | grep -vxF ${port}`;
  return (
    `if [ -n "$(${others})" ]; then echo 'guests are on the bridge' >&2; exit ${scriptExit.busy}; fi; ` +
    `if ${isMarked(port)}; then ip link del dev ${port} || exit 1; fi; ${removeScript(vlan.bridge)}`
  );
}
