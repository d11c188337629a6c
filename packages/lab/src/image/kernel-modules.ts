import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { LabError } from '../lab-error.ts';

/** A module's name as the kernel spells it: `xen-blkback.ko` and `xen_blkback` are the same module. */
export function moduleName(fileOrName: string): string {
  return basename(fileOrName).replace(/\.ko$/, '').replaceAll('-', '_');
}

/**
 * The modules a module needs, read from its `.modinfo` section (NUL-separated `key=value` strings; `depends=` is written by scripts/mod/modpost.c).
 */
export function moduleDependencies(module: Buffer): readonly string[] {
  const at = module.indexOf('\0depends=');
  if (at === -1) return [];
  const start = at + '\0depends='.length;
  const end = module.indexOf(0, start);
  const list = module.toString('latin1', start, end);
  return list === '' ? [] : list.split(',').map(moduleName);
}

/** Where each module of a tree lies, by name. */
export async function findModules(directory: string): Promise<ReadonlyMap<string, string>> {
  const names = await readdir(directory, { recursive: true });
  return new Map(names.filter((name) => name.endsWith('.ko')).map((name) => [moduleName(name), join(directory, name)]));
}

/**
 * The files of `wanted` and of everything they depend on, each after what it needs, so that loading them in this order works.
 * A wanted module that the kernel has built in has no file; `builtin` (the text of modules.builtin) says so. Anything else missing is a failure.
 */
export async function moduleClosure(
  modules: ReadonlyMap<string, string>,
  builtin: string,
  wanted: readonly string[],
): Promise<readonly string[]> {
  const builtinNames = new Set(builtin.split('\n').map(moduleName));
  const ordered: string[] = [];
  const seen = new Set<string>();
  const visit = async (name: string): Promise<void> => {
    if (seen.has(name)) return;
    seen.add(name);
    const path = modules.get(name);
    if (path === undefined) {
      if (builtinNames.has(name)) return;
      throw new LabError('BUILD_FAILED', `the kernel package has no module ${name}`);
    }
    for (const needed of moduleDependencies(await readFile(path))) await visit(needed);
    ordered.push(path);
  };
  for (const name of wanted) await visit(moduleName(name));
  return ordered;
}
