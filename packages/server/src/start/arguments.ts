/** What the command line of xenolithd says. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Result } from '@xenolith/base';
import { parseModelSpeed, usualModelSpeed } from '@xenolith/host';
import { personalities, type Personality } from '@xenolith/xapi';
import { logLevels, type LogLevel } from './log.ts';

export interface ListenAddress {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
}

export interface Arguments {
  readonly listen: ListenAddress;
  /** Absolute path of the data directory. */
  readonly data: string;
  readonly envFile: string | undefined;
  readonly modelPool: boolean;
  /** Model seconds per second of the wall clock. */
  readonly modelSpeed: number;
  /** Absolute path of the directory with the plugins, extensions and hooks of modelled hosts. */
  readonly programDirectory: string | undefined;
  readonly surface: { readonly personality: Personality; readonly strict: boolean };
  /** Undefined to suit where the log goes to. */
  readonly logLevel: LogLevel | undefined;
}

/** Environment variables; XENOLITH_DATA and XDG_STATE_HOME count. */
export type Environment = Readonly<Record<string, string | undefined>>;

export const usage = `xenolithd: the XenAPI of a pool of Xen hosts

  npm start -- [options]
  node -- packages/server/src/main.ts [options]    (without the --, Node takes --env-file for itself)

  --listen HOST:PORT  where to listen for HTTP and TLS (127.0.0.1:8080); port 0 takes a free one
  --data DIR          where the state is kept ($XENOLITH_DATA, or /var/lib/xenolith for root,
                      $XDG_STATE_HOME/xenolith or ~/.local/state/xenolith for others)
  --env-file FILE     write XENOLITH_URL, XENOLITH_USER and XENOLITH_PASSWORD there once ready
  --empty             begin with an empty pool instead of a small modelled one (first start only)
  --model-speed N     model seconds per second, for all modelled hosts (1); max for as fast as the processor goes
  --plugin-directory DIR  plugins/, extensions/ and hooks of modelled hosts are below it; real hosts have theirs in /etc/xapi.d
  --personality NAME  answer as an older release: ${personalities.join(', ')}
  --strict            without the calls, classes and fields that XAPI has not
  --log-level LEVEL   ${logLevels.join(', ')} (warn on a terminal, info otherwise)
  --help              this text
`;

const options = {
  listen: { type: 'string' },
  data: { type: 'string' },
  'env-file': { type: 'string' },
  empty: { type: 'boolean' },
  'model-speed': { type: 'string' },
  'plugin-directory': { type: 'string' },
  personality: { type: 'string' },
  strict: { type: 'boolean' },
  'log-level': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Reads the command line. A failure is the sentence to print; `help` asks for the usage alone. */
export function parseArguments(
  argv: readonly string[],
  environment: Environment,
  isRoot: boolean,
): Result<Arguments | 'help', string> {
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
  try {
    ({ values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }));
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
  if (values.help === true) return { ok: true, value: 'help' };
  const listen = parseListen(values.listen ?? '127.0.0.1:8080');
  if (listen === undefined) {
    return { ok: false, error: `--listen ${values.listen}: expected HOST:PORT, such as 127.0.0.1:8080 or [::1]:0` };
  }
  for (const name of ['data', 'env-file', 'plugin-directory'] as const) {
    if (values[name] === '') return { ok: false, error: `--${name} needs a path` };
  }
  const modelSpeed = parseModelSpeed(values['model-speed'] ?? String(usualModelSpeed));
  if (!modelSpeed.ok) return { ok: false, error: `--model-speed ${values['model-speed']}: ${modelSpeed.error}` };
  const personality = personalities.find((name) => name === (values.personality ?? 'current'));
  if (personality === undefined) {
    return { ok: false, error: `--personality ${values.personality}: expected one of ${personalities.join(', ')}` };
  }
  const logLevel = logLevels.find((level) => level === values['log-level']);
  if (values['log-level'] !== undefined && logLevel === undefined) {
    return { ok: false, error: `--log-level ${values['log-level']}: expected one of ${logLevels.join(', ')}` };
  }
  return {
    ok: true,
    value: {
      listen,
      data: resolve(values.data ?? defaultDataDirectory(environment, isRoot)),
      envFile: values['env-file'] === undefined ? undefined : resolve(values['env-file']),
      modelPool: values.empty !== true,
      modelSpeed: modelSpeed.value,
      programDirectory: values['plugin-directory'] === undefined ? undefined : resolve(values['plugin-directory']),
      surface: { personality, strict: values.strict === true },
      logLevel,
    },
  };
}

/** `HOST:PORT`, with brackets around an IPv6 address. */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

function defaultDataDirectory({ XENOLITH_DATA, XDG_STATE_HOME }: Environment, isRoot: boolean): string {
  if (XENOLITH_DATA !== undefined && XENOLITH_DATA !== '') return XENOLITH_DATA;
  if (isRoot) return '/var/lib/xenolith';
  // The XDG specification: a path that is not absolute is to be ignored.
  const stateHome = XDG_STATE_HOME?.startsWith('/') === true ? XDG_STATE_HOME : join(homedir(), '.local/state');
  return join(stateHome, 'xenolith');
}
