/** Commands of xenolith that ask the server of XENOLITH_URL. */
import { report, type Rpc } from '@xenolith/xe';
import { parseXeArguments, type Environment } from '../xe/arguments.ts';
import { openServer } from '../xe/open-server.ts';

/**
 * Logs in, does the work and logs out; says what fails and sets the exit code of the process: 1 for a failure, 2 for a wrong
 * command line.
 * @param json failures are told as JSON
 */
export async function withServer(
  { environment, rcText }: { readonly environment: Environment; readonly rcText: string },
  json: boolean,
  work: (rpc: Rpc) => Promise<void>,
): Promise<void> {
  try {
    const rpc = await openServer(parseXeArguments([], environment, rcText).server);
    try {
      await work(rpc);
    } finally {
      await rpc.close();
    }
  } catch (error) {
    const { code, text } = await report(error, json);
    process.stderr.write(`${text}\n`);
    process.exitCode = code;
  }
}
