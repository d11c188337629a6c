/** The order of a campaign's runs: a function of its definition alone. */
import { assert, SeededRandom } from '@xenolith/base';
import type { Campaign, Configuration, Workload } from './campaign.ts';

/** One run. */
export interface Step {
  /** Names the run in the data: `pbzip2/4/plain/3`, `pbzip2/4/plain/w1` for a warm-up. */
  readonly id: string;
  readonly workload: Workload;
  readonly threads: number;
  readonly configuration: Configuration;
  /** From 1, warm-ups by themselves. */
  readonly run: number;
  readonly isWarmUp: boolean;
}

/**
 * Every run of a campaign in its order. Workloads come one after the other, and each number of threads by itself. There the runs go in
 * rounds: each round has every configuration once, so that whatever drifts meanwhile hits all alike. A round begins one
 * configuration later than the one before, or is shuffled, so that none always follows the same other.
 */
export function planSteps(campaign: Campaign): readonly Step[] {
  const { workloads, runs, warmUps } = campaign;
  const next = orderOf(campaign);
  return workloads.flatMap((workload) =>
    workload.threads.flatMap((threads) =>
      Array.from({ length: warmUps + runs }, (_, at) => {
        const isWarmUp = at < warmUps;
        const run = isWarmUp ? at + 1 : at - warmUps + 1;
        return next(at).map((configuration) => ({
          id: `${workload.name}/${threads}/${configuration.name}/${isWarmUp ? 'w' : ''}${run}`,
          workload,
          threads,
          configuration,
          run,
          isWarmUp,
        }));
      }).flat(),
    ),
  );
}

/** The configurations in the order of a round. */
function orderOf({ configurations, order }: Campaign): (round: number) => readonly Configuration[] {
  if (order.kind === 'shuffled') {
    const random = new SeededRandom(order.seed);
    return () => shuffled(configurations, (below) => Math.floor((random.nextUint32() / 2 ** 32) * below));
  }
  return (round) => configurations.map((_, at) => configurations[(at + round) % configurations.length]!);
}

/** Fisher and Yates: every order is as likely as any other. */
function shuffled<T>(items: readonly T[], below: (limit: number) => number): readonly T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const other = below(last + 1);
    assert(other <= last, 'a place in the list');
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}
