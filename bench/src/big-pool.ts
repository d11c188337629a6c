import { createPool, type SimulatedPool } from '@xenolith/server/sim';
import { median, timeMs, type Bench } from './bench.ts';
import { login } from './client.ts';
import { exchanger } from './raw-http.ts';

const bars = { readMs: 1, residentMib: 1536, eventTimesSmall: 2 };
const small = { hosts: 2, vms: 10 };
const sizes = {
  full: { big: { hosts: 64, vms: 1000 }, rounds: 500 },
  tiny: { big: { hosts: 3, vms: 12 }, rounds: 3 },
} as const;

interface Batch {
  readonly token: string;
  readonly events: readonly unknown[];
}

interface Figures {
  readonly cpuSeconds: number;
  readonly residentMib: number;
  /** Median time of VM.get_record over HTTP. */
  readonly readMs: number;
  /** Median time of an event.from that tells of one change of a VM, over HTTP. */
  readonly eventMs: number;
}

/** Reads a VM and hears of it, each time after a change of it, so that the text of no record is there already. */
async function ask(pool: SimulatedPool, rounds: number): Promise<Pick<Figures, 'readMs' | 'eventMs'>> {
  const port = Number(new URL(pool.url).port);
  const root = { port, user: pool.username, password: pool.password };
  const client = await login(root);
  const { post, close } = await exchanger(port, '/jsonrpc');
  const vms = (await client.call('VM.get_all')) as readonly string[];
  const reads: number[] = [];
  const events: number[] = [];
  let { token } = (await client.call('event.from', ['vm'], '', 0)) as Batch;
  for (let round = 0; round < rounds; round++) {
    const vm = vms[round % vms.length];
    await post(client.body('VM.set_name_description', vm, `changed ${round}`));
    reads.push(await timeMs(() => post(client.body('VM.get_record', vm))));
    // With a session of its own, as one that was just answered is held back.
    const listener = await login(root);
    let text = '';
    events.push(
      await timeMs(async () => {
        text = String(await post(listener.body('event.from', ['vm'], token, 0)));
      }),
    );
    const told = (JSON.parse(text) as { readonly result: Batch }).result;
    if (told.events.length !== 1) throw new Error(`told of ${told.events.length} changes`);
    token = told.token;
  }
  close();
  return { readMs: median(reads), eventMs: median(events) };
}

async function measure(size: { readonly hosts: number; readonly vms: number }, rounds: number): Promise<Figures> {
  const begin = process.cpuUsage();
  await using pool = await createPool(size);
  const { user, system } = process.cpuUsage(begin);
  const residentMib = process.memoryUsage().rss / 2 ** 20;
  return { cpuSeconds: (user + system) / 1e6, residentMib, ...(await ask(pool, rounds)) };
}

const line = ({ hosts, vms }: typeof small, figures: Figures): string =>
  `${hosts} hosts, ${vms} VMs: made in ${figures.cpuSeconds.toFixed(1)} s of CPU time, ${figures.residentMib.toFixed(0)} MiB resident, VM.get_record ${figures.readMs.toFixed(2)} ms, event.from of one change ${figures.eventMs.toFixed(2)} ms`;

/** What a pool of many hosts costs beside one of few: events by what changed, not by what there is. */
export const bigPool: Bench = {
  name: 'big-pool',
  what: 'a simulated pool of 64 hosts and 1,000 VMs, seven of ten running, beside one of 2 hosts and 10 VMs: medians over HTTP in one process with the client',
  bar: {
    text: `VM.get_record below ${bars.readMs} ms, below ${bars.residentMib} MiB resident, event.from below ${bars.eventTimesSmall} times the small pool's`,
    holds: (figure) => figure < 1,
  },
  run: async (size) => {
    const { big, rounds } = sizes[size];
    const few = await measure(small, rounds);
    const many = await measure(big, rounds);
    return {
      lines: [line(small, few), line(big, many)],
      figure: Math.max(
        many.readMs / bars.readMs,
        many.residentMib / bars.residentMib,
        many.eventMs / few.eventMs / bars.eventTimesSmall,
      ),
      unit: 'of the nearest bar',
    };
  },
};
