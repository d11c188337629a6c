import type { LockKind, LockMachine, LockOptions } from './lock-machine.ts';
import type { LockShape } from './lock-state.ts';
import { pvByte } from './pv-byte.ts';
import { pvQspin } from './pv-qspin.ts';
import { pvTicket } from './pv-ticket.ts';
import { testAndSet } from './test-and-set.ts';
import { ticket } from './ticket.ts';

/** @throws AssertionError for more CPUs than the kind has tickets for */
export function makeLockMachine(kind: LockKind, shape: LockShape, options: LockOptions): LockMachine {
  switch (kind) {
    case 'test-and-set':
      return testAndSet(shape);
    case 'ticket':
      return ticket(shape, options);
    case 'pv-byte':
      return pvByte(shape, options);
    case 'pv-ticket':
      return pvTicket(shape, options);
    default:
      return pvQspin(shape, options);
  }
}
