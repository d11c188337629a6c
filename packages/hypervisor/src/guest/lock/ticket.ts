import { assert } from '@xenolith/base';
import { costTable, type LockMachine, type LockOptions } from './lock-machine.ts';
import { atNoLock, effect, frameAt, lockWords, ofFrame, type LockShape } from './lock-state.ts';

/** Words of a ticket lock: whose turn it is, and the next ticket. */
export const ofTicketLock = { head: 0, tail: 1 } as const;
const pc = { take: 1, spin: 2, unlock: 3 } as const;

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
      state[frame + ofFrame.lock] = lock;
      state[frame + ofFrame.pc] = pc.take;
    },
    unlock(state, cpu, lock) {
      const frame = frameAt(shape, state, cpu);
      state[frame + ofFrame.lock] = lock;
      state[frame + ofFrame.pc] = pc.unlock;
    },
    step(state, cpu) {
      const frame = frameAt(shape, state, cpu);
      const lock = state[frame + ofFrame.lock]! * lockWords;
      switch (state[frame + ofFrame.pc]) {
        case pc.take: {
          const own = state[lock + tail]!;
          state[frame + ofFrame.ticket] = own;
          state[lock + tail] = (own + 1) & mask;
          if (state[lock + head] === own) break;
          state[frame + ofFrame.pc] = pc.spin;
          return effect.went;
        }
        case pc.spin:
          if (state[lock + head] !== state[frame + ofFrame.ticket]) return effect.spun;
          break;
        default:
          state[lock + head] = (state[lock + head]! + 1) & mask;
          state[frame + ofFrame.pc] = atNoLock;
          return effect.released;
      }
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
