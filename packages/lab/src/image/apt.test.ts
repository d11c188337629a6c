import { expect, test } from 'vitest';
import { acquireSettings, aptConfig, isWantedRelease, packageFilePrefix, parseSimulatedInstall } from './apt.ts';

test('packages are read out of a simulated install', () => {
  const text = [
    'Reading package lists...',
    'Inst libc6 (2.36-9 Debian:12/stable [amd64]) []',
    'Inst busybox-static:amd64 (1:1.35.0-4+b1 Debian:12/stable [amd64])',
    'Conf libc6 (2.36-9 Debian:12/stable [amd64])',
    'Remv nothing [1]',
  ].join('\n');
  expect(parseSimulatedInstall(text)).toEqual([
    { name: 'libc6', version: '2.36-9' },
    { name: 'busybox-static', version: '1:1.35.0-4+b1' },
  ]);
});

test('the epoch is part of a file name, its colon is not', () => {
  expect(packageFilePrefix({ name: 'kmod', version: '1:30-2' })).toBe('kmod_1%3a30-2_');
});

test.each([
  ['ID=debian\nVERSION_CODENAME=bookworm\n', true],
  ['ID="debian"\nVERSION_CODENAME="bookworm"\n', true],
  ['ID=debian\nVERSION_CODENAME=trixie\n', false],
  ['ID=ubuntu\nVERSION_CODENAME=noble\n', false],
  ['', false],
])('the machine’s own sources are used on the wanted release alone: %j', (osRelease, expected) => {
  expect(isWantedRelease(osRelease)).toBe(expected);
});

test('of the machine’s settings only those that say how to reach archives are taken', () => {
  const dump = [
    'APT "";',
    'Acquire::http::Proxy "http://proxy:3128";',
    'DPkg::Post-Invoke:: "rm -rf /";',
    'Acquire::https::CAInfo "/x";',
  ].join('\n');
  expect(acquireSettings(dump)).toEqual(['Acquire::http::Proxy "http://proxy:3128";', 'Acquire::https::CAInfo "/x";']);
});

test('nothing of the machine’s apt is used or changed', () => {
  const config = aptConfig('/c/apt', [], true);
  expect(config).toContain('Dir::State "/c/apt/state";');
  expect(config).toContain('Dir::State::status "/c/apt/status";');
  expect(config).toContain('Dir::Cache "/c/apt/cache";');
  expect(config).toContain('Dir::Etc::sourcelist "/c/apt/sources.list";');
  expect(aptConfig('/c/apt', [], false)).not.toContain('sourcelist');
  expect(() => aptConfig('/c/"; Evil "x', [], true)).toThrow('quotes');
});
