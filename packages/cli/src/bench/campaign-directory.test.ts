/** What is kept of a campaign, on a real disk. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ok } from '@xenolith/base';
import {
  parseCampaign,
  parseMachineFacts,
  planSteps,
  sampleLine,
  sampleOf,
  type Campaign,
} from '@xenolith/experiments/campaign';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keepDefinition, keptCampaign, openSamples, readSamples } from './campaign-directory.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-campaign-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function campaign(runs: number): Campaign {
  const read = parseCampaign(
    `
name: kept
runs: ${runs}
workloads: {w: {kind: command, command: x}}
configurations: {a: , b: }
`,
    () => undefined,
  );
  if (!read.ok) throw new Error('a definition');
  return read.value;
}

const samples = planSteps(campaign(2)).map((step) =>
  sampleOf(step, { exitStatus: 0, seconds: 1, isTimedOut: false, stdout: 'é', stderr: '' }, ok(1), {
    unit: 's',
    startedAt: '',
    endedAt: '',
    place: 'here',
    machine: parseMachineFacts(''),
    programs: {},
    said: undefined,
  }),
);

test('the definition is kept once; another one is refused with what differs', async () => {
  const path = join(directory, 'new', 'one');
  await keepDefinition(path, campaign(2));
  await keepDefinition(path, campaign(2));
  await expect(keepDefinition(path, campaign(3))).rejects.toThrow(
    /^the definition has changed[^]*\n {2}runs: 2 became 3\n/,
  );
  expect(await keptCampaign(path)).toMatchObject({ name: 'kept', runs: 2 });
  await expect(keptCampaign(directory)).rejects.toThrow('holds no campaign');
});

test('samples outlast a crash at any byte: what was whole is there, what was half is gone, and writing goes on', async () => {
  const path = join(directory, 'samples.jsonl');
  const [first, second, third] = samples.map((sample) => Buffer.from(sampleLine(sample))) as [Buffer, Buffer, Buffer];
  for (let cut = 0; cut <= second.length; cut += 7) {
    writeFileSync(path, Buffer.concat([first, second.subarray(0, cut)]));
    expect(await readSamples(directory)).toHaveLength(1);
    const log = await openSamples(directory);
    expect(log.samples).toEqual([samples[0]]);
    await log.append(samples[2]!);
    await log.close();
    expect(readFileSync(path)).toEqual(Buffer.concat([first, third]));
  }
});

test('a file that something else wrote to is not gone on with', async () => {
  writeFileSync(join(directory, 'samples.jsonl'), `${sampleLine(samples[0]!)}nonsense\n`);
  await expect(openSamples(directory)).rejects.toThrow('samples.jsonl: line 2 is no sample');
});
