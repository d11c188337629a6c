/** The scripts on one domain, in a real shell with an xl and a xenstore-read made for the test. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { domId, uuid } from '@xenolith/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { consoleScript, consumeScript, domainScript, scriptExit } from './host-script.ts';

const web = { domid: domId(7), uuid: uuid('930c6acf-e7a8-4cb5-a9af-617328058e48') };
const other = '11111111-2222-4333-8444-555555555555';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'domain-script-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const row = (domid: number, id: string, name = 'web'): string =>
  `${name}                                          ${domid}   128     2     -b----       7.6 ${id}        -                -`;

/** What the host has: xenstore's word for domain 7 (none: there is no xenstore-read), and xl's list (none: xl fails). */
interface Host {
  readonly xenstore?: string;
  readonly list?: readonly string[];
  /** The list once the command was run. */
  readonly later?: readonly string[];
  readonly commandExit?: number;
}

function run(host: Host, script: string): { readonly status: number | null; readonly ran: string } {
  const ran = join(directory, 'ran');
  const file = (name: string, lines: readonly string[]): string => {
    writeFileSync(join(directory, name), `Name ID Mem VCPUs State Time(s)\n${lines.join('\n')}\n`);
    return join(directory, name);
  };
  const now = host.list === undefined ? '/nowhere' : file('now', host.list);
  const later = file('later', host.later ?? host.list ?? []);
  const prelude =
    (host.xenstore === undefined
      ? 'xenstore-read() { return 127; }; '
      : `xenstore-read() { [ -e ${ran} ] && return 1; echo /vm/${host.xenstore}; }; `) +
    `xl() { case $1 in list) if [ -e ${ran} ]; then cat ${later}; else cat ${now}; fi;; ` +
    `*) echo "xl $*" >>${ran}; return ${host.commandExit ?? 0};; esac; }; `;
  // Bash, for the hyphen in the function's name; the scripts themselves want no more than a POSIX shell.
  const { status } = spawnSync('bash', ['-c', prelude + script], { encoding: 'utf8' });
  return { status, ran: existsSync(ran) ? readFileSync(ran, 'utf8').trim() : '' };
}

const whole = [row(0, '00000000-0000-0000-0000-000000000000', 'Domain-0'), row(7, web.uuid)];

describe('a command on a domain', () => {
  test.each<[string, Host, number, string]>([
    ['xenstore knows it', { xenstore: web.uuid }, 0, 'xl pause 7'],
    ['xenstore is not there, the list knows it', { list: whole }, 0, 'xl pause 7'],
    ['the number is another domain’s', { xenstore: other, list: [row(7, other)] }, scriptExit.noSuchDomain, ''],
    ['the uuid has another number', { list: [row(17, web.uuid), row(71, web.uuid)] }, scriptExit.noSuchDomain, ''],
    ['the name has the number', { list: [row(8, web.uuid, 'a 7 b')] }, scriptExit.noSuchDomain, ''],
    ['number and uuid are those of two', { list: [row(7, other), row(8, web.uuid)] }, scriptExit.noSuchDomain, ''],
    ['there is none', { list: [] }, scriptExit.noSuchDomain, ''],
    ['xenstore and xl say nothing', {}, 1, ''],
    ['the command fails, the domain is there', { list: whole, commandExit: 5 }, 5, 'xl pause 7'],
    [
      'the command fails, as the domain went meanwhile',
      { xenstore: web.uuid, list: whole, later: [], commandExit: 5 },
      scriptExit.noSuchDomain,
      'xl pause 7',
    ],
  ])('%s', (_, host, status, ran) => {
    expect(run(host, domainScript(web, 'xl pause 7'))).toEqual({ status, ran });
  });
});

test('a console is not that of another domain', () => {
  const script = consoleScript(web).replace('exec ', '');
  expect(run({ list: [row(7, other)] }, script).ran).toBe('');
  expect(run({ list: whole }, script)).toEqual({ status: 0, ran: 'xl console 7' });
});

describe('after a restore', () => {
  const image = (): string => join(directory, "it's saved");
  test('the file goes before the domain runs', () => {
    writeFileSync(image(), 'state');
    expect(run({}, `d=9; ${consumeScript(image(), { paused: false })}`)).toEqual({ status: 0, ran: 'xl unpause 9' });
    expect(existsSync(image())).toBe(false);
  });

  test('a domain that is to stay paused is left so', () => {
    writeFileSync(image(), 'state');
    expect(run({}, `d=9; ${consumeScript(image(), { paused: true })}`)).toEqual({ status: 0, ran: '' });
    expect(existsSync(image())).toBe(false);
  });

  test('a domain whose file stays does not run', () => {
    writeFileSync(image(), 'state');
    const script = `rm() { return 1; }; d=9; ${consumeScript(image(), { paused: false })}`;
    expect(run({}, script)).toEqual({ status: 1, ran: 'xl destroy 9' });
    expect(existsSync(image())).toBe(true);
  });
});
