import fc from 'fast-check';
import { gibBytes } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import { defaultModelShape, formatHostAddress, parseHostAddress } from './host-address.ts';

describe('parseHostAddress', () => {
  test.each([
    ['local:', { kind: 'local' }],
    ['ssh://dom0', { kind: 'ssh', user: 'root', hostname: 'dom0', port: 22 }],
    ['ssh://root@dom0:2201', { kind: 'ssh', user: 'root', hostname: 'dom0', port: 2201 }],
    ['ssh://admin@[fe80::1]:22', { kind: 'ssh', user: 'admin', hostname: 'fe80::1', port: 22 }],
    [
      'ssh://root@127.0.0.1:2201?identity=~/k%20ey&known_hosts=/etc/k+h',
      {
        kind: 'ssh',
        user: 'root',
        hostname: '127.0.0.1',
        port: 2201,
        identityFile: '/home/me/k ey',
        knownHostsFile: '/etc/k+h',
      },
    ],
    ['model:', { kind: 'model', seed: 1, shape: defaultModelShape }],
    [
      'model:a1?nodes=4&memory=64G&seed=7',
      { kind: 'model', seed: 7, shape: { ...defaultModelShape, hostname: 'a1', nodes: 4, memoryBytes: 64 * gibBytes } },
    ],
    ['model:?nics=3', { kind: 'model', seed: 1, shape: { ...defaultModelShape, networkCards: 3 } }],
  ])('%s', (text, expected) => {
    expect(parseHostAddress(text, { homeDirectory: '/home/me' })).toEqual({ ok: true, value: expected });
  });

  test.each([
    ['', 'scheme'],
    ['dom0', 'scheme'],
    ['http://dom0', 'scheme'],
    ['local:x', 'syntax'],
    ['ssh://root:secret@dom0', 'password'],
    ['ssh://:@dom0', 'password'],
    ['ssh://ro ot@dom0', 'syntax'],
    ['ssh://-x@dom0', 'user'],
    ['ssh://root@', 'hostname'],
    ['ssh://root@-oProxyCommand=x', 'hostname'],
    ['ssh://root@a;b', 'hostname'],
    ['ssh://root@dom0:0', 'port'],
    ['ssh://root@dom0:65536', 'port'],
    ['ssh://root@dom0:', 'port'],
    ['ssh://root@dom0/path', 'syntax'],
    ['ssh://root@dom0?password=x', 'option'],
    ['ssh://root@dom0?identity=k', 'option'],
    ['ssh://root@dom0?identity=/a&identity=/b', 'option'],
    ['model:?nodes=0', 'option'],
    ['model:?nodes=128&cores=128', 'option'],
    ['model:?memory=1G&dom0=2G', 'option'],
    ['model:?memory=lots', 'option'],
    ['model:?nics=0', 'option'],
    ['model:?nics=17', 'option'],
    ['model:a b', 'syntax'],
    ['model:-', 'hostname'],
  ])('refuses %j as %s', (text, code) => {
    expect(parseHostAddress(text)).toMatchObject({ ok: false, error: { code } });
  });

  test('a refusal never repeats a password', () => {
    const refused = parseHostAddress('ssh://root:hunter2@dom0');
    expect(JSON.stringify(refused)).not.toContain('hunter2');
  });

  test('never throws, and what it takes is formatted and read back the same', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.webUrl(),
      fc.string().map((tail) => `ssh://${tail}`),
      fc.string().map((tail) => `model:${tail}`),
    );
    fc.assert(
      fc.property(anything, (text) => {
        const parsed = parseHostAddress(text);
        if (parsed.ok) expect(parseHostAddress(formatHostAddress(parsed.value))).toEqual(parsed);
      }),
    );
  });
});
