import { shellQuote } from '@xenolith/wire';
import { environmentLines } from './env-file.ts';

export interface Readiness {
  readonly version: string;
  readonly url: string;
  readonly user: string;
  readonly password: string | undefined;
  readonly data: string;
  readonly passwordFile: string;
  /** From the start of the process. */
  readonly elapsedMs: number;
  readonly loopback: boolean;
}

/**
 * What is told once xenolithd is ready: where it listens, who logs in, lines for a shell that xe is used in, and three
 * lines that work as they stand.
 */
export function banner(ready: Readiness): string {
  const { url, user } = ready;
  const password = ready.password ?? 'PASSWORD';
  const who =
    ready.password === undefined
      ? `user ${user}, with the password that was set for it`
      : `user ${user}, password ${password} (also in ${ready.passwordFile})`;
  const login = JSON.stringify({
    jsonrpc: '2.0',
    method: 'session.login_with_password',
    params: [user, password],
    id: 1,
  });
  const python = [
    'import xmlrpc.client as x',
    `p = x.ServerProxy("${url}")`,
    `s = p.session.login_with_password("${user}", "${password}")["Value"]`,
    'print(*[v["name_label"] + ": " + v["power_state"] for v in p.VM.get_all_records(s)["Value"].values()], sep="\\n")',
  ].join('; ');
  return `
xenolithd ${ready.version} is ready (${(ready.elapsedMs / 1000).toFixed(2)} s)

  listens on  ${url} (TLS on the same port)${ready.loopback ? '' : '\n              from the network: use https there, or the password travels in the clear'}
  log in as   ${who}
  state in    ${ready.data}

For xe, in another shell:
${environmentLines(ready)
  .map((line) => `  export ${line}`)
  .join('\n')}
Try:
  npx xe -s ${shellQuote(url)} -u ${user} -pw ${shellQuote(password)} vm-list
  curl -s ${shellQuote(`${url}/jsonrpc`)} -d ${shellQuote(login)}
  python3 -c ${shellQuote(python)}

`;
}
