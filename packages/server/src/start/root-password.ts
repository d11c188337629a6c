/** Root's first password: made at first start, and kept readable for as long as it is the right one. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '@xenolith/base';
import type { Xapi } from '@xenolith/xapi';
import { writePrivateFile } from './private-file.ts';

export const rootPasswordFile = 'root-password';

/** Letters and digits that are not taken for one another, and that no shell or URL takes for its own. */
const alphabet = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';
/** 20 of 56 characters: 116 bits. */
const length = 20;

function makePassword(random: Random): string {
  // Words in the last, incomplete run of the alphabet would make its first letters likelier.
  const limit = 2 ** 32 - (2 ** 32 % alphabet.length);
  let password = '';
  while (password.length < length) {
    const word = random.nextUint32();
    if (word < limit) password += alphabet[word % alphabet.length] ?? '';
  }
  return password;
}

/**
 * Root's password as far as this process can know it: the one it makes when there is none, or the one it made at an
 * earlier start, while nobody has changed it. When it was changed, the file with the old one is removed.
 */
export async function rootPassword(xapi: Xapi, directory: string, random: Random): Promise<string | undefined> {
  const path = join(directory, rootPasswordFile);
  if (!xapi.sessions.hasRootPassword) {
    const password = makePassword(random);
    // The file first: a hash whose password nobody knows would lock everybody out.
    writePrivateFile(path, `${password}\n`);
    await xapi.sessions.setRootPassword(password);
    await xapi.db.durable();
    return password;
  }
  if (!existsSync(path)) return undefined;
  const password = readFileSync(path, 'utf8').trim();
  if (await xapi.sessions.isRootPassword(password)) return password;
  rmSync(path, { force: true });
  return undefined;
}
