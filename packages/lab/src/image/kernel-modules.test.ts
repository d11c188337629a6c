import { Buffer } from 'node:buffer';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findModules, moduleClosure, moduleDependencies, moduleName } from './kernel-modules.ts';

let tree = '';
const module = (depends: string): Buffer => Buffer.from(`\u007fELF\0license=GPL\0depends=${depends}\0name=x\0`);

beforeAll(async () => {
  tree = await mkdtemp(join(tmpdir(), 'xenolith-modules-'));
  await mkdir(join(tree, 'kernel/fs'), { recursive: true });
  const files = { 'ext4.ko': 'mbcache,jbd2', 'mbcache.ko': '', 'jbd2.ko': 'crc32c-generic', 'crc32c_generic.ko': '' };
  for (const [name, depends] of Object.entries(files)) await writeFile(join(tree, 'kernel/fs', name), module(depends));
});
afterAll(() => rm(tree, { recursive: true, force: true }));

test('a name is spelled as the kernel does', () => {
  expect(moduleName('/a/xen-blkback.ko')).toBe('xen_blkback');
});

test('dependencies are read from .modinfo', () => {
  expect(moduleDependencies(module('a-b,c'))).toEqual(['a_b', 'c']);
  expect(moduleDependencies(module(''))).toEqual([]);
  expect(moduleDependencies(Buffer.from('no modinfo'))).toEqual([]);
});

describe('moduleClosure', () => {
  test('each module comes after what it needs, once', async () => {
    const closure = await moduleClosure(await findModules(tree), '', ['ext4', 'jbd2']);
    expect(closure.map((path) => basename(path))).toEqual(['mbcache.ko', 'crc32c_generic.ko', 'jbd2.ko', 'ext4.ko']);
  });

  test('what is built in needs no file, what is nowhere is a failure', async () => {
    const modules = await findModules(tree);
    expect(await moduleClosure(modules, 'kernel/drivers/virtio-pci.ko\n', ['virtio_pci'])).toEqual([]);
    await expect(moduleClosure(modules, '', ['virtio_pci'])).rejects.toMatchObject({ code: 'BUILD_FAILED' });
  });
});
