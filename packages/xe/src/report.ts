/** How a failure is told: lines for people, or one JSON value, and the exit code. */
import { explain, sentenceFor } from './explain.ts';
import { ApiError, ConnectionError, InterruptedError } from './call.ts';
import { NoMatchError, SomeFailedError, UsageError } from './usage-error.ts';

interface Told {
  readonly code: number;
  /** For `--json`: the code of the XenAPI, or a word of ours in capitals. */
  readonly word: string;
  readonly params: readonly string[];
  /** A sentence. */
  readonly message: string;
  /** For people: one line or, with the parameters of a refusal, several. */
  readonly text: string;
}

const told = (code: number, word: string, message: string, prefix: string): Told => ({
  code,
  word,
  params: [],
  message,
  text: `${prefix}: ${message}`,
});

async function tell(error: unknown): Promise<Told> {
  if (error instanceof ApiError) {
    const { code, params } = error;
    return { code: 1, word: code, params, message: sentenceFor(error), text: await explain(error) };
  }
  if (error instanceof UsageError) return told(2, 'USAGE', error.message, 'xe');
  if (error instanceof ConnectionError) return told(1, 'CONNECTION', error.message, 'Error');
  if (error instanceof NoMatchError) return told(1, 'NO_MATCH', error.message, 'Error');
  if (error instanceof InterruptedError) return told(130, 'INTERRUPTED', error.message, 'Interrupted');
  throw error;
}

/**
 * The exit code and the text for stderr.
 * @throws the error itself when it is a mistake of ours
 */
export async function report(
  problem: unknown,
  json: boolean,
): Promise<{ readonly code: number; readonly text: string }> {
  if (problem instanceof SomeFailedError) {
    const each = await Promise.all(
      problem.failures.map(async (failure) => ({ uuid: failure.uuid, ...(await tell(failure.error)) })),
    );
    const failures = each.map(({ uuid, word, params, message }) => ({ uuid, code: word, params, message }));
    const text = json
      ? JSON.stringify({ error: { code: 'SOME_FAILED', params: [], message: problem.message, failures } })
      : each.map(({ uuid, text: words }) => `${uuid}: ${words}`).join('\n');
    return { code: 1, text };
  }
  const { code, word, params, message, text } = await tell(problem);
  return { code, text: json ? JSON.stringify({ error: { code: word, params, message } }) : text };
}
