/**
 * The memory that spinlocks and the CPUs at them share, as words of one Int32Array: first the locks, then the CPUs, each
 * with the frames of what it does: frame 0 is the task, frame 1 an interrupt that came meanwhile. No word is negative.
 * An array is the whole state: a copy of it is a snapshot, and two equal ones have the same future.
 */
import { assert } from '@xenolith/base';

export interface LockPlan {
  readonly cpus: number;
  readonly locks: number;
  /** Levels of nesting: 1 where no interrupt takes a lock. */
  readonly frames: number;
}

/** How many of each there are, and so where their words are. */
export interface LockShape extends LockPlan {
  /** Where the words of CPU 0 begin, and how many a CPU has. */
  readonly cpusAt: number;
  readonly cpuWords: number;
}

/** Words of a lock; each kind has its own names for them. */
export const lockWords = 4;

/** Words of a CPU before its frames. */
export const ofCpu = {
  /** The frame that runs. */
  depth: 0,
  /** Interrupts are off. */
  irqsOff: 1,
  /** Pending bit of the event channel port that wakes this CPU from a poll; the port is masked, so it does nothing else. */
  pending: 2,
  /** It is in `SCHEDOP_poll` and sleeps. */
  blocked: 3,
  /** What it waits for, where an unlocker looks: number of the lock + 1, 0 for nothing, and the ticket. */
  slotLock: 4,
  slotWant: 5,
  /** It is in the set of waiting CPUs. */
  waiting: 6,
  /** Waits of qspinlock that it is in. */
  nest: 7,
  /** Its vCPU is not on a pCPU though it could run (`vcpu_is_preempted`). */
  preempted: 8,
} as const;
const cpuHead = 9;

/** Words of a frame. */
export const ofFrame = {
  /** What it does next; 0 when it is at no lock. */
  pc: 0,
  lock: 1,
  ticket: 2,
  /** Tests that are left before it gives up spinning. */
  spins: 3,
  /** A slot of {@link ofCpu} as it was, or a mark that it was taken from another frame. */
  saved: 4,
  /** A CPU that it looks at, or another number of its own. */
  index: 5,
  /** Its node in the queue of a qspinlock: it is at the head, the node behind it + 1, and {@link nodeState}. */
  nodeLocked: 6,
  nodeNext: 7,
  nodeState: 8,
} as const;
const frameWords = 9;

/** Number of the frame's step at which it is at no lock. */
export const atNoLock = 0;

/** What a step did: the low four bits. Of `kicked` and `woke` the CPU is above them. */
export const effect = {
  /** It went on, and changed nothing that another CPU's loop tests for. */
  went: 0,
  /** It tested once more, and nothing has changed but the count. */
  spun: 1,
  /** The lock is this CPU's. */
  acquired: 2,
  /** The unlocking is done. */
  released: 3,
  /** A poll that came back at once. */
  polled: 4,
  /** A poll that sleeps until there is an event. */
  blocked: 5,
  /** An event was sent to a CPU that was not asleep, or to one that was. */
  kicked: 6,
  woke: 7,
  /** It went on, and another CPU's loop may end of what it wrote; `released` may do that too. */
  wrote: 8,
} as const;
export const effectOf = (result: number): number => result & 15;
export const cpuOfEffect = (result: number): number => result >> 4;

/** What the next step costs before it is taken. */
export const costAhead = { nothing: 0, pause: 1, poll: 2, send: 3 } as const;

export function lockShape({ cpus, locks, frames }: LockPlan): LockShape {
  assert(cpus > 0 && locks > 0 && frames > 0, 'locks, and CPUs to take them');
  return { cpus, locks, frames, cpusAt: locks * lockWords, cpuWords: cpuHead + frames * frameWords };
}

/** Where the words of a CPU begin. */
export const cpuAt = (shape: LockShape, cpu: number): number => shape.cpusAt + cpu * shape.cpuWords;

/** Where the words of a CPU's present frame begin. */
export function frameAt(shape: LockShape, state: Int32Array, cpu: number): number {
  const at = cpuAt(shape, cpu);
  if (shape.frames === 1) return at + cpuHead;
  return at + cpuHead + state[at + ofCpu.depth]! * frameWords;
}

/** Where the words of any frame begin. */
export const frameOf = (shape: LockShape, cpu: number, frame: number): number =>
  cpuAt(shape, cpu) + cpuHead + frame * frameWords;

export const emptyLockState = (shape: LockShape): Int32Array => new Int32Array(cpuAt(shape, shape.cpus));

/** An interrupt comes on a CPU that has them on: what it does is in a new frame. It ends a poll (an event is delivered). */
export function enterInterrupt(shape: LockShape, state: Int32Array, cpu: number): void {
  const at = cpuAt(shape, cpu);
  assert(state[at + ofCpu.irqsOff] === 0, `interrupts of CPU ${cpu} are on`);
  assert(state[at + ofCpu.depth]! + 1 < shape.frames, `CPU ${cpu} has room for an interrupt`);
  state[at + ofCpu.blocked] = 0;
  state[at + ofCpu.depth]!++;
}

/** The interrupt is over. */
export function leaveInterrupt(shape: LockShape, state: Int32Array, cpu: number): void {
  state[cpuAt(shape, cpu) + ofCpu.depth]!--;
}

/** Sends an event to the port of a CPU (`EVTCHNOP_send`). @returns the effect of the step that does it */
export function kick(shape: LockShape, state: Int32Array, cpu: number): number {
  const at = cpuAt(shape, cpu);
  const wasBlocked = state[at + ofCpu.blocked] === 1;
  state[at + ofCpu.pending] = 1;
  state[at + ofCpu.blocked] = 0;
  return (wasBlocked ? effect.woke : effect.kicked) | (cpu << 4);
}

/** `SCHEDOP_poll` on the own port. @returns the effect of the step that does it */
export function poll(state: Int32Array, cpuWordsAt: number): number {
  if (state[cpuWordsAt + ofCpu.pending] === 1) return effect.polled;
  state[cpuWordsAt + ofCpu.blocked] = 1;
  return effect.blocked;
}
