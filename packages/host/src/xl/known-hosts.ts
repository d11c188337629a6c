import { createHmac, timingSafeEqual } from 'node:crypto';

/** A line of a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT) that names a plain key. */
interface KnownHost {
  readonly revoked: boolean;
  readonly matches: (name: string) => boolean;
  readonly keyType: string;
  readonly key: Buffer;
}

/** What a known_hosts file says of a host's key. */
export type HostKeyVerdict = 'known' | 'unknown' | 'changed' | 'revoked';

/** A larger file is not read. */
export const knownHostsLimitBytes = 4 * 1024 * 1024;

/**
 * A known_hosts file as OpenSSH reads it: plain and hashed names, wildcards, negation, `[name]:port`, revoked keys.
 * `@cert-authority` lines are passed over, as host certificates are not asked for. Lines it does not understand are
 * passed over too, as ssh does.
 */
export class KnownHosts {
  readonly #entries: readonly KnownHost[];

  constructor(text: string) {
    this.#entries = text.split('\n').flatMap((line) => parseLine(line) ?? []);
  }

  /** Types of the plain keys known for a host: those to ask the server for first, lest it offers another. */
  keyTypes(hostname: string, port: number): readonly string[] {
    const name = hostPortName(hostname, port);
    return this.#entries.filter((entry) => !entry.revoked && entry.matches(name)).map(({ keyType }) => keyType);
  }

  /** @param key the public key blob of RFC 4253, section 6.6, as the server sent it. */
  verify(hostname: string, port: number, key: Buffer): HostKeyVerdict {
    const name = hostPortName(hostname, port);
    const same = (entry: KnownHost): boolean => entry.key.equals(key);
    if (this.#entries.some((entry) => entry.revoked && entry.matches(name) && same(entry))) return 'revoked';
    const known = this.#entries.filter((entry) => !entry.revoked && entry.matches(name));
    if (known.some(same)) return 'known';
    return known.length > 0 ? 'changed' : 'unknown';
  }
}

/** The name under which known_hosts has a host: its own at port 22, `[name]:port` elsewhere. */
export const hostPortName = (hostname: string, port: number): string =>
  port === 22 ? hostname.toLowerCase() : `[${hostname.toLowerCase()}]:${port}`;

function parseLine(line: string): KnownHost | undefined {
  const words = line.trim().split(/[ \t]+/);
  const marker = words[0]?.startsWith('@') === true ? words.shift() : undefined;
  const [names, keyType, base64] = words;
  if (names === undefined || names.startsWith('#') || keyType === undefined || base64 === undefined) return undefined;
  if (marker !== undefined && marker !== '@revoked') return undefined;
  const matches = names.startsWith('|') ? hashedMatcher(names) : plainMatcher(names);
  const key = Buffer.from(base64, 'base64');
  if (matches === undefined || key.length === 0) return undefined;
  return { revoked: marker === '@revoked', matches, keyType, key };
}

/** `|1|salt|hash`: HMAC-SHA1 of the name under the salt, both in base64. */
function hashedMatcher(names: string): ((name: string) => boolean) | undefined {
  const [empty, version, salt, hash, more] = names.split('|');
  if (empty !== '' || version !== '1' || salt === undefined || hash === undefined || more !== undefined)
    return undefined;
  const expected = Buffer.from(hash, 'base64');
  return (name) => {
    const actual = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest();
    return actual.length === expected.length && timingSafeEqual(actual, expected);
  };
}

function plainMatcher(names: string): (name: string) => boolean {
  const patterns = names.split(',').map((word) => {
    const negated = word.startsWith('!');
    return { negated, text: (negated ? word.slice(1) : word).toLowerCase() };
  });
  return (name) => {
    const hits = patterns.filter(({ text }) => matchesGlob(text, name));
    return hits.length > 0 && hits.every(({ negated }) => !negated);
  };
}

/** `*` and `?` as in ssh_config(5), PATTERNS; in linear space and without backtracking into the past. */
function matchesGlob(pattern: string, name: string): boolean {
  let p = 0;
  let n = 0;
  let starAt = -1;
  let resumeAt = 0;
  while (n < name.length) {
    if (p < pattern.length && pattern[p] === '*') {
      starAt = p++;
      resumeAt = n;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p++;
      n++;
    } else if (starAt >= 0) {
      p = starAt + 1;
      n = ++resumeAt;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}
