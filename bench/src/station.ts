import { TimerHeap } from '@xenolith/hypervisor';

const nsPerUs = 1000;

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
export function servicesOf({ servers, customers, ...times }: StationShape, untilUs: number): number {
  // The engine's timers are of nanoseconds, and laid out for such.
  const [serviceNs, thinkNs, untilNs] = [times.serviceUs * nsPerUs, times.thinkUs * nsPerUs, untilUs * nsPerUs];
  const timers = new TimerHeap(customers);
  const isServed = new Uint8Array(customers);
  const queue = new Int32Array(customers);
  let queued = 0;
  let head = 0;
  let free = servers;
  let done = 0;
  for (let customer = 0; customer < customers; customer++) timers.arm(customer, customer * nsPerUs + thinkNs);
  for (let customer = timers.popBefore(untilNs); customer >= 0; customer = timers.popBefore(untilNs)) {
    const nowNs = timers.dueNs[customer]!;
    timers.nowNs = nowNs;
    if (isServed[customer] === 0) {
      if (free === 0) {
        queue[(head + queued++) % customers] = customer;
        continue;
      }
      free--;
      isServed[customer] = 1;
      timers.arm(customer, nowNs + serviceNs);
      continue;
    }
    done++;
    isServed[customer] = 0;
    timers.arm(customer, nowNs + thinkNs);
    if (queued === 0) {
      free++;
      continue;
    }
    const next = queue[head]!;
    head = (head + 1) % customers;
    queued--;
    isServed[next] = 1;
    timers.arm(next, nowNs + serviceNs);
  }
  return done;
}
