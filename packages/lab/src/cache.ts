import { access, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withFileLock } from './file-lock.ts';
import { buildImage } from './image/build.ts';
import { dom0Recipe, recipeHash } from './image/recipe.ts';
import type { Progress } from './progress.ts';

/** Another process may be building: it is worth waiting for. */
const LOCK_TIMEOUT_MS = 1_800_000;
const WORK_PREFIX = 'work-';

/** `$XDG_CACHE_HOME/xenolith/lab`, or `~/.cache/xenolith/lab`. */
export function defaultCacheDirectory(): string {
  return join(xdgDirectory('XDG_CACHE_HOME', '.cache'), 'xenolith/lab');
}

/** `$XDG_STATE_HOME/xenolith/lab`, or `~/.local/state/xenolith/lab`. */
export function defaultStateDirectory(): string {
  return join(xdgDirectory('XDG_STATE_HOME', '.local/state'), 'xenolith/lab');
}

function xdgDirectory(variable: string, fallback: string): string {
  const value = process.env[variable];
  // By the XDG specification a relative path is to be ignored.
  return value !== undefined && value.startsWith('/') ? value : join(homedir(), fallback);
}

/** Whether a path exists. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The directory of the dom0 image this version of the lab wants. */
export function imageDirectory(cacheDirectory: string): string {
  return join(cacheDirectory, `image-${recipeHash(dom0Recipe())}`);
}

/**
 * Makes `target` once: when it is not there, `make` gets an empty directory to work in, under the cache's lock, and must rename what it made to `target`
 * as its last act. What earlier makers left behind when they were killed is removed.
 */
export async function makeOnce(
  cacheDirectory: string,
  target: string,
  options: { readonly progress: Progress; readonly signal?: AbortSignal | undefined },
  make: (workDirectory: string) => Promise<void>,
): Promise<void> {
  if (await exists(target)) return;
  await mkdir(cacheDirectory, { recursive: true });
  const lock = {
    timeoutMs: LOCK_TIMEOUT_MS,
    signal: options.signal,
    onWait: () => options.progress('waiting for another build', 0),
  };
  await withFileLock(join(cacheDirectory, 'lock'), lock, async () => {
    if (await exists(target)) return;
    for (const name of await readdir(cacheDirectory)) {
      if (name.startsWith(WORK_PREFIX)) await rm(join(cacheDirectory, name), { recursive: true, force: true });
    }
    const work = await mkdtemp(join(cacheDirectory, WORK_PREFIX));
    try {
      await make(work);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}

/** Builds the dom0 image unless it is in the cache, and gives its directory. Errors as buildImage and withFileLock. */
export async function ensureImage(options: {
  readonly cacheDirectory: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}): Promise<string> {
  const target = imageDirectory(options.cacheDirectory);
  await makeOnce(options.cacheDirectory, target, options, (work) =>
    buildImage({
      work,
      target,
      aptDirectory: join(options.cacheDirectory, 'apt'),
      progress: options.progress,
      signal: options.signal,
    }),
  );
  return target;
}
