/** Hashing of passwords with scrypt (RFC 7914). */
import { createHmac, randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';
import type { Passwords } from '@xenolith/xapi';

/** 16 MiB and about 50 ms of one processor for each try. */
const cost = { N: 16_384, r: 8, p: 1 } as const;
const keyBytes = 32;
const saltBytes = 16;
/** Passwords remembered as digests. */
const knownMax = 64;
/** A hash from elsewhere must not make us use more than this. */
const costMax = { N: 1_048_576, r: 32, p: 16 } as const;

const derive = (password: string, salt: Buffer, options: ScryptOptions): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(password, salt, keyBytes, { ...options, maxmem: 2 * 1024 * 1024 * 1024 }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });

/**
 * Hashes are `$scrypt$N=…,r=…,p=…$salt$key` (base64), so that the cost can rise without losing the old ones.
 *
 * A client such as `xe` logs in for each command. The last passwords that were right are remembered in this process as
 * keyed digests, so that only the first login of each user, and every wrong one, pays for the hash.
 */
export function scryptPasswords(): Passwords {
  const secret = randomBytes(32);
  const digest = (password: string, hash: string): Buffer =>
    createHmac('sha256', secret)
      .update(JSON.stringify([password, hash]))
      .digest();
  const known: Buffer[] = [];

  return {
    async hash(password) {
      const salt = randomBytes(saltBytes);
      const key = await derive(password, salt, cost);
      return `$scrypt$N=${cost.N},r=${cost.r},p=${cost.p}$${salt.toString('base64')}$${key.toString('base64')}`;
    },
    async verify(password, hash) {
      const asked = digest(password, hash);
      if (known.some((each) => timingSafeEqual(each, asked))) return true;
      const parsed = parseHash(hash);
      if (parsed === undefined) return false;
      const good = timingSafeEqual(await derive(password, parsed.salt, parsed.options), parsed.key);
      if (good && known.push(asked) > knownMax) known.shift();
      return good;
    },
  };
}

interface ParsedHash {
  readonly options: ScryptOptions;
  readonly salt: Buffer;
  readonly key: Buffer;
}

function parseHash(hash: string): ParsedHash | undefined {
  const match = /^\$scrypt\$N=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)$/.exec(hash);
  if (match === null) return undefined;
  const [N, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const key = Buffer.from(match[5] ?? '', 'base64');
  if (N > costMax.N || r > costMax.r || p > costMax.p || key.length !== keyBytes) return undefined;
  return { options: { N, r, p }, salt: Buffer.from(match[4] ?? '', 'base64'), key };
}
