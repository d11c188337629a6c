import { bytes, err, gibBytes, kibBytes, mibBytes, ok, unreachable, type Bytes, type Result } from '@xenolith/base';
import type { HostAddress, ModelShape } from '@xenolith/xapi';

/** What is wrong with an address, in words for whoever typed it. */
export interface HostAddressProblem {
  readonly code: 'syntax' | 'scheme' | 'password' | 'user' | 'hostname' | 'port' | 'option';
  readonly message: string;
}

type Parsed = Result<HostAddress, HostAddressProblem>;

const problem = (
  code: HostAddressProblem['code'],
  message: string,
): { readonly ok: false; error: HostAddressProblem } => err({ code, message });

/** The longest address that is looked at. */
const maxAddressLength = 2048;

/** A host name, an IPv4 address, or an IPv6 address (without its brackets). Never begins with a dash. */
const hostnamePattern = /^(?:[0-9A-Za-z_](?:[0-9A-Za-z_.-]{0,252})|[0-9A-Fa-f:.]{2,45}(?:%[0-9A-Za-z]{1,15})?)$/;
/** A Unix user name, as useradd lets it be with some room. */
const userPattern = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

/**
 * Reads where a host is:
 *
 * - `local:` this machine is the control domain;
 * - `ssh://user@name:port?identity=FILE&known_hosts=FILE` a control domain over SSH; user root, port 22, the user's
 *   own key files and known_hosts unless given; a path begins with `/` or `~/`;
 * - `model:NAME?nodes=2&sockets=1&cores=4&threads=1&memory=16G&dom0=1G&nics=1&seed=1` a modelled host, every part optional.
 *
 * @param options.homeDirectory what `~/` stands for.
 */
export function parseHostAddress(text: string, options: { readonly homeDirectory?: string } = {}): Parsed {
  if (text.length > maxAddressLength || /[\s\0]/.test(text)) {
    return problem('syntax', 'a host address has no blanks and at most 2048 characters');
  }
  const scheme = /^[a-z]+(?=:)/.exec(text)?.[0];
  if (scheme === 'local') {
    return text === 'local:' ? ok({ kind: 'local' }) : problem('syntax', 'the local host is just local:');
  }
  if (scheme === 'model') return parseModelAddress(text);
  if (scheme === 'ssh') return parseSshAddress(text, options.homeDirectory);
  return problem('scheme', 'a host address begins with ssh://, local: or model:');
}

/** The address as text, so that {@link parseHostAddress} gives it back. */
export function formatHostAddress(address: HostAddress): string {
  switch (address.kind) {
    case 'local':
      return 'local:';
    case 'ssh': {
      const query = new URLSearchParams();
      if (address.identityFile !== undefined) query.set('identity', address.identityFile);
      if (address.knownHostsFile !== undefined) query.set('known_hosts', address.knownHostsFile);
      const host = address.hostname.includes(':') ? `[${address.hostname}]` : address.hostname;
      return `ssh://${address.user}@${host}:${address.port}${query.size === 0 ? '' : `?${query.toString()}`}`;
    }
    case 'model': {
      const { shape } = address;
      const query = new URLSearchParams({
        nodes: String(shape.nodes),
        sockets: String(shape.socketsPerNode),
        cores: String(shape.coresPerSocket),
        threads: String(shape.threadsPerCore),
        memory: String(shape.memoryBytes),
        dom0: String(shape.dom0MemoryBytes),
        ...(shape.networkCards === undefined ? {} : { nics: String(shape.networkCards) }),
        seed: String(address.seed),
      });
      return `model:${shape.hostname}?${query.toString()}`;
    }
    default:
      return unreachable(address);
  }
}

/** URLSearchParams reads `+` as a blank, which a path may well contain: it is taken as it is. */
function parseQuery(query: string, known: readonly string[]): Result<ReadonlyMap<string, string>, HostAddressProblem> {
  const found = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(query.replaceAll('+', '%2B'))) {
    if (!known.includes(key)) return problem('option', `unknown option ${key}; known are ${known.join(', ')}`);
    if (found.has(key)) return problem('option', `option ${key} is there twice`);
    found.set(key, value);
  }
  return ok(found);
}

function parseSshAddress(text: string, homeDirectory: string | undefined): Parsed {
  const match =
    /^ssh:\/\/(?:(?<login>[^@/?#]*)@)?(?<host>\[[^\]]*\]|[^:/?#@]*)(?::(?<port>[^/?#@]*))?\/?(?:\?(?<query>[^#]*))?$/.exec(
      text,
    )?.groups;
  if (match === undefined) return problem('syntax', 'expected ssh://user@host:port');
  const user = match.login ?? 'root';
  if (user.includes(':')) {
    return problem('password', 'an address must not carry a password: use a key (identity=FILE) or an agent');
  }
  if (!userPattern.test(user)) return problem('user', 'the user name is not one');
  const hostname = (match.host ?? '').replace(/^\[|\]$/g, '');
  if (!hostnamePattern.test(hostname)) return problem('hostname', 'the host name is not one');
  const portText = match.port ?? '22';
  const port = Number(portText);
  if (!/^[0-9]{1,5}$/.test(portText) || port < 1 || port > 65535) return problem('port', 'a port is 1 to 65535');
  const query = parseQuery(match.query ?? '', ['identity', 'known_hosts']);
  if (!query.ok) return query;
  const paths: { identityFile?: string; knownHostsFile?: string } = {};
  for (const [key, field] of [
    ['identity', 'identityFile'],
    ['known_hosts', 'knownHostsFile'],
  ] as const) {
    const value = query.value.get(key);
    if (value === undefined) continue;
    const path = value.startsWith('~/') && homeDirectory !== undefined ? homeDirectory + value.slice(1) : value;
    if (!path.startsWith('/')) return problem('option', `${key} must be an absolute path`);
    paths[field] = path;
  }
  return ok({ kind: 'ssh', user, hostname, port, ...paths });
}

/** What a modelled host is when its address does not say: small, but with something to place on. */
export const defaultModelShape: ModelShape = {
  hostname: 'model',
  nodes: 2,
  socketsPerNode: 1,
  coresPerSocket: 4,
  threadsPerCore: 1,
  memoryBytes: bytes(16 * gibBytes),
  dom0MemoryBytes: bytes(gibBytes),
};

function parseModelAddress(text: string): Parsed {
  const match = /^model:(?<name>[^?#]*)(?:\?(?<query>[^#]*))?$/.exec(text)?.groups;
  if (match === undefined) return problem('syntax', 'expected model:name?option=value');
  const hostname = match.name === undefined || match.name === '' ? defaultModelShape.hostname : match.name;
  if (!/^[0-9A-Za-z][0-9A-Za-z.-]{0,62}$/.test(hostname)) return problem('hostname', 'the host name is not one');
  const query = parseQuery(match.query ?? '', [
    'nodes',
    'sockets',
    'cores',
    'threads',
    'memory',
    'dom0',
    'nics',
    'seed',
  ]);
  if (!query.ok) return query;
  const options = query.value;
  const counts = new Map<string, number>();
  for (const [key, otherwise] of [
    ['nodes', defaultModelShape.nodes],
    ['sockets', defaultModelShape.socketsPerNode],
    ['cores', defaultModelShape.coresPerSocket],
    ['threads', defaultModelShape.threadsPerCore],
  ] as const) {
    const value = options.get(key) ?? String(otherwise);
    if (!/^[0-9]{1,3}$/.test(value) || Number(value) < 1 || Number(value) > 128) {
      return problem('option', `${key} is a number from 1 to 128`);
    }
    counts.set(key, Number(value));
  }
  const count = (key: string): number => counts.get(key) ?? 1;
  if (count('nodes') * count('sockets') * count('cores') * count('threads') > 4095) {
    return problem('option', 'a machine has at most 4095 pCPUs');
  }
  const memoryBytes = parseSize(options.get('memory')) ?? defaultModelShape.memoryBytes;
  const dom0MemoryBytes = parseSize(options.get('dom0')) ?? defaultModelShape.dom0MemoryBytes;
  if (memoryBytes === 'bad' || dom0MemoryBytes === 'bad') {
    return problem('option', 'memory and dom0 are sizes such as 16G or 512M');
  }
  if (dom0MemoryBytes > memoryBytes) return problem('option', 'dom0 has more memory than the machine');
  const nics = options.get('nics');
  if (nics !== undefined && !/^(?:[1-9]|1[0-6])$/.test(nics)) return problem('option', 'nics is a number from 1 to 16');
  const seed = options.get('seed') ?? '1';
  if (!/^[0-9]{1,9}$/.test(seed)) return problem('option', 'seed is a number of at most nine digits');
  return ok({
    kind: 'model',
    seed: Number(seed),
    shape: {
      hostname,
      nodes: count('nodes'),
      socketsPerNode: count('sockets'),
      coresPerSocket: count('cores'),
      threadsPerCore: count('threads'),
      memoryBytes,
      dom0MemoryBytes,
      ...(nics === undefined ? {} : { networkCards: Number(nics) }),
    },
  });
}

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  K: kibBytes,
  M: mibBytes,
  G: gibBytes,
  T: 1024 * gibBytes,
};

function parseSize(text: string | undefined): Bytes | 'bad' | undefined {
  if (text === undefined) return undefined;
  const match = /^(?<number>[0-9]{1,15})(?<unit>[KMGT]?)$/.exec(text)?.groups;
  const size = Number(match?.number ?? Number.NaN) * (sizeUnits[match?.unit ?? ''] ?? Number.NaN);
  return size >= mibBytes && size <= 64 * 1024 * gibBytes ? bytes(size) : 'bad';
}
