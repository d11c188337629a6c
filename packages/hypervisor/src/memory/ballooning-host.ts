import { assert } from '@xenolith/base';
import { followTarget, type BalloonBehaviour } from './balloon.ts';
import type { SqueezeDomain } from './squeeze-policy.ts';
import type { Squeeze, SqueezeAction, SqueezeHost, SqueezeRound } from './squeeze.ts';
import { squeezeRoundMs } from './squeeze.ts';

/** A domain of the model, sizes in KiB. */
export interface BallooningDomain extends Omit<SqueezeDomain, 'canBalloon'> {
  readonly behaviour: BalloonBehaviour;
}

interface Entry {
  readonly domid: number;
  readonly dynamicMinKib: number;
  readonly dynamicMaxKib: number;
  readonly behaviour: BalloonBehaviour;
  readonly canBalloon: boolean;
  targetKib: number;
  actualKib: number;
  maximumKib: number;
}

/** A host whose domains follow their targets, each in its own way, to ask what a squeeze comes to. */
export class BallooningHost implements SqueezeHost {
  readonly #entries = new Map<number, Entry>();
  #freeKib: number;
  #nowMs = 0;

  constructor(freeKib: number, domains: readonly BallooningDomain[]) {
    this.#freeKib = freeKib;
    for (const { behaviour, ...domain } of domains) {
      assert(!this.#entries.has(domain.domid), `domain ${domain.domid} twice`);
      const canBalloon = behaviour.kind !== 'no-driver';
      const maximumKib = Math.max(domain.actualKib, domain.targetKib);
      this.#entries.set(domain.domid, { ...domain, behaviour, canBalloon, maximumKib });
    }
  }

  get freeKib(): number {
    return this.#freeKib;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get domains(): readonly SqueezeDomain[] {
    return [...this.#entries.values()];
  }

  apply(actions: readonly SqueezeAction[]): void {
    for (const { domid, targetKib, maximumKib } of actions) {
      const entry = this.#entries.get(domid);
      assert(entry !== undefined, `no domain ${domid}`);
      entry.maximumKib = maximumKib;
      if (targetKib !== undefined) entry.targetKib = targetKib;
    }
  }

  /** Lets domains move. Memory that one gives is there for the next. */
  advance(elapsedMs: number): void {
    this.#nowMs += elapsedMs;
    for (const entry of this.#entries.values()) {
      const mayHaveKib = Math.min(entry.maximumKib, entry.actualKib + this.#freeKib);
      const actualKib = followTarget(entry.behaviour, entry.actualKib, entry.targetKib, mayHaveKib, elapsedMs);
      this.#freeKib -= actualKib - entry.actualKib;
      entry.actualKib = actualKib;
    }
  }

  /** Runs a squeeze to its end. @param onRound is told each round, before anything of it is done */
  squeeze(squeeze: Squeeze, onRound?: (round: SqueezeRound) => void): SqueezeRound {
    for (;;) {
      const round = squeeze.round(this, this.#nowMs);
      onRound?.(round);
      this.apply(round.actions);
      if (round.outcome !== undefined) return round;
      this.advance(squeezeRoundMs);
    }
  }
}
