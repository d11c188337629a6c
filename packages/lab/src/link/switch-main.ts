/** The switch as a process of its own: `node switch-main.ts SOCKET PIDFILE`. It ends by itself once the last host is gone. */
import { writeFileSync } from 'node:fs';
import { createSwitch } from './switch.ts';

/** A host that is restarted comes back within this time; QEMU 7.2 never connects again, so a switch without hosts serves nobody. */
const LINGER_MS = 2_000;
const FIRST_HOST_TIMEOUT_MS = 300_000;

const [socketPath, pidPath] = process.argv.slice(2);
if (socketPath === undefined || pidPath === undefined) {
  process.stderr.write('usage: switch-main.ts SOCKET PIDFILE\n');
  process.exit(2);
}

const end = (): never => process.exit(0);
let timer = setTimeout(end, FIRST_HOST_TIMEOUT_MS);
const server = createSwitch((count) => {
  clearTimeout(timer);
  if (count === 0) timer = setTimeout(end, LINGER_MS);
});
server.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
process.on('SIGTERM', end);
server.listen(socketPath, () => writeFileSync(pidPath, `${process.pid}\n`));
