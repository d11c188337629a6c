/** `xenolith doctor`: where the memory of a real host's dom0 has gone, and the line that brings it back. */
import { homedir } from 'node:os';
import type { DoctorReport } from '@xenolith/experiments';
import type { HostAddress } from '@xenolith/xapi';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';

interface DoctorOptions {
  readonly identityFile?: string;
  readonly knownHostsFile?: string;
  readonly json?: true;
  readonly dom0Memory?: number;
  readonly apply?: true;
  readonly root?: string;
}

/** 0: nothing to do, or it was done. 2 is a wrong command line, as everywhere. */
const exit = { failed: 1, advice: 3 } as const;

/** What looks at hosts is loaded when the command runs: `xenolith --help` does not wait for it. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      "say where the memory of a host's dom0 has gone, and how to get it back; only reads, unless told otherwise",
    )
    .argument('[address]', 'ssh://root@HOST, or local:', 'local:')
    .option('--identity-file <path>', 'private key for ssh')
    .option('--known-hosts-file <path>', 'file with the host keys to trust')
    .option('--dom0-memory <size>', 'how much dom0 is to have, as 2G (what it was given)', memoryMib)
    .option('--apply', "write the advised line into grub's configuration, with a backup, and run update-grub")
    .option('--json', 'print everything as JSON')
    .addOption(new Option('--root <directory>', 'look at a tree that is no root').hideHelp())
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing to do, or done; 1 failed; 2 a wrong command line; 3 there is something to do.',
    )
    .exitOverride()
    .action(doctor);
}

/** What libxl leaves a dom0 at least, in MiB. */
const mibMin = 128;
const mibMax = 64 * 1024 * 1024;

function memoryMib(text: string): number {
  const match = /^(\d{1,9})([MGT])(?:i?B)?$/i.exec(text);
  const factor = { m: 1, g: 1024, t: 1024 * 1024 }[match?.[2]?.toLowerCase() ?? ''];
  const mib = match === null || factor === undefined ? 0 : Number(match[1]) * factor;
  if (mib < mibMin || mib > mibMax) throw new InvalidArgumentError('Expected memory from 128M to 64T, as 2G.');
  return mib;
}

const usage = (message: string): CommanderError => new CommanderError(2, 'xenolith.doctor', `error: ${message}`);

async function addressOf(text: string, options: DoctorOptions): Promise<HostAddress> {
  const { parseHostAddress } = await import('@xenolith/host');
  const parsed = parseHostAddress(text, { homeDirectory: homedir() });
  if (!parsed.ok) throw usage(parsed.error.message);
  const { identityFile, knownHostsFile } = options;
  if (parsed.value.kind === 'model') throw usage('a modelled host has no dom0 to look at: ssh://, or local:');
  if (parsed.value.kind === 'local') {
    if (identityFile ?? knownHostsFile) throw usage('--identity-file and --known-hosts-file are for ssh://');
    return parsed.value;
  }
  return {
    ...parsed.value,
    ...(identityFile === undefined ? {} : { identityFile }),
    ...(knownHostsFile === undefined ? {} : { knownHostsFile }),
  };
}

async function doctor(text: string, options: DoctorOptions): Promise<void> {
  const address = await addressOf(text, options);
  const { HostError } = await import('@xenolith/xapi');
  try {
    process.exitCode = await examine(address, options);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    fail(error.message);
  }
}

function fail(message: string): void {
  process.stderr.write(`xenolith: ${message}\n`);
  process.exitCode = exit.failed;
}

/** Looks, tells, and writes if that was asked for. @returns the exit code @throws HostError */
async function examine(address: HostAddress, options: DoctorOptions): Promise<number> {
  const [{ applyGrubPlan, gatherEvidence, onControlDomain }, experiments, { HostError }, { systemClock }] =
    await Promise.all([
      import('@xenolith/host'),
      import('@xenolith/experiments'),
      import('@xenolith/xapi'),
      import('@xenolith/server'),
    ]);
  const { applyRefusal, bootLoaderAdvice, diagnoseDom0, doctorJson, doctorText, hasAdvice, isSeen } = experiments;
  return onControlDomain(address, { clock: systemClock }, async (transport) => {
    const within = options.root === undefined ? {} : { root: options.root };
    const evidence = await gatherEvidence(transport, within);
    const { dom0Memory } = options;
    if (dom0Memory !== undefined && dom0Memory > (evidence.machineMib ?? dom0Memory)) {
      throw new HostError('bad-config', `--dom0-memory: the machine has ${evidence.machineMib} MiB`);
    }
    const diagnosis = diagnoseDom0(evidence, dom0Memory === undefined ? {} : { memoryKib: dom0Memory * 1024 });
    const { recommendation } = diagnosis;
    let report: DoctorReport = { evidence, diagnosis };
    let refusal = applyRefusal(diagnosis);
    if (recommendation !== undefined) {
      const { dom0Mem } = recommendation;
      const bootLoader = bootLoaderAdvice(evidence, dom0Mem);
      report = { ...report, bootLoader };
      if (
        options.apply === true &&
        refusal === undefined &&
        bootLoader.kind === 'grub' &&
        bootLoader.plan.kind === 'write'
      ) {
        const option = { name: 'dom0_mem', value: dom0Mem };
        report = { ...report, applied: await applyGrubPlan(transport, bootLoader.plan, option, within) };
      }
      if (bootLoader.kind === 'refused') refusal ??= bootLoader.refusal.message;
      if (bootLoader.kind === 'other') refusal ??= bootLoader.reason;
    }
    process.stdout.write(options.json === true ? doctorJson(report) : doctorText(report));
    if (options.apply === true && refusal !== undefined) {
      throw new HostError('bad-config', `nothing was written: ${refusal}`);
    }
    if (!isSeen(diagnosis)) throw new HostError('not-xen', "dom0's memory could not be looked at");
    const isWritten = options.apply === true && report.bootLoader !== undefined;
    const rest = diagnosis.findings.filter(({ code }) => !isWritten || code === 'holes');
    return hasAdvice({ ...diagnosis, findings: rest }) ? exit.advice : 0;
  });
}
