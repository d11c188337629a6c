/** Programs that take over this terminal for a while. */
import { spawn } from 'node:child_process';

/** Runs a program on our terminal to its end and takes its exit code. */
export function runChild(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { stdio: 'inherit' });
    // The terminal sends Ctrl-C to both: it is for the other program to say what follows.
    const ignore = (): void => {};
    const pass = (signal: NodeJS.Signals): void => {
      child.kill(signal);
    };
    process.on('SIGINT', ignore);
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, pass);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      process.off('SIGINT', ignore);
      for (const each of ['SIGTERM', 'SIGHUP'] as const) process.off(each, pass);
      process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
      resolve();
    });
  });
}
