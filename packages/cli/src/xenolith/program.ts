/** The command line of xenolith. */
import { Command, CommanderError } from 'commander';
import { runHostNuma, type HostNumaOptions } from '../numa/host-numa.ts';
import { rcText, runXe } from '../xe/program.ts';
import { runXl } from '../xl/program.ts';
import { benchCommand } from './bench-command.ts';
import { captureCommand } from './capture-command.ts';
import { completionScript } from './completion.ts';
import { doctorCommand } from './doctor-command.ts';
import { experimentCommand } from './experiment-command.ts';
import { labCommand } from './lab-command.ts';
import { ministatCommand } from './ministat-command.ts';
import { runServer } from './up.ts';

const exitFailure = 1;
const exitUsage = 2;

/** Builds the commands; whatever they print goes to the standard streams. */
export function xenolithCommand(): Command {
  const program = new Command('xenolith')
    .description('the Xen Cloud Platform for any Linux box')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride();
  program
    .command('up')
    .description('start xenolithd here; its own options may follow (xenolith up --help)')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .argument('[options...]')
    .action((options: readonly string[]) => runServer(options));
  program
    .command('sim')
    .description('a simulated pool for the tests of XenAPI clients (xenolith sim --help)')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .argument('[options...]')
    .action(async (options: readonly string[]) => {
      // Only here: no other command needs a server in its process.
      const { runSim } = await import('@xenolith/server/sim');
      await runSim(options);
    });
  program.addCommand(captureCommand());
  program.addCommand(labCommand());
  program.addCommand(hostCommand());
  program.addCommand(experimentCommand());
  program.addCommand(doctorCommand());
  program.addCommand(ministatCommand());
  program.addCommand(benchCommand());
  program
    .command('xl')
    .description('what xl does on a host, over the XenAPI: --host NAME chooses it (xenolith xl help)')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .argument('[words...]')
    .action((words: readonly string[]) => runXl(words, process.env, rcText()));
  program
    .command('completion')
    .description('print what bash completes with: eval "$(xenolith completion bash)"')
    .argument('<shell>', 'bash')
    .action((shell: string) => {
      if (shell !== 'bash') throw new CommanderError(exitUsage, 'xenolith.shell', 'error: only bash is completed');
      process.stdout.write(completionScript(program));
    });
  return program;
}

/** Hosts of the pool, on the server of XENOLITH_URL: xe's own commands under shorter names. */
function hostCommand(): Command {
  const host = new Command('host').description('hosts of the pool at XENOLITH_URL').helpCommand(false).exitOverride();
  host
    .command('add')
    .description('add a host: ssh://root@HOST, local: or model:')
    .argument('<address>')
    .option('--identity-file <path>', 'private key for ssh')
    .option('--known-hosts-file <path>', 'file with the host keys to trust')
    .action((address: string, options: { readonly identityFile?: string; readonly knownHostsFile?: string }) =>
      runXe([
        'host-add',
        `address=${address}`,
        ...(options.identityFile === undefined ? [] : [`identity-file=${options.identityFile}`]),
        ...(options.knownHostsFile === undefined ? [] : [`known-hosts-file=${options.knownHostsFile}`]),
      ]),
    );
  host
    .command('list')
    .description('list the hosts')
    .action(() => runXe(['host-list', 'params=uuid,name-label,address,enabled,host-metrics-live']));
  host
    .command('numa')
    .description('show the NUMA nodes of a host, and which domain has what on which node')
    .argument('[host]', 'name or uuid; the only one of the pool when it is left out')
    .option('--json', 'print it as JSON')
    .option('--svg <file>', 'write a picture into a file as well')
    .action((wanted: string | undefined, options: HostNumaOptions) =>
      runHostNuma(wanted, options, { environment: process.env, rcText: rcText() }),
    );
  host
    .command('forget')
    .description('remove a host from the pool; nothing is touched on the host itself')
    .argument('<uuid>')
    .action((uuid: string) => runXe(['host-forget', `uuid=${uuid}`]));
  return host;
}

/** Runs xenolith and sets the exit code of the process: 1 for a failure, 2 for a wrong command line. */
export async function runXenolith(argv: readonly string[]): Promise<void> {
  try {
    await xenolithCommand().parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has said what is wrong, or printed the help that was asked for.
      if (error.code.startsWith('xenolith.')) process.stderr.write(`${error.message}\n`);
      process.exitCode = error.exitCode === 0 ? 0 : exitUsage;
      return;
    }
    const { LabError } = await import('@xenolith/lab');
    if (!(error instanceof LabError)) throw error;
    process.stderr.write(`xenolith: ${error.message}\n`);
    process.exitCode = error.code === 'BAD_OPTION' ? exitUsage : exitFailure;
  }
}
