import { LAB_BRIDGE } from '../image/dom0-files.ts';

/** What makes a restored host itself. */
export type HostIdentity = {
  readonly name: string;
  readonly bridgeAddress: string;
  readonly macAddress: string;
  /** The host's own ssh key, as ssh-keygen writes it. */
  readonly hostKey: string;
  /** The one key that may log in as root. */
  readonly authorizedKey: string;
  /** Lines `address name` for the whole lab. */
  readonly hostsLines: readonly string[];
  /** Fresh random bytes, base64: two restored hosts would otherwise draw the same random numbers, and so the same MACs and UUIDs for guests. */
  readonly randomSeed: string;
};

/** The network of the hosts' bridges. */
const BRIDGE_NETWORK = '10.9.0';
const BRIDGE_PREFIX_LENGTH = 24;

/** The bridge address of the host with this index (1..254). */
export function bridgeAddress(index: number): string {
  return `${BRIDGE_NETWORK}.${index}`;
}

/** The address of the second network card of the host with this index; the prefix is QEMU's. */
export function linkMac(index: number): string {
  return `52:54:00:10:09:${index.toString(16).padStart(2, '0')}`;
}

/** A word for a POSIX shell. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * The script that makes a restored dom0 one particular host, run before anybody can log in. `RNDRESEEDCRNG` (0x5207, include/uapi/linux/random.h) makes
 * the kernel use the new seed at once instead of within a minute. sshd goes into the background before it listens; its pid
 * file comes after.
 */
export function identityScript(identity: HostIdentity, nowMs: number): string {
  const quote = shellQuote;
  return `set -e
umask 077
base64 -d <<<${quote(identity.randomSeed)} >/dev/urandom
perl -e 'ioctl(STDIN, 0x5207, 0) or die "reseed: $!"' </dev/urandom
hostname ${quote(identity.name)}
printf '%s\\n' ${quote(identity.name)} >/etc/hostname
printf '%s\\n' '127.0.0.1 localhost' ${identity.hostsLines.map(quote).join(' ')} >/etc/hosts
ip link set eth1 address ${quote(identity.macAddress)}
ip addr flush dev ${LAB_BRIDGE}
ip addr add ${quote(`${identity.bridgeAddress}/${BRIDGE_PREFIX_LENGTH}`)} dev ${LAB_BRIDGE}
printf '%s' ${quote(identity.hostKey)} >/etc/ssh/ssh_host_ed25519_key
printf '%s\\n' ${quote(identity.authorizedKey)} >/root/.ssh/authorized_keys
chmod 644 /etc/hosts /etc/hostname
date -u -s ${quote(`@${(nowMs / 1000).toFixed(3)}`)} >/dev/null
umask 022
rm -f /run/sshd.pid
/usr/sbin/sshd
for _ in {1..500}; do [ -s /run/sshd.pid ] && exit 0; sleep 0.02; done
echo 'sshd does not listen'
exit 1`;
}
