/** What a host with real Xen says of itself, kept with every sample of it and of its guests. */
import { parseXlInfo, XlParseError } from '@xenolith/wire';
import type { MachineFacts } from './machine-facts.ts';

export interface XenHostFacts {
  readonly host: string;
  readonly xenVersion: string;
  /** Of its first cpupool. */
  readonly scheduler: string;
  readonly commandLine: string;
  readonly pcpus: number;
  readonly memoryMib: number;
  /** As the processor names itself to the control domain. */
  readonly cpu: string;
  readonly kernel: string;
  readonly bootId: string;
  /** Whether the machine is emulated in software, as by QEMU's TCG: `maybe` for a processor of QEMU's of which no more is known. */
  readonly isEmulated: 'yes' | 'no' | 'maybe';
}

/**
 * Reads what `xl info` says; `undefined` where it does not say it as Xen does.
 * @param dom0 what its control domain says of itself
 * @param accelerator QEMU's, where it is known: only `kvm` does not emulate
 */
export function parseXenHost(
  xlInfo: string,
  dom0: MachineFacts,
  accelerator: string | undefined,
): XenHostFacts | undefined {
  try {
    const info = parseXlInfo(xlInfo);
    return {
      host: info.host,
      xenVersion: info.xenVersion,
      scheduler: info.xenScheduler ?? '',
      commandLine: info.commandline ?? '',
      pcpus: info.nrCpus,
      memoryMib: info.totalMemoryMib,
      cpu: dom0.cpu,
      kernel: dom0.kernel.release,
      bootId: dom0.kernel.bootId,
      isEmulated: emulation(dom0.cpu, accelerator),
    };
  } catch (error) {
    if (error instanceof XlParseError) return undefined;
    throw error;
  }
}

function emulation(cpu: string, accelerator: string | undefined): XenHostFacts['isEmulated'] {
  if (accelerator !== undefined) return accelerator === 'kvm' ? 'no' : 'yes';
  if (/\bTCG\b/.test(cpu)) return 'yes';
  return /\bQEMU\b/.test(cpu) ? 'maybe' : 'no';
}

/** A host in a line of text. */
export function xenHostText(facts: XenHostFacts): string {
  const { host, xenVersion, scheduler, commandLine, pcpus, memoryMib, cpu, kernel, isEmulated } = facts;
  const emulated = { yes: ', emulated in software', maybe: ', perhaps emulated in software', no: '' }[isEmulated];
  return (
    `${host}, Xen ${xenVersion} (first cpupool: ${scheduler}), ${pcpus} pCPUs × ${cpu === '' ? 'unknown processor' : cpu}${emulated}, ` +
    `${(memoryMib / 1024).toFixed(1)} GiB, control domain: Linux ${kernel}, Xen's command line: ${commandLine}`
  );
}

/** What a machine that is emulated in software can show, and what not. */
export const emulationCaution =
  'An instruction of an emulated machine takes as long as its emulation. What follows from who runs when can be seen on it: ratios of ' +
  'throughput where holders of locks or their successors are preempted. Absolute rates and times, costs of single operations, caches, ' +
  'NUMA distances and power cannot; and its pCPUs share those of the machine below, which preempts them too.';
