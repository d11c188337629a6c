/** `xenolith capture`: the inventory of a live pool as a file that `xenolith sim --inventory` begins with. */
import { randomUUID } from 'node:crypto';
import { ApiError, type Rpc } from '@xenolith/xe';
import type { WireValue } from '@xenolith/wire';
import { Command } from 'commander';
import { withServer } from '../numa/with-server.ts';
import { rcText } from '../xe/program.ts';

interface CaptureOptions {
  readonly user?: string;
  readonly scrambleNames?: string | true;
}

export function captureCommand(): Command {
  return new Command('capture')
    .description('print the inventory of a pool for xenolith sim --inventory; reading is all that it does')
    .argument('[url]', 'of the pool, or XENOLITH_URL; the password is in XENOLITH_PASSWORD')
    .option('-u, --user <name>', 'who logs in (XENOLITH_USER); an account that may only read will do')
    .option(
      '--scramble-names [key]',
      'replace names, and leave out texts and addresses; the same key gives the same names',
    )
    .exitOverride()
    .action((url: string | undefined, options: CaptureOptions) => capture(url, options));
}

async function capture(url: string | undefined, { user, scrambleNames }: CaptureOptions): Promise<void> {
  const environment = {
    ...process.env,
    ...(url === undefined ? {} : { XENOLITH_URL: url }),
    ...(user === undefined ? {} : { XENOLITH_USER: user }),
  };
  // Only here: no other command needs it.
  const { inventoryClasses, inventoryFormat, scrambleInventory } = await import('@xenolith/server/sim');
  await withServer({ environment, rcText: rcText() }, false, async (rpc) => {
    const classes = await readClasses(rpc, inventoryClasses);
    const inventory = { format: inventoryFormat, version: 1, classes } as const;
    const key = scrambleNames === true ? randomUUID() : scrambleNames;
    const told = key === undefined ? inventory : scrambleInventory(inventory, key);
    process.stdout.write(`${JSON.stringify(told)}\n`);
  });
}

type Records = Readonly<Record<string, Readonly<Record<string, WireValue>>>>;

/** What a pool of another release does not have, or has no call for, is no loss. */
const absent = new Set(['MESSAGE_METHOD_UNKNOWN', 'UNKNOWN_METHOD', 'NOT_IMPLEMENTED', 'MESSAGE_REMOVED']);

async function readClasses(rpc: Rpc, names: readonly string[]): Promise<Record<string, Records>> {
  const classes: Record<string, Records> = {};
  for (const name of names) {
    try {
      const records = (await rpc.call(`${name}.get_all_records`)) as Records;
      if (Object.keys(records).length > 0) classes[name] = records;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (absent.has(error.code)) continue;
      if (error.code !== 'RBAC_PERMISSION_DENIED') throw error;
      process.stderr.write(`xenolith: ${name} is left out: ${error.message}\n`);
    }
  }
  return classes;
}
