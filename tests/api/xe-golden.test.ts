/**
 * Every command of xe on a pool of modelled hosts, against what it came to when it was last looked at
 * (`tests/fixtures/xe/golden`, one file for each kind of object). To record anew, and to see in the diff what changed:
 * `XE_GOLDEN=record node node_modules/vitest/vitest.mjs run --project api tests/api/xe-golden.test.ts`.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { commands, objects } from '@xenolith/xe';
import { knownCommands, linesOf } from './xe-lines.ts';
import { XeWorld } from './xe-world.ts';

const directory = new URL('../fixtures/xe/golden/', import.meta.url).pathname;
const isRecording = process.env['XE_GOLDEN'] === 'record';

/** Lines for the commands that every object has, tried on one object of each kind that the world has. */
const genericLines: readonly (readonly [name: string, line: string])[] = objects.flatMap(({ name }) => {
  const uuid = name === 'vm' ? '$spare' : name === 'host' ? '$host1' : `$${name}`;
  return [
    [`${name}-list`, `${name}-list`],
    [`${name}-param-list`, `${name}-param-list uuid=${uuid}`],
    [`${name}-param-get`, `${name}-param-get uuid=${uuid} param-name=uuid`],
    [`${name}-param-set`, `${name}-param-set uuid=${uuid} other-config:key=value`],
    [`${name}-param-add`, `${name}-param-add uuid=${uuid} param-name=other-config key=value`],
    [`${name}-param-remove`, `${name}-param-remove uuid=${uuid} param-name=other-config param-key=key`],
    [`${name}-param-clear`, `${name}-param-clear uuid=${uuid} param-name=other-config`],
  ] as const;
});

const cases: readonly (readonly [name: string, lines: readonly string[]])[] = [
  ...knownCommands.map(({ name }) => [name, linesOf(name)] as const),
  ...genericLines.map(([name, line]) => [name, [line]] as const),
];

const fileOf = (name: string): string => `${name.split('-')[0]}.txt`;
const recorded = new Map<string, string>();

/** The recordings of a file, by command. */
function readGolden(file: string): ReadonlyMap<string, string> {
  try {
    const blocks = readFileSync(`${directory}${file}`, 'utf8').split(/^(?=# )/m);
    return new Map(blocks.map((block) => [block.slice(2, block.indexOf('\n')), block]));
  } catch {
    return new Map();
  }
}

let world: XeWorld | undefined;

/** Runs the lines of a command, in a world that no other command has changed. */
async function transcript(name: string, lines: readonly string[]): Promise<string> {
  world ??= await XeWorld.make();
  const here = world;
  let text = `# ${name}\n`;
  let changed = lines.length > 1;
  for (const [i, line] of lines.entries()) {
    const { stdout, stderr, code } = await here.xe(line);
    if (i < lines.length - 1) here.uuids.set('abc'[i] ?? '', stdout.trim());
    // What the generic commands set they clear again.
    changed ||= code === 0 && !/-(?:list|param-[a-z]+)$/.test(name);
    text += here.normal(`$ ${line}\n${stdout}${stderr}`);
    if (!text.endsWith('\n')) text += '\n';
    if (code !== 0) text += `exit ${code}\n`;
  }
  if (changed) world = undefined;
  return `${text}\n`;
}

test('every command of xe of XAPI 26 is there', async () => {
  const names = new Set((await commands()).map(({ name }) => name));
  expect(knownCommands.map(({ name }) => name).filter((name) => !names.has(name))).toEqual([]);
});

const files = new Map<string, ReadonlyMap<string, string>>();

test.each(cases)('%s', async (name, lines) => {
  const text = await transcript(name, lines);
  if (isRecording) {
    recorded.set(name, text);
    return;
  }
  const file = fileOf(name);
  const golden = files.get(file) ?? readGolden(file);
  files.set(file, golden);
  expect(text, 'see the head of this file for how to record anew').toBe(golden.get(name));
});

afterAll(() => {
  if (!isRecording) return;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const byFile = Map.groupBy(recorded, ([name]) => fileOf(name));
  for (const [file, blocks] of byFile) {
    const sorted = blocks.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, block]) => block);
    writeFileSync(`${directory}${file}`, sorted.join(''));
  }
});
