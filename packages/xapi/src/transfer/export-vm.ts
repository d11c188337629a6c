/**
 * VMs as XVA: a tar with the records first and then, for each disk, its blocks of a mebibyte with a checksum each. Blocks of
 * zeros are left out, but for the first, the last and a few between. XAPI: ocaml/xapi/export.ml, stream_vdi.ml.
 */
import { isAllZero, mibBytes, type Ref } from '@xenolith/base';
import { encodeUtf8, formatTarHeader, tarEnd, tarPadding } from '@xenolith/wire';
import type { Call } from '../call/call.ts';
import { XapiError } from '../errors.ts';
import type { Task } from '../task/tasks.ts';
import { withOperation } from '../vm/operations.ts';
import type { Xapi } from '../xapi.ts';
import { exportRawVdi } from './raw-vdi.ts';
import { blocksOf } from './stream.ts';
import { exportedVm, ovaFile } from './xva-objects.ts';

/** Bytes of a block, of which the last one of a disk may have fewer. */
export const xvaBlockBytes = mibBytes;

/** Of so many blocks one is written whatever is in it, so that the client of a disk full of zeros hears something now and then. */
const sureEvery = 1024;

/** The name of a block, from 0. */
export const blockName = (disk: string, index: number): string => `${disk}/${String(index).padStart(8, '0')}`;

/** Hexadecimal digits in small letters. */
export type Sha1 = (data: Uint8Array) => string;

/** Takes bytes, and resolves when it has room for more. */
export type Write = (data: Uint8Array) => Promise<void>;

/** The VM that a client names by its reference or its uuid. @throws XapiError HANDLE_INVALID */
export function namedVm({ db }: Xapi, name: string): Ref<'VM'> {
  const vm = db.byUuid('VM', name) ?? (name as Ref<'VM'>);
  db.get('VM', vm);
  return vm;
}

/**
 * Writes a VM. Each disk is read as it is when its turn comes; the VM does not run meanwhile.
 * @throws XapiError the refusals of `export`, and of reading its disks
 */
export async function exportVm(call: Call, vm: Ref<'VM'>, sha1: Sha1, write: Write): Promise<void> {
  const { xapi, task } = call;
  await withOperation(call, vm, 'export', async () => {
    const { ova, disks } = exportedVm(xapi, vm);
    const mtime = xapi.clock.now() / 1000;
    const file = async (name: string, data: Uint8Array): Promise<void> => {
      await write(formatTarHeader({ name, sizeBytes: data.length }, mtime));
      await write(data);
      await write(new Uint8Array(tarPadding(data.length)));
    };
    await file(ovaFile, ova);
    const sizes = disks.map(({ vdi }) => xapi.db.get('VDI', vdi).virtual_size);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    let done = 0;
    for (const [index, { id, vdi }] of disks.entries()) {
      const size = sizes[index] ?? 0;
      const part = partOf(task, done / total, size / total);
      await exportRawVdi({ xapi, task: part }, vdi, async ({ sizeBytes, data }) => {
        const last = Math.ceil(sizeBytes / xvaBlockBytes) - 1;
        let number = 0;
        for await (const block of blocksOf(data, xvaBlockBytes)) {
          if (number % sureEvery === 0 || number === last || !isAllZero(block)) {
            const name = blockName(id, number);
            await file(name, block);
            await file(`${name}.checksum`, encodeUtf8(sha1(block)));
          }
          number++;
        }
      });
      done += size;
    }
    await write(tarEnd());
  });
}

/** Writes the records of a VM alone. @throws XapiError OPERATION_NOT_ALLOWED for a control domain */
export async function exportMetadata({ xapi }: Call, vm: Ref<'VM'>, write: Write): Promise<void> {
  if (xapi.db.get('VM', vm).is_control_domain) {
    throw new XapiError('OPERATION_NOT_ALLOWED', 'a control domain cannot be exported');
  }
  const { ova } = exportedVm(xapi, vm);
  await write(formatTarHeader({ name: ovaFile, sizeBytes: ova.length }, xapi.clock.now() / 1000));
  await write(ova);
  await write(new Uint8Array(tarPadding(ova.length)));
  await write(tarEnd());
}

/** A task whose progress is a part of another one's. */
const partOf = (task: Task, from: number, share: number): Task => ({
  ref: task.ref,
  setProgress: (fraction) => task.setProgress(from + fraction * share),
  get cancelled() {
    return task.cancelled;
  },
  get overtaken() {
    return task.overtaken;
  },
  throwIfCancelled: () => task.throwIfCancelled(),
  onCancel: (action) => task.onCancel(action),
});
