import { CommanderError } from 'commander';
import { describe, expect, test } from 'vitest';
import { predictDom0, type Dom0Options } from './dom0-prediction.ts';

const log = new URL('../../../../tests/fixtures/xl/xl-dmesg.txt', import.meta.url).pathname;
const usage = (message: string): CommanderError => new CommanderError(2, 'xenolith.experiment', message);
const memory = 48 * 2 ** 30;

const predict = (options: Dom0Options, output: { readonly json?: true; readonly csv?: true } = {}): Promise<string> =>
  predictDom0({ seed: 1, ...options, ...output }, usage).then(({ stdout }) => stdout);

describe('one dom0', () => {
  test('as table, JSON and CSV', async () => {
    const one = { memory, dom0Mem: '3G,max:3G', kernel: '6.1' };
    const json = JSON.parse(await predict(one, { json: true })) as { readonly memTotalKib: number };
    expect(json).toMatchObject({ kernel: '6.1', dom0Mem: '3G,max:3G', machine: { map: 'typical' } });
    const { memTotalKib } = json;
    expect(await predict(one, { csv: true })).toContain(`MemTotal,${memTotalKib / 4},${memTotalKib}\n`);
    expect(await predict(one)).toMatch(/^dom0 with dom0_mem=3G,max:3G, Linux 6\.1 \(remap\), 1 vCPU\n/);
  });

  test('on the machine of a log', async () => {
    const value: unknown = JSON.parse(await predict({ map: log, dom0Mem: '1G' }, { json: true }));
    // Ten times of 1 GiB is more than the machine has: there is room for all of it.
    expect(value).toMatchObject({ machine: { map: log, usablePages: 1_048_444 }, pages: { covered: 1_048_444 } });
  });

  test.each<[Dom0Options, RegExp]>([
    [{ kernel: '6.1' }, /needs --memory or --map/],
    [{ memory, map: log }, /no --memory with it/],
    [{ memory, dom0Mem: '3X' }, /"3X" is no amount.*; Xen ignores it and what follows/],
    [{ memory, dom0Mem: '' }, /"" is no amount/],
    [{ memory, dom0Mem: '64G' }, /the initial amount is 65536 MiB/],
    [{ memory, kernel: '2.4' }, /not modelled/],
    [{ map: new URL(import.meta.url).pathname }, /has no memory map/],
  ])('%j is refused', async (options, message) => {
    await expect(predict(options)).rejects.toMatchObject({ exitCode: 2, message: expect.stringMatching(message) });
  });
});
