import { bytes, gibBytes, mibBytes, type Bytes } from '@xenolith/base';
import { HostError } from '@xenolith/xapi';
import { noContents, type ModelContents } from './model-contents.ts';

/** What the model knows of a file: what kind it is and how big, and of an image what was written into it from outside. */
export interface ModelFile {
  /** `unknown`: put back from records, which do not say. */
  readonly kind: 'image' | 'saved' | 'guest' | 'unknown';
  readonly sizeBytes: Bytes;
  /** What it takes on the disk: less than its size where it has holes. */
  readonly usedBytes: Bytes;
  /** Zeros when absent. What modelled guests write is not in it. */
  readonly contents?: ModelContents;
}

/** The size of a modelled host's one file system. */
export const modelDiskBytes = bytes(1024 * gibBytes);

/** How much the images of a host hold that is not zeros: it is kept in this process's memory. */
export const modelContentsMaxBytes = 256 * mibBytes;

/** What is under this directory is on every modelled host of a pool, as if they had mounted one file server there. */
export const sharedDirectory = '/shared';

/** The files under {@link sharedDirectory}, by path. */
export type SharedFiles = Map<string, ModelFile>;

/** The files of a modelled host: names and sizes in one file system of {@link modelDiskBytes}, and those that it shares. */
export class ModelFiles {
  readonly #own = new Map<string, ModelFile>();
  readonly #shared: SharedFiles;

  constructor(shared: SharedFiles = new Map()) {
    this.#shared = shared;
  }

  #mapOf(path: string): Map<string, ModelFile> {
    return path.startsWith(`${sharedDirectory}/`) ? this.#shared : this.#own;
  }

  /** @throws HostError bad-config when the path is not absolute. */
  get(path: string): ModelFile | undefined {
    checkPath(path);
    return this.#mapOf(path).get(path);
  }

  /** @throws HostError no-such-file as command-failed. */
  existing(path: string): ModelFile {
    const file = this.get(path);
    if (file === undefined) throw new HostError('command-failed', `${path}: No such file or directory`);
    return file;
  }

  /** The names of all files. */
  get paths(): readonly string[] {
    return [...this.#own.keys(), ...this.#shared.keys()];
  }

  get freeBytes(): Bytes {
    let free: number = modelDiskBytes;
    for (const file of [...this.#own.values(), ...this.#shared.values()]) free -= file.usedBytes;
    return bytes(free);
  }

  /**
   * Puts contents into an image.
   * @throws HostError no-space above {@link modelContentsMaxBytes}, and as {@link existing}
   */
  fill(path: string, contents: ModelContents): void {
    const file = this.existing(path);
    let held = contents.bytes;
    for (const other of [...this.#own.values(), ...this.#shared.values()]) {
      if (other !== file) held += (other.contents ?? noContents).bytes;
    }
    if (held > modelContentsMaxBytes) {
      const limit = modelContentsMaxBytes / mibBytes;
      throw new HostError('no-space', `${path}: a modelled host keeps ${limit} MiB that are not zeros in memory`);
    }
    this.put(path, { ...file, contents, usedBytes: bytes(contents.bytes) });
  }

  /** The files in a directory itself, by name. @throws HostError bad-config when the path is not absolute. */
  *in(directory: string): Generator<readonly [string, ModelFile]> {
    checkPath(directory);
    const prefix = `${directory}/`;
    for (const [path, file] of this.#mapOf(prefix)) {
      const name = path.slice(prefix.length);
      if (path.startsWith(prefix) && !/[/\p{Cc}]/u.test(name)) yield [name, file];
    }
  }

  /** Adds a file. @throws HostError exists, no-space, bad-config. */
  add(path: string, file: ModelFile): void {
    if (this.get(path) !== undefined) throw new HostError('exists', `${path}: File exists`);
    this.put(path, file);
  }

  /** Adds or replaces a file. @throws HostError no-space, bad-config. */
  put(path: string, file: ModelFile): void {
    const before = this.get(path)?.usedBytes ?? 0;
    if (file.usedBytes - before > this.freeBytes) {
      throw new HostError('no-space', `${path}: No space left on device`);
    }
    this.#mapOf(path).set(path, file);
  }

  remove(path: string): void {
    checkPath(path);
    this.#mapOf(path).delete(path);
  }
}

function checkPath(path: string): void {
  if (!path.startsWith('/') || path.includes('\0')) {
    throw new HostError('bad-config', `not an absolute path: ${JSON.stringify(path)}`);
  }
}
