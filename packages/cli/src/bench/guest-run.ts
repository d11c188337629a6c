/** A run in guests: they are booted for it, made ready one after the other, set off together, and taken away. */
import { bytes, err, ok, pcpuId, randomUuid, type Result } from '@xenolith/base';
import {
  type DataDirectory,
  machineFactsScript,
  parseMachineFacts,
  readFigure,
  recipeOf,
  type CommandOutcome,
  type Configuration,
  type GuestPool,
  type GuestSample,
  type GuestShape,
  type MachineFacts,
  type Step,
} from '@xenolith/experiments/campaign';
import { systemRandom } from '@xenolith/server';
import { shellQuote } from '@xenolith/wire';
import { HostError, type BootableGuest, type DomainConfig, type DomainIdentity } from '@xenolith/xapi';
import { BenchError, BenchInterrupted, withEnd } from './bench-error.ts';
import type { BenchHost, GuestMaker } from './bench-host.ts';
import { farHead, timedScript, withEnvironment } from './far-command.ts';
import type { GuestArchive } from './guest-files.ts';
import { openGuestShell, outcomeScript, type GuestShell } from './guest-shell.ts';
import { cleanScript, cleanUnsettledScript, keptDirectory, noteScript, takenFile, takenText } from './host-keeper.ts';
import { telling } from './host-place.ts';
import type { Place, PlaceCommand } from './place.ts';
import { openStage } from './stage.ts';
import { mustRun, shell } from './workspace.ts';

/** An emulated machine that has too much to do may take minutes. */
const bootLimitMs = 10 * 60_000;
const cleanLimitSeconds = 300;
const uploadLimitMs = 10 * 60_000;

export interface GuestRun {
  readonly host: BenchHost;
  readonly shape: GuestShape;
  readonly archive: GuestArchive;
  /** In the guests. */
  readonly data: DataDirectory;
  readonly timeLimitSeconds: number;
  readonly signal: AbortSignal;
}

export interface GuestOutcome {
  readonly outcome: CommandOutcome;
  readonly figure: Result<number, string>;
  readonly said: string | undefined;
  readonly machine: MachineFacts;
  readonly programs: Readonly<Record<string, string>>;
  readonly guests: readonly GuestSample[];
}

/**
 * Makes a run. What goes wrong with the guests is the run's failure, not the campaign's: they are new ones each time.
 * @throws BenchInterrupted; BenchError where the host cannot be tidied up
 */
export async function runInGuests(run: GuestRun, step: Step): Promise<GuestOutcome> {
  const maker = await run.host.guests();
  const shells: GuestShell[] = [];
  let isTidy = false;
  let isSettled = true;
  const work = async (): Promise<GuestOutcome> => {
    try {
      return await telling(run.host.place.name, () => bootAndRun(run, maker, step, shells));
    } catch (error) {
      isSettled = !(error instanceof BenchError && error.cause instanceof HostError);
      throw run.signal.aborted ? new BenchInterrupted() : error;
    }
  };
  const end = async (): Promise<void> => {
    for (const each of shells) each.close();
    await tidy(maker, run.host.place.name, isSettled);
    isTidy = true;
  };
  try {
    return await withEnd(work, end);
  } catch (error) {
    if (!isTidy || error instanceof BenchInterrupted || !(error instanceof BenchError)) throw error;
    return failed(error.message, run.host.dom0);
  }
}

const nothing: CommandOutcome = { exitStatus: 0, seconds: 0, isTimedOut: false, stdout: '', stderr: '' };

const failed = (problem: string, machine: MachineFacts): GuestOutcome => ({
  outcome: nothing,
  figure: err(problem),
  said: undefined,
  machine,
  programs: {},
  guests: [],
});

/** Not as a command of the place, which an interruption ends. */
async function tidy({ transport, name }: GuestMaker, label: string, isSettled: boolean): Promise<void> {
  const { exitCode, stderr } = await telling(label, () =>
    transport.run({
      text: `${farHead}name=${name}\n${isSettled ? cleanScript : cleanUnsettledScript}`,
      timeLimitMs: cleanLimitSeconds * 1000,
      lane: 'work',
    }),
  );
  if (exitCode !== 0) throw new BenchError(`${label}: it could not be tidied up after a run\n${stderr.trim()}`);
}

interface Guest {
  readonly domain: DomainIdentity;
  readonly name: string;
}

interface ReadyGuest {
  readonly machine: MachineFacts;
  readonly programs: Readonly<Record<string, string>>;
  readonly said: string | undefined;
  readonly go: () => Promise<CommandOutcome>;
}

async function bootAndRun(run: GuestRun, maker: GuestMaker, step: Step, shells: GuestShell[]): Promise<GuestOutcome> {
  const { shape, timeLimitSeconds } = run;
  const { driver } = maker;
  if (shape.pool.kind === 'own') await makePool(run.host.place, maker, shape.pool);
  const guests = await createGuests(run, maker);
  const ready: ReadyGuest[] = [];
  // One after the other: others that do the same would only make it slower, and some guests do not share well.
  for (const guest of guests) {
    await driver.unpause(guest.domain);
    const guestShell = await openGuestShell(
      guest.name,
      await driver.openConsole(guest.domain),
      bootLimitMs,
      run.signal,
    );
    shells.push(guestShell);
    const place = guestPlace(guest.name, guestShell);
    const { armed, ...facts } = await makeReady(run, place, guestShell, step);
    if (!armed.ok) return { ...failed(armed.error, facts.machine), programs: facts.programs };
    ready.push({ ...facts, go: armed.value });
    if (guests.length > 1) await driver.pause(guest.domain);
  }
  if (guests.length > 1) for (const { domain } of guests) await driver.unpause(domain);
  const outcomes = await Promise.all(ready.map(({ go }, at) => inTime(go(), guests[at]!.name, timeLimitSeconds)));
  return together(step, guests, ready, outcomes);
}

async function makePool(
  place: Place,
  { driver, name }: GuestMaker,
  { scheduler, pcpus, timesliceMs }: Extract<GuestPool, { kind: 'own' }>,
): Promise<void> {
  const { scheduling } = driver;
  const pools = await patiently(() => scheduling.cpupools());
  const taken = pcpus.map((pcpu) => {
    const pool = pools.find((each) => each.pcpus.includes(pcpuId(pcpu)));
    if (pool === undefined) throw new BenchError(`pCPU ${pcpu} is in no cpupool of ${place.name}`);
    return { pcpu: pcpuId(pcpu), pool };
  });
  // Before anything is taken: whoever tidies up reads it.
  await mustRun(
    place,
    'a note of what is taken',
    shell(noteScript, { LINES: takenText(taken), FILE: takenFile(name) }),
  );
  for (const { pcpu, pool } of taken) await patiently(() => scheduling.removePcpu(pool.name, pcpu));
  await patiently(() => scheduling.createCpupool({ name, scheduler, pcpus: taken.map(({ pcpu }) => pcpu) }));
  if (timesliceMs !== undefined) {
    await patiently(() => scheduling.setCpupoolParameters(name, { tsliceMs: timesliceMs }));
  }
}

/** Each of these looks at the host before it does anything, and a host that is busy, or emulated, may take too long for that. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === 3 || !(error instanceof HostError) || error.code !== 'timeout') throw error;
    }
  }
}

async function createGuests(run: GuestRun, maker: GuestMaker): Promise<readonly Guest[]> {
  const { shape } = run;
  const { driver, name } = maker;
  const small = maker.facts.guests.find(({ type }) => type === shape.type);
  const ramdisk = await placeRamdisk(run, maker, shape.ramdisk ?? small?.ramdisk);
  const guests: Guest[] = [];
  const goOn = (): void => {
    if (run.signal.aborted) throw new BenchInterrupted();
  };
  for (let at = 1; at <= shape.vms; at++) {
    goOn();
    const disk = shape.disk === undefined ? undefined : `${keptDirectory(name)}/${at}.disk`;
    if (disk !== undefined) await driver.files.copyImage(shape.disk!, disk);
    goOn();
    const config = guestConfig(shape, { name: `${name}-${at}`, pool: name, ramdisk, disk, small });
    const domid = await driver.create(config, { paused: true });
    guests.push({ domain: { domid, uuid: config.uuid }, name: `guest ${at}` });
  }
  return guests;
}

/** The guests' ramdisk with the campaign's files in front of it, made once for the same files. */
async function placeRamdisk(
  { archive, host }: GuestRun,
  { transport, name }: GuestMaker,
  ramdisk: string | undefined,
): Promise<string | undefined> {
  const hashes = Object.values(archive.hashes);
  if (hashes.length === 0) return ramdisk;
  const key = Buffer.from(JSON.stringify([ramdisk ?? '', archive.hashes])).toString('base64url');
  const { createHash } = await import('node:crypto');
  const path = `${keptDirectory(name)}/${createHash('sha256').update(key).digest('hex').slice(0, 16)}.ramdisk`;
  const [file, part] = [shellQuote(path), shellQuote(`${path}.part`)];
  const base = ramdisk === undefined ? '' : `cat ${shellQuote(ramdisk)} >>${part} && `;
  const { exitCode, stderr } = await transport.run({
    text: `${farHead}[ -e ${file} ] || { base64 -d >${part} && ${base}mv ${part} ${file}; }`,
    stdin: Buffer.from(archive.cpio).toString('base64'),
    timeLimitMs: uploadLimitMs,
    lane: 'work',
  });
  if (exitCode !== 0)
    throw new BenchError(`${host.place.name}: the guests' files could not be put there\n${stderr.trim()}`);
  return path;
}

function guestConfig(
  { type, vcpus, memoryBytes, commandLine, kernel, pool }: GuestShape,
  made: {
    readonly name: string;
    readonly pool: string;
    readonly ramdisk: string | undefined;
    readonly disk: string | undefined;
    readonly small: BootableGuest | undefined;
  },
): DomainConfig {
  const image = kernel ?? made.small?.kernel;
  if (image === undefined) {
    throw new BenchError(`the host has no small guest of type ${type}: say guest-kernel, and guest-ramdisk or disk`);
  }
  const hardAffinity = pool.kind === 'own' ? undefined : pool.hardAffinity;
  const cpupool = { first: undefined, named: pool.kind === 'named' ? pool.name : '', own: made.pool }[pool.kind];
  return {
    uuid: randomUuid(systemRandom()),
    nameLabel: made.name,
    type,
    kernel: image,
    ...(made.ramdisk === undefined ? {} : { ramdisk: made.ramdisk }),
    cmdline: `${made.small?.cmdline ?? 'console=hvc0'} ${commandLine}`.trim(),
    vcpusMax: vcpus,
    vcpusAtStartup: vcpus,
    memoryMaxBytes: bytes(memoryBytes),
    memoryTargetBytes: bytes(memoryBytes),
    disks: made.disk === undefined ? [] : [{ device: 'xvda', path: made.disk, format: 'raw', readOnly: false }],
    vifs: [],
    ...(hardAffinity === undefined ? {} : { cpus: hardAffinity.map(pcpuId) }),
    ...(cpupool === undefined ? {} : { cpupool }),
    onPoweroff: 'destroy',
    onReboot: 'destroy',
    onCrash: 'destroy',
  };
}

/** A guest as a place; what it runs ends with it. */
function guestPlace(name: string, guestShell: GuestShell): Place {
  const run = async (command: PlaceCommand): Promise<CommandOutcome> =>
    inTime((await guestShell.arm(guestScript(command)))(), name, command.timeLimitSeconds);
  return {
    name,
    run,
    start: async ({ argv, environment, directory, timeLimitSeconds }) => {
      const script = `${withEnvironment(argv, environment)} </dev/null >"$DIRECTORY/service.log" 2>&1 &
until grep -q '^ready$' "$DIRECTORY/service.log"; do
  kill -0 $! 2>/dev/null || { tail -n 5 "$DIRECTORY/service.log" >&2; exit 1; }
  sleep 0.2
done`;
      await mustRun(
        { name, run } as Place,
        'a server',
        shell(script, { DIRECTORY: directory }, directory, timeLimitSeconds),
      );
      return { stop: () => Promise.resolve() };
    },
  };
}

const guestScript = (command: PlaceCommand): string =>
  `${farHead}o=/tmp/xenolith-bench.out e=/tmp/xenolith-bench.err; mkdir -p /tmp\n${timedScript(command, ' >"$o" 2>"$e"')}${outcomeScript}`;

/** Ends the waiting, not the command: the guest is taken away anyway. */
async function inTime(outcome: Promise<CommandOutcome>, name: string, limitSeconds: number): Promise<CommandOutcome> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<CommandOutcome>((resolve) => {
    timer = setTimeout(
      () =>
        resolve({
          ...nothing,
          exitStatus: 128 + 9,
          seconds: limitSeconds,
          isTimedOut: true,
          stderr: `${name}: no end`,
        }),
      limitSeconds * 1000,
    );
  });
  return Promise.race([outcome, late]).finally(() => clearTimeout(timer));
}

/** A small guest has none: then it is made. */
const tmpfsScript = `tmpfs() { grep -qF " $DATA tmpfs " /proc/mounts; }
tmpfs || { mkdir -p "$DATA" && mount -t tmpfs none "$DATA" && tmpfs; }`;

/** Everything up to the moment of the run. */
async function makeReady(
  { data, timeLimitSeconds, archive }: GuestRun,
  place: Place,
  guestShell: GuestShell,
  step: Step,
): Promise<Omit<ReadyGuest, 'go'> & { readonly armed: Result<() => Promise<CommandOutcome>, string> }> {
  const { configuration, workload, threads } = step;
  const machine = parseMachineFacts(await mustRun(place, 'what the guest is', shell(machineFactsScript)));
  if (data.isTmpfs) await mustRun(place, 'a tmpfs', shell(tmpfsScript, { DATA: data.directory }));
  const path = `${data.directory.replace(/\/+$/, '')}/xenolith-bench`;
  await mustRun(place, 'making a directory', shell('mkdir -p "$DATA"', { DATA: path }));
  const stage = await openStage({ place, path, machine, close: () => Promise.resolve() }, [step], timeLimitSeconds);
  const programs = { ...stage.programs, ...archive.hashes };
  const { run: script, before } = recipeOf(workload);
  const environment = { ...(await stage.environmentOf(configuration)), THREADS: String(threads) };
  for (const each of [configuration.before, before]) {
    if (each !== undefined)
      await mustRun(place, 'what comes before the run', shell(each, environment, stage.data, timeLimitSeconds));
  }
  const said = await stage.checked(configuration, environment);
  if (!said.ok) return { machine, programs, said: undefined, armed: said };
  const command = {
    argv: [...configuration.prefix, 'sh', '-c', script],
    environment,
    directory: stage.data,
    timeLimitSeconds,
  };
  return { machine, programs, said: said.value, armed: ok(await guestShell.arm(guestScript(command))) };
}

/** The figure of a run is the mean of its guests'. */
function together(
  { workload }: { readonly workload: Step['workload']; readonly configuration: Configuration },
  guests: readonly Guest[],
  ready: readonly ReadyGuest[],
  outcomes: readonly CommandOutcome[],
): GuestOutcome {
  const { figure } = recipeOf(workload);
  const samples = outcomes.map((outcome, at): GuestSample => {
    const value = readFigure(figure, outcome);
    const said = ready[at]?.said;
    return {
      name: guests[at]!.name,
      ...(value.ok ? { value: value.value } : { problem: value.error }),
      ...(said === undefined ? {} : { said }),
      seconds: outcome.seconds,
      exitStatus: outcome.exitStatus,
    };
  });
  const bad = samples.find(({ problem }) => problem !== undefined);
  const sum = samples.reduce((total, { value }) => total + (value ?? 0), 0);
  const [first] = ready;
  return {
    outcome: {
      exitStatus: outcomes.find(({ exitStatus }) => exitStatus !== 0)?.exitStatus ?? 0,
      seconds: Math.max(...outcomes.map(({ seconds }) => seconds)),
      isTimedOut: outcomes.some(({ isTimedOut }) => isTimedOut),
      stdout: outcomes.map(({ stdout }) => stdout).join(''),
      stderr: outcomes.map(({ stderr }) => stderr).join(''),
    },
    figure: bad === undefined ? ok(sum / samples.length) : err(`${bad.name}: ${bad.problem}`),
    said: first?.said,
    machine: first!.machine,
    programs: first!.programs,
    guests: samples,
  };
}
