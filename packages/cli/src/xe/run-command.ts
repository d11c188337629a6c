/** A command of xe against the server that the command line names, on this terminal. */
import { preparedCommand, progressOn, runCommand } from '@xenolith/xe';
import type { XeArguments } from './arguments.ts';
import { fileExchange } from './file-exchange.ts';
import { openServer } from './open-server.ts';

/** Runs the command of this name against the server. Throws what it fails with. */
export async function runHere(name: string, args: XeArguments): Promise<void> {
  const command = await preparedCommand(name, args);
  const rpc = await openServer(args.server);
  try {
    await runCommand(command, args, rpc, {
      outIsTerminal: process.stdout.isTTY,
      write: (text) => {
        process.stdout.write(text);
      },
      progress: progressOn(process.stderr, args.options.progress),
      interrupts,
      exchange: fileExchange(rpc),
    });
  } finally {
    await rpc.close();
  }
}

/** Ctrl-C as a task wants it: called back each time it is typed, until the answer is called. */
function interrupts(onInterrupt: () => void): () => void {
  process.on('SIGINT', onInterrupt);
  return () => {
    process.off('SIGINT', onInterrupt);
  };
}
