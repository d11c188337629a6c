import { assert } from '@xenolith/base';
import { costTable, type LockMachine, type LockOptions } from './lock-machine.ts';
import {
  atNoLock,
  cpuAt,
  effect,
  frameAt,
  kick,
  lockWords,
  ofCpu,
  ofFrame,
  poll,
  type LockShape,
} from './lock-state.ts';
import { ofTicketLock } from './ticket.ts';

/** In the tail's lowest bit: somebody sleeps, or is about to. So tickets go up by two. */
const slowFlag = 1;
const ticketStep = 2;

/** Steps, in the order of their coming. From `hide` to `show` interrupts are off, but for the poll itself. */
const pc = {
  spin: 2,
  test: 3,
  clearFlag: 4,
  // lock_spinning(): the waiter goes to sleep.
  hide: 10,
  want: 11,
  publish: 12,
  enterSet: 13,
  clearPending: 14,
  setFlag: 15,
  recheck: 16,
  poll: 17,
  woken: 18,
  leaveSet: 20,
  show: 21,
  // Unlocking.
  readFlag: 31,
  clearOrKick: 32,
  scanLock: 33,
  scanWant: 34,
  send: 35,
} as const;

export interface PvTicketOptions extends LockOptions {
  /**
   * A nested wait takes the slot of the wait that it interrupted, and gives it back empty. Where this is true, it leaves
   * its port pending when it ends, so that the outer wait looks again before it sleeps; without that, a wake-up can be
   * lost.
   */
  readonly nestedLeavesPending?: boolean;
}

/**
 * Paravirtualised tickets: a waiter that has spun for long publishes what it waits for, marks the lock, and sleeps in a
 * poll; the unlocker of a marked lock wakes the CPU whose ticket it calls, and no other.
 * @throws AssertionError for more CPUs than half of the tickets
 */
export function pvTicket(shape: LockShape, options: PvTicketOptions): LockMachine {
  const { spinThreshold, ticketBits, nestedLeavesPending = true } = options;
  const mask = (1 << ticketBits) - 1;
  const { head, tail } = ofTicketLock;
  assert(shape.cpus * shape.frames < 1 << (ticketBits - 1), `tickets of ${ticketBits} bits for ${shape.cpus} CPUs`);
  assert(spinThreshold >= 1, `${spinThreshold} tests`);

  /** The lock is this frame's. It takes the mark away if nobody is behind it. */
  const taken = (state: Int32Array, frame: number, lock: number): number => {
    if ((state[lock + tail]! & slowFlag) === 0) {
      state[frame + ofFrame.pc] = atNoLock;
      return effect.acquired;
    }
    state[frame + ofFrame.pc] = pc.clearFlag;
    return effect.went;
  };

  /** One exchange of the whole word: the mark goes if the next ticket is still `next`. */
  const clearFlagIfLast = (state: Int32Array, lock: number, next: number): boolean => {
    if (state[lock + tail] !== (next | slowFlag)) return false;
    state[lock + tail] = next;
    return true;
  };

  const stepOfWait = (state: Int32Array, at: number, frame: number, lock: number): number => {
    switch (state[frame + ofFrame.pc]) {
      case pc.hide:
        state[at + ofCpu.irqsOff] = 1;
        if (state[at + ofCpu.slotLock] !== 0) state[frame + ofFrame.saved] = 1;
        state[at + ofCpu.slotLock] = 0;
        break;
      case pc.want:
        state[at + ofCpu.slotWant] = state[frame + ofFrame.ticket]!;
        break;
      case pc.publish:
        state[at + ofCpu.slotLock] = state[frame + ofFrame.lock]! + 1;
        break;
      case pc.enterSet:
        state[at + ofCpu.waiting] = 1;
        break;
      case pc.clearPending:
        state[at + ofCpu.pending] = 0;
        break;
      case pc.setFlag:
        state[lock + tail]! |= slowFlag;
        break;
      case pc.recheck:
        if (state[lock + head] === state[frame + ofFrame.ticket]) {
          state[frame + ofFrame.pc] = pc.leaveSet;
          return effect.went;
        }
        state[at + ofCpu.irqsOff] = 0;
        break;
      case pc.poll:
        state[frame + ofFrame.pc] = pc.woken;
        return poll(state, at);
      case pc.woken:
        state[at + ofCpu.irqsOff] = 1;
        state[frame + ofFrame.pc] = pc.leaveSet;
        return effect.went;
      case pc.leaveSet:
        state[at + ofCpu.waiting] = 0;
        break;
      default:
        state[at + ofCpu.slotLock] = 0;
        if (nestedLeavesPending && state[frame + ofFrame.saved] === 1) state[at + ofCpu.pending] = 1;
        state[at + ofCpu.irqsOff] = 0;
        state[frame + ofFrame.spins] = spinThreshold;
        state[frame + ofFrame.pc] = pc.test;
        return effect.went;
    }
    state[frame + ofFrame.pc]!++;
    return effect.went;
  };

  const stepOfUnlock = (state: Int32Array, frame: number, lock: number): number => {
    const next = (state[frame + ofFrame.ticket]! + ticketStep) & mask;
    switch (state[frame + ofFrame.pc]) {
      case pc.readFlag:
        if ((state[lock + tail]! & slowFlag) === 0) {
          state[frame + ofFrame.pc] = atNoLock;
          return effect.released;
        }
        break;
      case pc.clearOrKick:
        if (state[lock + head] === next && clearFlagIfLast(state, lock, next)) {
          state[frame + ofFrame.pc] = atNoLock;
          return effect.released;
        }
        state[frame + ofFrame.index] = 0;
        break;
      case pc.scanLock: {
        // CPUs outside of the set are passed over in the same look at it.
        let cpu = state[frame + ofFrame.index]!;
        while (cpu < shape.cpus && state[cpuAt(shape, cpu) + ofCpu.waiting] === 0) cpu++;
        state[frame + ofFrame.index] = cpu;
        if (cpu === shape.cpus) {
          state[frame + ofFrame.pc] = atNoLock;
          return effect.released;
        }
        if (state[cpuAt(shape, cpu) + ofCpu.slotLock] === state[frame + ofFrame.lock]! + 1) break;
        state[frame + ofFrame.index]!++;
        return effect.went;
      }
      case pc.scanWant:
        if (state[cpuAt(shape, state[frame + ofFrame.index]!) + ofCpu.slotWant] === next) break;
        state[frame + ofFrame.index]!++;
        state[frame + ofFrame.pc] = pc.scanLock;
        return effect.went;
      default: {
        const result = kick(shape, state, state[frame + ofFrame.index]!);
        // One is called at a time: the rest of the set is passed over.
        state[frame + ofFrame.index] = shape.cpus;
        state[frame + ofFrame.pc] = pc.scanLock;
        return result;
      }
    }
    state[frame + ofFrame.pc]!++;
    return effect.went;
  };

  return {
    kind: 'pv-ticket',
    shape,
    costOf: costTable([pc.spin], [pc.poll], [pc.send]),
    lock(state, cpu, lock) {
      const frame = frameAt(shape, state, cpu);
      const word = lock * lockWords;
      const own = state[word + tail]! & ~slowFlag;
      state[frame + ofFrame.lock] = lock;
      state[frame + ofFrame.saved] = 0;
      state[frame + ofFrame.ticket] = own;
      state[word + tail] = (state[word + tail]! + ticketStep) & mask;
      if (state[word + head] === own) return taken(state, frame, word);
      state[frame + ofFrame.spins] = spinThreshold;
      state[frame + ofFrame.pc] = pc.spin;
      return effect.went;
    },
    unlock(state, cpu, lock) {
      const frame = frameAt(shape, state, cpu);
      const word = lock * lockWords;
      state[frame + ofFrame.lock] = lock;
      state[frame + ofFrame.ticket] = state[word + head]!;
      state[word + head] = (state[word + head]! + ticketStep) & mask;
      state[frame + ofFrame.pc] = pc.readFlag;
      return effect.wrote;
    },
    step(state, cpu) {
      const at = cpuAt(shape, cpu);
      const frame = frameAt(shape, state, cpu);
      const lock = state[frame + ofFrame.lock]! * lockWords;
      const step = state[frame + ofFrame.pc]!;
      if (step >= pc.readFlag) return stepOfUnlock(state, frame, lock);
      if (step >= pc.hide) return stepOfWait(state, at, frame, lock);
      switch (step) {
        case pc.spin:
          if (state[lock + head] === state[frame + ofFrame.ticket]) return taken(state, frame, lock);
          if (--state[frame + ofFrame.spins]! > 0) return effect.spun;
          state[frame + ofFrame.pc] = pc.hide;
          return effect.went;
        case pc.test:
          if (state[lock + head] === state[frame + ofFrame.ticket]) return taken(state, frame, lock);
          state[frame + ofFrame.pc] = pc.spin;
          return effect.went;
        default:
          clearFlagIfLast(state, lock, (state[frame + ofFrame.ticket]! + ticketStep) & mask);
          state[frame + ofFrame.pc] = atNoLock;
          return effect.acquired;
      }
    },
    passes(state, cpu) {
      const frame = frameAt(shape, state, cpu);
      return state[state[frame + ofFrame.lock]! * lockWords + head] === state[frame + ofFrame.ticket];
    },
    testsLeft: (state, cpu) => state[frameAt(shape, state, cpu) + ofFrame.spins]!,
    hurries: () => false,
    skip(state, cpu, tests) {
      state[frameAt(shape, state, cpu) + ofFrame.spins]! -= tests;
    },
  };
}
