import { setTimeout as pause } from 'node:timers/promises';
import { percentile, type Bench } from './bench.ts';
import { login, type Client } from './client.ts';
import { startEcho, startXenolithd, type RunningXenolithd } from './process.ts';
import { exchanger } from './raw-http.ts';

/** Longer than a session that was answered is held back, so that each change finds everybody waiting. */
const betweenMs = 100;
/** An answer with one VM has about so many. */
const eventBytes = 6000;
const bars = { p50Ms: 2, p99Ms: 20 };
/** Rounds before anything is counted. */
const warmUp = 10;

interface Batch {
  readonly token: string;
  readonly events: readonly { readonly ref: string }[];
}

interface Stage {
  readonly port: number;
  readonly writer: Client;
  readonly vms: readonly string[];
  /** As many as there are VMs, each with a session of its own. */
  readonly clients: readonly Client[];
}

async function setStage(xenolithd: RunningXenolithd, size: number): Promise<Stage> {
  const writer = await login(xenolithd);
  const all = (await writer.call('VM.get_all_records')) as Readonly<Record<string, { is_default_template: boolean }>>;
  const template = Object.keys(all).find((ref) => all[ref]?.is_default_template === true);
  const vms: string[] = [];
  const clients: Client[] = [];
  for (let i = 0; i < size; i++) {
    vms.push((await writer.call('VM.clone', template, `bench ${i}`)) as string);
    clients.push(await login(xenolithd));
  }
  return { port: xenolithd.port, writer, vms, clients };
}

/**
 * Milliseconds from sending a call that changes one VM to the answer of each client that waits for it; each waits for
 * the VM of its own number, or all for every VM.
 */
async function waits(stage: Stage, changes: number, what: 'its own' | 'every'): Promise<readonly number[]> {
  const { port, writer, vms, clients } = stage;
  const change = await exchanger(port, '/jsonrpc');
  const connections = await Promise.all(clients.map(() => exchanger(port, '/jsonrpc')));
  const ask = async (i: number, token: string): Promise<{ readonly batch: Batch; readonly atMs: number }> => {
    const classes = what === 'every' ? ['vm'] : [`vm/${vms[i]}`];
    const text = await connections[i]!.post(clients[i]!.body('event.from', classes, token, 3600));
    const atMs = performance.now();
    return { batch: (JSON.parse(String(text)) as { readonly result: Batch }).result, atMs };
  };
  const { token: begin } = (await writer.call('event.from', ['vm'], '', 0)) as Batch;
  const waiting = clients.map((_, i) => ask(i, begin));
  const samples: number[] = [];
  for (let round = -warmUp; round < changes; round++) {
    await pause(betweenMs);
    const number = (round + warmUp) % vms.length;
    const beginMs = performance.now();
    await change.post(writer.body('VM.set_name_label', vms[number], `changed ${round}`));
    const hearing = what === 'every' ? clients.map((_, i) => i) : [number];
    const told = await Promise.all(hearing.map((i) => waiting[i]!));
    told.forEach(({ batch, atMs }, at) => {
      if (batch.events.length !== 1 || batch.events[0]?.ref !== vms[number]) throw new Error('told of something else');
      if (round >= 0) samples.push(atMs - beginMs);
      waiting[hearing[at]!] = ask(hearing[at]!, batch.token);
    });
  }
  for (const { close } of [change, ...connections]) close();
  return samples;
}

/** The same of a node:http that holds as many requests, and answers all of them with so many bytes. */
async function bareWaits(clients: number, changes: number, bytes: number): Promise<readonly number[]> {
  const echo = await startEcho();
  try {
    const [release, held] = [await exchanger(echo.port, '/release'), await exchanger(echo.port, '/held')];
    const waiters = await Promise.all(Array.from({ length: clients }, () => exchanger(echo.port, '/hold')));
    const samples: number[] = [];
    for (let round = -warmUp; round < changes; round++) {
      const waiting = waiters.map(async ({ post }) => {
        await post('{}');
        return performance.now();
      });
      do await pause(betweenMs);
      while (Number(await held.post('')) < clients);
      const beginMs = performance.now();
      await release.post('x'.repeat(bytes));
      const told = await Promise.all(waiting);
      if (round >= 0) samples.push(...told.map((atMs) => atMs - beginMs));
    }
    for (const { close } of [release, held, ...waiters]) close();
    return samples;
  } finally {
    await echo.stop();
  }
}

const line = (what: string, samples: readonly number[]): string =>
  `${what}: p50 ${percentile(samples, 0.5).toFixed(2)} ms, p99 ${percentile(samples, 0.99).toFixed(2)} ms, n=${samples.length}`;

/** From a change to the clients that wait for it. */
export const eventLatency: Bench = {
  name: 'event-latency',
  what: 'from sending VM.set_name_label to the answer of event.from, of 100 clients over JSON-RPC with sessions of their own that wait, each for a VM of its own; and where all wait for every VM, beside a bare node:http that holds as many requests',
  bar: { text: `p50 below ${bars.p50Ms} ms, p99 below ${bars.p99Ms} ms`, holds: (figure) => figure < 1 },
  run: async (size) => {
    const [clients, changes] = size === 'full' ? [100, 200] : [3, 4];
    const xenolithd = await startXenolithd();
    try {
      const stage = await setStage(xenolithd, clients);
      const own = await waits(stage, changes, 'its own');
      const every = await waits(stage, changes / 4, 'every');
      const bare = await bareWaits(clients, changes / 4, eventBytes);
      return {
        lines: [
          line('the one that waits for it', own),
          line('all of them', every),
          line('all of a bare node:http', bare),
        ],
        figure: Math.max(percentile(own, 0.5) / bars.p50Ms, percentile(own, 0.99) / bars.p99Ms),
        unit: 'of the nearest bar',
      };
    } finally {
      await xenolithd.stop();
    }
  },
};
