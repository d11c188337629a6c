/** Reading YAML with the place of everything that is wrong. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml';

/** What is wrong with a file, and where: line and column from 1, and the way to it through the names. */
export interface YamlProblem {
  readonly line: number;
  readonly column: number;
  /** `workloads.pbzip2.size`; empty for the whole file. */
  readonly path: string;
  readonly message: string;
}

/**
 * A value in a file. The readers below tell the file of what is wrong and go on with something in its place, so that
 * everything that is wrong is found at once: whoever reads looks at `problems` in the end.
 */
export interface YamlValue {
  readonly file: YamlFile;
  readonly node: Node | undefined;
  readonly path: string;
  /** Where it is in the text; of what is empty, where its name is. */
  readonly offset: number;
}

export interface YamlFile {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly problems: YamlProblem[];
}

/** No campaign comes near it. */
const lengthMax = 256 * 1024;

/** The text's only document. What is no YAML is already among the problems. */
export function readYaml(text: string): YamlValue {
  const lines = new LineCounter();
  const isTooLong = text.length > lengthMax;
  const document = parseDocument(isTooLong ? '' : text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const file: YamlFile = { document, lines, problems: [] };
  const root = { file, node: document.contents ?? undefined, path: '', offset: 0 };
  if (isTooLong) complain(root, `over ${lengthMax} characters`);
  for (const error of [...document.errors, ...document.warnings]) {
    complain({ ...root, offset: error.pos[0] }, error.message);
  }
  return root;
}

/** Notes that something is wrong with a value. */
export function complain({ file, path, offset }: YamlValue, message: string): void {
  const { line, col } = file.lines.linePos(offset);
  // Before the first line is known there is none.
  file.problems.push({ line: Math.max(1, line), column: Math.max(1, col), path, message });
}

/** A problem as a line of text: `campaign.yaml:12:5: workloads.pbzip2.size: expected …`. */
export const problemText = (fileName: string, { line, column, path, message }: YamlProblem): string =>
  `${fileName}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;

/** The values of a mapping by their names, in the file's order. */
export interface YamlFields {
  readonly of: YamlValue;
  /** Whether it is something else: that has been said, and what is missing in it need not be. */
  readonly isOther: boolean;
  readonly values: ReadonlyMap<string, YamlValue>;
}

/** A mapping; `known` are the only names that it may have, where it is given. */
export function readFields(value: YamlValue, known?: readonly string[]): YamlFields {
  const node = resolved(value);
  const values = new Map<string, YamlValue>();
  if (!isMap(node)) {
    const isOther = node !== undefined && !isNull(node);
    if (isOther) complain(value, `expected names with values, not ${kindOf(node)}`);
    return { of: value, isOther, values };
  }
  for (const pair of node.items) {
    const key = isScalar(pair.key) ? pair.key : undefined;
    const offset = key?.range?.[0] ?? value.offset;
    const name = key === undefined ? '' : String(key.value);
    const path = value.path === '' ? name : `${value.path}.${name}`;
    const at = { file: value.file, node: (pair.value ?? undefined) as Node | undefined, path, offset };
    const own = { ...at, offset: at.node?.range?.[0] ?? offset };
    if (key === undefined) complain({ ...at, path: value.path }, 'a name is a word, not a list or a mapping');
    else if (known !== undefined && !known.includes(name)) {
      complain({ ...at, path: value.path }, `there is no ${name} here; there is ${known.join(', ')}`);
    } else values.set(name, isNull(at.node) ? { ...own, offset } : own);
  }
  return { of: value, isOther: false, values };
}

/** The value of a name read by `read`, or `otherwise` where the name is not there. */
export function optional<T, O>(fields: YamlFields, name: string, read: (value: YamlValue) => T, otherwise: O): T | O {
  const value = fields.values.get(name);
  return value === undefined ? otherwise : read(value);
}

/** The value of a name that must be there, read by `read`. */
export function required<T>(fields: YamlFields, name: string, read: (value: YamlValue) => T): T {
  const value = fields.values.get(name);
  if (value !== undefined) return read(value);
  if (!fields.isOther) complain(fields.of, `${name} is missing`);
  // A reader of nothing gives its placeholder; what it says of it would be said twice.
  const { document, lines } = fields.of.file;
  return read({ file: { document, lines, problems: [] }, node: undefined, path: '', offset: 0 });
}

/** Whether it is names with values, and not one value or a list. */
export const isMapping = (value: YamlValue): boolean => isMap(resolved(value));

export function readList<T>(value: YamlValue, read: (each: YamlValue) => T): readonly T[] {
  const node = resolved(value);
  if (!isSeq(node)) {
    complain(value, `expected a list, not ${kindOf(node)}`);
    return [];
  }
  return node.items.map((item, index) => {
    const own = item as Node;
    return read({
      file: value.file,
      node: own,
      path: `${value.path}[${index}]`,
      offset: own.range?.[0] ?? value.offset,
    });
  });
}

/** Text that is not empty; numbers and yes or no are taken as they are written. */
export function readText(value: YamlValue): string {
  const node = resolved(value);
  if (!isScalar(node) || isNull(node)) return wrong(value, `expected text, not ${kindOf(node)}`, '');
  const text = typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
  if (text === '' || text.includes('\0')) return wrong(value, 'expected text that is not empty and has no NUL', '');
  return text;
}

/** Text that an xl configuration may have, where it comes to: one line without control characters, of 4096 at most. */
export function readLineOfText(value: YamlValue): string {
  const text = readText(value);
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(text) || !text.isWellFormed()) {
    return wrong(value, 'expected one line without control characters', '');
  }
  if (text.length > lineLengthMax) return wrong(value, `over ${lineLengthMax} characters`, '');
  return text;
}

const lineLengthMax = 4096;

/** The source of a regular expression with at least so many groups. */
export const readRegexp =
  (groupsMin: 0 | 1) =>
  (value: YamlValue): string => {
    const source = readText(value);
    try {
      // What also matches nothing tells how many groups there are.
      const groups = new RegExp(`(?:${source})|`).exec('')!.length - 1;
      if (groups < groupsMin) complain(value, 'its first group is what is read: put that into brackets');
    } catch (error) {
      complain(value, error instanceof Error ? error.message : String(error));
    }
    return source;
  };

export const readOneOf =
  <T extends string>(known: readonly [T, ...T[]]) =>
  (value: YamlValue): T => {
    const text = scalarText(value);
    return (
      known.find((each) => each === text) ??
      wrong(value, `expected ${known.join(' or ')}, not ${shown(value)}`, known[0])
    );
  };

export const readInteger =
  (min: number, max: number) =>
  (value: YamlValue): number => {
    const node = resolved(value);
    const number = isScalar(node) ? node.value : undefined;
    if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number;
    return wrong(value, `expected a whole number from ${min} to ${max}, not ${shown(value)}`, min);
  };

export const readNumber =
  (min: number, max: number) =>
  (value: YamlValue): number => {
    const node = resolved(value);
    const number = isScalar(node) ? node.value : undefined;
    if (typeof number === 'number' && number >= min && number <= max) return number;
    return wrong(value, `expected a number from ${min} to ${max}, not ${shown(value)}`, min);
  };

export function readYesNo(value: YamlValue): boolean {
  const node = resolved(value);
  const given = isScalar(node) ? node.value : undefined;
  return typeof given === 'boolean' ? given : wrong(value, `expected true or false, not ${shown(value)}`, false);
}

const sizeUnits: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** A number of bytes: `4096`, `512M`, `1G`. */
export function readSize(value: YamlValue): number {
  const match = /^(\d{1,12}) ?([KMGT]?)(?:iB)?$/.exec(scalarText(value) ?? '');
  const size = match === null ? 0 : Number(match[1]) * sizeUnits[match[2]!]!;
  if (size > 0 && size <= 2 ** 45) return size;
  return wrong(value, `expected a size such as 512M or 1G, not ${shown(value)}`, 1);
}

/** The memory of a guest, in bytes: {@link readSize} with its unit, in whole MiB, as xl takes it. */
export function readMemory(value: YamlValue): number {
  const text = scalarText(value) ?? '';
  if (/^\d+$/.test(text)) return wrong(value, `it has no unit: ${text}M or ${text}G`, 2 ** 20);
  const size = readSize(value);
  if (size > 1 && size % 2 ** 20 !== 0) return wrong(value, 'expected whole MiB, such as 128M', 2 ** 20);
  return size;
}

const timeUnits: Readonly<Record<string, number>> = { ms: 0.001, '': 1, s: 1, min: 60, h: 3600 };

/** A length of time, in seconds: `30`, `30 s`, `5 min`, `2 h`, `10 ms`. */
export const readSeconds =
  (min: number, max: number) =>
  (value: YamlValue): number => {
    const match = /^(\d{1,9}(?:\.\d{1,6})?) ?(ms|s|min|h|)$/.exec(scalarText(value) ?? '');
    const seconds = match === null ? Number.NaN : Number(match[1]) * timeUnits[match[2]!]!;
    if (seconds >= min && seconds <= max) return seconds;
    return wrong(value, `expected a time from ${min} s to ${max} s, such as 30 s or 5 min, not ${shown(value)}`, min);
  };

function wrong<T>(value: YamlValue, message: string, instead: T): T {
  complain(value, message);
  return instead;
}

function resolved({ node, file }: YamlValue): Node | undefined {
  return isAlias(node) ? node.resolve(file.document) : node;
}

const isNull = (node: Node | undefined): boolean => isScalar(node) && node.value === null;

function scalarText(value: YamlValue): string | undefined {
  const node = resolved(value);
  if (!isScalar(node) || isNull(node)) return undefined;
  return node.source ?? String(node.value);
}

/** A value as a message quotes it. */
const shown = (value: YamlValue): string => {
  const text = scalarText(value);
  return text === undefined ? kindOf(resolved(value)) : `'${text.length > 40 ? `${text.slice(0, 40)}…` : text}'`;
};

function kindOf(node: Node | undefined): string {
  if (node === undefined || isNull(node)) return 'nothing';
  if (isMap(node)) return 'names with values';
  if (isSeq(node)) return 'a list';
  return 'a single value';
}
