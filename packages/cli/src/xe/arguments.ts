/** What the command line of xe says: `xe [options] command key=value …`. */
import { isSwitch, optionsOf, readWord, UsageError, type XeOptions } from '@xenolith/xe';

export interface Server {
  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  readonly url: string;
  readonly user: string;
  readonly password: string | undefined;
  /** A file whose first line is user, second password, as xe's `-pwf` wants it. */
  readonly passwordFile: string | undefined;
  /** Whether the certificate of the server is checked; as in xe it is not, unless asked for. */
  readonly verify: boolean;
  /** A PEM file with the only certificates to trust; asks for the check. */
  readonly caFile: string | undefined;
}

export interface XeArguments {
  readonly server: Server;
  readonly options: XeOptions;
  readonly command: string | undefined;
  /** The `key=value` words in their order; a later one of the same key wins. */
  readonly values: ReadonlyMap<string, string>;
  /** Words after the command without `=`: for `help` and `completion`. */
  readonly words: readonly string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

const defaultUrl = 'http://127.0.0.1:8080';
const valueFlags = ['-s', '-p', '-u', '-pw', '-pwf', '--ca'];
const bareFlags = ['nossl', 'verify'];

/**
 * Reads the command line, XENOLITH_URL, XENOLITH_USER, XENOLITH_PASSWORD, XENOLITH_CA, XE_EXTRA_ARGS and the text of
 * `~/.xe`, of which each goes before the next.
 * @throws UsageError naming the word that is wrong
 */
export function parseXeArguments(argv: readonly string[], allVariables: Environment, rcText = ''): XeArguments {
  // A variable that is empty says nothing.
  const environment = Object.fromEntries(Object.entries(allVariables).filter(([, value]) => value !== ''));
  const flags = new Map<string, string>();
  const on = new Set<string>();
  const values = new Map<string, string>();
  const words: string[] = [];
  let command: string | undefined;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    // What completion is given is the half-written line itself.
    if (command === 'completion') {
      words.push(word);
    } else if (valueFlags.includes(word)) {
      const value = argv[++i];
      if (value === undefined) throw new UsageError(`${word} needs a value`);
      flags.set(word, value);
    } else if (word === '--help' || word === '-h') {
      if (command !== undefined && command !== 'help') words.unshift(command);
      command = 'help';
    } else if (word === '--all' && command === 'help') {
      words.push('all');
    } else if (word.startsWith('-')) {
      const name = word.replace(/^--/, '');
      if (!isSwitch(name) && !bareFlags.includes(name)) throw new UsageError(`unknown option ${word}`);
      on.add(name);
    } else if (command === undefined) {
      command = word;
    } else {
      readWord(word, { values, words, on });
    }
  }
  return {
    server: readServer(flags, on, environment, defaults(environment['XE_EXTRA_ARGS'] ?? '', rcText)),
    options: optionsOf(on),
    command,
    values,
    words,
  };
}

/** The `server=…,port=…,username=…` of XE_EXTRA_ARGS, and the same in lines of `~/.xe`, as users of xe have them. */
function defaults(extra: string, rcText: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const word of [...rcText.split('\n'), ...extra.split(',')]) {
    const mark = word.indexOf('=');
    if (mark > 0) found.set(word.slice(0, mark).trim(), word.slice(mark + 1).trim());
  }
  return found;
}

function readServer(
  flags: ReadonlyMap<string, string>,
  on: ReadonlySet<string>,
  environment: Environment,
  byDefault: ReadonlyMap<string, string>,
): Server {
  const user = flags.get('-u') ?? environment['XENOLITH_USER'] ?? byDefault.get('username') ?? 'root';
  const flagFile = flags.get('-pwf');
  const fromElsewhere =
    flagFile === undefined ? (environment['XENOLITH_PASSWORD'] ?? byDefault.get('password')) : undefined;
  const password = flags.get('-pw') ?? fromElsewhere;
  const caFile = flags.get('--ca') ?? environment['XENOLITH_CA'];
  const url = readUrl(flags, on.has('nossl'), environment, byDefault);
  const verify = on.has('verify') || caFile !== undefined;
  // Who asks for a check must not be given a connection on which there is none.
  if (verify && !url.startsWith('https:'))
    throw new UsageError(`${url} has no certificate to check: give an https URL`);
  return {
    url,
    user,
    password,
    passwordFile: flagFile ?? (password === undefined ? byDefault.get('passwordfile') : undefined),
    verify,
    caFile,
  };
}

function readUrl(
  flags: ReadonlyMap<string, string>,
  nossl: boolean,
  environment: Environment,
  byDefault: ReadonlyMap<string, string>,
): string {
  const ours = flags.get('-s') ?? environment['XENOLITH_URL'];
  const port = flags.get('-p') ?? (ours === undefined ? byDefault.get('port') : undefined);
  const given = ours ?? byDefault.get('server') ?? (port === undefined ? defaultUrl : '127.0.0.1');
  const hasScheme = given.includes('://');
  const address = hasScheme ? given : `${nossl ? 'http' : 'https'}://${bracketed(given)}`;
  if (!URL.canParse(address) || !/^https?:/.test(address)) {
    throw new UsageError(`${given}: expected a host name, an address or a URL`);
  }
  const url = new URL(address);
  if (nossl) url.protocol = 'http:';
  if (port !== undefined) {
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new UsageError(`-p ${port}: expected a port`);
    url.port = port;
  }
  return url.origin;
}

/** A bare IPv6 address in the form that a URL wants. */
const bracketed = (host: string): string => (host.split(':').length > 2 && !host.startsWith('[') ? `[${host}]` : host);
