/** A small pool of modelled hosts in this process, and `xe` run on it: the same each time but for uuids and moments. */
import { modelAddress, ModelPool } from '../../packages/host/src/testing/model-pool.ts';
import { jsonEncoding } from '../../packages/server/src/http/encode.ts';
import type { WireValue } from '@xenolith/wire';
import {
  ApiError,
  optionsOf,
  parseJson,
  preparedCommand,
  readWord,
  report,
  runCommand,
  UsageError,
  type Rpc,
  type Terminal,
} from '@xenolith/xe';

/** What a line of xe came to. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

const uuidForm = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

export class XeWorld {
  readonly pool: ModelPool;
  /** Of the objects that lines name as `$name`, and outputs show as `<name>`. */
  readonly uuids = new Map<string, string>();
  readonly #rpc: Rpc;

  private constructor(pool: ModelPool) {
    this.pool = pool;
    const session = pool.xapi.sessions.open('root', 'xe', { superuser: true, role: 'pool-admin' });
    this.#rpc = {
      call: async (method, ...params) => {
        const answer = await pool.xapi.call({ method, params: [session, ...params], origin: { address: '127.0.0.1' } });
        if (!answer.ok) throw new ApiError(answer.error);
        return parseJson(jsonEncoding.value(answer.type, answer.value)) as WireValue;
      },
    };
  }

  /**
   * Two hosts with two spare cards each; `web` runs with a disk and an interface, `spare` is halted without either; a spare
   * disk and a network.
   */
  static async make(): Promise<XeWorld> {
    const world = new XeWorld(await ModelPool.open(2, (number) => `${modelAddress(number)}&nics=3`));
    const { pool } = world;
    const [template = ''] = [...pool.db.all('VM')].find(([, vm]) => vm.is_default_template) ?? [];
    world.#name('template', 'VM', template);
    world.#name('pool', 'pool', pool.db.refs('pool')[0] ?? '');
    for (const number of [1, 2]) world.#name(`host${number}`, 'host', pool.host(number));
    for (const kind of ['SR', 'PBD', 'network', 'PIF', 'host_cpu', 'cpupool', 'role', 'console', 'SM'] as const) {
      world.#name(kind.toLowerCase().replace('_', '-'), kind, pool.db.refs(kind)[0] ?? '');
    }
    for (const number of [1, 2]) world.#name(`card${number}`, 'PIF', pool.db.refs('PIF')[number] ?? '');
    await world.setUp('vm-install template=$template new-name-label=web', 'web');
    await world.setUp('vm-install template=$template new-name-label=spare', 'spare');
    await world.setUp('vdi-create sr-uuid=$sr name-label=disk virtual-size=1GiB', 'vdi');
    await world.setUp('vdi-create sr-uuid=$sr name-label=other virtual-size=1GiB', 'other-vdi');
    await world.setUp('vbd-create vm-uuid=$web device=0 vdi-uuid=$vdi', 'vbd');
    await world.setUp('vif-create device=0 network-uuid=$network vm-uuid=$web mac=02:00:00:00:00:01', 'vif');
    await world.setUp('network-create name-label=lan', 'lan');
    await world.setUp('secret-create value=s', 'secret');
    await world.setUp('message-create name=N priority=3 body=b vm-uuid=$web', 'message');
    await world.setUp('vm-start uuid=$web', 'started');
    // Until every figure has been taken once.
    await pool.clock.advanceAsync(figuresMs);
    return world;
  }

  #name(
    name: string,
    className:
      | 'VM'
      | 'pool'
      | 'host'
      | 'SR'
      | 'PBD'
      | 'network'
      | 'PIF'
      | 'host_cpu'
      | 'cpupool'
      | 'role'
      | 'console'
      | 'SM',
    ref: string,
  ): void {
    const record = this.pool.db.find(className, ref as never) as { readonly uuid?: string } | undefined;
    if (record?.uuid !== undefined) this.uuids.set(name, record.uuid);
  }

  /** A line that must go well; what it prints gets a name. */
  async setUp(line: string, name: string): Promise<void> {
    const { stdout, stderr, code } = await this.xe(line);
    if (code !== 0) throw new Error(`${line}: ${stderr}`);
    const uuid = stdout.trim();
    if (uuid !== '') this.uuids.set(name, uuid);
  }

  /** Runs a line, whose words `$name` stands for a uuid in; time passes as the line needs it. */
  async xe(line: string): Promise<Outcome> {
    const given = line.replaceAll(/\$([a-z0-9-]+)/g, (_all, name: string) => this.uuids.get(name) ?? noUuid);
    const running = this.#run(given.split(' '));
    for (let passedMs = 0; passedMs < 1_000_000; passedMs += 1000) {
      await this.pool.settle();
      // Loading what a command needs is no matter of the pool's time.
      const ended = await Promise.race([
        running,
        new Promise<undefined>((resolve) => setImmediate(resolve, undefined)),
      ]);
      if (ended !== undefined) return ended;
      await this.pool.clock.advanceAsync(1000);
    }
    throw new Error(`${line} has no end`);
  }

  async #run([name = '', ...rest]: readonly string[]): Promise<Outcome> {
    const read = { values: new Map<string, string>(), words: [] as string[], on: new Set<string>() };
    let stdout = '';
    const terminal: Terminal = {
      outIsTerminal: false,
      write: (text) => (stdout += text),
      progress: () => undefined,
      interrupts: () => () => undefined,
      exchange: {
        readFile: (path) =>
          path === 'f' ? Promise.resolve('text\n') : Promise.reject(new UsageError(`${path}: no file`)),
        // Nothing here speaks HTTP: what is sent or written over it fails where the client would begin.
        upload: (_to, file) => Promise.reject(new UsageError(`${file}: no file`)),
        download: (_from, file) => Promise.reject(new UsageError(`${file}: no file`)),
        attach: () => Promise.reject(new ApiError(['NOT_IMPLEMENTED', 'console'])),
      },
    };
    try {
      for (const word of rest) readWord(word, read);
      const line = { values: read.values, words: read.words, options: optionsOf(read.on) };
      await runCommand(await preparedCommand(name, line), line, this.#rpc, terminal);
      return { stdout, stderr: '', code: 0 };
    } catch (error) {
      const { code, text } = await report(error, false);
      return { stdout, stderr: `${text}\n`, code };
    }
  }

  /** Text without what differs from run to run: known objects by name, other uuids and references, moments, figures. */
  normal(text: string): string {
    const names = new Map([...this.uuids].map(([name, uuid]) => [uuid, name]));
    return (
      text
        .replaceAll(/OpaqueRef:(?!NULL)\S+?(?=[;,\s]|$)/gm, 'OpaqueRef:<ref>')
        .replaceAll(uuidForm, (uuid) => (uuid === noUuid ? '<no-uuid>' : `<${names.get(uuid) ?? 'uuid'}>`))
        .replaceAll(/\d{8}T\d\d:\d\d:\d\dZ/g, '<time>')
        // What use a figure tells of depends on how long the commands before took to load.
        .replaceAll(/(value \( RO\): )(?:0|1|0\.\d+)$/gm, '$1<figure>')
    );
  }
}

/** Time for the hosts to tell of the use of their processors twice. */
const figuresMs = 15_000;

const noUuid = '00000000-0000-0000-0000-000000000000';
