/** Rules of the house that no linter knows. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '');
const read = (file: string): string => readFileSync(`${root}${file}`, 'utf8');
const sources = files.filter(
  (file) => /^(packages|tests|bench|tools)\/.*\.ts$/.test(file) && !file.includes('/fixtures/'),
);
const code = sources.filter((file) => !file.endsWith('.test.ts'));
/** Tables of data are as long as the data. */
const isTable = (file: string): boolean => /^packages\/xapi\/src\/datamodel\/(class\/|errors|enums)/.test(file);

/** Rooms from the lowest to the highest; a room may import the ones before it. */
const order = ['base', 'hypervisor', 'wire', 'xapi', 'xe', 'experiments', 'storage', 'host', 'lab', 'server', 'cli'];
const pure = new Set(['base', 'hypervisor', 'wire', 'xapi', 'xe', 'experiments']);
const roomOf = (file: string): string | undefined => /^packages\/([^/]+)\//.exec(file)?.[1];
const importsOf = (text: string): readonly string[] =>
  [
    ...text.matchAll(
      /^\s*(?:import|export)\b[^'";]*?from\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm,
    ),
  ].map((match) => match[1] ?? match[2] ?? match[3] ?? '');

describe('imports', () => {
  test.each(sources)('%s', (file) => {
    const room = roomOf(file);
    const imports = importsOf(read(file));
    const manifest = JSON.parse(
      read(
        room === undefined
          ? `${file.split('/')[0]}/package.json`.replace('tools/', '')
          : `packages/${room}/package.json`,
      ),
    );
    const declared = new Set(
      Object.keys({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies }),
    );
    const rootManifest = JSON.parse(read('package.json'));
    const shared = new Set(Object.keys(rootManifest.devDependencies));
    for (const name of imports) {
      if (name.startsWith('.')) {
        expect(name, 'relative imports name the file').toMatch(/\.(ts|json)$/);
        if (room !== undefined)
          expect(new URL(name, `file:///${file}`).pathname).toMatch(new RegExp(`^/(packages/${room}|tests)/`));
        continue;
      }
      if (name.startsWith('node:')) {
        expect(room === undefined || !pure.has(room) || file.endsWith('.test.ts'), `${name} in a pure room`).toBe(true);
        continue;
      }
      const own = /^@xenolith\/([^/]+)/.exec(name)?.[1];
      if (own !== undefined && room !== undefined) {
        expect(order.indexOf(own), `${room} imports ${own}`).toBeLessThan(order.indexOf(room));
      }
      const packageName = name.startsWith('@') ? name.split('/').slice(0, 2).join('/') : (name.split('/')[0] ?? '');
      expect(declared.has(packageName) || shared.has(packageName), `${packageName} is declared`).toBe(true);
    }
  });
});

test('pure rooms take time and chance from outside', () => {
  const offenders = code
    .filter((file) => pure.has(roomOf(file) ?? ''))
    .filter((file) =>
      /\b(Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|process\.|performance\.now)/.test(
        stripComments(read(file)),
      ),
    );
  expect(offenders).toEqual([]);
});

const stripComments = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');

test('files hold one concept: at most 700 lines', () => {
  const long = sources.filter((file) => !isTable(file)).filter((file) => read(file).split('\n').length > 700);
  expect(long).toEqual([]);
});

test('no file is a drawer', () => {
  expect(sources.filter((file) => /\/(helpers?|utils?|manager|misc|common)\.ts$/.test(file))).toEqual([]);
});

test('no default exports, no escapes from the checker, no forgotten .only', () => {
  const patterns = [
    /^export default/m,
    /\bas any\b/,
    /:\s*any\b/,
    /@ts-(ignore|expect-error|nocheck)/,
    /\b(test|it|describe)\.(only|todo)\b/,
  ];
  const offenders = sources
    .filter((file) => file !== 'tools/tidy.test.ts')
    .flatMap((file) =>
      patterns
        .filter((pattern) => pattern.test(stripStrings(stripComments(read(file)))))
        .map((pattern) => `${file}: ${pattern}`),
    );
  expect(offenders).toEqual([]);
});

const stripStrings = (text: string): string => text.replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''");

test('nothing is left for later', () => {
  const offenders = sources
    .filter((file) => file !== 'tools/tidy.test.ts')
    .filter((file) => /\b(TODO|FIXME|XXX)\b/.test(read(file)));
  expect(offenders).toEqual([]);
});

test('a document has one title', () => {
  const documents = files.filter((file) => file.endsWith('.md'));
  const offenders = documents.filter(
    (file) =>
      read(file)
        .replaceAll(/^```[\s\S]*?^```/gm, '')
        .match(/^# /gm)?.length !== 1,
  );
  expect(offenders).toEqual([]);
});

test('links between documents lead somewhere', () => {
  const known = new Set(files);
  const offenders = files
    .filter((file) => file.endsWith('.md'))
    .flatMap((file) =>
      [...read(file).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map((match) => match[1] ?? '')
        .filter((target) => !/^[a-z]+:/.test(target))
        .map((target) => new URL(target, `file:///${file}`).pathname.slice(1))
        .filter(
          (target) =>
            !known.has(target) &&
            !files.some((other) => other.startsWith(target.endsWith('/') ? target : `${target}/`)),
        )
        .map((target) => `${file} -> ${target}`),
    );
  expect(offenders).toEqual([]);
});

test('the project speaks of itself alone: no path of the machine it was written on', () => {
  const offenders = files
    .filter((file) => /\.(ts|md|json|sh|yml)$/.test(file) && file !== 'tools/tidy.test.ts')
    .filter((file) => /\/work\/(main|shared)|registry\.npmjs/.test(read(file)));
  expect(offenders).toEqual([]);
});
