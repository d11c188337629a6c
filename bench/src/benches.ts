import { allRecordsJson, allRecordsXml } from './all-records.ts';
import type { Bench } from './bench.ts';
import { cheapRead } from './cheap-read.ts';
import { npmStart, xeVmList } from './start-up.ts';
import { vmStart } from './vm-start.ts';

/** All benchmarks, quick ones first. */
export const benches: readonly Bench[] = [cheapRead, allRecordsJson, allRecordsXml, xeVmList, npmStart, vmStart];
