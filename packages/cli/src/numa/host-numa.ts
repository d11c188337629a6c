/** `xenolith host numa`: where the memory of a host's domains is, as text, JSON or a picture. */
import { numaPicture, type NumaPicture, numaText, type Rpc } from '@xenolith/xe';
import type { Environment } from '../xe/arguments.ts';
import { chooseHost } from '../xl/world.ts';
import { withServer } from './with-server.ts';

export interface HostNumaOptions {
  readonly json?: boolean;
  /** File to write the picture into. */
  readonly svg?: string;
}

/** The host with this name or uuid; the only host of the pool when none is named. Throws UsageError, and what calls throw. */
export async function readNumaPicture(rpc: Rpc, wanted: string | undefined): Promise<NumaPicture> {
  return await numaPicture({ rpc, ref: await chooseHost(rpc, wanted) });
}

/** Runs the command and sets the exit code of the process: 1 for a failure, 2 for a wrong command line. */
export async function runHostNuma(
  wanted: string | undefined,
  { json = false, svg }: HostNumaOptions,
  login: { readonly environment: Environment; readonly rcText: string },
): Promise<void> {
  await withServer(login, json, async (rpc) => {
    const picture = await readNumaPicture(rpc, wanted);
    if (svg !== undefined) {
      const { writeFile } = await import('node:fs/promises');
      // What draws comes with all experiments: only who wants a picture waits for it.
      const { numaSvg } = await import('./numa-svg.ts');
      await writeFile(svg, numaSvg(picture));
    }
    process.stdout.write(json ? `${JSON.stringify(picture, undefined, 2)}\n` : numaText(picture));
  });
}
