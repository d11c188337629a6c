/** VMs out of XVA. XAPI: ocaml/xapi/import.ml, stream_vdi.ml. */
import { bytes, isUuid, nullRef, randomUuid, ref as makeRef, type Ref } from '@xenolith/base';
import type { WireStruct, WireValue } from '@xenolith/wire';
import type { Call } from '../call/call.ts';
import { networkCalls } from '../call/network.ts';
import { vbdCalls } from '../call/vbd.ts';
import { vifCalls } from '../call/vif.ts';
import { vmLifeCalls } from '../call/vm-life.ts';
import { classTable, decodeValue, emptyValue, parseDataType } from '../datamodel/data-type.ts';
import type { CreationOf, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { hostOfSr, vdiPath } from '../storage/vdi-path.ts';
import { makeDisk } from '../storage/vdi-work.ts';
import { ByteReader, watched } from './stream.ts';
import type { Sha1 } from './export-vm.ts';
import { diskPieces, TarReader } from './xva-reader.ts';
import { ovaBytesMax, ovaFile, parseOva, type ReadObjects } from './xva-objects.ts';

export interface ImportOptions {
  /** Where its disks go. */
  readonly sr: Ref<'SR'>;
  /** Whether the VM keeps its uuid and its interfaces their addresses. */
  readonly restore: boolean;
  /** Whether blocks are taken whatever their checksums say. */
  readonly force: boolean;
  readonly sha1: Sha1;
}

/** A disk that is being filled: its place in the file, and what it is here. */
interface NewDisk {
  readonly id: string;
  readonly vdi: Ref<'VDI'>;
  filled: boolean;
}

/**
 * Makes the VMs of an XVA with their disks, which appear whole in one commit; on a failure nothing of it is left. Snapshots
 * in it, memory images and devices that are not disks, drives or interfaces are passed over.
 * @throws XapiError IMPORT_ERROR and its kind, DUPLICATE_VM [uuid], and why its disks or records cannot be made
 */
export async function importVm(
  call: Call,
  data: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<readonly Ref<'VM'>[]> {
  const { xapi, task } = call;
  const source = watched(task, data, () => undefined);
  const made: NewDisk[] = [];
  const refs: Ref<'VM'>[] = [];
  let areWhole = false;
  try {
    const tar = new TarReader(new ByteReader(source));
    const first = await tar.peek();
    if (first?.name !== ovaFile) throw new XapiError('IMPORT_ERROR_UNEXPECTED_FILE', ovaFile, first?.name ?? '');
    const objects = parseOva(await tar.take(ovaBytesMax));
    const vms = vmsOf(objects);
    if (vms.length === 0) throw new XapiError('IMPORT_ERROR', 'there is no VM in it');
    if (options.restore) refuseKnown(call, objects, vms);
    for (const id of disksOf(objects, vms))
      made.push({ id, vdi: await newDisk(call, objects, id, options.sr), filled: false });
    await fill(call, tar, made, options);
    // From here on nothing waits, so that what is written is in one commit.
    areWhole = true;
    xapi.disks.finish(made.map(({ vdi }) => vdi));
    const disks = new Map(made.map(({ id, vdi }) => [id, vdi]));
    for (const id of vms) makeVm(call, objects, id, disks, options, refs);
    return refs;
  } catch (error) {
    for (const vm of refs) forget(call, vm);
    const vdis = made.map(({ vdi }) => vdi);
    await (areWhole ? xapi.disks.retire(vdis) : xapi.disks.abandon(vdis));
    throw error;
  } finally {
    await source.return(undefined);
  }
}

const textOf = (record: WireStruct | undefined, field: string): string => {
  const value = record?.[field];
  return typeof value === 'string' ? value : '';
};

const isTrue = (record: WireStruct, field: string): boolean => [true, '1', 'true'].includes(record[field] as string);

/** VMs and templates by their numbers, not snapshots of them. */
const vmsOf = (objects: ReadObjects): readonly string[] =>
  [...objects]
    .filter(([, { className, record }]) => className === 'VM' && !isTrue(record, 'is_a_snapshot'))
    .map(([id]) => id);

/** The records of a class that belong to a VM. */
const devicesOf = (objects: ReadObjects, className: 'VBD' | 'VIF', vm: string): readonly WireStruct[] =>
  [...objects.values()]
    .filter((object) => object.className === className && textOf(object.record, 'VM') === vm)
    .map(({ record }) => record);

/** The disks whose blocks are in the file. */
function disksOf(objects: ReadObjects, vms: readonly string[]): readonly string[] {
  const vbds = vms.flatMap((vm) => devicesOf(objects, 'VBD', vm)).filter((vbd) => textOf(vbd, 'type') === 'Disk');
  return [...new Set(vbds.map((vbd) => textOf(vbd, 'VDI')))].toSorted((a, b) => (a < b ? -1 : 1));
}

/** @throws XapiError DUPLICATE_VM, IMPORT_ERROR for one whose uuid is none */
function refuseKnown({ xapi }: Call, objects: ReadObjects, vms: readonly string[]): void {
  for (const id of vms) {
    const uuid = textOf(objects.get(id)?.record, 'uuid').toLowerCase();
    if (!isUuid(uuid)) throw new XapiError('IMPORT_ERROR', `${id} has no uuid`);
    const known = xapi.db.byUuid('VM', uuid);
    if (known !== undefined) throw new XapiError('DUPLICATE_VM', known);
  }
}

/** Fields of a record that clients may give to a new object, each of its type; what the file has not is as by default. */
function fieldsOf(className: 'VM' | 'VBD' | 'VIF' | 'VDI' | 'network', record: WireStruct): Record<string, WireValue> {
  const { create, fields } = classTable(className);
  const wanted = [...(create?.required ?? []), ...(create?.optional ?? [])];
  return Object.fromEntries(
    wanted.flatMap((name) => {
      const type = parseDataType(fields[name]?.type ?? 'string');
      const given = record[name];
      if (given !== undefined) return [[name, decodeValue(type, given, name)]];
      return create?.required.includes(name) === true ? [[name, emptyValue(type)]] : [];
    }),
  );
}

async function newDisk(call: Call, objects: ReadObjects, id: string, SR: Ref<'SR'>): Promise<Ref<'VDI'>> {
  const object = objects.get(id);
  if (object?.className !== 'VDI') throw new XapiError('IMPORT_ERROR_FAILED_TO_FIND_OBJECT', id);
  const { name_label, name_description, virtual_size, read_only, sharable, other_config, xenstore_data, tags } =
    fieldsOf('VDI', object.record) as unknown as RecordOf<'VDI'>;
  return await makeDisk(call, {
    name_label,
    name_description,
    virtual_size,
    read_only,
    sharable,
    other_config,
    ...(xenstore_data === undefined ? {} : { xenstore_data }),
    ...(tags === undefined ? {} : { tags }),
    type: 'user',
    SR,
  });
}

/** Writes the blocks of the disks, to the end of the file. */
async function fill(call: Call, tar: TarReader, disks: readonly NewDisk[], options: ImportOptions): Promise<void> {
  const { db, hosts } = call.xapi;
  for (let entry = await tar.peek(); entry !== undefined; entry = await tar.peek()) {
    const [directory = ''] = entry.name.split('/');
    const disk = disks.find(({ id, filled }) => id === directory && !filled);
    if (disk === undefined) {
      tar.skip();
      continue;
    }
    disk.filled = true;
    const record = db.get('VDI', disk.vdi);
    const { sha1, force } = options;
    const pieces = diskPieces(tar, disk.id, { sizeBytes: record.virtual_size, sha1, force });
    const host = hostOfSr(db, record.SR, (candidate) => hosts.isLive(candidate));
    const path = vdiPath(db, record, host);
    await hosts.onFiles(host, async (files) => {
      await files.writeImage(path, pieces);
      const sizes = await files.stat(path);
      db.update('VDI', disk.vdi, { physical_utilisation: sizes?.usedBytes ?? bytes(0) });
    });
  }
  const missing = disks.find(({ filled }) => !filled);
  if (missing !== undefined) throw new XapiError('IMPORT_ERROR_FAILED_TO_FIND_OBJECT', missing.id);
}

/** Removes the records of a VM that could not be made to its end. */
function forget({ xapi: { db } }: Call, vm: Ref<'VM'>): void {
  const { VBDs, VIFs, metrics } = db.get('VM', vm);
  for (const vbd of VBDs) db.destroy('VBD', vbd);
  for (const vif of VIFs) db.destroy('VIF', vif);
  db.destroy('VM_metrics', metrics);
  db.destroy('VM', vm);
}

/** Makes the records of a VM, which joins `made` as soon as there is anything of it. */
function makeVm(
  call: Call,
  objects: ReadObjects,
  id: string,
  disks: ReadonlyMap<string, Ref<'VDI'>>,
  { restore }: ImportOptions,
  made: Ref<'VM'>[],
): void {
  const record = objects.get(id)?.record ?? {};
  const uuid = textOf(record, 'uuid').toLowerCase();
  const fields = fieldsOf('VM', record);
  const other_config = { ...(fields['other_config'] as WireStruct) };
  // As for a clone: a template that came with a server is an ordinary one here.
  delete other_config['default_template'];
  delete other_config['xensource_internal'];
  if (!restore) other_config['mac_seed'] = randomUuid(call.xapi.random);
  const args = {
    ...fields,
    ...here,
    other_config,
    ...(restore ? { uuid } : {}),
  } as unknown as CreationOf<'VM'>;
  const vm = vmLifeCalls.create(call, { args });
  made.push(vm);
  for (const vbd of devicesOf(objects, 'VBD', id)) makeVbd(call, objects, vm, vbd, disks);
  for (const vif of devicesOf(objects, 'VIF', id)) makeVif(call, objects, vm, vif, restore);
}

/** References of a VM's record that mean nothing in another pool. */
const here = {
  affinity: nullRef(),
  appliance: nullRef(),
  protection_policy: nullRef(),
  snapshot_schedule: nullRef(),
  suspend_SR: nullRef(),
} as const;

/** A drive keeps its disc where the pool has one of that uuid, and is empty otherwise. */
function makeVbd(
  call: Call,
  objects: ReadObjects,
  VM: Ref<'VM'>,
  record: WireStruct,
  disks: ReadonlyMap<string, Ref<'VDI'>>,
): void {
  const fields = fieldsOf('VBD', record) as unknown as CreationOf<'VBD'>;
  const id = textOf(record, 'VDI');
  const disc = call.xapi.db.byUuid('VDI', textOf(objects.get(id)?.record, 'uuid'));
  const isDisk = fields.type === 'Disk';
  if (isDisk && !disks.has(id)) return;
  const VDI = (isDisk ? disks.get(id) : fields.empty ? undefined : disc) ?? nullRef<'VDI'>();
  vbdCalls.create(call, { args: { ...fields, VM, VDI, empty: VDI === nullRef() } });
}

/** An interface goes on the network of that uuid, else of that bridge, else on a new one without an interface of a host. */
function makeVif(call: Call, objects: ReadObjects, VM: Ref<'VM'>, record: WireStruct, restore: boolean): void {
  const fields = fieldsOf('VIF', record) as unknown as CreationOf<'VIF'>;
  const network = networkFor(call, objects.get(textOf(record, 'network'))?.record ?? {});
  vifCalls.create(call, {
    args: { ...fields, VM, network, MAC: restore ? fields.MAC : '', currently_attached: false },
  });
}

function networkFor(call: Call, record: WireStruct): Ref<'network'> {
  const { db } = call.xapi;
  const known = db.byUuid('network', textOf(record, 'uuid').toLowerCase());
  if (known !== undefined) return known;
  const bridge = textOf(record, 'bridge');
  const [same] = [...db.all('network')].find(([, network]) => bridge !== '' && network.bridge === bridge) ?? [];
  if (same !== undefined) return same;
  const fields = fieldsOf('network', record) as unknown as CreationOf<'network'>;
  return networkCalls.create(call, { args: { ...fields, bridge: '' } });
}

/** The repository that a client names by its reference or its uuid, or the pool's default. @throws XapiError HANDLE_INVALID, DEFAULT_SR_NOT_FOUND */
export function importSr({ xapi: { db } }: Pick<Call, 'xapi'>, name: string | undefined): Ref<'SR'> {
  if (name !== undefined && name !== '') {
    const sr = db.byUuid('SR', name) ?? makeRef<'SR'>(name);
    db.get('SR', sr);
    return sr;
  }
  const [pool] = db.refs('pool');
  const sr = pool === undefined ? nullRef<'SR'>() : db.get('pool', pool).default_SR;
  if (!db.has('SR', sr)) throw new XapiError('DEFAULT_SR_NOT_FOUND', sr);
  return sr;
}
