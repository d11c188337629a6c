/** Asks the model and real Xen a question, and compares. */
import { delay } from '@xenolith/base';
import {
  measuredResult,
  modelAnswer,
  totalCpuNs,
  type Part,
  type Question,
  type QuestionResult,
  type RunFigures,
} from '@xenolith/experiments';
import type { TopologyShape } from '@xenolith/hypervisor';
import { HostError } from '@xenolith/xapi';
import { arrange, measureRun, tidyUp, type ValidatedHost } from './arranged-host.ts';

export interface AskOptions {
  /** Of the host that is measured. */
  readonly shape: TopologyShape;
  /** How much model time has the CPU time that a window on real Xen waits for. */
  readonly seconds: number;
  /** How long a trace is, in seconds of the host. */
  readonly traceSeconds: number;
  readonly runs: number;
}

/** Guests go on for a while after they are up, until what their boots left has settled. */
const settleMs = 5000;

/**
 * Asks a question that is measured. A failure of the host is trouble of that part, which the result says; the others are asked.
 * Nothing is left on the host.
 */
export async function askMeasured(
  host: ValidatedHost,
  question: Question,
  options: AskOptions,
): Promise<QuestionResult> {
  const parts: { readonly part: Part; readonly model: readonly RunFigures[]; readonly real: readonly RunFigures[] }[] =
    [];
  const trouble: string[] = [];
  for (const part of question.parts) {
    const model = Array.from({ length: options.runs }, (_, index) =>
      modelAnswer(part.arrangement, { shape: options.shape, seed: 1 + index, durationNs: options.seconds * 1e9 }),
    );
    const real: RunFigures[] = [];
    try {
      await measurePart(host, part, meanTotalNs(model), options, real);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      trouble.push(`${part.name}: ${real.length} of ${options.runs} runs, since then: ${error.message}`);
    } finally {
      await tidyUp(host);
    }
    if (part.isTraced && real.some(({ traced }) => traced === undefined)) {
      trouble.push(`${part.name}: not every run has a trace that is whole; what needs one is of the others`);
    }
    parts.push({ part, model, real });
  }
  return measuredResult(question, parts, trouble);
}

const meanTotalNs = (runs: readonly RunFigures[]): number =>
  runs.reduce((sum, run) => sum + totalCpuNs(run), 0) / runs.length;

async function measurePart(
  host: ValidatedHost,
  { arrangement, isTraced, name }: Part,
  cpuNs: number,
  { runs, traceSeconds }: AskOptions,
  real: RunFigures[],
): Promise<void> {
  const arranged = await arrange(host, arrangement);
  await delay(host.clock, settleMs);
  for (let run = 1; run <= runs; run++) {
    host.say(`${name}: run ${run} of ${runs}`);
    real.push(await measureRun(host, arranged, { cpuNs, ...(isTraced ? { traceSeconds } : {}) }));
  }
}
