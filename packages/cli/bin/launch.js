/** Runs a program of this room. Plain JavaScript, for it must load in any Node that somebody may have. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The first Node that runs TypeScript as it stands. */
const neededMajor = 24;

/** Runs the TypeScript program in this Node, or, when this one is too old, in the Node that npm has installed. */
export async function launch(program) {
  if (Number(process.versions.node.split('.')[0]) >= neededMajor) {
    await import(program.href);
    return;
  }
  const node = findNode(program);
  if (node === undefined) {
    process.stderr.write(`Node ${neededMajor} or newer is needed, and this is ${process.version}: run npm ci first.\n`);
    process.exitCode = 1;
    return;
  }
  const child = spawn(node, ['--', fileURLToPath(program), ...process.argv.slice(2)], { stdio: 'inherit' });
  // The terminal sends its signals to both; those that only we get are passed on.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
  });
}

function findNode(from) {
  for (let directory = new URL('.', from); ; directory = new URL('..', directory)) {
    const candidate = fileURLToPath(new URL('node_modules/.bin/node', directory));
    if (existsSync(candidate)) return candidate;
    if (directory.pathname === '/') return undefined;
  }
}
