/**
 * Many commands at a time over SSH on a machine that has too much to do: each must give all of its output, its last
 * words and its exit code. `npm run soak -- --seconds 60 --connections 8 --load 4 --seed 1 [ssh://root@host:port?identity=FILE&known_hosts=FILE]`;
 * without an address against an sshd of its own.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { disposable, epochMs, SeededRandom, type Clock, type Random } from '@xenolith/base';
import { parseHostAddress } from '@xenolith/host';
import { SshTransport } from '@xenolith/host/ssh-transport';
import type { HostAddress } from '@xenolith/xapi';
import { startSshd } from './sshd.ts';

const clock: Clock = {
  now: () => epochMs(Date.now()),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs);
    return disposable(() => clearTimeout(timer));
  },
};

/** What a command is and what it must give; the words are short enough to be kept whole. */
interface Trial {
  readonly text: string;
  readonly stdin?: string;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function trial(random: Random): Trial {
  const below = (limit: number): number => random.nextUint32() % limit;
  const exitCode = below(256);
  switch (below(7)) {
    case 0:
      return { text: `exit ${exitCode}`, exitCode, stdout: '', stderr: '' };
    case 1:
      return { text: `echo out; echo words >&2; exit ${exitCode}`, exitCode, stdout: 'out\n', stderr: 'words\n' };
    case 2:
      return { text: `echo words >&2; exit ${exitCode}`, exitCode, stdout: '', stderr: 'words\n' };
    case 3: {
      const bytes = below(10) === 0 ? below(4_000_000) : below(50_000);
      const text = `head -c ${bytes} /dev/zero | tr '\\0' x; exit ${exitCode}`;
      return { text, exitCode, stdout: 'x'.repeat(bytes), stderr: '' };
    }
    case 4: {
      const stdin = 'y'.repeat(below(50_000));
      return { text: `cat; echo end >&2; exit ${exitCode}`, stdin, exitCode, stdout: stdin, stderr: 'end\n' };
    }
    case 5:
      // Its output ends a while before it does: the channel must stay open until the exit code has come.
      return { text: `echo out; exec >&- 2>&-; sleep 0.1; exit ${exitCode}`, exitCode, stdout: 'out\n', stderr: '' };
    default:
      // Ends before it reads what it is given.
      return {
        text: `exec <&-; echo early; exit ${exitCode}`,
        stdin: 'z'.repeat(below(100)),
        exitCode,
        stdout: 'early\n',
        stderr: '',
      };
  }
}

async function soak(
  address: Extract<HostAddress, { kind: 'ssh' }>,
  connections: number,
  seed: number,
  untilMs: number,
) {
  const failures: string[] = [];
  let count = 0;
  const client = async (transport: SshTransport, random: Random, lane: 'look' | 'work'): Promise<void> => {
    while (performance.now() < untilMs) {
      const wanted = trial(random);
      const stdin = wanted.stdin === undefined ? {} : { stdin: wanted.stdin };
      const problem = await transport
        .run({ text: wanted.text, ...stdin, timeLimitMs: 120_000, lane })
        .then(
          (got) =>
            got.exitCode === wanted.exitCode && got.stdout === wanted.stdout && got.stderr === wanted.stderr
              ? undefined
              : `exit code ${got.exitCode}, ${got.stdout.length} of ${wanted.stdout.length} characters, ${JSON.stringify(got.stderr)}`,
          String,
        );
      count++;
      if (problem !== undefined) failures.push(`${wanted.text}: ${problem}`);
    }
  };
  const transports = Array.from({ length: connections }, () => new SshTransport(address, clock));
  try {
    await Promise.all(transports.map((transport) => transport.open()));
    await Promise.all(
      transports.flatMap((transport, index) =>
        (['look', 'work', 'work', 'work', 'work', 'work'] as const).map((lane, place) =>
          client(transport, new SeededRandom(seed + index * 100 + place), lane),
        ),
      ),
    );
  } finally {
    await Promise.all(transports.map((transport) => transport.close()));
  }
  return { count, failures };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    connections: { type: 'string', default: '8' },
    load: { type: 'string', default: String(2 * availableParallelism()) },
    seed: { type: 'string', default: '1' },
  },
});
// Spinning threads, so that everything else comes late and in lumps.
const load = Array.from({ length: Number(values.load) }, () => new Worker('for (;;);', { eval: true }));
const sshd = positionals.length === 0 ? await startSshd() : undefined;
try {
  const given = sshd === undefined ? parseHostAddress(positionals[0] ?? '') : undefined;
  if (given?.ok === false) throw new Error(given.error.message);
  const address = sshd?.address ?? given?.value;
  if (address?.kind !== 'ssh') throw new Error('expected an address that begins with ssh://');
  const untilMs = performance.now() + Number(values.seconds) * 1000;
  const { count, failures } = await soak(address, Number(values.connections), Number(values.seed), untilMs);
  for (const failure of failures.slice(0, 20)) console.log(failure);
  console.log(`${count} commands in ${values.seconds} s, ${failures.length} failed`);
  process.exitCode = failures.length === 0 ? 0 : 1;
} finally {
  await sshd?.close();
  for (const worker of load) await worker.terminate();
}
