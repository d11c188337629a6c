/** A client that knows the pool from its events alone: what it knows must be what the records say. */
import type { ModelPool } from './model-pool.ts';

/** Classes that a mirror follows. */
const followed = ['vm', 'host', 'vdi', 'vbd', 'vif', 'sr', 'pbd', 'vm_metrics', 'host_metrics'] as const;
const tableOf = { vm: 'VM', host: 'host', vdi: 'VDI', vbd: 'VBD', vif: 'VIF', sr: 'SR', pbd: 'PBD' } as const;

interface Batch {
  readonly events: readonly {
    readonly class: string;
    readonly operation: string;
    readonly ref: string;
    readonly snapshot?: { readonly value: unknown };
  }[];
  readonly token: string;
}

export class PoolMirror {
  readonly #objects = new Map<string, unknown>();
  #token = '';

  /**
   * Hears what is new.
   * @param afterRestart the old token must be refused then, and everything is asked for anew
   * @returns what is wrong with what was told
   */
  async hear(pool: ModelPool, afterRestart: boolean): Promise<readonly string[]> {
    const wrong: string[] = [];
    const before = this.#token;
    if (afterRestart) {
      const refusal = await pool.refusal('event.from', followed, before, 0);
      if (before !== '' && refusal !== 'EVENTS_LOST') wrong.push(`a token from before a restart gives ${refusal}`);
      this.#objects.clear();
      this.#token = '';
    }
    const { events, token } = await pool.call<Batch>('event.from', followed, this.#token, 0);
    if (token < before) wrong.push(`token ${token} comes after ${before}`);
    for (const { operation, ref, class: className, snapshot } of events) {
      if (operation === 'del') this.#objects.delete(`${className} ${ref}`);
      else this.#objects.set(`${className} ${ref}`, snapshot?.value);
    }
    this.#token = token;
    return wrong;
  }

  /** How what it knows differs from the records. */
  differences({ db }: ModelPool): readonly string[] {
    const wrong: string[] = [];
    let count = 0;
    for (const [className, table] of Object.entries(tableOf)) {
      for (const [ref, record] of db.allAny(table)) {
        count++;
        const known = this.#objects.get(`${className} ${ref}`);
        if (known === undefined) wrong.push(`no event told of ${className} ${ref}`);
        else if (JSON.stringify(known) !== JSON.stringify(record))
          wrong.push(`events tell otherwise of ${className} ${ref}`);
      }
    }
    const followedHere = [...this.#objects.keys()].filter((key) => Object.hasOwn(tableOf, key.split(' ')[0] ?? ''));
    if (followedHere.length !== count) wrong.push(`events tell of ${followedHere.length} objects, records of ${count}`);
    return wrong;
  }
}
