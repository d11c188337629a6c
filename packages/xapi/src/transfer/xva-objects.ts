/**
 * `ova.xml`, the first file of an XVA: the records of a VM and of what belongs to it, whose references are numbers of the
 * file's own. XAPI: ocaml/xapi/export.ml, importexport.ml.
 */
import { nullRef, type Ref } from '@xenolith/base';
import {
  decodeUtf8,
  encodeUtf8,
  encodeXmlAny,
  encodeXmlValue,
  escapeXml,
  formatDateTime,
  isArray,
  isStruct,
  parseXmlValue,
  WireError,
  type WireStruct,
  type WireValue,
} from '@xenolith/wire';
import { toWireType } from '../datamodel/data-type.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';

export const ovaFile = 'ova.xml';
/** A VM with a hundred disks has about a hundred kilobytes. */
export const ovaBytesMax = 16 * 1024 * 1024;

type XvaClass = 'VM' | 'VBD' | 'VIF' | 'VDI' | 'SR' | 'network';

interface ExportedObject {
  readonly className: XvaClass;
  readonly id: string;
  readonly ref: string;
}

/** What is in an XVA: its first file, and the disks whose blocks follow. */
export interface ExportedVm {
  readonly ova: Uint8Array;
  /** By the names of their directories, in the order of these texts. */
  readonly disks: readonly { readonly id: string; readonly vdi: Ref<'VDI'> }[];
}

/** The VM's records with everything that they refer to in it; discs in drives are named, and not in it. */
export function exportedVm(xapi: Xapi, vm: Ref<'VM'>): ExportedVm {
  const { db } = xapi;
  const { VBDs, VIFs } = db.get('VM', vm);
  const vbds = VBDs.map((vbd) => db.get('VBD', vbd));
  const vdis = [...new Set(vbds.map(({ VDI }) => VDI))].filter((vdi) => db.has('VDI', vdi));
  const srs = new Set(vdis.map((vdi) => db.get('VDI', vdi).SR));
  const networks = new Set(VIFs.map((vif) => db.get('VIF', vif).network));
  const refs: readonly (readonly [XvaClass, Iterable<string>])[] = [
    ['VM', [vm]],
    ['SR', srs],
    ['network', networks],
    ['VBD', VBDs],
    ['VIF', VIFs],
    ['VDI', vdis],
  ];
  let number = 0;
  const objects: ExportedObject[] = refs.flatMap(([className, each]) =>
    [...each].map((ref) => ({ className, id: `Ref:${number++}`, ref })),
  );
  const own = new Set(vbds.filter(({ type }) => type === 'Disk').map(({ VDI }) => VDI));
  const disks = objects
    .filter(({ className, ref }) => className === 'VDI' && own.has(ref as Ref<'VDI'>))
    .map(({ id, ref }) => ({ id, vdi: ref as Ref<'VDI'> }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return { ova: encodeUtf8(ovaText(xapi, objects)), disks };
}

function ovaText(xapi: Xapi, objects: readonly ExportedObject[]): string {
  const ids = new Map(objects.map(({ id, ref }) => [ref, id]));
  const [pool] = xapi.db.refs('pool');
  const host = pool === undefined ? undefined : xapi.db.find('host', xapi.db.get('pool', pool).master);
  const version = {
    hostname: host?.hostname ?? '',
    date: formatDateTime(xapi.clock.now()),
    product_version: xapi.version,
    product_brand: 'Xenolith',
    build_number: '',
    xapi_major: '2',
    xapi_minor: '23',
    export_vsn: '2',
  };
  const all = objects.map(({ className, id, ref }) => {
    const type = toWireType({ kind: 'record', class: className });
    const record = xapi.db.getAny(className, ref);
    const own = className === 'VM' ? { ...record, ...byItself } : record;
    const snapshot = encodeXmlValue(type, renamed(own, ids));
    return struct({ class: encodeXmlAny(className), id: encodeXmlAny(id), snapshot });
  });
  const list = `<value><array><data>${all.join('')}</data></array></value>`;
  return struct({ version: encodeXmlAny(version), objects: list });
}

/** A snapshot whose VM is not in the file is an ordinary template there (`make_vm` of XAPI). */
const byItself = {
  is_a_snapshot: false,
  snapshot_of: nullRef(),
  snapshot_metadata: '',
  snapshot_info: {},
  is_default_template: false,
} as const;

const struct = (members: Readonly<Record<string, string>>): string =>
  `<value><struct>${Object.entries(members)
    .map(([name, text]) => `<member><name>${escapeXml(name)}</name>${text}</member>`)
    .join('')}</struct></value>`;

const referencePrefix = 'OpaqueRef:';

/** A value in which references are the file's own; those to what is not in the file are null, or gone from sets. */
function renamed(value: unknown, ids: ReadonlyMap<string, string>): unknown {
  if (typeof value === 'string') {
    return value.startsWith(referencePrefix) ? (ids.get(value) ?? nullRef()) : value;
  }
  if (Array.isArray(value)) return value.map((item) => renamed(item, ids)).filter((item) => item !== nullRef());
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([name]) => !name.startsWith(referencePrefix));
  return Object.fromEntries(members.map(([name, item]) => [name, renamed(item, ids)]));
}

/** Records of a file by their numbers. */
export type ReadObjects = ReadonlyMap<string, { readonly className: string; readonly record: WireStruct }>;

/** Reads `ova.xml`. @throws XapiError IMPORT_ERROR for what is none, IMPORT_INCOMPATIBLE_VERSION */
export function parseOva(bytes: Uint8Array): ReadObjects {
  let value: WireValue;
  try {
    value = parseXmlValue(decodeUtf8(bytes));
  } catch (error) {
    if (error instanceof WireError) throw new XapiError('IMPORT_ERROR', `${ovaFile}: ${error.message}`);
    throw error;
  }
  const objects = isStruct(value) ? value['objects'] : undefined;
  const version = isStruct(value) ? value['version'] : undefined;
  if (!isStruct(version) || !isArray(objects))
    throw new XapiError('IMPORT_ERROR', `${ovaFile} has no version or objects`);
  const vsn = Number(version['export_vsn'] ?? 0);
  if (!(vsn >= 0 && vsn <= 2)) throw new XapiError('IMPORT_INCOMPATIBLE_VERSION');
  return new Map(
    objects.map((object) => {
      const { class: className, id, snapshot } = isStruct(object) ? object : {};
      if (typeof className !== 'string' || typeof id !== 'string' || !isStruct(snapshot)) {
        throw new XapiError('IMPORT_ERROR', `an object in ${ovaFile} has not class, id and snapshot`);
      }
      return [id, { className, record: snapshot }];
    }),
  );
}
