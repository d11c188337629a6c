/** The hosts and VMs that a simulated pool begins with: made through the ordinary calls, the same ones for a seed. */
import { gibBytes, mibBytes, SeededRandom, type Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import type { Database } from '@xenolith/xapi';

/** How many of what. */
export interface PoolSize {
  readonly hosts: number;
  /** Beside the templates. */
  readonly vms: number;
}

export const hostsMax = 256;
export const vmsMax = 100_000;

/** Makes a call of the pool's, as root. @throws Error with the error description */
export type CallPool = (method: string, ...params: readonly WireValue[]) => Promise<unknown>;

const memoryMinBytes = 128 * mibBytes;
const memoryKinds = 4;
/** What each of a host's VMs has to itself, at most: its memory and what Xen needs for it. */
const memoryEachBytes = memoryMinBytes * memoryKinds + 16 * mibBytes;

/** A host with room for its share of the VMs: two nodes of eight pCPUs. */
function hostAddress(number: number, seed: number, { hosts, vms }: PoolSize): string {
  const share = Math.ceil(vms / hosts) * memoryEachBytes + 4 * gibBytes;
  const memoryGib = 2 ** Math.max(4, Math.ceil(Math.log2(share / gibBytes)));
  const hostSeed = (seed * 1009 + number) % 1_000_000_000;
  return `model:host${number}?nodes=2&sockets=1&cores=8&threads=1&memory=${memoryGib}G&dom0=2G&seed=${hostSeed}`;
}

/** Of ten VMs the third and the seventh are halted, the fifth is suspended, and the others run. */
const lifeOf = (number: number): 'halted' | 'suspended' | 'running' =>
  number % 10 === 3 || number % 10 === 7 ? 'halted' : number % 10 === 5 ? 'suspended' : 'running';

/** Makes the pool. What VMs are like is chance's; which of them run is not. */
export async function buildPool(
  pool: { readonly db: Database; readonly call: CallPool },
  size: PoolSize,
  seed: number,
): Promise<void> {
  const { db, call } = pool;
  const random = new SeededRandom(seed);
  for (let number = 1; number <= size.hosts; number++) await call('host.add', hostAddress(number, seed, size), {});
  const hosts = db.refs('host').map((host) => placeOn(db, host));
  const [template] = [...db.all('VM')].find(([, vm]) => vm.is_default_template) ?? [];
  if (template === undefined) return;
  const digits = Math.max(3, String(size.vms).length);
  for (let number = 1; number <= size.vms; number++) {
    const place = hosts[(number - 1) % hosts.length];
    if (place === undefined) return;
    const name = `vm-${String(number).padStart(digits, '0')}`;
    await buildVm(call, { template, name, place, life: lifeOf(number), chance: () => random.nextUint32() / 2 ** 32 });
  }
}

interface Place {
  readonly host: Ref<'host'>;
  readonly sr: Ref<'SR'>;
  readonly network: Ref<'network'> | undefined;
}

function placeOn(db: Database, host: Ref<'host'>): Place {
  const { PBDs, PIFs } = db.get('host', host);
  const [sr] = PBDs.map((pbd) => db.get('PBD', pbd).SR);
  const [network] = PIFs.map((pif) => db.get('PIF', pif).network);
  if (sr === undefined) throw new Error(`no repository on ${host}`);
  return { host, sr, network };
}

interface NewVm {
  readonly template: Ref<'VM'>;
  readonly name: string;
  readonly place: Place;
  readonly life: ReturnType<typeof lifeOf>;
  /** From 0 to 1. */
  readonly chance: () => number;
}

async function buildVm(call: CallPool, { template, name, place, life, chance }: NewVm): Promise<void> {
  const vm = (await call('VM.clone', template, name)) as string;
  await call('VM.provision', vm);
  const memory = memoryMinBytes * (1 + Math.floor(chance() * memoryKinds));
  await call('VM.set_memory_limits', vm, memoryMinBytes / 2, memory, memory, memory);
  const vcpus = 1 + Math.floor(chance() * 2);
  await call('VM.set_VCPUs_max', vm, vcpus);
  await call('VM.set_VCPUs_at_startup', vm, vcpus);
  if (place.network !== undefined) await call('VIF.create', newVif(vm, place.network));
  const vdi = (await call(
    'VDI.create',
    newVdi(`${name} disk`, place.sr, (1 + Math.floor(chance() * 8)) * gibBytes),
  )) as string;
  await call('VBD.create', newVbd(vm, vdi));
  if (life === 'halted') return;
  await call('VM.start_on', vm, place.host, false, false);
  if (life === 'suspended') await call('VM.suspend', vm);
}

const newVif = (vm: string, network: string): WireValue => ({
  VM: vm,
  network,
  device: '0',
  MAC: '',
  MTU: 1500,
  other_config: {},
  qos_algorithm_type: '',
  qos_algorithm_params: {},
});

const newVdi = (name: string, sr: string, sizeBytes: number): WireValue => ({
  name_label: name,
  name_description: '',
  SR: sr,
  virtual_size: sizeBytes,
  type: 'system',
  sharable: false,
  read_only: false,
  other_config: {},
});

const newVbd = (vm: string, vdi: string): WireValue => ({
  VM: vm,
  VDI: vdi,
  userdevice: '0',
  bootable: true,
  mode: 'RW',
  type: 'Disk',
  empty: false,
  other_config: {},
  qos_algorithm_type: '',
  qos_algorithm_params: {},
});
