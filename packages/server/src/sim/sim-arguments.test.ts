import { expect, test } from 'vitest';
import { parseSimArguments } from './sim-arguments.ts';

test('everything has a default', () => {
  expect(parseSimArguments([])).toEqual({
    ok: true,
    value: {
      listen: { host: '127.0.0.1', port: 8080 },
      hosts: 2,
      vms: 10,
      seed: 1,
      clock: { kind: 'auto' },
      password: 'xenolith',
      envFile: undefined,
      inventory: undefined,
      data: undefined,
      logLevel: 'warn',
    },
  });
});

test('everything can be said', () => {
  const argv = ['--hosts', '4', '--vms', '200', '--seed', '7', '--listen', '[::1]:0', '--env-file', '/e'];
  argv.push('--clock', '2.5', '--password', 'p', '--data', '/d', '--log-level', 'error');
  expect(parseSimArguments(argv)).toMatchObject({
    value: {
      listen: { host: '::1', port: 0 },
      hosts: 4,
      vms: 200,
      seed: 7,
      clock: { kind: 'run', speed: 2.5 },
      password: 'p',
      envFile: '/e',
      data: '/d',
      logLevel: 'error',
    },
  });
  expect(parseSimArguments(['--inventory', '/i', '--clock', 'paused'])).toMatchObject({
    value: { inventory: '/i', clock: { kind: 'paused' } },
  });
  expect(parseSimArguments(['--help'])).toEqual({ ok: true, value: 'help' });
});

test.each([
  [['--hosts', '0'], '--hosts 0: expected a number from 1 to 256'],
  [['--vms', '100001'], '--vms 100001: expected a number from 0 to 100000'],
  [['--seed', 'x'], '--seed x: expected a number from 0 to 2147483647'],
  [['--listen', 'nowhere'], '--listen nowhere: expected HOST:PORT'],
  [['--clock', 'fast'], '--clock fast: expected auto, paused or model seconds per second'],
  [['--clock', '0'], '--clock 0: expected auto'],
  [['--inventory', 'i', '--vms', '3'], '--inventory says which hosts and VMs there are'],
  [['--data', ''], '--data needs a path'],
  [['--password', ''], '--password needs a text'],
  [['--log-level', 'loud'], '--log-level loud: expected one of'],
  [['--nonsense'], "Unknown option '--nonsense'"],
  [['word'], "Unexpected argument 'word'"],
])('%j is refused', (argv, words) => {
  expect(parseSimArguments(argv)).toMatchObject({ ok: false, error: expect.stringContaining(words) as string });
});
