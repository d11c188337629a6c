import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * Sees that a file could be written, before there is anything to write.
 * @throws the system's error
 */
export function assertPlaceForFile(path: string): void {
  const directory = dirname(path);
  if (!statSync(directory).isDirectory()) throw new Error(`${directory} is no directory`);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) throw new Error(`${path} is a directory`);
  accessSync(directory, constants.W_OK);
}

/**
 * Writes a file that its owner alone may read, under its name whole or not at all, and on disk when this returns.
 * @throws the system's error
 */
export function writePrivateFile(path: string, content: string): void {
  const temporary = `${path}.${process.pid}.new`;
  try {
    const file = openSync(temporary, 'w', 0o600);
    try {
      writeSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
