import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostPortName, KnownHosts, type HostKeyVerdict } from './known-hosts.ts';

const key = Buffer.from('a key');
const other = Buffer.from('another key');
const line = (names: string, of = key, type = 'ssh-ed25519'): string => `${names} ${type} ${of.toString('base64')}`;

function hashed(name: string): string {
  const salt = Buffer.from('some salt');
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}

describe('KnownHosts', () => {
  test.each<[string, string, HostKeyVerdict]>([
    ['', 'dom0:22', 'unknown'],
    [line('dom0'), 'dom0:22', 'known'],
    [line('dom0'), 'DOM0:22', 'known'],
    [line('DOM0'), 'dom0:22', 'known'],
    [line('dom0'), 'dom0:2222', 'unknown'],
    [line('[dom0]:2222'), 'dom0:2222', 'known'],
    [line('[dom0]:2222'), 'dom0:22', 'unknown'],
    [line('dom0', other), 'dom0:22', 'changed'],
    [`${line('dom0', other)}\n${line('dom0')}`, 'dom0:22', 'known'],
    [`${line('dom0')} a comment`, 'dom0:22', 'known'],
    [`\r\n# dom0\n\t ${line('dom0')}\r\n`, 'dom0:22', 'known'],
    [line('a,dom0,b'), 'dom0:22', 'known'],
    [line('*.example,!bad.example'), 'good.example:22', 'known'],
    [line('*.example,!bad.example'), 'bad.example:22', 'unknown'],
    [line('dom?'), 'dom0:22', 'known'],
    [line('dom?'), 'dom10:22', 'unknown'],
    [line(hashed('dom0')), 'dom0:22', 'known'],
    [line(hashed('[dom0]:2222')), 'dom0:2222', 'known'],
    [line(hashed('dom1')), 'dom0:22', 'unknown'],
    [`@revoked ${line('*')}\n${line('dom0')}`, 'dom0:22', 'revoked'],
    [`@cert-authority ${line('*')}`, 'dom0:22', 'unknown'],
    ['dom0 ssh-ed25519', 'dom0:22', 'unknown'],
  ])('%j for %s: %s', (text, host, verdict) => {
    const [hostname = '', port] = host.split(':');
    expect(new KnownHosts(text).verify(hostname, Number(port), key)).toBe(verdict);
  });

  test('the types of the known keys, revoked ones left out', () => {
    const text = [line('dom0'), line('dom0', other, 'ssh-rsa'), `@revoked ${line('dom0', other, 'ssh-dss')}`].join(
      '\n',
    );
    expect(new KnownHosts(text).keyTypes('dom0', 22)).toEqual(['ssh-ed25519', 'ssh-rsa']);
  });

  test('no text makes a host known that has no line with its key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (text, name) => {
        const verdict = new KnownHosts(`${text}\n${line('dom0', other)}`).verify(name, 22, key);
        expect(verdict).not.toBe('known');
      }),
    );
  });

  test('a port other than 22 is part of the name', () => {
    expect(hostPortName('Dom0', 22)).toBe('dom0');
    expect(hostPortName('::1', 2222)).toBe('[::1]:2222');
  });
});
