import { bytes, gibBytes, ManualClock, SeededRandom } from '@xenolith/base';
import { validationQuestions, type QuestionResult } from '@xenolith/experiments';
import { expect, test } from 'vitest';
import { guestFiles } from '../bootable-guests.ts';
import { ModelDriver } from '../model/model-driver.ts';
import { ModelHost } from '../model/model-host.ts';
import {
  askExact,
  pinsLook,
  pinSteps,
  poolsLook,
  poolSteps,
  type ByHandOutcome,
  type SteppedHost,
} from './exact-steps.ts';
import { tidyUp } from './arranged-host.ts';

async function modelHost(): Promise<SteppedHost> {
  const shape = {
    hostname: 'model',
    nodes: 2,
    socketsPerNode: 1,
    coresPerSocket: 4,
    threadsPerCore: 1,
    memoryBytes: bytes(4 * gibBytes),
    dom0MemoryBytes: bytes(gibBytes),
  };
  const driver = new ModelDriver(new ModelHost(shape, 1, new ManualClock()));
  await driver.connect();
  return { driver, random: new SeededRandom(1), guest: { ...guestFiles, cmdline: '' } };
}

const question = validationQuestions[0]!;
const refused: ByHandOutcome = { exitCode: 1, words: 'no' };

/** Takes the steps on two model hosts; `xl` is what the second one's administrator does. */
async function ask(
  steps: Parameters<typeof askExact>[1],
  look: Parameters<typeof askExact>[2],
  xl: (real: SteppedHost, words: readonly string[]) => Promise<ByHandOutcome> = () => Promise.resolve(refused),
): Promise<QuestionResult> {
  const [model, real] = [await modelHost(), await modelHost()];
  return await askExact(question, steps, look, { model, real, xl: (words) => xl(real, words), say: () => undefined });
}

test.each([
  ['pools', poolSteps, poolsLook],
  ['pins', pinSteps, pinsLook],
] as const)(
  'the steps on %s are the same on two hosts that are alike, and what is for xl by hand is refused',
  async (_, steps, look) => {
    const { steps: rows } = await ask(steps, look);
    expect(rows.filter(({ verdict }) => verdict !== 'holds')).toEqual([]);
    expect(rows.filter(({ byHand }) => byHand !== undefined).map(({ model }) => model.slice(0, 7))).toEqual(
      steps.filter(({ byHand }) => byHand !== undefined).map(() => 'refused'),
    );
    // Exact answers that are not refusals are done.
    expect(rows.filter(({ byHand, model }) => byHand === undefined && !model.startsWith('done'))).toEqual([]);
  },
);

test('a host that does by hand what its driver refused is found out', async () => {
  const { steps } = await ask(poolSteps.slice(0, 3), poolsLook, async ({ driver }, words) => {
    if (words.includes('cpus=["7"]')) await driver.scheduling.renameCpupool('a', 'c');
    return { exitCode: 0, words: '' };
  });
  expect(steps.map(({ verdict }) => verdict)).toEqual(['holds', 'holds', 'fails']);
  expect(steps[2]?.byHand).toBe('exit code 0');
});

test('a host that was split by nodes is tidied up to be as it was', async () => {
  const { driver, random, guest } = await modelHost();
  const before = await driver.scheduling.cpupools();
  await driver.scheduling.numaSplit();
  const clock = new ManualClock();
  await tidyUp({ driver, clock, random, guest, upText: '', say: () => undefined });
  expect(await driver.scheduling.cpupools()).toEqual(before);
});
