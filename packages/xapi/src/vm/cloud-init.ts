/**
 * What cloud-init in a guest is told, by a disc of its source NoCloud: a small disk labelled `cidata` with the files
 * `user-data`, `meta-data` and `network-config`. What they say is in `VM.other_config`; a start of the VM makes the disk,
 * makes it anew when they say something else, and removes it when they are gone. XAPI has nothing of the kind: its
 * clients import such disks.
 */
import { bytes, mibBytes, type Ref } from '@xenolith/base';
import { encodeIso9660, encodeUtf8, type DiscFile } from '@xenolith/wire';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { ImagePiece } from '../host-driver.ts';
import { updateDeviceOperations } from '../storage/allowed-operations.ts';
import { usesOf } from '../storage/vdi-operations.ts';
import { pbdOf } from '../storage/vdi-path.ts';
import type { Xapi } from '../xapi.ts';
import { freeDevices } from './disk-places.ts';

/** Keys of `VM.other_config`, and the files that their values are. */
const fileOf = {
  'cloud-init-user-data': 'user-data',
  'cloud-init-meta-data': 'meta-data',
  'cloud-init-network-config': 'network-config',
} as const;

/** In `VDI.other_config` of a seed: what it was made of. */
const seedKey = 'xenolith:cloud-init';
/** A file of it has so many bytes at most. */
const fileBytesMax = 256 * 1024;
/** The place of a drive in a VM, as XAPI's templates have it; another one when it is taken. */
const usualDevice = '3';
/** What a name server has for a label. */
const hostNameMax = 63;

/**
 * The files of a VM's seed; undefined when it is to have none.
 * @throws XapiError INVALID_VALUE for more than {@link fileBytesMax}
 */
export function seedFiles(
  vm: Pick<RecordOf<'VM'>, 'uuid' | 'name_label' | 'other_config'>,
): readonly DiscFile[] | undefined {
  const given = Object.entries(fileOf).flatMap(([key, name]) => {
    const text = vm.other_config[key];
    if (text === undefined) return [];
    const data = encodeUtf8(text);
    if (data.length > fileBytesMax) {
      throw new XapiError('INVALID_VALUE', `other_config:${key}`, `${data.length} bytes; ${fileBytesMax} at most`);
    }
    return [{ name, data }];
  });
  if (given.length === 0) return undefined;
  const has = (name: string): boolean => given.some((file) => file.name === name);
  return [
    ...given,
    // cloud-init takes a source without these two for none.
    ...(has('user-data') ? [] : [{ name: 'user-data', data: encodeUtf8('#cloud-config\n') }]),
    ...(has('meta-data') ? [] : [{ name: 'meta-data', data: encodeUtf8(metaData(vm)) }]),
  ];
}

/** Another instance for cloud-init is another VM: so a clone is set up anew, and a reboot is none. */
function metaData({ uuid, name_label }: Pick<RecordOf<'VM'>, 'uuid' | 'name_label'>): string {
  const plain = name_label.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  const hostName = plain.replace(/^-/, '').slice(0, hostNameMax).replace(/-$/, '');
  return `instance-id: ${uuid}\n${hostName === '' ? '' : `local-hostname: ${hostName}\n`}`;
}

/** Tells whether a disk is still what it was made of (FNV-1a, 64 bits): against a change, not against malice. */
function fingerprint(files: readonly DiscFile[]): string {
  let hash = 0xcbf29ce484222325n;
  const mix = (byte: number): void => {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  };
  for (const { name, data } of files) {
    for (const part of [encodeUtf8(name), [0], data, [255]]) for (const byte of part) mix(byte);
  }
  return hash.toString(16).padStart(16, '0');
}

/** The VM's device with its seed, or undefined. */
function seedDevice({ db }: Xapi, vm: Ref<'VM'>): Ref<'VBD'> | undefined {
  return db.get('VM', vm).VBDs.find((vbd) => {
    const vdi = db.find('VDI', db.get('VBD', vbd).VDI);
    return vdi !== undefined && vdi.other_config[seedKey] !== undefined;
  });
}

/**
 * Whether a VM has the seed that its record asks for, or none when it asks for none.
 * @throws XapiError INVALID_VALUE as {@link seedFiles}
 */
export function isSeedSettled(xapi: Xapi, vm: Ref<'VM'>): boolean {
  const { db } = xapi;
  const files = seedFiles(db.get('VM', vm));
  const device = seedDevice(xapi, vm);
  if (files === undefined || device === undefined) return files === undefined && device === undefined;
  const { other_config, missing, managed } = db.get('VDI', db.get('VBD', device).VDI);
  return other_config[seedKey] === fingerprint(files) && !missing && managed;
}

/**
 * Sees to it that a VM which is about to start has the seed that its record asks for.
 * @throws XapiError INVALID_VALUE as {@link seedFiles}; DEFAULT_SR_NOT_FOUND when no repository can take it; the host's refusals
 */
export async function settleSeed(xapi: Xapi, vm: Ref<'VM'>, host: Ref<'host'>): Promise<void> {
  const { db } = xapi;
  const files = seedFiles(db.get('VM', vm));
  const device = seedDevice(xapi, vm);
  if (files === undefined) {
    if (device !== undefined) await removeSeed(xapi, device);
    return;
  }
  const print = fingerprint(files);
  const old = device === undefined ? undefined : db.get('VBD', device).VDI;
  const made = await makeSeed(xapi, vm, host, { files, print });
  // From here to the wait nothing comes between, so all of it is in one commit.
  xapi.disks.finish([made]);
  if (device !== undefined && db.has('VBD', device)) {
    db.update('VBD', device, { VDI: made });
    updateDeviceOperations(xapi, vm);
    await retireUnused(xapi, old);
    return;
  }
  const free = freeDevices(xapi, vm);
  const userdevice = free.includes(usualDevice) ? usualDevice : free.at(-1);
  if (userdevice === undefined) {
    await xapi.disks.retire([made]);
    throw new XapiError('DEVICE_ALREADY_EXISTS', usualDevice);
  }
  const other_config = { owner: '' };
  db.create('VBD', { VM: vm, VDI: made, userdevice, mode: 'RO', type: 'Disk', empty: false, other_config });
  updateDeviceOperations(xapi, vm);
}

async function makeSeed(
  xapi: Xapi,
  vm: Ref<'VM'>,
  host: Ref<'host'>,
  { files, print }: { readonly files: readonly DiscFile[]; readonly print: string },
): Promise<Ref<'VDI'>> {
  const { db } = xapi;
  const image = encodeIso9660('cidata', files);
  const virtual_size = Math.ceil(image.length / mibBytes) * mibBytes;
  const fields = {
    name_label: `${db.get('VM', vm).name_label} cloud-init`,
    name_description: 'What cloud-init in the guest is told',
    SR: seedSr(xapi, vm, host),
    virtual_size,
    type: 'user',
    read_only: true,
    sharable: false,
    other_config: { [seedKey]: print },
  } as const;
  return await xapi.disks.make(fields, host, async (on, path) => {
    await on.createImage(path, bytes(virtual_size));
    await on.writeImage(path, onePiece(image));
  });
}

async function* onePiece(data: Uint8Array): AsyncGenerator<ImagePiece> {
  yield { offset: 0, data };
}

/** Beside the first of its disks, so that the VM can go wherever that can; else in the pool's default repository. */
function seedSr({ db }: Xapi, vm: Ref<'VM'>, host: Ref<'host'>): Ref<'SR'> {
  const [pool] = db.refs('pool');
  const devices = db.get('VM', vm).VBDs.map((vbd) => db.get('VBD', vbd));
  const wanted = [
    ...devices.flatMap(({ VDI, type }) => (type === 'Disk' && db.has('VDI', VDI) ? [db.get('VDI', VDI).SR] : [])),
    ...(pool === undefined ? [] : [db.get('pool', pool).default_SR]),
    ...db.get('host', host).PBDs.map((pbd) => db.get('PBD', pbd).SR),
  ];
  const found = wanted.find(
    (sr) => db.find('SR', sr)?.type === 'file' && pbdOf(db, sr, host)?.currently_attached === true,
  );
  if (found === undefined) throw new XapiError('DEFAULT_SR_NOT_FOUND', wanted[0] ?? '');
  return found;
}

async function removeSeed(xapi: Xapi, device: Ref<'VBD'>): Promise<void> {
  const { db } = xapi;
  const { VDI, VM } = db.get('VBD', device);
  db.destroy('VBD', device);
  updateDeviceOperations(xapi, VM);
  await retireUnused(xapi, VDI);
}

/** Removes a seed that nobody has any more; one that another VM was given, or works with, stays. */
async function retireUnused(xapi: Xapi, vdi: Ref<'VDI'> | undefined): Promise<void> {
  const { db } = xapi;
  if (vdi === undefined || !db.has('VDI', vdi)) return;
  const { VBDs, current_operations, managed } = db.get('VDI', vdi);
  const isFree = VBDs.length === 0 && usesOf(db, vdi).length === 0 && Object.keys(current_operations).length === 0;
  if (isFree && managed) await xapi.disks.retire([vdi]);
}
