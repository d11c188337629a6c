/** The directory that a campaign's data is kept in: its definition, and a file of samples that survives a crash at any moment. */
import { open, mkdir, readFile, rename, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  definitionChanges,
  definitionJson,
  parseSamples,
  sampleLine,
  type Campaign,
  type Sample,
} from '@xenolith/experiments/campaign';
import { BenchError } from './bench-error.ts';

const definitionName = 'campaign.json';
const samplesName = 'samples.jsonl';

export interface SampleLog {
  /** What is in it, warm-ups and failed runs too. */
  readonly samples: readonly Sample[];
  /** Adds a sample: it is on the disk when this is done. */
  append(sample: Sample): Promise<void>;
  close(): Promise<void>;
}

/** Makes the directory, and keeps the definition in it. @throws BenchError when another one is kept there already */
export async function keepDefinition(directory: string, campaign: Campaign): Promise<void> {
  await mkdir(directory, { recursive: true });
  const kept = await readIfThere(join(directory, definitionName));
  if (kept === undefined) {
    await writeWhole(directory, definitionName, definitionJson(campaign));
    await syncDirectory(dirname(directory));
    return;
  }
  const changes = definitionChanges(kept, campaign);
  if (changes.length === 0) return;
  throw new BenchError(
    [
      `the definition has changed since ${directory} was begun: its samples are of another campaign`,
      ...changes.map((change) => `  ${change}`),
      'take the changes back, or give --directory another one',
    ].join('\n'),
  );
}

/** The campaign that a directory was begun with. @throws BenchError when there is none */
export async function keptCampaign(directory: string): Promise<Campaign> {
  const kept = await readIfThere(join(directory, definitionName));
  if (kept === undefined) throw new BenchError(`${directory} holds no campaign`);
  return JSON.parse(kept) as Campaign;
}

/** The samples of a directory; none when there is no file of them. What is half written counts for nothing. */
export async function readSamples(directory: string): Promise<readonly Sample[]> {
  const text = (await readIfThere(join(directory, samplesName))) ?? '';
  return parsed(directory, text).samples;
}

/** Opens the file of samples to add to it; what was half written when its writer was killed is taken off first. */
export async function openSamples(directory: string): Promise<SampleLog> {
  const path = join(directory, samplesName);
  const text = await readIfThere(path);
  const { samples, wholeLength } = parsed(directory, text ?? '');
  const file = await open(path, 'a');
  try {
    const wholeBytes = Buffer.byteLength((text ?? '').slice(0, wholeLength));
    if (wholeLength < (text ?? '').length) await file.truncate(wholeBytes);
    await file.sync();
    if (text === undefined) await syncDirectory(directory);
  } catch (error) {
    await file.close();
    throw error;
  }
  return { samples, append: (sample) => append(file, sample), close: () => file.close() };
}

async function append(file: FileHandle, sample: Sample): Promise<void> {
  await file.writeFile(sampleLine(sample));
  await file.sync();
}

function parsed(directory: string, text: string): { samples: readonly Sample[]; wholeLength: number } {
  const file = parseSamples(text);
  if (!file.ok) throw new BenchError(`${join(directory, samplesName)}: ${file.error}`);
  return file.value;
}

/** Writes a file of the directory so that at any moment either the old content or the new one is there. */
export async function writeWhole(directory: string, name: string, content: string): Promise<void> {
  const path = join(directory, name);
  const file = await open(`${path}.new`, 'w');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncDirectory(directory);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
