/** The lab without the rest of Xenolith: `node packages/lab/src/main.ts up|status|down`; for work on hosts, and for trying one out. */
import { parseArgs } from 'node:util';
import { defaultStateDirectory } from './cache.ts';
import { errorText } from './lab-error.ts';
import { labDown } from './lab/down.ts';
import type { Lab } from './lab/lab-state.ts';
import { labSshArgv } from './lab/ssh.ts';
import { hostStatusText, labStatus } from './lab/status.ts';
import { labUp } from './lab/up.ts';
import { parseMemoryMiB } from './machine/shape.ts';

const USAGE =
  'usage: main.ts up [--hosts N] [--nodes N] [--cpus N] [--memory 4G] [--dom0-mem 1G,max:1G] | status | down   [--state DIRECTORY] [--cache DIRECTORY]\n';

function number(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

function describe(lab: Lab): string {
  return lab.hosts.map((host) => `${host.name}: ${labSshArgv(host).join(' ')}\n`).join('');
}

async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const text = { type: 'string' } as const;
  const { positionals, values } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { hosts: text, nodes: text, cpus: text, memory: text, 'dom0-mem': text, state: text, cache: text },
  });
  const stateDirectory = values.state ?? defaultStateDirectory();
  switch (positionals.join(' ')) {
    case 'up': {
      const memory = values.memory === undefined ? undefined : (parseMemoryMiB(values.memory) ?? Number.NaN);
      const shape = { cpus: number(values.cpus), nodes: number(values.nodes), memoryMiB: memory };
      const progress = (step: string, fraction: number): void => {
        process.stderr.write(`${String(Math.round(fraction * 100)).padStart(3)} % ${step}\n`);
      };
      const lab = await labUp({
        hosts: number(values.hosts),
        shape,
        xenOptions: { dom0Mem: values['dom0-mem'] },
        stateDirectory,
        cacheDirectory: values.cache,
        progress,
        signal,
      });
      process.stdout.write(describe(lab));
      return 0;
    }
    case 'status': {
      const status = await labStatus({ stateDirectory });
      process.stdout.write(
        status === undefined ? 'no lab is up\n' : status.hosts.map((host) => `${hostStatusText(host)}\n`).join(''),
      );
      return status === undefined ? 1 : 0;
    }
    case 'down': {
      const ended = await labDown({ stateDirectory, signal });
      process.stdout.write(`${ended} process(es) ended\n`);
      return 0;
    }
    default:
      process.stderr.write(USAGE);
      return 2;
  }
}

const interrupt = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interrupt.abort());
try {
  process.exitCode = await run(process.argv.slice(2), interrupt.signal);
} catch (error) {
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = 1;
}
