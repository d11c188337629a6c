import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { rootOwnerCommands } from './build.ts';
import { DOM0_FILES, dom0InitramfsInit } from './dom0-files.ts';
import { GUEST_UP_MARKER, guestFiles } from './guest-files.ts';
import { isFetched, isWantedInDom0, KERNEL_PACKAGE, XEN_PACKAGE } from './packages.ts';
import { dom0Recipe, recipeHash } from './recipe.ts';

const scripts = [
  ...DOM0_FILES,
  ...guestFiles(['a.ko']),
  { path: 'init', mode: 0o755, text: dom0InitramfsInit(['ext4.ko']) },
].filter(({ text }) => text.startsWith('#!'));

test.each(scripts.map((script) => [script.path, script] as const))('%s is a script a shell can read', (_, script) => {
  const shell = script.text.startsWith('#!/bin/bash') ? 'bash' : 'sh';
  expect(spawnSync(shell, ['-n'], { input: script.text, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  expect(script.mode & 0o111).not.toBe(0);
});

test('modules are loaded in the order given', () => {
  expect(dom0InitramfsInit(['b.ko', 'a.ko'])).toContain('for module in b.ko a.ko;');
});

test('the guest says that it is up', () => {
  expect(guestFiles([]).find(({ path }) => path === 'etc/rc')?.text).toContain(`echo "${GUEST_UP_MARKER}: `);
});

test('nobody can log into dom0 with a password', () => {
  const shadow = DOM0_FILES.find(({ path }) => path === 'etc/shadow');
  expect(shadow?.mode).toBe(0o600);
  expect(shadow?.text.split('\n').filter((line) => /^[^:]+:[^*!]/.test(line))).toEqual([]);
});

test.each([
  ['xen-utils-4.17', true, true],
  ['perl-base', true, true],
  ['libperl5.36', false, false],
  ['udev', false, false],
  [XEN_PACKAGE, false, true],
  [KERNEL_PACKAGE, false, false],
  ['linux-image-6.1.0-56-amd64', false, true],
])('%s: in dom0 %s, fetched %s', (name, wanted, fetched) => {
  expect([isWantedInDom0(name), isFetched(name)]).toEqual([wanted, fetched]);
});

test('a recipe’s name changes with anything in it', () => {
  expect(recipeHash(dom0Recipe())).toBe(recipeHash(dom0Recipe()));
  expect(recipeHash(dom0Recipe())).toMatch(/^[0-9a-f]{16}$/);
  expect(recipeHash({ a: [1, 2] })).not.toBe(recipeHash({ a: [1, 3] }));
});

test('every file of the tree is given to root, names that debugfs cannot be told are refused', () => {
  expect(rootOwnerCommands(['a b']).split('\n')).toEqual([
    'sif "/lost+found" uid 0',
    'sif "/lost+found" gid 0',
    'sif "/a b" uid 0',
    'sif "/a b" gid 0',
    '',
  ]);
  expect(() => rootOwnerCommands(['a"b'])).toThrow('a"b');
});
