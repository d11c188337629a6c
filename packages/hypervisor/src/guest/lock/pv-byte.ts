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

const ofLock = { locked: 0, spinners: 1 } as const;
const pc = {
  exchange: 1,
  spin: 2,
  // The waiter goes to sleep.
  announce: 10,
  count: 11,
  clearPending: 12,
  tryLock: 13,
  poll: 14,
  checkPending: 15,
  uncount: 20,
  restoreSlot: 21,
  // Unlocking.
  readCount: 31,
  scan: 32,
  send: 33,
} as const;

/**
 * The first paravirtualised lock (2008): a byte, and a count of those who wait for it in their sleep. The unlocker wakes
 * the first of them in the order of CPUs; who comes first has it. In no order.
 */
export function pvByte(shape: LockShape, { spinThreshold }: Pick<LockOptions, 'spinThreshold'>): LockMachine {
  assert(spinThreshold >= 1, `${spinThreshold} tests`);
  /** Where `index` says that the lock was got in the slow path. */
  const got = 1;

  const exchange = (state: Int32Array, frame: number, locked: number): number => {
    if (state[locked] === 1) {
      state[frame + ofFrame.pc] = pc.spin;
      return effect.went;
    }
    state[locked] = 1;
    state[frame + ofFrame.pc] = atNoLock;
    return effect.acquired;
  };

  const stepOfWait = (state: Int32Array, at: number, frame: number, lock: number): number => {
    switch (state[frame + ofFrame.pc]) {
      case pc.announce:
        state[frame + ofFrame.saved] = state[at + ofCpu.slotLock]!;
        state[at + ofCpu.slotLock] = state[frame + ofFrame.lock]! + 1;
        state[frame + ofFrame.index] = 0;
        break;
      case pc.count:
        state[lock + ofLock.spinners]!++;
        break;
      case pc.clearPending:
        state[at + ofCpu.pending] = 0;
        break;
      case pc.tryLock:
        if (state[lock + ofLock.locked] === 1) break;
        state[lock + ofLock.locked] = 1;
        // The wait that this one has interrupted is to look at its lock again before it sleeps.
        if (state[frame + ofFrame.saved] !== 0) state[at + ofCpu.pending] = 1;
        state[frame + ofFrame.index] = got;
        state[frame + ofFrame.pc] = pc.uncount;
        return effect.went;
      case pc.poll:
        state[frame + ofFrame.pc] = pc.checkPending;
        return poll(state, at);
      case pc.checkPending:
        // Something else has woken it: it sleeps again.
        state[frame + ofFrame.pc] = state[at + ofCpu.pending] === 1 ? pc.uncount : pc.clearPending;
        return effect.went;
      case pc.uncount:
        state[lock + ofLock.spinners]!--;
        break;
      default:
        state[at + ofCpu.slotLock] = state[frame + ofFrame.saved]!;
        if (state[frame + ofFrame.index] === got) {
          state[frame + ofFrame.pc] = atNoLock;
          return effect.acquired;
        }
        state[frame + ofFrame.spins] = spinThreshold;
        state[frame + ofFrame.pc] = pc.exchange;
        return effect.went;
    }
    state[frame + ofFrame.pc]!++;
    return effect.went;
  };

  const stepOfUnlock = (state: Int32Array, frame: number, lock: number): number => {
    switch (state[frame + ofFrame.pc]) {
      case pc.readCount:
        if (state[lock + ofLock.spinners] === 0) break;
        state[frame + ofFrame.pc] = pc.scan;
        return effect.went;
      case pc.scan: {
        const cpu = state[frame + ofFrame.index]!;
        if (cpu === shape.cpus) break;
        if (state[cpuAt(shape, cpu) + ofCpu.slotLock] === state[frame + ofFrame.lock]! + 1) {
          state[frame + ofFrame.pc] = pc.send;
        } else state[frame + ofFrame.index]!++;
        return effect.went;
      }
      default: {
        const result = kick(shape, state, state[frame + ofFrame.index]!);
        state[frame + ofFrame.index] = shape.cpus;
        state[frame + ofFrame.pc] = pc.scan;
        return result;
      }
    }
    state[frame + ofFrame.pc] = atNoLock;
    return effect.released;
  };

  return {
    kind: 'pv-byte',
    shape,
    costOf: costTable([pc.spin], [pc.poll], [pc.send]),
    lock(state, cpu, lock) {
      const frame = frameAt(shape, state, cpu);
      state[frame + ofFrame.lock] = lock;
      state[frame + ofFrame.spins] = spinThreshold;
      return exchange(state, frame, lock * lockWords + ofLock.locked);
    },
    unlock(state, cpu, lock) {
      const frame = frameAt(shape, state, cpu);
      state[lock * lockWords + ofLock.locked] = 0;
      state[frame + ofFrame.lock] = lock;
      state[frame + ofFrame.index] = 0;
      state[frame + ofFrame.pc] = pc.readCount;
      return effect.wrote;
    },
    step(state, cpu) {
      const frame = frameAt(shape, state, cpu);
      const lock = state[frame + ofFrame.lock]! * lockWords;
      const step = state[frame + ofFrame.pc]!;
      if (step >= pc.readCount) return stepOfUnlock(state, frame, lock);
      if (step >= pc.announce) return stepOfWait(state, cpuAt(shape, cpu), frame, lock);
      const locked = lock + ofLock.locked;
      if (step === pc.exchange) return exchange(state, frame, locked);
      if (state[locked] === 0) {
        state[frame + ofFrame.pc] = pc.exchange;
        return effect.went;
      }
      if (--state[frame + ofFrame.spins]! > 0) return effect.spun;
      state[frame + ofFrame.pc] = pc.announce;
      return effect.went;
    },
    passes: (state, cpu) => state[state[frameAt(shape, state, cpu) + ofFrame.lock]! * lockWords + ofLock.locked] === 0,
    testsLeft: (state, cpu) => state[frameAt(shape, state, cpu) + ofFrame.spins]!,
    hurries: () => false,
    skip(state, cpu, tests) {
      state[frameAt(shape, state, cpu) + ofFrame.spins]! -= tests;
    },
  };
}
