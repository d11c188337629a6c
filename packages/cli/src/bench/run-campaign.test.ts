/** What a campaign ends with when something goes wrong, and more at its end: a host that is not there stands for one that was lost. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { domId } from '@xenolith/base';
import { parseCampaign, parseMachineFacts } from '@xenolith/experiments/campaign';
import type { Transport } from '@xenolith/host';
import { HostError, type HostDriver, type HostFacts } from '@xenolith/xapi';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BenchError, BenchInterrupted } from './bench-error.ts';
import type { BenchHost } from './bench-host.ts';
import { runCampaign } from './run-campaign.ts';
import { thisMachine } from './this-machine.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-campaign-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const silent = (): Promise<never> => Promise.reject(new HostError('unreachable', 'silent for 60 s'));

interface Lost {
  readonly create: () => Promise<never>;
  readonly copyImage?: () => Promise<void>;
  readonly tidy: Transport['run'];
  readonly close?: () => Promise<void>;
}

/** A host whose guests cannot be made. */
function lostHost({ create, copyImage, tidy, close }: Lost, signal: AbortSignal): BenchHost {
  return {
    place: { ...thisMachine(signal), name: 'host dom0' },
    dom0: parseMachineFacts(''),
    xen: undefined,
    guests: () =>
      Promise.resolve({
        driver: { create, files: { copyImage } } as unknown as HostDriver,
        facts: { guests: [{ type: 'pv', kernel: '/vmlinuz' }] } as unknown as HostFacts,
        name: 'bench-0123456789',
        transport: { run: tidy } as unknown as Transport,
      }),
    close: close ?? (() => Promise.resolve()),
  };
}

async function errorOf(lost: Lost, interruption = new AbortController()): Promise<unknown> {
  const campaign = parseCampaign(
    `
name: lost
runs: 1
workloads: {w: {kind: command, command: x}}
configurations: {a: {in: guests, host: lab, vms: 2, disk: /srv/disk.raw}, b: {in: guests, host: lab, disk: /srv/disk.raw}}
`,
    () => undefined,
  );
  if (!campaign.ok) throw new Error(JSON.stringify(campaign.error));
  const { signal } = interruption;
  return runCampaign({
    campaign: campaign.value,
    directory,
    definitionDirectory: directory,
    place: thisMachine(new AbortController().signal),
    openHost: () => Promise.resolve(lostHost(lost, signal)),
    signal,
    rounds: 1,
    now: () => '',
    progress: () => undefined,
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
}

const failing: Transport['run'] = () => Promise.resolve({ exitCode: 1, stdout: '', stderr: 'xl: no' });
const copied = (): Promise<void> => Promise.resolve();

test('what went wrong first is told first: the host is lost before it cannot be tidied up', async () => {
  const close = (): Promise<void> => Promise.reject(new BenchError('host dom0: the connection is lost'));
  const error = await errorOf({ create: silent, copyImage: copied, tidy: failing, close });
  expect(error).toBeInstanceOf(BenchError);
  expect((error as BenchError).message.split('\n')).toEqual([
    'host dom0: silent for 60 s',
    'host dom0: it could not be tidied up after a run',
    'xl: no',
    'host dom0: the connection is lost',
  ]);
  const once = await errorOf({ create: silent, copyImage: copied, tidy: silent });
  expect((once as BenchError).message).toBe('host dom0: silent for 60 s');
});

test('who interrupts is told so, also where the host cannot be tidied up then', async () => {
  const interruption = new AbortController();
  const create = (): Promise<never> => {
    interruption.abort();
    return silent();
  };
  const error = await errorOf({ create, copyImage: copied, tidy: failing }, interruption);
  expect(error).toBeInstanceOf(BenchInterrupted);
  expect((error as BenchError).message).toMatch(/^interrupted:[^]*\nhost dom0: it could not be tidied up/);
});

test('an interruption while a disk is copied makes no guest', async () => {
  const interruption = new AbortController();
  const made: string[] = [];
  const create = (): Promise<never> => {
    made.push('a guest');
    return Promise.resolve(domId(1)) as Promise<never>;
  };
  const copyImage = (): Promise<void> => {
    made.push('a disk');
    interruption.abort();
    return Promise.resolve();
  };
  const tidy: Transport['run'] = () => Promise.resolve({ exitCode: 0, stdout: '', stderr: '' });
  expect(await errorOf({ create, copyImage, tidy }, interruption)).toBeInstanceOf(BenchInterrupted);
  expect(made).toEqual(['a disk']);
});
