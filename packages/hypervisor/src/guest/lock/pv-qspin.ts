import { assert } from '@xenolith/base';
import { costTable, type LockMachine, type LockOptions } from './lock-machine.ts';
import {
  atNoLock,
  cpuAt,
  effect,
  frameAt,
  frameOf,
  kick,
  lockWords,
  ofCpu,
  ofFrame,
  poll,
  type LockShape,
} from './lock-state.ts';

/** `tail` is the last node of the queue + 1; `hash` the node that the lock is hashed to, + 1. */
const ofLock = { locked: 0, pending: 1, tail: 2, hash: 3 } as const;
/** Values of `locked`: held, and held by one who has to wake the head of the queue. */
const held = 1;
const heldSlow = 3;
/** What the CPU of a node is at. */
export const nodeState = { running: 0, halted: 1, hashed: 2 } as const;
/** A waiter looks whether the one before it has left its pCPU once in so many tests. */
const earlyCheck = 256;

const pc = {
  steal: 2,
  stealTest: 3,
  initNode: 4,
  enqueue: 5,
  link: 6,
  // Behind another node.
  waitNode: 7,
  testNode: 8,
  halt: 9,
  checkHalt: 10,
  nodeEnter: 11,
  nodeConsume: 12,
  nodeCheck: 13,
  nodePoll: 14,
  nodeLeave: 15,
  unhalt: 16,
  // At the head of the queue.
  head: 20,
  headRunning: 21,
  setPending: 22,
  waitHead: 23,
  testHead: 24,
  clearPending: 25,
  hash: 26,
  markSlow: 27,
  unmarkSlow: 28,
  unhash: 29,
  setHashed: 30,
  headEnter: 31,
  headConsume: 32,
  headCheck: 33,
  headPoll: 34,
  headLeave: 35,
  // The lock is its own.
  dequeue: 40,
  waitNext: 41,
  passOn: 42,
  readNext: 43,
  slowNext: 44,
  hashNext: 45,
  take: 46,
  // Unlocking.
  lookUp: 51,
  free: 52,
  send: 53,
} as const;

/** A frame whose head has entered the lock into the hash has this in `saved`. */
const isHashed = 1;

/** `vcpu_is_preempted` of the CPU whose node is a number + 1. */
const predecessorState = (shape: LockShape, state: Int32Array, nodePlus1: number): number =>
  state[frameOfNode(shape, nodePlus1) + ofFrame.nodeState]!;
const frameOfNode = (shape: LockShape, nodePlus1: number): number => {
  const node = nodePlus1 - 1;
  return frameOf(shape, cpuOfNode(shape, nodePlus1), node % shape.frames);
};
const cpuOfNode = ({ frames }: LockShape, nodePlus1: number): number => ((nodePlus1 - 1) / frames) | 0;

/** A queued waiter gives up early when the one before it sleeps or has lost its pCPU: its turn is far. */
const isEarly = (shape: LockShape, state: Int32Array, frame: number): boolean => {
  const before = state[frame + ofFrame.index]!;
  return (
    predecessorState(shape, state, before) !== nodeState.running ||
    state[cpuAt(shape, cpuOfNode(shape, before)) + ofCpu.preempted] === 1
  );
};

/**
 * The paravirtualised queue: waiters stand in a queue, each spinning on a node of its own, and only the first one on the
 * lock; who sleeps is found through a hash. Who comes may take the lock before the queue, unless its head insists.
 */
export function pvQspin(shape: LockShape, { spinThreshold }: Pick<LockOptions, 'spinThreshold'>): LockMachine {
  assert(spinThreshold >= 1, `${spinThreshold} tests`);
  const goTo = (state: Int32Array, frame: number, to: number): number => {
    state[frame + ofFrame.pc] = to;
    return effect.went;
  };
  const write = (state: Int32Array, frame: number, to: number): number => {
    state[frame + ofFrame.pc] = to;
    return effect.wrote;
  };
  const goOn = (state: Int32Array, frame: number): number => {
    state[frame + ofFrame.pc]!++;
    return effect.went;
  };

  const stepOfArrival = (state: Int32Array, cpu: number, frame: number, lock: number): number => {
    const isFree = state[lock + ofLock.locked] === 0 && state[lock + ofLock.pending] === 0;
    switch (state[frame + ofFrame.pc]) {
      case pc.steal:
      case pc.stealTest:
        if (isFree) {
          state[lock + ofLock.locked] = held;
          state[frame + ofFrame.pc] = atNoLock;
          return effect.acquired;
        }
        if (state[lock + ofLock.tail] === 0 || state[lock + ofLock.pending] !== 0) {
          return goTo(state, frame, pc.initNode);
        }
        if (state[frame + ofFrame.pc] === pc.steal) return effect.spun;
        return goTo(state, frame, pc.steal);
      case pc.initNode:
        state[frame + ofFrame.nodeLocked] = 0;
        state[frame + ofFrame.nodeNext] = 0;
        state[frame + ofFrame.nodeState] = nodeState.running;
        state[frame + ofFrame.saved] = 0;
        return goOn(state, frame);
      case pc.enqueue: {
        const before = state[lock + ofLock.tail]!;
        state[lock + ofLock.tail] = nodeOf(state, cpu);
        state[frame + ofFrame.index] = before;
        return goTo(state, frame, before === 0 ? pc.head : pc.link);
      }
      default:
        state[frameOfNode(shape, state[frame + ofFrame.index]!) + ofFrame.nodeNext] = nodeOf(state, cpu);
        state[frame + ofFrame.spins] = spinThreshold;
        return write(state, frame, pc.testNode);
    }
  };

  const nodeOf = (state: Int32Array, cpu: number): number =>
    cpu * shape.frames + state[cpuAt(shape, cpu) + ofCpu.depth]! + 1;

  const stepOfNode = (state: Int32Array, at: number, frame: number): number => {
    switch (state[frame + ofFrame.pc]) {
      case pc.waitNode:
        if (state[frame + ofFrame.nodeLocked] === 1) return goTo(state, frame, pc.head);
        if (state[frame + ofFrame.spins]! % earlyCheck === 0 && isEarly(shape, state, frame)) {
          return goTo(state, frame, pc.halt);
        }
        if (--state[frame + ofFrame.spins]! > 0) return effect.spun;
        return goTo(state, frame, pc.halt);
      case pc.testNode:
        return goTo(state, frame, state[frame + ofFrame.nodeLocked] === 1 ? pc.head : pc.waitNode);
      case pc.halt:
        state[frame + ofFrame.nodeState] = nodeState.halted;
        return write(state, frame, pc.checkHalt);
      case pc.checkHalt:
        return goTo(state, frame, state[frame + ofFrame.nodeLocked] === 1 ? pc.unhalt : pc.nodeEnter);
      case pc.nodeCheck:
        return goTo(state, frame, state[frame + ofFrame.nodeState] === nodeState.halted ? pc.nodePoll : pc.nodeLeave);
      case pc.unhalt:
        if (state[frame + ofFrame.nodeState] === nodeState.halted) {
          state[frame + ofFrame.nodeState] = nodeState.running;
        }
        state[frame + ofFrame.spins] = spinThreshold;
        return goTo(state, frame, pc.testNode);
      default:
        return stepOfHook(state, at, frame, pc.nodeEnter);
    }
  };

  /** Steps that both waits have in common, from `enter` on: enter, consume, check (not here), poll, leave. */
  const stepOfHook = (state: Int32Array, at: number, frame: number, enter: number): number => {
    switch (state[frame + ofFrame.pc]! - enter) {
      case 0:
        state[at + ofCpu.nest]!++;
        return goOn(state, frame);
      case 1:
        if (state[at + ofCpu.nest] === 1 && state[at + ofCpu.pending] === 1) {
          state[at + ofCpu.pending] = 0;
          return goTo(state, frame, enter + 4);
        }
        return goOn(state, frame);
      case 3:
        state[frame + ofFrame.pc]!++;
        return poll(state, at);
      default:
        state[at + ofCpu.nest]!--;
        return goTo(state, frame, enter === pc.nodeEnter ? pc.unhalt : pc.headRunning);
    }
  };

  const takeFromHead = (state: Int32Array, frame: number, lock: number): number => {
    state[lock + ofLock.locked] = held;
    state[lock + ofLock.pending] = 0;
    return goTo(state, frame, pc.dequeue);
  };

  const stepOfHead = (state: Int32Array, cpu: number, frame: number, lock: number): number => {
    switch (state[frame + ofFrame.pc]) {
      case pc.head:
        // Whoever passed the head on to a sleeper has entered it into the hash.
        if (state[frame + ofFrame.nodeState] === nodeState.hashed) state[frame + ofFrame.saved] = isHashed;
        return goOn(state, frame);
      case pc.headRunning:
        state[frame + ofFrame.nodeState] = nodeState.running;
        return goOn(state, frame);
      case pc.setPending:
        state[lock + ofLock.pending] = 1;
        state[frame + ofFrame.spins] = spinThreshold;
        return write(state, frame, pc.testHead);
      case pc.waitHead:
        if (state[lock + ofLock.locked] === 0) return takeFromHead(state, frame, lock);
        if (--state[frame + ofFrame.spins]! > 0) return effect.spun;
        return goTo(state, frame, pc.clearPending);
      case pc.testHead:
        if (state[lock + ofLock.locked] === 0) return takeFromHead(state, frame, lock);
        return goTo(state, frame, pc.waitHead);
      case pc.clearPending:
        state[lock + ofLock.pending] = 0;
        return goTo(state, frame, state[frame + ofFrame.saved] === isHashed ? pc.setHashed : pc.hash);
      case pc.hash:
        state[lock + ofLock.hash] = nodeOf(state, cpu);
        state[frame + ofFrame.saved] = isHashed;
        return goOn(state, frame);
      case pc.markSlow: {
        const before = state[lock + ofLock.locked];
        state[lock + ofLock.locked] = heldSlow;
        return goTo(state, frame, before === 0 ? pc.unmarkSlow : pc.setHashed);
      }
      case pc.unmarkSlow:
        state[lock + ofLock.locked] = held;
        return goOn(state, frame);
      case pc.unhash:
        state[lock + ofLock.hash] = 0;
        return goTo(state, frame, pc.dequeue);
      case pc.setHashed:
        state[frame + ofFrame.nodeState] = nodeState.hashed;
        return write(state, frame, pc.headEnter);
      case pc.headCheck:
        return goTo(state, frame, state[lock + ofLock.locked] === heldSlow ? pc.headPoll : pc.headLeave);
      default:
        return stepOfHook(state, cpuAt(shape, cpu), frame, pc.headEnter);
    }
  };

  const stepOfOwner = (state: Int32Array, cpu: number, frame: number, lock: number): number => {
    const next = state[frame + ofFrame.nodeNext]!;
    const nextFrame = next === 0 ? -1 : frameOfNode(shape, next);
    switch (state[frame + ofFrame.pc]) {
      case pc.dequeue:
        if (state[lock + ofLock.tail] !== nodeOf(state, cpu)) return goTo(state, frame, pc.waitNext);
        state[lock + ofLock.tail] = 0;
        return write(state, frame, pc.take);
      case pc.take:
        break;
      case pc.waitNext:
        // The one behind has changed the tail and is about to link itself.
        return next === 0 ? effect.spun : goTo(state, frame, pc.passOn);
      case pc.passOn:
        state[nextFrame + ofFrame.nodeLocked] = 1;
        return write(state, frame, pc.readNext);
      case pc.readNext:
        if (state[nextFrame + ofFrame.nodeState] !== nodeState.halted) break;
        state[nextFrame + ofFrame.nodeState] = nodeState.hashed;
        return goTo(state, frame, pc.slowNext);
      case pc.slowNext:
        state[lock + ofLock.locked] = heldSlow;
        return goOn(state, frame);
      default:
        state[lock + ofLock.hash] = next;
        break;
    }
    state[frame + ofFrame.pc] = atNoLock;
    return effect.acquired;
  };

  const stepOfUnlock = (state: Int32Array, frame: number, lock: number): number => {
    switch (state[frame + ofFrame.pc]) {
      case pc.lookUp:
        state[frame + ofFrame.index] = state[lock + ofLock.hash]!;
        assert(state[frame + ofFrame.index] !== 0, 'a lock that is held slowly is in the hash');
        state[lock + ofLock.hash] = 0;
        return goOn(state, frame);
      case pc.free:
        state[lock + ofLock.locked] = 0;
        return write(state, frame, pc.send);
      case pc.send:
        state[frame + ofFrame.pc]!++;
        return kick(shape, state, cpuOfNode(shape, state[frame + ofFrame.index]!));
      default:
        break;
    }
    state[frame + ofFrame.pc] = atNoLock;
    return effect.released;
  };

  return {
    kind: 'pv-qspin',
    shape,
    costOf: costTable([pc.steal, pc.waitNode, pc.waitHead, pc.waitNext], [pc.nodePoll, pc.headPoll], [pc.send]),
    lock(state, cpu, lock) {
      const frame = frameAt(shape, state, cpu);
      const word = lock * lockWords;
      state[frame + ofFrame.lock] = lock;
      const isUsed = state[word + ofLock.locked]! | state[word + ofLock.pending]! | state[word + ofLock.tail]!;
      if (isUsed !== 0) return goTo(state, frame, pc.stealTest);
      state[word + ofLock.locked] = held;
      return effect.acquired;
    },
    unlock(state, cpu, lock) {
      const frame = frameAt(shape, state, cpu);
      const locked = lock * lockWords + ofLock.locked;
      state[frame + ofFrame.lock] = lock;
      if (state[locked] !== held) return goTo(state, frame, pc.lookUp);
      state[locked] = 0;
      return effect.released;
    },
    step(state, cpu) {
      const frame = frameAt(shape, state, cpu);
      const lock = state[frame + ofFrame.lock]! * lockWords;
      const step = state[frame + ofFrame.pc]!;
      if (step >= pc.lookUp) return stepOfUnlock(state, frame, lock);
      if (step >= pc.dequeue) return stepOfOwner(state, cpu, frame, lock);
      if (step >= pc.head) return stepOfHead(state, cpu, frame, lock);
      if (step >= pc.waitNode) return stepOfNode(state, cpuAt(shape, cpu), frame);
      return stepOfArrival(state, cpu, frame, lock);
    },
    passes(state, cpu) {
      const frame = frameAt(shape, state, cpu);
      const lock = state[frame + ofFrame.lock]! * lockWords;
      switch (state[frame + ofFrame.pc]) {
        case pc.steal:
          return (
            state[lock + ofLock.pending] !== 0 || state[lock + ofLock.locked] === 0 || state[lock + ofLock.tail] === 0
          );
        case pc.waitNode:
          return state[frame + ofFrame.nodeLocked] === 1;
        case pc.waitHead:
          return state[lock + ofLock.locked] === 0;
        default:
          return state[frame + ofFrame.nodeNext] !== 0;
      }
    },
    testsLeft(state, cpu) {
      const frame = frameAt(shape, state, cpu);
      switch (state[frame + ofFrame.pc]) {
        case pc.waitNode: {
          const spins = state[frame + ofFrame.spins]!;
          // A test finds the count as it is before it: so many more, and it is a multiple.
          return isEarly(shape, state, frame) ? Math.min(spins, (spins % earlyCheck) + 1) : spins;
        }
        case pc.waitHead:
          return state[frame + ofFrame.spins]!;
        default:
          return Infinity;
      }
    },
    hurries(state, cpu) {
      const frame = frameAt(shape, state, cpu);
      return state[frame + ofFrame.pc] === pc.waitNode && isEarly(shape, state, frame);
    },
    skip(state, cpu, tests) {
      const frame = frameAt(shape, state, cpu);
      const step = state[frame + ofFrame.pc];
      if (step === pc.waitNode || step === pc.waitHead) state[frame + ofFrame.spins]! -= tests;
    },
  };
}
