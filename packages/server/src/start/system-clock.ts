import { setTimeout as startTimer, clearTimeout } from 'node:timers';
import { disposable, epochMs, type Clock, type Random } from '@xenolith/base';
import { randomFillSync } from 'node:crypto';

/** The longest delay that a timer of Node can have; it takes a longer one for none at all. */
const timerMsMax = 2 ** 31 - 1;

/** The machine's clock. Its timers do not keep the process alive: that is the business of the connections. */
export const systemClock: Clock = {
  now: () => epochMs(Date.now()),
  after(delayMs, action) {
    let timer: NodeJS.Timeout;
    const wait = (leftMs: number): void => {
      timer = startTimer(
        () => {
          if (leftMs > timerMsMax) wait(leftMs - timerMsMax);
          else action();
        },
        Math.min(leftMs, timerMsMax),
      );
      timer.unref();
    };
    wait(delayMs);
    return disposable(() => clearTimeout(timer));
  },
};

/** Words drawn from the system at a time. */
const poolWords = 1024;

/** The system's random numbers: for references, which are secrets for sessions, and for passwords. */
export function systemRandom(): Random {
  const pool = new Uint32Array(poolWords);
  let next = poolWords;
  return {
    nextUint32() {
      if (next === poolWords) {
        randomFillSync(pool);
        next = 0;
      }
      const word = pool[next] ?? 0;
      pool[next++] = 0;
      return word;
    },
  };
}
