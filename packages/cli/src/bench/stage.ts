/** A workload made ready at a place: its data, and a server for each configuration that needs one. */
import { err, ok, type Result } from '@xenolith/base';
import { recipeOf, type Configuration, type Step } from '@xenolith/experiments/campaign';
import { printable } from '@xenolith/xe';
import { BenchError, BenchInterrupted } from './bench-error.ts';
import type { Service } from './place.ts';
import { mustRun, shell, type Workspace } from './workspace.ts';

export interface Stage {
  /** The directory that all configurations share. */
  readonly data: string;
  /** Versions of the programs by their names. */
  readonly programs: Readonly<Record<string, string>>;
  /** The variables of a configuration; its server is started when it is first asked for. @throws BenchError */
  environmentOf(configuration: Configuration): Promise<Readonly<Record<string, string>>>;
  /** The line with which the system says that the configuration is in force; `undefined` where it is not asked. */
  checked(
    configuration: Configuration,
    environment: Readonly<Record<string, string>>,
  ): Promise<Result<string | undefined, string>>;
  close(): Promise<void>;
}

/** Makes the workload of some steps ready. @throws BenchError */
export async function openStage(
  workspace: Workspace,
  steps: readonly Step[],
  timeLimitSeconds: number,
): Promise<Stage> {
  const { place, path } = workspace;
  const { workload } = steps[0]!;
  const { versions, prepare, service } = recipeOf(workload);
  const most = String(Math.max(...workload.threads));
  const root = (await mustRun(place, 'making a directory', shell(newDirectory, { TMPDIR: path }))).trim();
  const data = `${root}/data`;
  // Servers that do not run as root must get through it.
  await mustRun(place, 'making a directory', shell('chmod 711 "$ROOT" && mkdir "$ROOT/data"', { ROOT: root }));
  const shared = { DATA: data, THREADS_MAX: most };
  if (prepare !== undefined) {
    await mustRun(place, `preparing ${workload.name}`, shell(prepare, shared, data, timeLimitSeconds));
  }
  const programs: Record<string, string> = {};
  for (const { program, script } of versions) {
    const { exitStatus, stdout } = await place.run(shell(script, shared, data));
    programs[program] = exitStatus === 0 ? firstLine(stdout) : 'unknown';
  }
  const services = new Map<string, Service>();
  const environments = new Map<string, Readonly<Record<string, string>>>();

  async function open(configuration: Configuration): Promise<Readonly<Record<string, string>>> {
    const { name, prefix } = configuration;
    const own = `${root}/${environments.size}`;
    await mustRun(place, 'making a directory', shell('mkdir "$OWN"', { OWN: own }));
    const environment = { ...Object.fromEntries(configuration.environment), ...shared, OWN: own };
    if (service !== undefined) {
      const argv = [...prefix, 'sh', '-c', service];
      try {
        services.set(name, await place.start({ argv, environment, directory: own, timeLimitSeconds }));
      } catch (error) {
        if (!(error instanceof BenchError) || error instanceof BenchInterrupted) throw error;
        throw new BenchError(`the server of ${workload.name} for ${name}: ${error.message}`, { cause: error });
      }
    }
    environments.set(name, environment);
    return environment;
  }

  return {
    data,
    programs,
    environmentOf: async (configuration) => environments.get(configuration.name) ?? (await open(configuration)),
    checked: async ({ check, name }, environment) => {
      if (check === undefined) return ok(undefined);
      const { exitStatus, stdout } = await place.run(shell(check.command, environment, data));
      const line = stdout.split('\n').findLast((each) => new RegExp(check.says).test(each));
      if (exitStatus === 0 && line !== undefined) return ok(printable(line.trim()));
      return err(
        `${name} is not in force: ${check.command} (exit status ${exitStatus}) says nothing like ${check.says}`,
      );
    },
    close: async () => {
      await Promise.all([...services.values()].map((each) => each.stop()));
      await mustRun(place, 'removing the data', shell('rm -rf "$ROOT"', { ROOT: root }));
    },
  };
}

/** A guest may be as small as to have no mktemp, and has the directory for itself. */
const newDirectory = 'mktemp -d 2>/dev/null || { path="$TMPDIR/$$" && mkdir "$path" && echo "$path"; }';

const firstLine = (output: string): string => printable(output.trim().split('\n')[0] ?? '').slice(0, 200);
