import { allRecordsJson, allRecordsXml } from './all-records.ts';
import { apiPeers } from './api-peers.ts';
import type { Bench } from './bench.ts';
import { bigPool } from './big-pool.ts';
import { cheapRead } from './cheap-read.ts';
import { eventLatency } from './event-latency.ts';
import { heapHold } from './heap-hold.ts';
import { lockStorm } from './lock-storm.ts';
import { ministat } from './ministat.ts';
import { numaExperiment } from './numa-experiment.ts';
import { placement } from './placement.ts';
import { queueing } from './queueing.ts';
import { schedulerAllocation } from './scheduler-allocation.ts';
import { schedulerEvents } from './scheduler-events.ts';
import { schedulerGrowth } from './scheduler-growth.ts';
import { squeeze } from './squeeze.ts';
import { npmStart, xeVmList } from './start-up.ts';
import { vmStart } from './vm-start.ts';
import { xmlRpcPeer } from './xml-rpc-peer.ts';

/** All benchmarks, quick ones first. */
export const benches: readonly Bench[] = [
  heapHold,
  squeeze,
  placement,
  numaExperiment,
  schedulerEvents,
  schedulerAllocation,
  schedulerGrowth,
  lockStorm,
  queueing,
  cheapRead,
  allRecordsJson,
  allRecordsXml,
  ministat,
  xeVmList,
  npmStart,
  apiPeers,
  xmlRpcPeer,
  bigPool,
  eventLatency,
  vmStart,
];
