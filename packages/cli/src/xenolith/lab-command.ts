/** `xenolith lab`: hosts with real Xen, in QEMU on this machine. */
import type { Lab, LabHost } from '@xenolith/lab';
import { Command, InvalidArgumentError } from 'commander';
import { runXe } from '../xe/program.ts';
import { hostAddArguments, hostAddLine } from './host-add-line.ts';
import { runChild } from './run-child.ts';
import { validateCommand } from './validate-command.ts';

interface UpOptions {
  readonly hosts: number;
  readonly nodes?: number;
  readonly cpus?: number;
  readonly memory?: string;
  readonly dom0Mem?: string;
  readonly add?: true;
}

function whole(text: string): number {
  const value = Number(text);
  if (!/^\d{1,6}$/.test(text) || value < 1) throw new InvalidArgumentError('Expected a whole number from 1.');
  return value;
}

/** The lab's own code is loaded when a command of it runs: `xenolith --help` does not wait for it. */
export function labCommand(): Command {
  const lab = new Command('lab')
    .description('hosts with real Xen, in QEMU on this machine')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride();
  lab
    .command('up')
    .description('build the dom0 image (once), and boot or restore the hosts')
    .option('--hosts <n>', 'how many', whole, 1)
    .option('--nodes <n>', 'NUMA nodes of each (default: 2)', whole)
    .option('--cpus <n>', 'CPUs of each (default: 8)', whole)
    .option('--memory <size>', 'memory of each, such as 2048M (default: 4G)')
    .option('--dom0-mem <value>', "what Xen's dom0_mem= says (default: 1024M,max:1024M)")
    .option('--add', 'add them to the pool at XENOLITH_URL')
    .action(up);
  lab.command('status').description('say how the hosts are').action(status);
  lab
    .command('ssh')
    .description('log in to a host, or run a command there')
    .argument('[host]', 'its name; the first one when left out')
    .argument('[command...]')
    .passThroughOptions()
    .action(async (name: string | undefined, command: readonly string[]) => {
      const { labSshArgv } = await import('@xenolith/lab');
      const [program = 'ssh', ...args] = labSshArgv(await hostNamed(name), command);
      await runChild(program, args);
    });
  lab
    .command('console')
    .description("attach to a host's own console; Ctrl-] ends")
    .argument('[host]', 'its name; the first one when left out')
    .action(attach);
  lab.addCommand(validateCommand());
  lab
    .command('down')
    .description('end all hosts')
    .action(async () => {
      const { defaultStateDirectory, labDown } = await import('@xenolith/lab');
      const ended = await labDown({ stateDirectory: defaultStateDirectory() });
      process.stdout.write(ended === 0 ? 'no lab was up\n' : 'the lab is down\n');
    });
  return lab;
}

async function up(options: UpOptions): Promise<void> {
  const { LabError, labUp, parseMemoryMiB } = await import('@xenolith/lab');
  const memoryMiB = options.memory === undefined ? undefined : parseMemoryMiB(options.memory);
  if (options.memory !== undefined && memoryMiB === undefined) {
    throw new LabError('BAD_OPTION', `--memory ${options.memory}: expected a size such as 4G or 2048M`);
  }
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);
  const { stderr } = process;
  const line = stderr.isTTY ? '\r\u001b[K' : '';
  let lab: Lab;
  try {
    lab = await labUp({
      hosts: options.hosts,
      shape: { nodes: options.nodes, cpus: options.cpus, memoryMiB },
      xenOptions: { dom0Mem: options.dom0Mem },
      signal: interrupted.signal,
      progress: (step, fraction) => {
        stderr.write(`${line}${String(Math.round(fraction * 100)).padStart(3)} % ${step}${stderr.isTTY ? '' : '\n'}`);
      },
    });
  } finally {
    stderr.write(line);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
  }
  if (options.add !== true) {
    process.stdout.write(`${lab.hosts.length} host(s) with real Xen are up. To add them to a pool:\n\n`);
    process.stdout.write(lab.hosts.map((host) => `  ${hostAddLine(host)}\n`).join(''));
    return;
  }
  for (const host of lab.hosts) {
    await runXe(hostAddArguments(host));
    if (process.exitCode !== undefined && process.exitCode !== 0) return;
  }
}

async function status(): Promise<void> {
  const { defaultStateDirectory, hostStatusText, labStatus } = await import('@xenolith/lab');
  const found = await labStatus({ stateDirectory: defaultStateDirectory() });
  if (found === undefined) {
    process.stdout.write('no lab is up\n');
    process.exitCode = 1;
    return;
  }
  process.stdout.write(found.hosts.map((host) => `${hostStatusText(host)}\n`).join(''));
}

async function hostNamed(name: string | undefined): Promise<LabHost> {
  const { defaultStateDirectory, findHost, LabError, readLab } = await import('@xenolith/lab');
  const lab = await readLab(defaultStateDirectory());
  const [first] = lab?.hosts ?? [];
  if (lab === undefined || first === undefined) throw new LabError('NOT_UP', 'no lab is up: xenolith lab up');
  return name === undefined ? first : findHost(lab.hosts, name);
}

async function attach(name: string | undefined): Promise<void> {
  const { attachConsole } = await import('@xenolith/lab');
  const host = await hostNamed(name);
  const { stdin, stdout, stderr } = process;
  const raw = stdin.isTTY;
  if (raw) {
    stderr.write('Ctrl-] ends.\r\n');
    stdin.setRawMode(true);
  }
  try {
    await attachConsole(host, { input: stdin, output: stdout });
  } finally {
    if (raw) {
      stdin.setRawMode(false);
      // What follows begins on a line of its own.
      stderr.write('\n');
    }
    stdin.destroy();
  }
}
