/** What befalls the hosts of a simulated pool, until it is over: by itself after some model time, or when it is told to be. */
import { bytes, domId, type Disposable } from '@xenolith/base';
import type { ModelHost } from '@xenolith/host';
import type { Xapi } from '@xenolith/xapi';
import { BadRequest } from './bad-request.ts';
import { Fields } from './read-fields.ts';

export const scenarioKinds = ['host-dies', 'network-split', 'sr-full', 'slow-disk', 'events-lost'] as const;
export type ScenarioKind = (typeof scenarioKinds)[number];

/**
 * - `host-dies`: the power of a host goes, and with it every domain; it comes back at the end.
 * - `network-split`: the manager does not reach a host, whose domains run on.
 * - `sr-full`: the file system of a host's own repository has no room.
 * - `slow-disk`: each operation on a host's files takes `delayS`.
 * - `events-lost`: whoever waits for events, or asks with a token, has lost some. Over at once.
 */
export interface ScenarioRequest {
  readonly kind: ScenarioKind;
  /** Name of the host; all but `events-lost` need one. */
  readonly host?: string;
  /** Model seconds until it is over; without end when absent. */
  readonly durationS?: number;
  /** Of `slow-disk`; model seconds. */
  readonly delayS?: number;
}

export interface Scenario extends ScenarioRequest {
  readonly id: string;
}

const scenariosMax = 1000;
const secondsMax = 30 * 24 * 60 * 60;
const usualDelayS = 5;

/** @throws BadRequest saying what is wrong */
export function readScenario(value: unknown): ScenarioRequest {
  const fields = new Fields(value, ['kind', 'host', 'durationS', 'delayS']);
  const kind = fields.word('kind', scenarioKinds);
  const host = kind === 'events-lost' ? fields.optionalText('host') : fields.text('host');
  if (kind === 'events-lost' && (host !== undefined || fields.has('durationS'))) {
    throw new BadRequest('events-lost has no "host" and no "durationS": it is over at once');
  }
  const durationS = fields.optionalNumber('durationS', 0.001, secondsMax);
  const delayS = fields.optionalNumber('delayS', 0.001, secondsMax);
  if (delayS !== undefined && kind !== 'slow-disk') throw new BadRequest(`${kind} has no "delayS"`);
  return {
    kind,
    ...(host === undefined ? {} : { host }),
    ...(durationS === undefined ? {} : { durationS }),
    ...(kind === 'slow-disk' ? { delayS: delayS ?? usualDelayS } : {}),
  };
}

/** The pool that scenarios befall. */
export interface ScenarioStage {
  readonly xapi: Xapi;
  /** The machines, by host name. */
  readonly machines: ReadonlyMap<string, ModelHost>;
}

interface Running {
  readonly scenario: Scenario;
  readonly end: () => void;
  readonly timer: Disposable | undefined;
}

export class Scenarios {
  readonly #stage: () => ScenarioStage;
  readonly #running = new Map<string, Running>();
  #number = 0;

  constructor(stage: () => ScenarioStage) {
    this.#stage = stage;
  }

  /** @throws BadRequest when it is none, or the host has the like already */
  begin(request: ScenarioRequest): Scenario {
    const checked = readScenario(request);
    if (this.#running.size >= scenariosMax) throw new BadRequest(`there are ${scenariosMax} scenarios already`);
    const scenario: Scenario = { id: String(++this.#number), ...checked };
    const stage = this.#stage();
    if (scenario.kind === 'events-lost') {
      loseEvents(stage.xapi);
      return scenario;
    }
    const machine = stage.machines.get(scenario.host ?? '');
    if (machine === undefined) throw new BadRequest(`there is no host ${scenario.host}`);
    const cuts = (kind: ScenarioKind): boolean => kind === 'host-dies' || kind === 'network-split';
    for (const { scenario: other } of this.#running.values()) {
      const alike = other.kind === scenario.kind || (cuts(other.kind) && cuts(scenario.kind));
      if (other.host === scenario.host && alike) {
        throw new BadRequest(`${scenario.host} has scenario ${other.id} (${other.kind}) already`);
      }
    }
    const end = befall(machine, scenario);
    const timer =
      scenario.durationS === undefined
        ? undefined
        : stage.xapi.clock.after(scenario.durationS * 1000, () => this.end(scenario.id));
    this.#running.set(scenario.id, { scenario, end, timer });
    return scenario;
  }

  list(): readonly Scenario[] {
    return [...this.#running.values()].map(({ scenario }) => scenario);
  }

  /** @throws BadRequest when there is none */
  end(id: string): void {
    const running = this.#running.get(id);
    if (running === undefined) throw new BadRequest(`there is no scenario ${id}`);
    this.#running.delete(id);
    running.timer?.dispose();
    running.end();
  }

  /** Ends all of them. */
  endAll(): void {
    const ids = [...this.#running.keys()];
    for (const id of ids) this.end(id);
  }

  /** Forgets them without an end: their hosts are gone. */
  forget(): void {
    for (const { timer } of this.#running.values()) timer?.dispose();
    this.#running.clear();
  }
}

/** @returns what ends it */
function befall(machine: ModelHost, { kind, delayS = usualDelayS }: Scenario): () => void {
  switch (kind) {
    case 'host-dies':
      machine.setReachable(false);
      for (const { domid } of machine.hypervisor.domains()) if (domid !== domId(0)) machine.destroy(domid);
      return () => machine.reset();
    case 'network-split':
      machine.setReachable(false);
      return () => machine.setReachable(true);
    case 'slow-disk':
      machine.filesDelayMs = delayS * 1000;
      return () => {
        machine.filesDelayMs = 0;
      };
    default:
      return fill(machine);
  }
}

/** Nobody looks for disks there. */
const fillingPath = '/var/tmp/filling';

function fill({ files }: ModelHost): () => void {
  const free = bytes(files.freeBytes);
  files.put(fillingPath, { kind: 'unknown', sizeBytes: free, usedBytes: free });
  return () => files.remove(fillingPath);
}

/** The log of changes ends with a change that nobody heard of. */
function loseEvents({ db }: Xapi): void {
  const [pool] = db.refs('pool');
  if (pool !== undefined) db.bump('pool', pool);
  db.log.forget();
}
