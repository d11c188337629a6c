/**
 * A pool of modelled hosts in one process, for the tests of its clients: seeded, on a clock of its own, and with a control
 * beside the XenAPI. Nothing of it is on disk unless a store is handed in.
 */
import { ManualClock, SeededRandom, type Ref } from '@xenolith/base';
import { ModelDriver, ModelHost, parseHostAddress, type SharedFiles } from '@xenolith/host';
import type { WireValue } from '@xenolith/wire';
import {
  HostError,
  Xapi,
  type Answer,
  type HostDriver,
  type Log,
  type Passwords,
  type Request,
  type Store,
} from '@xenolith/xapi';
import { BadRequest } from './bad-request.ts';
import { buildPool, type PoolSize } from './build-pool.ts';
import { CallLog, withoutSecrets } from './call-log.ts';
import { Faults } from './faults.ts';
import { Scenarios } from './scenarios.ts';
import { SimClock, simStartMs, type ClockMode, type Demand } from './sim-clock.ts';
import { contentOf, emptyContent, replacement, SimStore, type StoreContent } from './sim-store.ts';

export interface SimPoolOptions extends PoolSize {
  readonly seed: number;
  readonly clock: ClockMode;
  /** Root's password. */
  readonly password: string;
  readonly log: Log;
  readonly version: string;
  /** What the pool begins with in place of hosts and VMs made for the seed. */
  readonly content?: StoreContent | undefined;
  /** Keeps the pool over a restart. What it has when it is handed in is gone on with. */
  readonly disk?: Store | undefined;
}

/** Snapshots at once; each is about as large as the pool. */
const snapshotsMax = 20;
const snapshotNames = /^[\w.-]{1,100}$/;

/** Guests that were started last have booted by then. */
const settledMs = 10_000;

/** The settings with which a pool goes on where it was. */
const clockKey = 'sim:clock';
const randomKey = 'sim:random';

/** One life of the pool, from a start, reset or restore to the next. */
interface Life {
  readonly clock: ManualClock;
  readonly store: SimStore;
  readonly machines: Map<string, ModelHost>;
  readonly xapi: Xapi;
}

interface Flight {
  readonly waitsForEvents: boolean;
  readonly session: string;
  readonly answer: (answer: Answer) => void;
}

const eventWaits = new Set(['event.from', 'event.next']);

/** A password is kept as it is: there is nothing here to protect, and a hash would take its time at each login. */
const plainPasswords: Passwords = {
  hash: (password) => Promise.resolve(password),
  verify: (password, hash) => Promise.resolve(password === hash),
};

export class SimPool {
  readonly clock: SimClock;
  readonly faults: Faults;
  readonly scenarios: Scenarios;
  readonly calls = new CallLog();
  readonly options: SimPoolOptions;
  readonly #snapshots = new Map<string, StoreContent>();
  readonly #flights = new Set<Flight>();
  #life: Life;
  #session: Ref<'session'> | undefined;
  /** While a life begins or ends, no call is let in. */
  #changing: Promise<void> | undefined;
  #changed: () => void = () => undefined;

  private constructor(options: SimPoolOptions) {
    this.options = options;
    this.faults = new Faults(options.seed);
    this.#life = this.#newLife(options.disk === undefined ? emptyContent : contentOf(options.disk), 0);
    this.clock = new SimClock(this.#life.clock, options.clock, () => this.#demand());
    this.scenarios = new Scenarios(() => this.#life);
  }

  /** Makes the pool, or goes on with the one on disk. */
  static async open(options: SimPoolOptions): Promise<SimPool> {
    const pool = new SimPool(options);
    const { settings } = pool.#life.store.load();
    await pool.#change(() => pool.#begin(settings[clockKey] === undefined));
    return pool;
  }

  /** Of the present life: another one after each reset and restore. */
  get xapi(): Xapi {
    return this.#life.xapi;
  }

  /** The modelled hosts, by host name. */
  get machines(): ReadonlyMap<string, ModelHost> {
    return this.#life.machines;
  }

  /** Carries out a client's call. Never throws: whatever goes wrong is an answer. */
  async request(request: Request): Promise<Answer> {
    if (this.#changing !== undefined) await this.#changing;
    await this.clock.catchUp();
    const { xapi, clock } = this.#life;
    const session = typeof request.params[0] === 'string' ? request.params[0] : '';
    const { auth_user_name: user = '' } = xapi.db.find('session', session as Ref<'session'>) ?? {};
    const { method, origin } = request;
    const logged = this.calls.begin(
      { method, args: withoutSecrets(request), user, address: origin.address },
      clock.now(),
    );
    const answer = await this.#fly(request, session);
    logged(answer, this.#life.clock === clock ? clock.now() : simStartMs);
    return answer;
  }

  /** A call as root; the session comes by itself. @throws Error with the error description */
  async call(method: string, ...params: readonly WireValue[]): Promise<unknown> {
    if (this.#changing !== undefined) await this.#changing;
    this.#session ??= this.#login();
    const answer = await this.request({ method, params: [this.#session, ...params], origin: inProcess });
    if (answer.ok) return answer.value;
    throw new CallRefused(method, answer.error);
  }

  /** Everything as it was after the start: hosts, VMs, time and chance; faults, scenarios and calls are gone, snapshots stay. */
  async reset(): Promise<void> {
    this.calls.clear();
    await this.#replaceLife(emptyContent, true);
  }

  /**
   * Remembers the pool under a name, in place of what had the name. Work that is under way is not part of it: it is as
   * when a manager is killed.
   */
  async snapshot(name: string): Promise<void> {
    if (!snapshotNames.test(name)) throw new BadRequest('a snapshot has a name of 1 to 100 letters, digits, . _ or -');
    if (!this.#snapshots.has(name) && this.#snapshots.size >= snapshotsMax) {
      throw new BadRequest(`there are ${snapshotsMax} snapshots already`);
    }
    await this.#life.xapi.db.durable();
    this.#snapshots.set(name, this.#life.store.content());
  }

  get snapshots(): readonly string[] {
    return [...this.#snapshots.keys()];
  }

  /** Brings a remembered pool back: records, domains, time and chance. Faults, scenarios and sessions are gone. */
  async restore(name: string): Promise<void> {
    await this.#replaceLife(this.#snapshotNamed(name), false);
  }

  forgetSnapshot(name: string): void {
    this.#snapshotNamed(name);
    this.#snapshots.delete(name);
  }

  /** What is there now, as a store has it. */
  async content(): Promise<StoreContent> {
    await this.#life.xapi.db.durable();
    return this.#life.store.content();
  }

  async close(): Promise<void> {
    this.#endFlights();
    this.clock.close();
    await this.#life.xapi.close();
    await this.options.disk?.close();
  }

  #snapshotNamed(name: string): StoreContent {
    const content = this.#snapshots.get(name);
    if (content === undefined) throw new BadRequest(`there is no snapshot ${name}`);
    return content;
  }

  #demand(): Demand {
    let events = false;
    for (const { waitsForEvents } of this.#flights) {
      if (!waitsForEvents) return 'work';
      events = true;
    }
    if (this.#life.xapi.tasks.runningCount > 0) return 'work';
    return events ? 'events' : 'none';
  }

  /** A call of the present life; one that is under way when it ends is answered as one whose session is over. */
  #fly(request: Request, session: string): Promise<Answer> {
    const { xapi } = this.#life;
    return new Promise((resolve) => {
      const flight: Flight = {
        waitsForEvents: eventWaits.has(request.method),
        session,
        answer: (answer) => {
          this.#flights.delete(flight);
          resolve(answer);
          this.clock.wake();
        },
      };
      this.#flights.add(flight);
      void xapi.call(request).then(flight.answer);
      this.clock.wake();
    });
  }

  #endFlights(): void {
    const flights = [...this.#flights];
    for (const { session, answer } of flights) answer({ ok: false, error: ['SESSION_INVALID', session] });
  }

  async #replaceLife(content: StoreContent, fresh: boolean): Promise<void> {
    await this.#change(async () => {
      const { disk } = this.options;
      const old = this.#life;
      old.store.detach();
      this.#endFlights();
      this.scenarios.forget();
      this.faults.clear();
      this.#session = undefined;
      const { generation } = old.xapi.db;
      if (disk !== undefined) await disk.commit(replacement(contentOf(disk), content, generation));
      this.#life = this.#newLife(content, generation);
      this.clock.replace(this.#life.clock);
      // Its clock stands still from now on; what it waits for does not come.
      void old.xapi.close().catch(() => undefined);
      await this.#begin(fresh);
    });
  }

  /** One change at a time. */
  async #change(work: () => Promise<void>): Promise<void> {
    while (this.#changing !== undefined) await this.#changing;
    this.#changing = new Promise((resolve) => {
      this.#changed = resolve;
    });
    try {
      await work();
    } finally {
      this.#changing = undefined;
      this.#changed();
    }
  }

  #newLife(content: StoreContent, generation: number): Life {
    const { seed, log, version, disk } = this.options;
    const kept = content.settings;
    const clock = new ManualClock(kept[clockKey] === undefined ? simStartMs : Number(kept[clockKey]));
    // References of an inventory may come from another simulation of the same seed.
    const given = this.options.content === undefined ? 0 : 1 + this.options.content.rows.size;
    const random = new SeededRandom(seed ^ Math.imul(given, 0x9e3779b1));
    const secrets = new SeededRandom(seed ^ 0x5ec2e7);
    if (kept[randomKey] !== undefined) {
      const [r0, r1, s0, s1] = JSON.parse(kept[randomKey]) as [number, number, number, number];
      random.goTo([r0, r1]);
      secrets.goTo([s0, s1]);
    }
    const machines = new Map<string, ModelHost>();
    const shared: SharedFiles = new Map();
    const extras = (): Readonly<Record<string, string>> => ({
      [clockKey]: String(clock.now()),
      [randomKey]: JSON.stringify([...random.position, ...secrets.position]),
    });
    const store = new SimStore(content, { generation, extras, disk });
    const xapi: Xapi = new Xapi({
      store,
      clock,
      random,
      secrets,
      passwords: plainPasswords,
      openHost: (address) => this.#openHost(address, clock, { machines, shared }),
      log,
      version,
      beforeCall: (method, args) => this.faults.strikeCall({ db: xapi.db, clock }, method, args),
    });
    return { clock, store, machines, xapi };
  }

  #openHost(
    text: string,
    clock: ManualClock,
    { machines, shared }: { readonly machines: Map<string, ModelHost>; readonly shared: SharedFiles },
  ): HostDriver {
    const parsed = parseHostAddress(text);
    if (!parsed.ok) throw new HostError('bad-config', `${text}: ${parsed.error.message}`);
    const address = parsed.value;
    if (address.kind !== 'model') throw new HostError('bad-config', `${text}: a simulation has modelled hosts only`);
    const { hostname } = address.shape;
    const known = machines.get(hostname);
    // A host that was forgotten and comes again is the same machine.
    if (known !== undefined && JSON.stringify(known.shape) === JSON.stringify(address.shape)) {
      return new ModelDriver(known);
    }
    if (known !== undefined) throw new HostError('bad-config', `there is another host ${hostname} already`);
    const machine = new ModelHost(address.shape, address.seed, clock, {
      failing: (operation) => this.faults.strikeOperation(hostname, operation),
      shared,
    });
    machines.set(hostname, machine);
    return new ModelDriver(machine);
  }

  /** Starts the present life, and fills it when it is to be as at the beginning. */
  async #begin(fresh: boolean): Promise<void> {
    const { seed, password, content } = this.options;
    if (fresh && content !== undefined && this.#life.store.load().settings[clockKey] === undefined) {
      const { generation } = this.#life.xapi.db;
      this.#life = this.#newLife(content, generation);
      this.clock.replace(this.#life.clock);
    }
    const { xapi, clock } = this.#life;
    await xapi.start();
    if (fresh) {
      await xapi.sessions.setRootPassword(password);
      if (content === undefined) await this.#build(xapi, seed);
    }
    await this.clock.advance(fresh ? settledMs : 0);
    await xapi.db.durable();
    if (this.#life.clock !== clock) throw new Error('two lives at once');
  }

  async #build(xapi: Xapi, seed: number): Promise<void> {
    const session = xapi.sessions.open('root', 'simulation', { superuser: true, role: 'pool-admin' });
    const mode = this.clock.mode;
    // Whatever the mode: the pool's beginning takes no time of anybody's.
    this.clock.setMode({ kind: 'auto' });
    const call = async (method: string, ...params: readonly WireValue[]): Promise<unknown> => {
      const answer = await this.#fly({ method, params: [session, ...params], origin: inProcess }, session);
      if (answer.ok) return answer.value;
      throw new CallRefused(method, answer.error);
    };
    await buildPool({ db: xapi.db, call }, this.options, seed);
    this.clock.setMode(mode);
    xapi.sessions.close(session);
  }

  #login(): Ref<'session'> {
    return this.#life.xapi.sessions.open('root', 'in process', { superuser: true, role: 'pool-admin' });
  }
}

const inProcess = { address: 'local' } as const;

/** A call that was refused. */
export class CallRefused extends Error {
  override readonly name = 'CallRefused';
  /** Error code and parameters, as `ErrorDescription` has them. */
  readonly description: readonly string[];

  constructor(method: string, description: readonly string[]) {
    super(`${method}: ${description.join(' ')}`);
    this.description = description;
  }
}
