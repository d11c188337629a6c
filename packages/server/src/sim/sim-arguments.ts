/** What the command line of `xenolith sim` says. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Result } from '@xenolith/base';
import { parseListen, type ListenAddress } from '../start/arguments.ts';
import { logLevels, type LogLevel } from '../start/log.ts';
import { hostsMax, vmsMax } from './build-pool.ts';
import { usualSimPassword } from './create-pool.ts';
import { speedMax } from './control.ts';
import type { ClockMode } from './sim-clock.ts';

export interface SimArguments {
  readonly listen: ListenAddress;
  readonly hosts: number;
  readonly vms: number;
  readonly seed: number;
  readonly clock: ClockMode;
  readonly password: string;
  /** Absolute paths. */
  readonly envFile: string | undefined;
  readonly inventory: string | undefined;
  readonly data: string | undefined;
  readonly logLevel: LogLevel;
}

export const simUsage = `xenolith sim: a simulated pool, for the tests of XenAPI clients

  --hosts N           modelled hosts (2), at most ${hostsMax}
  --vms N             VMs (10), at most ${vmsMax}
  --seed N            what all chance comes from (1): the same seed gives the same references, UUIDs, MACs and times
  --inventory FILE    begin with a pool that xenolith capture wrote, in place of --hosts and --vms
  --listen HOST:PORT  where to listen for HTTP and TLS (127.0.0.1:8080); port 0 takes a free one
  --env-file FILE     write XENOLITH_URL, XENOLITH_USER and XENOLITH_PASSWORD there once ready
  --password TEXT     root's password (${usualSimPassword})
  --clock MODE        auto: model time jumps while a call or task waits, and stands still otherwise (the default);
                      paused: it moves when the control says so; a number: model seconds per second
  --data DIR          keep the pool there over a restart; nothing is on disk without it
  --log-level LEVEL   ${logLevels.join(', ')} (warn), to standard error
  --help              this text

The control is at http://HOST:PORT/_sim (docs/guide/simulator.md). SIGTERM and SIGINT end it.
`;

const options = {
  hosts: { type: 'string' },
  vms: { type: 'string' },
  seed: { type: 'string' },
  inventory: { type: 'string' },
  listen: { type: 'string' },
  'env-file': { type: 'string' },
  password: { type: 'string' },
  clock: { type: 'string' },
  data: { type: 'string' },
  'log-level': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

const seedMax = 2 ** 31 - 1;

/** Reads the command line. A failure is the sentence to print; `help` asks for the usage alone. */
export function parseSimArguments(argv: readonly string[]): Result<SimArguments | 'help', string> {
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false });
    if (values.help === true) return { ok: true, value: 'help' };
    const listen = parseListen(values.listen ?? '127.0.0.1:8080');
    if (listen === undefined) throw new Error(`--listen ${values.listen}: expected HOST:PORT, such as 127.0.0.1:8080`);
    const level = values['log-level'] ?? 'warn';
    const logLevel = logLevels.find((known) => known === level);
    if (logLevel === undefined) throw new Error(`--log-level ${level}: expected one of ${logLevels.join(', ')}`);
    if (values.inventory !== undefined && (values.hosts ?? values.vms) !== undefined) {
      throw new Error('--inventory says which hosts and VMs there are: no --hosts or --vms beside it');
    }
    if (values.password === '') throw new Error('--password needs a text');
    const path = (name: 'env-file' | 'inventory' | 'data'): string | undefined => {
      const value = values[name];
      if (value === '') throw new Error(`--${name} needs a path`);
      return value === undefined ? undefined : resolve(value);
    };
    return {
      ok: true,
      value: {
        listen,
        hosts: count('hosts', values.hosts, 2, { min: 1, max: hostsMax }),
        vms: count('vms', values.vms, 10, { min: 0, max: vmsMax }),
        seed: count('seed', values.seed, 1, { min: 0, max: seedMax }),
        clock: clockMode(values.clock ?? 'auto'),
        password: values.password ?? usualSimPassword,
        envFile: path('env-file'),
        inventory: path('inventory'),
        data: path('data'),
        logLevel,
      },
    };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

function count(
  name: string,
  text: string | undefined,
  otherwise: number,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  if (text === undefined) return otherwise;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) throw new Error(`--${name} ${text}: expected a number from ${min} to ${max}`);
  return value;
}

function clockMode(text: string): ClockMode {
  if (text === 'auto' || text === 'paused') return { kind: text };
  const speed = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (speed >= 0.001 && speed <= speedMax) return { kind: 'run', speed };
  throw new Error(`--clock ${text}: expected auto, paused or model seconds per second, 0.001 to ${speedMax}`);
}
