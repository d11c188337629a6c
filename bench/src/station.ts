import { TimerHeap } from '@xenolith/hypervisor';

/** A station with one queue and several servers, and customers that think and are served by turns. Times in µs. */
export interface StationShape {
  readonly servers: number;
  readonly customers: number;
  readonly serviceUs: number;
  readonly thinkUs: number;
}

/**
 * The queueing model of the peers on the engine by itself, without a scheduler: a timer for each customer, which is due
 * when its thinking or its service ends, and a queue in the order of coming. The first customer begins to think at 0,
 * each of the others 1 µs after the one before, as under SimPy.
 * @returns services that were done before `untilUs`
 */
export function servicesOf({ servers, customers, serviceUs, thinkUs }: StationShape, untilUs: number): number {
  const timers = new TimerHeap(customers);
  const isServed = new Uint8Array(customers);
  const queue = new Int32Array(customers);
  let queued = 0;
  let head = 0;
  let free = servers;
  let done = 0;
  for (let customer = 0; customer < customers; customer++) timers.arm(customer, customer + thinkUs);
  for (let customer = timers.popBefore(untilUs); customer >= 0; customer = timers.popBefore(untilUs)) {
    const nowUs = timers.dueNs[customer]!;
    timers.nowNs = nowUs;
    if (isServed[customer] === 0) {
      if (free === 0) {
        queue[(head + queued++) % customers] = customer;
        continue;
      }
      free--;
      isServed[customer] = 1;
      timers.arm(customer, nowUs + serviceUs);
      continue;
    }
    done++;
    isServed[customer] = 0;
    timers.arm(customer, nowUs + thinkUs);
    if (queued === 0) {
      free++;
      continue;
    }
    const next = queue[head]!;
    head = (head + 1) % customers;
    queued--;
    isServed[next] = 1;
    timers.arm(next, nowUs + serviceUs);
  }
  return done;
}
