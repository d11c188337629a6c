/** What the samples of a campaign say, cell by cell: a workload with a number of threads, in each configuration. */
import { studentT } from '../statistics/student-t.ts';
import { summarise, type Summary } from '../statistics/summary.ts';
import type { Better, Campaign } from './campaign.ts';
import { compare, type Comparison } from '../statistics/compare.ts';
import { kernelText, machineText } from './machine-facts.ts';
import { recipeOf } from './recipe.ts';
import type { Sample } from './sample.ts';
import { emulationCaution, xenHostText } from './xen-host.ts';

export interface CampaignResult {
  readonly campaign: Campaign;
  readonly confidencePercent: number;
  readonly cells: readonly Cell[];
  /** Where the samples come from: every machine, kernel, program and place that they name. */
  readonly origin: Origin;
}

/** A workload with a number of threads. */
export interface Cell {
  readonly workload: string;
  readonly threads: number;
  readonly unit: string;
  readonly better: Better;
  /** In the campaign's order; the reference is one of them. */
  readonly rows: readonly Row[];
}

/** A configuration in a cell. */
export interface Row {
  readonly configuration: string;
  /** Figures of the runs that count, in the order of the runs. */
  readonly values: readonly number[];
  /** Runs that were made and gave no figure, even later. */
  readonly failed: number;
  /** Runs that are still to be made, failed ones among them. */
  readonly missing: number;
  /** Absent without values. */
  readonly summary?: Summary;
  /** Half the width of the confidence interval of the mean; absent of fewer than two values. */
  readonly halfWidth?: number;
  readonly verdict: Verdict;
}

export type Verdict =
  | { readonly kind: 'reference' }
  /** Not enough runs of it or of the reference: it takes two of each. */
  | { readonly kind: 'too few runs' }
  | { readonly kind: 'difference'; readonly isBetter: boolean; readonly by: Comparison }
  | { readonly kind: 'no difference proven'; readonly by: Comparison };

export interface Origin {
  readonly first: string | undefined;
  readonly last: string | undefined;
  readonly places: readonly string[];
  readonly machines: readonly string[];
  /** Hosts with Xen. */
  readonly hosts: readonly string[];
  /** Each with the configurations that ran on it. */
  readonly kernels: readonly { readonly kernel: string; readonly configurations: readonly string[] }[];
  /** Name and versions. */
  readonly programs: readonly { readonly program: string; readonly versions: readonly string[] }[];
  /** What the systems said of the configurations. */
  readonly said: readonly { readonly configuration: string; readonly said: readonly string[] }[];
  /** What a reader must know before believing a comparison. */
  readonly cautions: readonly string[];
}

/**
 * Puts the samples of a campaign together.
 * @param confidencePercent of the intervals and comparisons, between 0 and 100
 */
export function campaignResult(
  campaign: Campaign,
  samples: readonly Sample[],
  confidencePercent = campaign.confidencePercent,
): CampaignResult {
  const counted = samples.filter(({ isWarmUp }) => !isWarmUp);
  const byCell = Map.groupBy(counted, ({ workload, threads, configuration }) =>
    cellKey(workload, threads, configuration),
  );
  const cells = campaign.workloads.flatMap((workload) => {
    const { unit, better } = recipeOf(workload).figure;
    return workload.threads.map((threads): Cell => {
      const bare = campaign.configurations.map(({ name }) =>
        bareRow(name, byCell.get(cellKey(workload.name, threads, name)) ?? [], campaign.runs, confidencePercent),
      );
      const reference = bare.find(({ configuration }) => configuration === campaign.reference);
      const rows = bare.map((row) => ({
        ...row,
        verdict: row === reference ? { kind: 'reference' as const } : judge(row, reference, better, confidencePercent),
      }));
      return { workload: workload.name, threads, unit, better, rows };
    });
  });
  return { campaign, confidencePercent, cells, origin: originOf(samples) };
}

const cellKey = (workload: string, threads: number, configuration: string): string =>
  [workload, threads, configuration].join('/');

type BareRow = Omit<Row, 'verdict'>;

function bareRow(configuration: string, samples: readonly Sample[], runs: number, confidencePercent: number): BareRow {
  const good = samples.flatMap(({ run, value }) => (value === undefined ? [] : [{ run, value }]));
  const values = good.toSorted((a, b) => a.run - b.run).map(({ value }) => value);
  const done = new Set(good.map(({ run }) => run));
  const failed = new Set(samples.map(({ run }) => run)).size - done.size;
  const row = { configuration, values, failed, missing: runs - values.length };
  if (values.length === 0) return row;
  const summary = summarise(values);
  const { n, sd } = summary;
  if (n === 1) return { ...row, summary };
  return { ...row, summary, halfWidth: (studentT(n - 1, confidencePercent / 100) * sd) / Math.sqrt(n) };
}

function judge(row: BareRow, reference: BareRow | undefined, better: Better, confidencePercent: number): Verdict {
  const [a, b] = [reference?.summary, row.summary];
  if (a === undefined || b === undefined || a.n < 2 || b.n < 2) return { kind: 'too few runs' };
  const by = compare(a, b, confidencePercent / 100);
  if (!by.proven) return { kind: 'no difference proven', by };
  return { kind: 'difference', isBetter: by.difference > 0 === (better === 'more'), by };
}

function originOf(samples: readonly Sample[]): Origin {
  const times = samples.map(({ startedAt }) => startedAt).toSorted();
  const kernels = grouped(
    samples,
    ({ machine }) => kernelText(machine.kernel),
    ({ configuration }) => configuration,
  );
  const programs = grouped(
    samples.flatMap((sample) => Object.entries(sample.programs)),
    ([program]) => program,
    ([, version]) => version,
  );
  const said = grouped(
    samples.filter((sample) => sample.said !== undefined),
    ({ configuration }) => configuration,
    (sample) => sample.said ?? '',
  );
  // Guests are made anew for each run: the machine is the host.
  const machines = [...new Set(samples.flatMap(({ machine, guests }) => (guests ? [] : [machineText(machine)])))];
  const hosts = [...new Set(samples.flatMap(({ host }) => (host === undefined ? [] : [xenHostText(host)])))];
  return {
    first: times[0],
    last: times.at(-1),
    places: [...new Set(samples.map(({ place }) => place))],
    machines,
    hosts,
    kernels: kernels.map(([kernel, configurations]) => ({ kernel, configurations })),
    programs: programs.map(([program, versions]) => ({ program, versions })),
    said: said.map(([configuration, texts]) => ({ configuration, said: texts })),
    cautions: [
      ...(haveAlternated(samples)
        ? []
        : [
            'Not every configuration ran in every boot: their runs do not alternate, and what changed from one boot to the next is in the comparison.',
          ]),
      ...(samples.some(({ host }) => host?.isEmulated === 'yes') ? [emulationCaution] : []),
      ...(machines.length > 1 ? [`The samples come from ${machines.length} different machines.`] : []),
      ...(hosts.length > 1 ? [`The samples come from ${hosts.length} different hosts, or settings of a host.`] : []),
      ...programs
        .filter(([, versions]) => versions.length > 1)
        .map(([program, versions]) => `${program} changed its version meanwhile: ${versions.join(', ')}.`),
      ...samples
        .filter(({ machine, host }) => machine.hypervisor !== '' && host === undefined)
        .slice(0, 1)
        .map(() => 'The machine is itself virtual: whatever else runs on its hardware is in the figures.'),
    ],
  };
}

/** Whether each boot of a kernel has samples of every configuration that there are samples of. */
function haveAlternated(samples: readonly Sample[]): boolean {
  const boots = grouped(
    samples,
    ({ machine, host }) => host?.bootId ?? machine.kernel.bootId,
    ({ configuration }) => configuration,
  );
  const all = new Set(samples.map(({ configuration }) => configuration));
  return boots.every(([, configurations]) => configurations.length === all.size);
}

/** The different values of each key, both in the order in which they come. */
function grouped<T>(
  items: readonly T[],
  key: (item: T) => string,
  value: (item: T) => string,
): readonly (readonly [string, readonly string[]])[] {
  return [...Map.groupBy(items, key)].map(([name, group]) => [name, [...new Set(group.map(value))]] as const);
}
