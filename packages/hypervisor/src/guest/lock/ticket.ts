import { assert } from '@xenolith/base';
import { costTable, type LockMachine, type LockOptions } from './lock-machine.ts';
import { atNoLock, effect, frameAt, lockWords, ofFrame, type LockShape } from './lock-state.ts';

/** Words of a ticket lock: whose turn it is, and the next ticket. */
export const ofTicketLock = { head: 0, tail: 1 } as const;
const pc = { spin: 1 } as const;

/**
 * Tickets: who comes takes the next number and waits until it is called, so all are served in the order of their coming.
 * @throws AssertionError for as many CPUs as there are tickets
 */
export function ticket(shape: LockShape, { ticketBits }: Pick<LockOptions, 'ticketBits'>): LockMachine {
  const mask = (1 << ticketBits) - 1;
  assert(shape.cpus * shape.frames <= mask, `tickets of ${ticketBits} bits for ${shape.cpus} CPUs`);
  const { head, tail } = ofTicketLock;
  return {
    kind: 'ticket',
    shape,
    costOf: costTable([pc.spin]),
    lock(state, cpu, lock) {
      const frame = frameAt(shape, state, cpu);
      const word = lock * lockWords;
      const own = state[word + tail]!;
      state[frame + ofFrame.lock] = lock;
      state[frame + ofFrame.ticket] = own;
      state[word + tail] = (own + 1) & mask;
      if (state[word + head] === own) return effect.acquired;
      state[frame + ofFrame.pc] = pc.spin;
      return effect.went;
    },
    unlock(state, _cpu, lock) {
      const word = lock * lockWords;
      state[word + head] = (state[word + head]! + 1) & mask;
      return effect.released;
    },
    step(state, cpu) {
      const frame = frameAt(shape, state, cpu);
      if (state[state[frame + ofFrame.lock]! * lockWords + head] !== state[frame + ofFrame.ticket]) return effect.spun;
      state[frame + ofFrame.pc] = atNoLock;
      return effect.acquired;
    },
    passes(state, cpu) {
      const frame = frameAt(shape, state, cpu);
      return state[state[frame + ofFrame.lock]! * lockWords + head] === state[frame + ofFrame.ticket];
    },
    testsLeft: () => Infinity,
    hurries: () => false,
    skip() {},
  };
}
