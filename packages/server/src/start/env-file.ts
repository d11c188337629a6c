import { shellQuote } from '@xenolith/wire';
import { writePrivateFile } from './private-file.ts';

/** How to reach a pool. */
export interface Credentials {
  readonly url: string;
  readonly user: string;
  /** Absent when root's password was changed, and is not known here. */
  readonly password: string | undefined;
}

/**
 * Writes what a script needs to log in, as lines that a shell can source: whole or not at all, for its owner alone.
 * @throws the system's error
 */
export function writeEnvFile(path: string, credentials: Credentials): void {
  writePrivateFile(path, `${environmentLines(credentials).join('\n')}\n`);
}

/** The variables that xe reads, quoted for a shell; the password only when it is known. */
export function environmentLines({ url, user, password }: Credentials): readonly string[] {
  const lines = [`XENOLITH_URL=${shellQuote(url)}`, `XENOLITH_USER=${shellQuote(user)}`];
  if (password !== undefined) lines.push(`XENOLITH_PASSWORD=${shellQuote(password)}`);
  return lines;
}
