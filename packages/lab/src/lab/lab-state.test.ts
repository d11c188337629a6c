import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_SHAPE } from '../machine/shape.ts';
import { missingToolsText } from '../needed-tool.ts';
import { findHost } from './fault.ts';
import { bridgeAddress, identityScript, linkMac, shellQuote } from './identity.ts';
import type { Lab } from './lab-state.ts';
import { parseLab, printLab } from './lab-state.ts';
import { labSshArgv } from './ssh.ts';
import { knownHostsLine } from './up.ts';

const lab: Lab = {
  startedAt: '2026-01-01T00:00:00.000Z',
  stateDirectory: '/s',
  imageDirectory: '/c/image-1',
  accelerator: 'tcg',
  shape: DEFAULT_SHAPE,
  hosts: [
    {
      name: 'lab1',
      index: 1,
      pid: 1234,
      ssh: { address: '127.0.0.1', port: 2222, user: 'root', keyPath: '/s/id', knownHostsPath: '/s/my known_hosts' },
      bridgeAddress: bridgeAddress(1),
      macAddress: linkMac(1),
      directory: '/s/hosts/lab1',
      consoleLogPath: '/s/hosts/lab1/console.log',
      consoleSocketPath: '/s/hosts/lab1/console.sock',
      agentSocketPath: '/s/hosts/lab1/agent.sock',
      qmpSocketPath: '/s/hosts/lab1/qmp.sock',
    },
  ],
  switch: { pid: 99, socketPath: '/s/switch.sock' },
};
const [host] = lab.hosts;
if (host === undefined) throw new Error('the lab above has a host');

describe('lab.json', () => {
  test('comes back as it was written', () => {
    expect(parseLab(printLab(lab))).toEqual(lab);
    const { switch: _, ...alone } = lab;
    expect(parseLab(printLab(alone))).toEqual(alone);
  });

  test.each<readonly [string, string]>([
    ['', 'JSON'],
    ['[]', 'an object'],
    ['{"version":2}', 'version'],
    [printLab(lab).replace('"port": 2222', '"port": 0'), 'hosts[0].ssh.port'],
    [printLab(lab).replace('"pid": 1234', '"pid": "1234"'), 'hosts[0].pid'],
    [printLab(lab).replace('"tcg"', '"xen"'), 'lab.accelerator'],
  ])('%#: damage is named', (json, where) => {
    expect(() => parseLab(json)).toThrow(
      expect.objectContaining({ code: 'STATE_UNREADABLE', message: expect.stringContaining(where) }),
    );
  });
});

test('a host is found by its name, and a wrong name is told which there are', () => {
  expect(findHost(lab.hosts, 'lab1')).toBe(host);
  expect(() => findHost(lab.hosts, 'lab2')).toThrow('lab1');
});

describe('ssh', () => {
  test('takes only the host’s own key and leaves the user’s configuration out', () => {
    const argv = labSshArgv(host, ['xl', 'info']).join(' ');
    expect(argv).toContain('-F /dev/null');
    expect(argv).toContain('-o StrictHostKeyChecking=yes');
    expect(argv).toContain('-o UserKnownHostsFile="/s/my known_hosts"');
    expect(argv).toMatch(/-p 2222 root@127\.0\.0\.1 -- 'xl' 'info'$/);
  });

  test('known_hosts names the port', () => {
    expect(knownHostsLine(2222, 'ssh-ed25519 AAAA comment')).toBe('[127.0.0.1]:2222 ssh-ed25519 AAAA\n');
  });

  test('a shell reads any word back as it was', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[^\0]{1,30}$/), (word) => {
        const { stdout } = spawnSync('sh', ['-c', `printf %s ${shellQuote(word)}`], { encoding: 'utf8' });
        expect(stdout).toBe(word);
      }),
      { numRuns: 40 },
    );
  });
});

test('each host has addresses of its own', () => {
  expect(bridgeAddress(2)).toBe('10.9.0.2');
  expect(linkMac(200)).toBe('52:54:00:10:09:c8');
});

test('the identity script is one bash can read and holds all that makes a host itself', () => {
  const script = identityScript(
    {
      name: 'lab2',
      bridgeAddress: bridgeAddress(2),
      macAddress: linkMac(2),
      hostKey: 'KEY\n',
      authorizedKey: 'ssh-ed25519 AAAA',
      hostsLines: ['10.9.0.1 lab1', '10.9.0.2 lab2'],
      randomSeed: 'c2VlZA==',
    },
    1_700_000_000_123,
  );
  expect(spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  for (const part of ["'lab2'", "'10.9.0.2/24'", linkMac(2), "'ssh-ed25519 AAAA'", "'@1700000000.123'", "'c2VlZA=='"]) {
    expect(script).toContain(part);
  }
  expect(script.split('\n')).not.toContain('.');
});

test('what is missing comes with the command that installs it', () => {
  expect(
    missingToolsText([
      { program: 'qemu-img', debianPackage: 'qemu-utils' },
      { program: 'ssh', debianPackage: 'openssh-client' },
      { program: 'ssh-keygen', debianPackage: 'openssh-client' },
    ]),
  ).toBe(
    'not installed: qemu-img, ssh, ssh-keygen. Install with: apt-get install --no-install-recommends qemu-utils openssh-client',
  );
});
