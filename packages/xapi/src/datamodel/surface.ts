/**
 * What of the tables clients are shown. The tables are those of the newest XAPI, with what is ours; a test of a client may want
 * an older one, or nothing that is ours.
 */
import type { WireType } from '@xenolith/wire';
import { classTables } from './classes.ts';
import { classTable, parseDataType, toWireType, type DataType } from './data-type.ts';
import { extensionMessages } from './extensions.ts';
import type { Method } from './registry.ts';
import type { ClassTable, FieldTable, Lifecycle } from './schema.ts';

/** The releases that the server can answer as: XCP-ng 8.2 and 8.3, and the newest one that the tables know. */
export const personalities = ['8.2', '8.3', 'current'] as const;
export type Personality = (typeof personalities)[number];

/** What clients read of a release in `host.software_version` and beside it. */
export interface ReleaseFacts {
  /** Absent: the version of Xenolith. */
  readonly productVersion?: string;
  readonly platformVersion: string;
  readonly apiVersionMinor: number;
  /** `major.minor`, and the whole of it. */
  readonly xapi: string;
  readonly xapiBuild: string;
  /** Absent where it is not known for certain. */
  readonly databaseSchema?: string;
  /** The last release with a code name that it has everything of; undefined for all of them. */
  readonly codeName?: string;
}

const releases: Readonly<Record<Personality, ReleaseFacts>> = {
  '8.2': {
    productVersion: '8.2.1',
    platformVersion: '3.2.1',
    apiVersionMinor: 15,
    xapi: '1.249',
    xapiBuild: '1.249.0',
    codeName: 'stockholm_psr',
  },
  '8.3': {
    productVersion: '8.3.0',
    platformVersion: '3.4.0',
    apiVersionMinor: 21,
    xapi: '24.11',
    xapiBuild: '24.11.0',
    codeName: 'nile',
  },
  current: {
    platformVersion: '3.4.0',
    apiVersionMinor: 23,
    xapi: '26.17',
    xapiBuild: '26.17.0',
    databaseSchema: '5.909',
  },
};

/** Code names of releases, oldest first (xenapi.json, `releases`). */
const codeNames: readonly string[] = (
  'rio miami symc orlando orlando-update-1 george midnight-ride cowley boston tampa clearwater vgpu-tech-preview ' +
  'vgpu-productisation clearwater-felton clearwater-whetstone creedence cream indigo dundee ely falcon inverness jura ' +
  'kolkata lima naples oslo quebec stockholm stockholm_psr nile-preview nile orinoco'
).split(' ');

/** Whether a version of XAPI (`24.11.0`) comes after another. */
function isAfter(version: string, other: string): boolean {
  const [a, b] = [version, other].map((text) => text.split('.').map(Number));
  for (const [index, part] of (a ?? []).entries()) {
    const against = b?.[index] ?? 0;
    if (part !== against) return part > against;
  }
  return false;
}

export interface SurfaceOptions {
  readonly personality?: Personality;
  /** Whether what is ours is left out. */
  readonly strict?: boolean;
}

export class Surface {
  readonly release: ReleaseFacts;
  readonly #strict: boolean;
  readonly #shown = new Map<string, DataType>();
  readonly #hidden = new Map<string, boolean>();

  constructor({ personality = 'current', strict = false }: SurfaceOptions = {}) {
    this.release = releases[personality];
    this.#strict = strict;
  }

  get #isWhole(): boolean {
    return !this.#strict && this.release.codeName === undefined;
  }

  /** Whether something came after the release. */
  #isLater({ prototyped, published }: Lifecycle): boolean {
    const { codeName, xapiBuild } = this.release;
    const since = prototyped ?? published;
    if (codeName === undefined || since === undefined) return false;
    const index = codeNames.indexOf(since);
    return index >= 0 ? index > codeNames.indexOf(codeName) : isAfter(since, xapiBuild);
  }

  /** Whether clients are not to meet a class. */
  hidesClass(className: string): boolean {
    if (this.#isWhole) return false;
    const table = classTable(className);
    return (this.#strict && table.extension === true) || this.#isLater(table.lifecycle);
  }

  #hidesField(table: ClassTable, field: FieldTable): boolean {
    return (this.#strict && field.extension === true) || this.#isLater(field) || this.hidesClass(table.name);
  }

  /** Whether a call is unknown here: its own, its field's or its class's age decides, and whose it is. */
  hidesMethod(method: Method): boolean {
    if (this.#isWhole) return false;
    let hides = this.#hidden.get(method.fullName);
    if (hides === undefined) this.#hidden.set(method.fullName, (hides = this.#worksOut(method)));
    return hides;
  }

  #worksOut({ className, name, field, extension }: Method): boolean {
    if ((this.#strict && extension) || this.hidesClass(className)) return true;
    const table = classTable(className);
    if (field !== undefined) {
      const fieldTable = table.fields[field];
      return fieldTable !== undefined && this.#hidesField(table, fieldTable);
    }
    const message = table.messages[name] ?? ours(className, name);
    return message !== undefined && this.#isLater(message);
  }

  /** How many parameters a call takes at most: those that came later than the release are its last. */
  parameterCount({ params }: Method): number {
    if (this.release.codeName === undefined) return params.length;
    const first = params.findIndex(({ since }) => since !== undefined && this.#isLater({ published: since }));
    return first < 0 ? params.length : first;
  }

  /** The type of an answer, its records without the fields that clients are not to meet. */
  shown(type: DataType): DataType {
    if (this.#isWhole) return type;
    switch (type.kind) {
      case 'record':
        return this.#shownRecord(type.class);
      case 'map':
      case 'set': {
        const inner = type.kind === 'map' ? type.value : type.of;
        const shown = this.shown(inner);
        if (shown === inner) return type;
        return type.kind === 'map' ? { ...type, value: shown } : { ...type, of: shown };
      }
      default:
        return type;
    }
  }

  /** The fields of a record as it is written. */
  recordType(className: string): WireType {
    return toWireType(this.shown(parseDataType(`record(${className})`)));
  }

  #shownRecord(className: string): DataType {
    let shown = this.#shown.get(className);
    if (shown === undefined) {
      const whole = parseDataType(`record(${className})`);
      const wire = toWireType(whole);
      const table = classTable(className);
      const members =
        wire.kind === 'record'
          ? wire.members.filter(({ name }) => {
              const field = table.fields[name];
              return field === undefined || !this.#hidesField(table, field);
            })
          : [];
      const isWhole = wire.kind !== 'record' || members.length === wire.members.length;
      shown = isWhole ? whole : { kind: 'wire', wire: { kind: 'record', members } };
      this.#shown.set(className, shown);
    }
    return shown;
  }

  /** The classes that clients are not to meet, as the tables spell them. */
  get hiddenClasses(): ReadonlySet<string> {
    return new Set(Object.keys(classTables).filter((name) => this.hidesClass(name)));
  }
}

const ours = (className: string, name: string): Lifecycle | undefined =>
  (extensionMessages as Readonly<Record<string, Readonly<Record<string, Lifecycle>>>>)[className]?.[name];
