/** What `xenolith ministat` reads and writes. */
import { readFile } from 'node:fs/promises';
import { endWithOutput } from '../output-closed.ts';

/** A data set that there is not. */
export class DataError extends Error {
  /** ministat's own exit codes: 1 for a file that cannot be read, 2 for too little or wrong data, as for a wrong command line. */
  readonly exitCode: number;
  constructor(why: 'unreadable' | 'wrong data', message: string) {
    super(message);
    this.exitCode = why === 'unreadable' ? 1 : 2;
  }
}

export interface MinistatWorld {
  /** The bytes of a file, or with `-` of standard input, of which nothing is left the second time. Throws DataError. */
  readonly read: (file: string) => Promise<Uint8Array>;
  readonly print: (lines: Iterable<string>) => Promise<void>;
  readonly warn: (message: string) => void;
  /** Ends with an error. */
  readonly fail: (error: DataError) => void;
  /** The width of a picture when none is asked for, in characters. */
  readonly width: () => number;
}

const say = (message: string): void => {
  process.stderr.write(`xenolith: ${message}\n`);
};

/** The files and streams of this process. */
export function ministatProcess(): MinistatWorld {
  endWithOutput();
  return {
    read: (file) => (file === '-' ? readInput() : readBytes(file)),
    print,
    warn: say,
    fail: ({ message, exitCode }) => {
      say(message);
      process.exitCode = exitCode;
    },
    width: () => widthFor(process.stdout, process.env['COLUMNS']),
  };
}

/** @throws DataError */
export async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    // ministat opens a directory, and finds nothing in it.
    if (error.code === 'EISDIR') return new Uint8Array();
    throw new DataError('unreadable', `cannot read ${file}: ${error.message}`);
  }
}

async function readInput(): Promise<Uint8Array> {
  if (process.stdin.readableEnded) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** Written at once. */
const chunkChars = 1 << 16;

/** Prints lines as fast as they are taken: a picture of many equal values is as high as they are many. */
async function print(lines: Iterable<string>): Promise<void> {
  let chunk = '';
  for (const line of lines) {
    chunk += `${line}\n`;
    if (chunk.length < chunkChars) continue;
    await write(chunk);
    chunk = '';
  }
  await write(chunk);
}

const write = (text: string): Promise<void> =>
  new Promise((resolve) => {
    process.stdout.write(text, () => resolve());
  });

const widthPiped = 74;

/**
 * ministat's width of a picture: 74, but on a terminal what COLUMNS says, or else what fits between the borders.
 * @param output where it goes; `columns` is 0 or undefined for a terminal that does not tell
 */
export function widthFor(
  output: { readonly isTTY?: boolean; readonly columns?: number },
  columnsVariable: string | undefined,
): number {
  if (output.isTTY !== true) return widthPiped;
  if (/^[1-9]\d{0,4}$/.test(columnsVariable ?? '')) return Number(columnsVariable);
  return output.columns === undefined || output.columns === 0 ? widthPiped : output.columns - 2;
}
