/** A host with real Xen that a campaign runs on, or in guests of. */
import { homedir } from 'node:os';
import {
  machineFactsScript,
  parseMachineFacts,
  parseXenHost,
  type CampaignHost,
  type MachineFacts,
  type XenHostFacts,
} from '@xenolith/experiments/campaign';
import { openHost, parseHostAddress, transportTo, type Transport } from '@xenolith/host';
import { defaultStateDirectory, findHost, LabError, readLab } from '@xenolith/lab';
import { systemClock } from '@xenolith/server';
import type { HostAddress, HostDriver, HostFacts } from '@xenolith/xapi';
import { BenchError, endAfter, withEnd } from './bench-error.ts';
import { keptName, startKeeper, type Keeper } from './host-keeper.ts';
import { hostPlace, telling } from './host-place.ts';
import type { Place } from './place.ts';
import { mustRun, shell } from './workspace.ts';

export interface BenchHost {
  /** Its control domain. */
  readonly place: Place;
  readonly dom0: MachineFacts;
  readonly xen: XenHostFacts | undefined;
  /** What makes guests: opened at the first call, with the keeper that takes away what is left of them. */
  guests(): Promise<GuestMaker>;
  close(): Promise<void>;
}

export interface GuestMaker {
  readonly driver: HostDriver;
  readonly facts: HostFacts;
  /** Of the campaign, in the names of everything that it makes on the host. */
  readonly name: string;
  readonly transport: Transport;
}

/** A host that is measured may be kept so busy that it says nothing for a while. */
const patienceMs = 60_000;

interface Found {
  readonly address: HostAddress;
  readonly label: string;
  readonly accelerator: string | undefined;
}

async function find(host: CampaignHost): Promise<Found> {
  if (host.kind === 'lab') {
    const lab = await readLab(defaultStateDirectory());
    const [first] = lab?.hosts ?? [];
    if (lab === undefined || first === undefined) throw new BenchError('no lab is up: xenolith lab up');
    const { name, ssh } = host.name === undefined ? first : findHost(lab.hosts, host.name);
    return {
      address: {
        kind: 'ssh',
        user: ssh.user,
        hostname: ssh.address,
        port: ssh.port,
        identityFile: ssh.keyPath,
        knownHostsFile: ssh.knownHostsPath,
      },
      label: `lab host ${name}`,
      accelerator: lab.accelerator,
    };
  }
  const parsed = parseHostAddress(host.address, { homeDirectory: homedir() });
  if (!parsed.ok) throw new BenchError(`${host.address}: ${parsed.error.message}`);
  const address = parsed.value;
  if (address.kind === 'model') throw new BenchError(`${host.address}: a model cannot be measured`);
  const { identityFile, knownHostsFile } = host;
  const label = address.kind === 'ssh' ? `host ${address.hostname}` : 'this machine as a host';
  return {
    address:
      address.kind === 'ssh'
        ? {
            ...address,
            ...(identityFile === undefined ? {} : { identityFile }),
            ...(knownHostsFile === undefined ? {} : { knownHostsFile }),
          }
        : address,
    label,
    accelerator: undefined,
  };
}

/**
 * Connects to a host.
 * @param directory of the campaign
 * @throws BenchError
 */
export async function openBenchHost(host: CampaignHost, directory: string, signal: AbortSignal): Promise<BenchHost> {
  const { address, label, accelerator } = await find(host).catch((error: unknown) => {
    if (error instanceof LabError) throw new BenchError(error.message, { cause: error });
    throw error;
  });
  const transport = transportTo(address, systemClock, { patienceMs });
  await telling(label, () => transport.open());
  try {
    const place = hostPlace(label, transport, signal);
    const dom0 = parseMachineFacts(await mustRun(place, 'what the machine is', shell(machineFactsScript)));
    const { stdout } = await place.run(shell('xl info'));
    let opened: (GuestMaker & { readonly keeper: Keeper }) | undefined;
    return {
      place,
      dom0,
      xen: parseXenHost(stdout, dom0, accelerator),
      guests: async () => {
        opened ??= await openMaker(address, label, { transport, name: keptName(directory), signal });
        return opened;
      },
      close: () => {
        const work = async (): Promise<void> => {
          await opened?.driver.close();
          await opened?.keeper.stop();
        };
        return withEnd(work, () => transport.close());
      },
    };
  } catch (error) {
    return endAfter(error, () => transport.close());
  }
}

async function openMaker(
  address: HostAddress,
  label: string,
  { transport, name, signal }: { readonly transport: Transport; readonly name: string; readonly signal: AbortSignal },
): Promise<GuestMaker & { readonly keeper: Keeper }> {
  const keeper = await telling(label, () => startKeeper(transport, label, name, signal));
  const driver = openHost(address, { clock: systemClock, patienceMs });
  try {
    const facts = await telling(label, () => driver.connect());
    return { driver, facts, name, transport, keeper };
  } catch (error) {
    return endAfter(error, async () => {
      await driver.close();
      await keeper.stop();
    });
  }
}
