/**
 * The control of a simulated pool over HTTP: JSON under `/_sim`, beside the XenAPI and never inside it. It asks for no
 * password, as there is nothing here to protect, and refuses whatever a browser sends from a page of somebody else.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BadRequest } from './bad-request.ts';
import { inventoryOf } from './inventory.ts';
import { assertEmpty, Fields } from './read-fields.ts';
import type { FaultRule } from './faults.ts';
import type { ScenarioRequest } from './scenarios.ts';
import type { ClockMode } from './sim-clock.ts';
import type { SimPool } from './sim-pool.ts';

export const controlPath = '/_sim';

/** Bytes of a request's body. */
const bodyBytesMax = 64 * 1024;
const advanceSMax = 30 * 24 * 60 * 60;
export const speedMax = 1000;

/** What is read of a request. */
interface ControlRequest {
  /** The parts of the path after `/_sim`. */
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
  /** Undefined where there is none. */
  readonly body: unknown;
}

type Action = (pool: SimPool, request: ControlRequest) => unknown;

const noFields = ({ body }: ControlRequest): void => {
  if (body !== undefined) assertEmpty(body);
};

/** By method and first word of the path, with `+` for each word more. */
const actions: Readonly<Record<string, Action>> = {
  'GET ': (pool) => summary(pool),
  'GET health': () => ({ status: 'ok' }),
  'POST reset': async (pool, request) => {
    noFields(request);
    await pool.reset();
    return summary(pool);
  },
  'GET snapshots': (pool) => pool.snapshots,
  'POST snapshots': async (pool, { body }) => {
    const name = new Fields(body, ['name']).text('name');
    await pool.snapshot(name);
    return { name };
  },
  'DELETE snapshots +': (pool, { rest: [, name = ''] }) => pool.forgetSnapshot(name),
  'POST snapshots + restore': async (pool, { rest: [, name = ''] }) => {
    await pool.restore(name);
    return summary(pool);
  },
  'GET clock': (pool) => clockState(pool),
  'POST clock': (pool, { body }) => {
    pool.clock.setMode(readClockMode(body));
    return clockState(pool);
  },
  'POST clock advance': async (pool, { body }) => {
    await pool.clock.advance(1000 * new Fields(body, ['seconds']).number('seconds', 0, advanceSMax));
    return clockState(pool);
  },
  'POST clock step': async (pool, request) => {
    noFields(request);
    const happenedMs = await pool.clock.step();
    return { ...clockState(pool), happened: happenedMs !== undefined };
  },
  'GET faults': (pool) => pool.faults.list(),
  'POST faults': (pool, { body }) => pool.faults.add(body as FaultRule),
  'DELETE faults': (pool) => pool.faults.clear(),
  'DELETE faults +': (pool, { rest: [, id = ''] }) => pool.faults.remove(id),
  'GET scenarios': (pool) => pool.scenarios.list(),
  'POST scenarios': (pool, { body }) => pool.scenarios.begin(body as ScenarioRequest),
  'DELETE scenarios': (pool) => pool.scenarios.endAll(),
  'DELETE scenarios +': (pool, { rest: [, id = ''] }) => pool.scenarios.end(id),
  'GET calls': (pool, { query }) => pool.calls.list(readCallFilter(query)),
  'DELETE calls': (pool) => pool.calls.clear(),
  'GET inventory': async (pool) => inventoryOf(await pool.content()),
};

function summary(pool: SimPool): unknown {
  const { db, version } = pool.xapi;
  const vms = [...db.all('VM')].filter(([, vm]) => !vm.is_a_template && !vm.is_control_domain).length;
  const { seed } = pool.options;
  return { version, seed, hosts: db.count('host'), vms, clock: clockState(pool) };
}

function clockState({ clock }: SimPool): Readonly<Record<string, unknown>> {
  const { mode } = clock;
  return {
    mode: mode.kind,
    ...(mode.kind === 'run' ? { speed: mode.speed } : {}),
    now: new Date(clock.now()).toISOString(),
    next: isoTime(clock.nextDueMs()),
  };
}

const isoTime = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());

/** @throws BadRequest */
export function readClockMode(value: unknown): ClockMode {
  const fields = new Fields(value, ['mode', 'speed']);
  const kind = fields.word('mode', ['auto', 'run', 'paused'] as const);
  if (kind === 'run') return { kind, speed: fields.optionalNumber('speed', 0.001, speedMax) ?? 1 };
  if (fields.has('speed')) throw new BadRequest(`the mode ${kind} has no "speed"`);
  return { kind };
}

function readCallFilter(query: URLSearchParams): Parameters<SimPool['calls']['list']>[0] {
  for (const name of query.keys()) {
    if (name !== 'method' && name !== 'after')
      throw new BadRequest(`there is no "${name}" here; known are method, after`);
  }
  const after = query.get('after') ?? '0';
  if (!/^\d{1,15}$/.test(after)) throw new BadRequest('"after" is the number of a call');
  const method = query.get('method');
  return { after: Number(after), ...(method === null ? {} : { method }) };
}

/** Answers a request below {@link controlPath}. */
export async function answerControl(pool: SimPool, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    if (request.headers.origin !== undefined) {
      send(response, 403, { error: 'The control of a simulation is not for pages in a browser.' });
      return;
    }
    const url = new URL(request.url ?? '/', 'http://localhost');
    const rest = url.pathname
      .slice(controlPath.length)
      .split('/')
      .filter((word) => word !== '')
      .map(decoded);
    const action = findAction(request.method ?? '', rest);
    if (action === undefined) {
      request.resume();
      send(response, 404, { error: `There is no ${request.method} ${url.pathname}.` });
      return;
    }
    const body = await readJson(request);
    send(response, 200, (await action(pool, { rest, query: url.searchParams, body })) ?? {});
  } catch (error) {
    if (error instanceof BadRequest) send(response, 400, { error: error.message });
    else send(response, 500, { error: String(error) });
  }
}

function decoded(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    throw new BadRequest('the path is not well encoded');
  }
}

function findAction(method: string, rest: readonly string[]): Action | undefined {
  const [first = '', second, ...more] = rest;
  const keys = [rest.join(' '), ...(second === undefined ? [] : [[first, '+', ...more].join(' ')])];
  const found = keys.map((key) => `${method} ${key}`).find((key) => Object.hasOwn(actions, key));
  return found === undefined ? undefined : actions[found];
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new BadRequest(`a request has at most ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new BadRequest(`the body is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function send(response: ServerResponse, status: number, value: unknown): void {
  if (response.destroyed || response.headersSent) return;
  const body = Buffer.from(`${JSON.stringify(value, null, 1)}\n`);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': body.length });
  response.end(body);
}
