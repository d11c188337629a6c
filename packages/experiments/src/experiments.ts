import { cpupools } from './cpupools/cpupools.ts';
import { dom0Memory } from './dom0-memory/dom0-memory.ts';
import type { Experiment } from './experiment.ts';
import { capacity } from './numa/capacity.ts';
import { ticketlocks } from './locks/ticketlocks.ts';
import { numa } from './numa/numa.ts';

/** Every experiment, by the name that the command line knows it under. */
export const experiments: readonly Experiment[] = [cpupools, dom0Memory, numa, capacity, ticketlocks];
