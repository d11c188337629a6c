/** A lab host as what the validation suite asks: our own driver, and the control domain's tools for what no driver tells. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytes, mibBytes, type Clock } from '@xenolith/base';
import { pcpusOf, type Arrangement, type TracedFigures } from '@xenolith/experiments';
import { openHost } from '@xenolith/host';
import { tracedFigures, type ByHandOutcome, type SteppedHost, type ValidatedHost } from '@xenolith/host/validation';
import type { TopologyShape } from '@xenolith/hypervisor';
import {
  GUEST_INITRD_PATH,
  GUEST_KERNEL_PATH,
  GUEST_UP_MARKER,
  labDown,
  labRun,
  labUp,
  type LabHost,
  type Progress,
} from '@xenolith/lab';
import { systemClock, systemRandom } from '@xenolith/server';
import type { HostDriver, HostFacts } from '@xenolith/xapi';

const commandLimitMs = 120_000;
/** A trace takes longer than it lasts: its file has to be read, by a machine that is emulated. */
const traceLimitMs = 10 * 60_000;
/** Changes of run states only: the class of events that has them, and hardly more (`TRC_SCHED_MIN`). */
const traceEvents = '0x21000';
/** Pages of trace buffer for each pCPU. */
const tracePages = 64;

const guest = { kernel: GUEST_KERNEL_PATH, ramdisk: GUEST_INITRD_PATH, cmdline: 'console=hvc0' };

/** A host of the validation suite's own, and the model that is asked beside it. */
export interface ValidationLab {
  readonly host: ValidatedHost;
  readonly facts: HostFacts;
  readonly shape: TopologyShape;
  /** A model host of the same shape, afresh. */
  readonly model: () => Promise<SteppedHost>;
  /** `xl` in the control domain, without our driver. */
  readonly xl: (words: readonly string[]) => Promise<ByHandOutcome>;
  readonly close: () => Promise<void>;
}

/** Boots a host in a place of its own. Throws LabError. */
export async function openValidationLab(options: {
  readonly cpus: number;
  readonly accelerator: 'tcg' | 'icount';
  readonly say: (what: string) => void;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}): Promise<ValidationLab> {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'xenolith-'));
  let driver: HostDriver | undefined;
  const close = async (): Promise<void> => {
    await driver?.close();
    await labDown({ stateDirectory });
    await rm(stateDirectory, { recursive: true, force: true });
  };
  try {
    const { cpus, accelerator, progress, signal } = options;
    const { hosts } = await labUp({ hosts: 1, shape: { cpus }, accelerator, stateDirectory, progress, signal });
    const [labHost] = hosts;
    if (labHost === undefined) throw new Error('a lab without hosts');
    driver = openLabHost(labHost, systemClock);
    const opened = driver;
    // What is under way on the host fails then, instead of being waited for.
    signal.addEventListener('abort', () => void opened.close(), { once: true });
    const facts = await driver.connect();
    const shape = shapeOf(facts);
    return {
      host: {
        driver,
        clock: systemClock,
        random: systemRandom(),
        guest,
        upText: GUEST_UP_MARKER,
        say: options.say,
        trace: (seconds, arrangement, names) => trace(labHost, facts, { seconds, arrangement, names }),
      },
      facts,
      shape,
      model: () => openModel(shape, facts),
      xl: (words) => xl(labHost, words),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const openLabHost = ({ ssh }: LabHost, clock: Clock): HostDriver =>
  openHost(
    {
      kind: 'ssh',
      user: ssh.user,
      hostname: ssh.address,
      port: ssh.port,
      identityFile: ssh.keyPath,
      knownHostsFile: ssh.knownHostsPath,
    },
    { clock },
  );

/** What a host says of its pCPUs, as the model is built from it. */
function shapeOf({ pcpus, nodes, coresPerSocket, threadsPerCore }: HostFacts): TopologyShape {
  const perSocket = coresPerSocket * threadsPerCore;
  const socketsPerNode = pcpus.length / perSocket / nodes.length;
  if (!Number.isInteger(socketsPerNode))
    throw new Error(`${pcpus.length} pCPUs are not alike in ${nodes.length} nodes`);
  return { nodes: nodes.length, socketsPerNode, coresPerSocket, threadsPerCore };
}

async function openModel(shape: TopologyShape, { memoryTotalBytes }: HostFacts): Promise<SteppedHost> {
  const driver = openHost(
    {
      kind: 'model',
      shape: { hostname: 'model', ...shape, memoryBytes: memoryTotalBytes, dom0MemoryBytes: bytes(1024 * mibBytes) },
      seed: 1,
    },
    { clock: systemClock },
  );
  await driver.connect();
  return { driver, random: systemRandom(), guest };
}

async function xl(host: LabHost, words: readonly string[]): Promise<ByHandOutcome> {
  const code = `xl "$@" >/tmp/said 2>&1 </dev/null; echo $?; tail -n 1 /tmp/said; rm /tmp/said`;
  const said = await labRun(host, ['bash', '-c', code, 'bash', ...words], { timeoutMs: commandLimitMs });
  const [exitCode = '', ...lines] = said.trim().split('\n');
  return { exitCode: Number(exitCode), words: lines.join(' ').trim() };
}

async function trace(
  host: LabHost,
  { cpuMhz }: HostFacts,
  {
    seconds,
    arrangement,
    names,
  }: {
    readonly seconds: number;
    readonly arrangement: Arrangement;
    readonly names: ReadonlyMap<number, string>;
  },
): Promise<TracedFigures | undefined> {
  if (cpuMhz === undefined) return undefined;
  const script =
    `xentrace -D -e ${traceEvents} -S ${tracePages} -T ${seconds} /dev/shm/trace </dev/null >/dev/null 2>&1; ` +
    'base64 -w 0 /dev/shm/trace; rm /dev/shm/trace';
  const text = await labRun(host, ['bash', '-c', script], { timeoutMs: traceLimitMs });
  return tracedFigures(Buffer.from(text, 'base64'), { names, pcpus: pcpusOf(arrangement), cpuMhz });
}
