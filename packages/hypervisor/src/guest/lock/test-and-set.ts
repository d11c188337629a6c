import { costTable, type LockMachine } from './lock-machine.ts';
import { atNoLock, effect, frameAt, lockWords, ofFrame, type LockShape } from './lock-state.ts';

const ofLock = { locked: 0 } as const;
const pc = { exchange: 1, spin: 2 } as const;

/** A byte: who finds it 0 and makes it 1 has the lock. While it is 1 the others only read it. In no order. */
export function testAndSet(shape: LockShape): LockMachine {
  const exchange = (state: Int32Array, frame: number, locked: number): number => {
    if (state[locked] === 1) {
      state[frame + ofFrame.pc] = pc.spin;
      return effect.went;
    }
    state[locked] = 1;
    state[frame + ofFrame.pc] = atNoLock;
    return effect.acquired;
  };
  return {
    kind: 'test-and-set',
    shape,
    costOf: costTable([pc.spin]),
    lock(state, cpu, lock) {
      const frame = frameAt(shape, state, cpu);
      state[frame + ofFrame.lock] = lock;
      return exchange(state, frame, lock * lockWords + ofLock.locked);
    },
    unlock(state, _cpu, lock) {
      state[lock * lockWords + ofLock.locked] = 0;
      return effect.released;
    },
    step(state, cpu) {
      const frame = frameAt(shape, state, cpu);
      const locked = state[frame + ofFrame.lock]! * lockWords + ofLock.locked;
      if (state[frame + ofFrame.pc] === pc.exchange) return exchange(state, frame, locked);
      if (state[locked] === 1) return effect.spun;
      state[frame + ofFrame.pc] = pc.exchange;
      return effect.went;
    },
    passes: (state, cpu) => state[state[frameAt(shape, state, cpu) + ofFrame.lock]! * lockWords + ofLock.locked] === 0,
    testsLeft: () => Infinity,
    hurries: () => false,
    skip() {},
  };
}
