import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, spread, timeMs, type Bench } from './bench.ts';
import { root, startXenolithd } from './process.ts';

const run = (program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...env },
    });
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code}`));
    });
  });

/** `npm start` until it is ready, the first time in a directory and later times. */
export const npmStart: Bench = {
  name: 'npm-start',
  what: '`npm start` until ready, once installed, with a pool that exists already',
  bar: { text: 'at most 1500 ms', holds: (ms) => ms <= 1500 },
  run: async (size) => {
    const rounds = size === 'full' ? 7 : 1;
    const data = mkdtempSync(join(tmpdir(), 'xenolith-bench-data-'));
    const samples: number[] = [];
    let firstMs = 0;
    for (let round = -1; round < rounds; round++) {
      const xenolithd = await startXenolithd({ viaNpm: true, data: join(data, 'state') });
      if (round < 0) firstMs = xenolithd.readyMs;
      else samples.push(xenolithd.readyMs);
      await xenolithd.stop();
    }
    rmSync(data, { recursive: true, force: true });
    return {
      lines: [`first start, pool made: ${firstMs.toFixed(0)} ms`, `later starts: ${spread(samples, 0)} ms`],
      figure: Math.max(median(samples), firstMs),
      unit: 'ms',
    };
  },
};

/** `xe vm-list` as a whole process, beside a Node that does nothing. */
export const xeVmList: Bench = {
  name: 'xe-vm-list',
  what: '`xe vm-list` against a running xenolithd, whole process, beside `node -e 0`',
  bar: { text: 'at most 150 ms', holds: (ms) => ms <= 150 },
  run: async (size) => {
    const rounds = size === 'full' ? 15 : 1;
    const xenolithd = await startXenolithd();
    try {
      const xe: number[] = [];
      const nothing: number[] = [];
      for (let round = -1; round < rounds; round++) {
        const nodeMs = await timeMs(() => run(process.execPath, ['-e', '0']));
        const xeMs = await timeMs(() =>
          run(process.execPath, [join(root, 'packages/cli/src/xe.ts'), 'vm-list'], xenolithd.environment),
        );
        if (round < 0) continue;
        nothing.push(nodeMs);
        xe.push(xeMs);
      }
      return {
        lines: [`node -e 0  ${spread(nothing, 0)} ms`, `xe vm-list ${spread(xe, 0)} ms`],
        figure: median(xe),
        unit: 'ms',
      };
    } finally {
      await xenolithd.stop();
    }
  },
};
