import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { median, spread, timeMs, type Bench } from './bench.ts';
import { login, type Client } from './client.ts';
import { startXenolithd, type RunningXenolithd } from './process.ts';
import { exchanger, load } from './raw-http.ts';

const peers = new URL('../peers/', import.meta.url).pathname;
/** Connections that build VMs. */
const builders = 8;

interface Round {
  readonly readsPerSecond: number;
  readonly powersPerSecond: number;
}

/** A peer in a process of its own, which measures itself by its own client when told to. */
class Peer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  builtMs = 0;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, [...args], { stdio: ['pipe', 'pipe', 'ignore'] });
    if (this.#child.stdout === null) throw new Error('no output');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async #line(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the peer ended');
    return JSON.parse(value) as unknown;
  }

  /** Waits until it has its VMs. */
  async built(): Promise<void> {
    this.builtMs = ((await this.#line()) as { readonly builtMs: number }).builtMs;
  }

  async round(): Promise<Round> {
    this.#child.stdin?.write('\n');
    return (await this.#line()) as Round;
  }

  stop(): void {
    this.#child.kill();
  }
}

/** The program of govmomi's simulator, where there is Go and Debian's govmomi. */
function compileVcsim(directory: string): string | undefined {
  const program = join(directory, 'vcsim');
  // What Go keeps of compiled packages is its own affair: the first time takes a minute.
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode' };
  const { status } = spawnSync('go', ['build', '-o', program, join(peers, 'api-vcsim.go')], { env });
  return status === 0 && existsSync(program) ? program : undefined;
}

const hasLibvirt = (): boolean => spawnSync('/usr/bin/python3', ['-c', 'import libvirt']).status === 0;

/** Makes so many VMs of the template over some connections at once. Gives their references. */
async function build({ port }: RunningXenolithd, client: Client, vms: number): Promise<readonly string[]> {
  const all = (await client.call('VM.get_all_records')) as Readonly<
    Record<string, { readonly is_default_template: boolean }>
  >;
  const [template = ''] = Object.entries(all).find(([, vm]) => vm.is_default_template) ?? [];
  const refs: string[] = [];
  let next = 0;
  const one = async (): Promise<void> => {
    const { post, close } = await exchanger(port, '/jsonrpc');
    while (next < vms) {
      const name = `b${next++}`;
      const made = JSON.parse(String(await post(client.body('VM.clone', template, name)))) as {
        readonly result: string;
      };
      await post(client.body('VM.provision', made.result));
      refs.push(made.result);
    }
    close();
  };
  await Promise.all(Array.from({ length: builders }, one));
  return refs;
}

/** Starts and stops VMs as tasks, each waited for by its events. */
async function powerRate(
  { port }: RunningXenolithd,
  client: Client,
  vms: readonly string[],
  powers: number,
): Promise<number> {
  const { post, close } = await exchanger(port, '/jsonrpc');
  const call = async (method: string, ...params: readonly unknown[]): Promise<unknown> => {
    const answer = JSON.parse(String(await post(client.body(method, ...params)))) as { readonly result?: unknown };
    if (answer.result === undefined) throw new Error(`${method}: ${JSON.stringify(answer)}`);
    return answer.result;
  };
  const waitFor = async (task: string): Promise<void> => {
    for (let token = ''; ;) {
      const batch = (await call('event.from', [`task/${task}`], token, 30)) as {
        readonly token: string;
        readonly events: readonly { readonly snapshot?: { readonly status: string } }[];
      };
      const status = batch.events.at(-1)?.snapshot?.status;
      if (status === 'success') return;
      if (status !== undefined && status !== 'pending') throw new Error(`the task ended ${status}`);
      token = batch.token;
    }
  };
  const begin = performance.now();
  for (let i = 0; i < powers; i++) {
    const vm = vms[i % vms.length];
    await waitFor(String(await call('Async.VM.start', vm, false, false)));
    await waitFor(String(await call('Async.VM.hard_shutdown', vm)));
  }
  const seconds = (performance.now() - begin) / 1000;
  close();
  return (2 * powers) / seconds;
}

const sizes = {
  full: { vms: 1000, reads: 3000, powers: 100, rounds: 5 },
  tiny: { vms: 8, reads: 20, powers: 2, rounds: 1 },
} as const;

/** The XenAPI over the model against the simulators of two other APIs, each asked by a client of its own. */
export const apiPeers: Bench = {
  name: 'api-peers',
  what: '1,000 VMs made, whole records read one by one, VMs started and stopped as tasks that are waited for: xenolithd on model hosts against govmomi’s simulator and libvirt’s test driver, in rounds that alternate (apt-get install golang-go golang-github-vmware-govmomi-dev python3-libvirt)',
  bar: { text: 'building at least 1, reads 2, power operations 3 times vcsim’s', holds: (figure) => figure >= 1 },
  run: async (size) => {
    const { vms, reads, powers, rounds } = sizes[size];
    const directory = mkdtempSync(join(tmpdir(), 'xenolith-bench-'));
    const found = new Map<string, Peer>();
    const numbers = [vms, reads, powers].map(String);
    const xenolithd = await startXenolithd({ args: ['--model-speed', 'max'] });
    try {
      const vcsim = size === 'full' ? compileVcsim(directory) : undefined;
      if (vcsim !== undefined) found.set('vcsim', new Peer(vcsim, numbers));
      if (size === 'full' && hasLibvirt()) {
        found.set('libvirt', new Peer('/usr/bin/python3', [join(peers, 'api-libvirt.py'), ...numbers]));
      }
      for (const peer of found.values()) await peer.built();
      const client = await login(xenolithd);
      let refs: readonly string[] = [];
      const builtMs = await timeMs(async () => {
        refs = await build(xenolithd, client, vms);
      });
      const rates = new Map<string, Round[]>();
      const note = (name: string, round: Round): void => {
        rates.set(name, [...(rates.get(name) ?? []), round]);
      };
      const body = client.body('VM.get_record', refs[0]);
      for (let i = 0; i < rounds; i++) {
        note('xenolithd', {
          readsPerSecond: await load({ port: xenolithd.port, path: '/jsonrpc', body }, reads, 1),
          powersPerSecond: await powerRate(xenolithd, client, refs, powers),
        });
        for (const [name, peer] of found) note(name, await peer.round());
      }
      const of = (name: string, key: keyof Round): readonly number[] =>
        (rates.get(name) ?? []).map((round) => round[key]);
      const lines = ['xenolithd', 'vcsim', 'libvirt'].map((name) => {
        const made = name === 'xenolithd' ? builtMs : (found.get(name)?.builtMs ?? Number.NaN);
        return rates.has(name)
          ? `${name}: ${vms} VMs in ${made.toFixed(0)} ms, reads/s ${spread(of(name, 'readsPerSecond'), 0)}, power operations/s ${spread(of(name, 'powersPerSecond'), 0)}`
          : `${name}: not installed`;
      });
      const peer = found.get('vcsim');
      if (peer === undefined)
        return { lines, figure: median(of('xenolithd', 'readsPerSecond')), unit: 'reads/s, no vcsim' };
      const ratio = (key: keyof Round): number => median(of('xenolithd', key)) / median(of('vcsim', key));
      const [building, reading, power] = [peer.builtMs / builtMs, ratio('readsPerSecond'), ratio('powersPerSecond')];
      lines.push(
        `times vcsim: building ${building.toFixed(2)}, reads ${reading.toFixed(2)}, power operations ${power.toFixed(2)}`,
      );
      return { lines, figure: Math.min(building, reading / 2, power / 3), unit: 'of the nearest bar' };
    } finally {
      for (const peer of found.values()) peer.stop();
      await xenolithd.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  },
};
