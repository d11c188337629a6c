import { describe, expect, test } from 'vitest';
import { parseBool, parseBytes } from '@xenolith/xe';
import { parseXeArguments } from './arguments.ts';

const env = { XENOLITH_URL: 'http://10.0.0.1:8080', XENOLITH_USER: 'ann', XENOLITH_PASSWORD: 'secret' };

describe('the server', () => {
  test.each([
    ['nothing said', [], {}, 'http://127.0.0.1:8080', 'root', undefined],
    ['environment', [], env, 'http://10.0.0.1:8080', 'ann', 'secret'],
    ['a host, as xe does: TLS', ['-s', 'xen1'], env, 'https://xen1', 'ann', 'secret'],
    ['without TLS', ['-s', 'xen1', '--nossl'], {}, 'http://xen1', 'root', undefined],
    ['port', ['-s', 'xen1', '-p', '8443'], {}, 'https://xen1:8443', 'root', undefined],
    ['port of the environment', ['-p', '81'], env, 'http://10.0.0.1:81', 'ann', 'secret'],
    ['URL', ['-s', 'https://xen1:9/'], {}, 'https://xen1:9', 'root', undefined],
    ['IPv6', ['-s', 'fe80::1', '-p', '1'], {}, 'https://[fe80::1]:1', 'root', undefined],
    ['login', ['-u', 'bob', '-pw', 'p w'], env, 'http://10.0.0.1:8080', 'bob', 'p w'],
    ['a password file beats the environment', ['-pwf', 'f'], env, 'http://10.0.0.1:8080', 'ann', undefined],
  ] as const)('%s', (_, argv, environment, url, user, password) => {
    expect(parseXeArguments([...argv, 'vm-list'], environment).server).toMatchObject({ url, user, password });
  });
});

describe('where xe keeps how to log in', () => {
  const extra = { XE_EXTRA_ARGS: 'server=xen1,port=81,username=eve,password=p=w' };
  const rc = 'server = xen2\nusername=rob\npassword=rc\n';

  test.each([
    ['XE_EXTRA_ARGS', [], extra, '', 'https://xen1:81', 'eve', 'p=w'],
    ['~/.xe', [], {}, rc, 'https://xen2', 'rob', 'rc'],
    ['XE_EXTRA_ARGS before ~/.xe', [], extra, rc, 'https://xen1:81', 'eve', 'p=w'],
    ['our variables before both', [], { ...env, ...extra }, rc, 'http://10.0.0.1:8080', 'ann', 'secret'],
    [
      'options before all',
      ['-s', 'xen3', '-u', 'bob', '-pw', 'x'],
      { ...env, ...extra },
      rc,
      'https://xen3',
      'bob',
      'x',
    ],
    [
      'an empty variable says nothing',
      [],
      { XENOLITH_URL: '', XENOLITH_PASSWORD: '' },
      rc,
      'https://xen2',
      'rob',
      'rc',
    ],
  ] as const)('%s', (_, argv, environment, rcText, url, user, password) => {
    const { server } = parseXeArguments([...argv, 'vm-list'], environment, rcText);
    expect(server).toMatchObject({ url, user, password });
  });
});

describe('certificates', () => {
  test.each([
    ['not checked, as in xe', ['-s', 'xen1'], {}, false, undefined],
    ['checked when asked', ['-s', 'xen1', '--verify'], {}, true, undefined],
    ['against a file', ['-s', 'xen1', '--ca', 'f'], {}, true, 'f'],
    ['against the file of the environment', ['-s', 'xen1'], { XENOLITH_CA: 'f' }, true, 'f'],
  ] as const)('%s', (_, argv, environment, verify, caFile) => {
    expect(parseXeArguments([...argv, 'c'], environment).server).toMatchObject({ verify, caFile });
  });

  test.each([['--verify', '-s', 'http://xen1'], ['--ca', 'f', '--nossl'], ['--verify']])(
    'are not there to check: %s %s %s',
    (...argv) => {
      expect(() => parseXeArguments([...argv.filter((word) => word !== undefined), 'c'], {})).toThrow('no certificate');
    },
  );
});

describe('words', () => {
  test.each([
    ['vm-list', 'vm-list', {}, []],
    ['vm-list uuid=x name-label=a=b', 'vm-list', { uuid: 'x', 'name-label': 'a=b' }, []],
    ['vm-start force=true paused=true', 'vm-start', { paused: 'true' }, []],
    ['help vm-start', 'help', {}, ['vm-start']],
    ['--minimal vm-list x=', 'vm-list', { x: '' }, []],
    ['completion words -s', 'completion', {}, ['words', '-s']],
    ['--help', 'help', {}, []],
    ['vm-start --help', 'help', {}, ['vm-start']],
    ['help --all', 'help', {}, ['all']],
  ] as const)('%s', (line, command, values, words) => {
    const parsed = parseXeArguments(line.split(' '), {});
    expect(parsed.command).toBe(command);
    expect(Object.fromEntries(parsed.values)).toEqual(values);
    expect(parsed.words).toEqual(words);
  });

  test.each(['minimal', 'json', 'multiple', 'force', 'progress'] as const)('%s, before, after and as a key', (name) => {
    for (const argv of [
      [`--${name}`, 'c'],
      ['c', `--${name}`],
      ['c', `${name}=true`],
    ]) {
      expect(parseXeArguments(argv, {}).options[name]).toBe(true);
    }
    for (const argv of [['c'], ['c', `${name}=false`]]) expect(parseXeArguments(argv, {}).options[name]).toBe(false);
  });

  test.each([
    [['-s'], '-s needs a value'],
    [['-p', 'x', 'c'], '-p x: expected a port'],
    [['-p', '65536', 'c'], '-p 65536: expected a port'],
    [['-s', 'a b', 'c'], 'a b: expected a host name'],
    [['-s', 'ftp://xen1', 'c'], 'ftp://xen1: expected a host name'],
    [['--foo', 'c'], 'unknown option --foo'],
    [['c', '=x'], '=x: expected key=value'],
    [['c', 'force=maybe'], 'force=maybe: expected true or false'],
  ] as const)('%j is refused', (argv, message) => {
    expect(() => parseXeArguments(argv, {})).toThrow(message);
  });
});

test.each([
  ['1048576', 1_048_576],
  ['1KiB', 1024],
  ['512MiB', 512 * 1024 * 1024],
  ['2 GiB', 2 ** 31],
  ['1TiB', 2 ** 40],
])('%s is %d bytes', (text, bytes) => {
  expect(parseBytes(text, 'k')).toBe(bytes);
});

test.each(['', '-1', '1.5GiB', '1GB', '99999999999999999', 'GiB', '1constructor'])('%j is no size', (text) => {
  expect(() => parseBytes(text, 'k')).toThrow(/^k=/);
});

test.each([
  ['true', true],
  ['YES', true],
  ['1', true],
  ['false', false],
  ['no', false],
  ['', false],
])('%s is %s', (text, value) => {
  expect(parseBool(text, 'k')).toBe(value);
});
