import { homedir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { parseArguments, parseListen, type Arguments } from './arguments.ts';

const given = (argv: readonly string[], environment = {}, isRoot = false): Arguments => {
  const parsed = parseArguments(argv, environment, isRoot);
  if (!parsed.ok || parsed.value === 'help') throw new Error('no arguments');
  return parsed.value;
};

test('everything has a default', () => {
  expect(given([], { XDG_STATE_HOME: '/s' })).toEqual({
    listen: { host: '127.0.0.1', port: 8080 },
    data: '/s/xenolith',
    envFile: undefined,
    modelPool: true,
    modelSpeed: 1,
    programDirectory: undefined,
    surface: { personality: 'current', strict: false },
    logLevel: undefined,
  });
});

test('everything can be said', () => {
  const argv = ['--listen', '[::]:0', '--data=/d', '--env-file', '/e', '--empty', '--model-speed', '2.5'];
  argv.push('--plugin-directory', '/p', '--personality', '8.2', '--strict', '--log-level', 'error');
  expect(given(argv)).toEqual({
    listen: { host: '::', port: 0 },
    data: '/d',
    envFile: '/e',
    modelPool: false,
    modelSpeed: 2.5,
    programDirectory: '/p',
    surface: { personality: '8.2', strict: true },
    logLevel: 'error',
  });
});

describe('the data directory', () => {
  test.each([
    ['a directory of root', {}, true, '/var/lib/xenolith'],
    ['the state of a user', {}, false, `${homedir()}/.local/state/xenolith`],
    ['a path that is not absolute', { XDG_STATE_HOME: 'state' }, false, `${homedir()}/.local/state/xenolith`],
    ['XENOLITH_DATA', { XENOLITH_DATA: '/x', XDG_STATE_HOME: '/s' }, true, '/x'],
    ['XENOLITH_DATA empty', { XENOLITH_DATA: '' }, true, '/var/lib/xenolith'],
  ])('%s', (_what, environment, isRoot, path) => {
    expect(given([], environment, isRoot).data).toBe(path);
  });
});

test.each([
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['[::1]:65535', { host: '::1', port: 65535 }],
  ['::1:80', undefined],
  ['8080', undefined],
  [':8080', undefined],
  ['host:65536', undefined],
  ['host:-1', undefined],
  ['host:http', undefined],
  ['a b:80', undefined],
  ['', undefined],
])('--listen %s', (text, address) => {
  expect(parseListen(text)).toEqual(address);
});

test.each([
  [['--listen', 'nowhere'], '--listen nowhere: expected HOST:PORT'],
  [['--listen'], 'argument missing'],
  [['--data', ''], '--data needs a path'],
  [['--personality', '7.0'], '--personality 7.0: expected one of 8.2, 8.3, current'],
  [['--plugin-directory='], '--plugin-directory needs a path'],
  [['--env-file='], '--env-file needs a path'],
  [['--log-level', 'loud'], 'expected one of silent, error, warn, info'],
  [['--model-speed', '0'], '--model-speed 0: expected model seconds per second, 0.001 to 1000'],
  [['--model-speed='], '--model-speed : expected model seconds'],
  [['--model-speed'], 'argument missing'],
  [['--nonsense'], "Unknown option '--nonsense'"],
  [['word'], "Unexpected argument 'word'"],
  [['--empty=yes'], '--empty'],
])('%j is refused', (argv, words) => {
  expect(parseArguments(argv, {}, false)).toMatchObject({ ok: false, error: expect.stringContaining(words) });
});
