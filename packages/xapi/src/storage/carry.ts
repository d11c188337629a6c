/** Images from one host to another, through this server. XAPI has its hosts speak with one another for it. */
import { bytes, type Ref } from '@xenolith/base';
import { HostError, type HostFiles } from '../host-driver.ts';
import { hostRefusal } from '../host-error.ts';
import { piecesOf, watched } from '../transfer/stream.ts';
import type { Xapi } from '../xapi.ts';
import type { Work } from './vdi-operations.ts';

/** Where an image is that is to be carried. */
export interface CarriedImage {
  readonly host: Ref<'host'>;
  readonly path: string;
  readonly sizeBytes: number;
}

/**
 * Makes an image on a host what one on another host is. It must not be changed meanwhile.
 * @throws XapiError what the other host refuses, TASK_CANCELLED; HostError what this one does
 */
export async function carryImage(
  { xapi, task }: Work,
  image: CarriedImage,
  files: HostFiles,
  to: string,
): Promise<void> {
  const { sizeBytes } = image;
  await files.createImage(to, bytes(sizeBytes));
  await files.writeImage(to, piecesOf(watched(task, readFrom(xapi, image), () => undefined)));
}

/** The bytes of an image, with the words of the host that has it for what goes wrong. */
async function* readFrom({ hosts }: Xapi, { host, path }: CarriedImage): AsyncGenerator<Uint8Array> {
  try {
    yield* hosts.driverOf(host).files.readImage(path);
  } catch (error) {
    throw error instanceof HostError ? hostRefusal(error, host) : error;
  }
}
