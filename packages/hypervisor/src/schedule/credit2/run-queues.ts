/** Run queues of credit2: which pCPUs share one, which units belong to one, and which wait in it. */
import { assert } from '@xenolith/base';
import * as pcpuMask from '../pcpu-mask.ts';
import { addToRow, firstOfRow, none, removeFromRow, rowHas, rowOf, type Credit2State } from './state.ts';

/** Whether a unit waits in its run queue. */
export const isQueued = (s: Credit2State, unit: number): boolean => s.nextQueued[unit] !== none;

/**
 * Queues a unit behind all that have as much credit (`runq_insert`). Its place is looked for from that end of the queue
 * whose credit is closer to its own: who wakes has about as much as the first, who made room often as the last.
 */
export function enqueue(s: Credit2State, unit: number): void {
  const { credit, nextQueued, previousQueued } = s;
  const own = credit[unit]!;
  const queue = s.queue[unit]!;
  let place = nextQueued[queue]!;
  let before = previousQueued[queue]!;
  if (credit[place]! - own <= own - credit[before]!) {
    while (place !== queue && own <= credit[place]!) place = nextQueued[place]!;
    before = previousQueued[place]!;
  } else {
    while (before !== queue && credit[before]! < own) before = previousQueued[before]!;
    place = nextQueued[before]!;
  }
  nextQueued[before] = unit;
  previousQueued[unit] = before;
  nextQueued[unit] = place;
  previousQueued[place] = unit;
}

export function dequeue(s: Credit2State, unit: number): void {
  const { nextQueued, previousQueued } = s;
  const before = previousQueued[unit]!;
  const after = nextQueued[unit]!;
  nextQueued[before] = after;
  previousQueued[after] = before;
  nextQueued[unit] = none;
}

/** A unit becomes one of a run queue's, with the load it is expected to bring (`_runq_assign`). */
export function assignUnit(s: Credit2State, unit: number, queue: number): void {
  const { nextAssigned, previousAssigned } = s;
  s.queue[unit] = queue;
  const last = previousAssigned[queue]!;
  nextAssigned[last] = unit;
  previousAssigned[unit] = last;
  nextAssigned[unit] = queue;
  previousAssigned[queue] = unit;
  setPace(s, queue, unit);
  updateMaxWeight(s, queue, s.weight[unit]!, 0);
  s.balancedLoad[queue]! += s.unitLoad[unit]!;
}

/** The opposite (`_runq_deassign`); what balancing counted for it goes, but not below nothing. */
export function deassignUnit(s: Credit2State, unit: number): void {
  const { nextAssigned, previousAssigned } = s;
  const queue = s.queue[unit]!;
  const before = previousAssigned[unit]!;
  const after = nextAssigned[unit]!;
  nextAssigned[before] = after;
  previousAssigned[after] = before;
  nextAssigned[unit] = none;
  updateMaxWeight(s, queue, 0, s.weight[unit]!);
  s.balancedLoad[queue] = Math.max(s.balancedLoad[queue]! - s.unitLoad[unit]!, 0);
  s.queue[unit] = none;
}

/**
 * The heaviest unit of a run queue sets the pace of all (`update_max_weight`): looked for only where the one that
 * leaves or changes was as heavy.
 */
export function updateMaxWeight(s: Credit2State, queue: number, newWeight: number, oldWeight: number): void {
  const { maxWeight, weight, nextAssigned } = s;
  const before = maxWeight[queue]!;
  let most = newWeight;
  if (newWeight <= before) {
    if (oldWeight !== before) return;
    most = 1;
    for (let unit = nextAssigned[queue]!; unit !== queue; unit = nextAssigned[unit]!) {
      if (weight[unit]! > most) most = weight[unit]!;
    }
  }
  if (most === before) return;
  maxWeight[queue] = most;
  for (let unit = nextAssigned[queue]!; unit !== queue; unit = nextAssigned[unit]!) setPace(s, queue, unit);
}

/** What running costs a unit, after its weight or that of the heaviest has changed. */
export function setPace(s: Credit2State, queue: number, unit: number): void {
  const weight = s.weight[unit]!;
  const pace = s.maxWeight[queue]! / weight;
  s.pace[unit] = Number.isInteger(pace) && s.residual[unit]! < weight ? pace : 0;
}

/** Puts a pCPU into the run queue that it belongs to, which it may be the first of (`csched2_init_pdata`). */
export function addToRunqueue(s: Credit2State, pcpu: number): void {
  const { words } = s;
  const queue = findQueue(s, pcpu) ?? makeQueue(s, pcpu);
  const row = queue * words;
  const own = pcpu * words;
  s.siblings.fill(0, own, own + words);
  addToRow(s.siblings, own, pcpu);
  for (const other of pcpuMask.pcpusOf(rowOf(s.coreThreads, own, words))) {
    if (!rowHas(s.active, row, other)) continue;
    addToRow(s.siblings, other * words, pcpu);
    addToRow(s.siblings, own, other);
  }
  addToRow(s.idle, row, pcpu);
  addToRow(s.active, row, pcpu);
  // Also when a thread of the same core is busy.
  addToRow(s.smtIdle, row, pcpu);
  s.queueOfPcpu[pcpu] = queue;
  s.cpus[queue]!++;
  setWords(s, queue);
}

/** Takes a pCPU out of its run queue, which goes with its last (`csched2_deinit_pdata`, `csched2_free_pdata`). */
export function removeFromRunqueue(s: Credit2State, pcpu: number): void {
  const { words } = s;
  const queue = s.queueOfPcpu[pcpu]!;
  const row = queue * words;
  for (const mask of [s.idle, s.smtIdle, s.active, s.tickled]) removeFromRow(mask, row, pcpu);
  for (const other of pcpuMask.pcpusOf(rowOf(s.active, row, words))) removeFromRow(s.siblings, other * words, pcpu);
  s.queueOfPcpu[pcpu] = none;
  s.cpus[queue]!--;
  if (s.cpus[queue]! > 0) {
    setWords(s, queue);
    if (s.pickBias[queue] === pcpu) s.pickBias[queue] = firstOfRow(s.active, row, words);
    return;
  }
  assert(s.nextAssigned[queue] === queue, `units have left run queue ${queue}`);
  const at = s.queues.indexOf(queue);
  s.queues.copyWithin(at, at + 1, s.queueCount);
  s.queueCount--;
}

function setWords(s: Credit2State, queue: number): void {
  const active = rowOf(s.active, queue * s.words, s.words);
  s.fromWord[queue] = pcpuMask.first(active) >>> 5;
  s.toWord[queue] = (pcpuMask.last(active) >>> 5) + 1;
}

/** The run queue that a pCPU joins, of those there are (`cpu_add_to_runqueue`). */
function findQueue(s: Credit2State, pcpu: number): number | undefined {
  const { words, pcpuCount, cpus } = s;
  // pCPUs are spread evenly, over no more run queues than needed.
  const fewest = Math.floor((pcpuCount - 1) / s.maxCpusPerRunqueue) + 1;
  const most = Math.floor(pcpuCount / fewest);
  const threads = rowOf(s.coreThreads, pcpu * words, words);
  let found: number | undefined;
  for (let at = 0; at < s.queueCount; at++) {
    const queue = s.queues[at]!;
    if (!isMatch(s, queue, pcpu)) continue;
    const active = rowOf(s.active, queue * words, words);
    // Threads of one core stay together, over the limit if need be.
    if (pcpuMask.intersects(active, threads)) return queue;
    if (cpus[queue]! >= most || !hasRoomForCore(s, queue, pcpu, most)) continue;
    if (found === undefined || cpus[queue]! < cpus[found]!) found = queue;
  }
  return found;
}

/** Whether a pCPU is of a run queue's part of the machine, which the pCPU picked last stands for (`cpu_runqueue_match`). */
function isMatch(s: Credit2State, queue: number, pcpu: number): boolean {
  const { pcpus } = s.core.topology;
  const peer = pcpus[s.pickBias[queue]!]!;
  const own = pcpus[pcpu]!;
  switch (s.runqueueBy) {
    case 'cpu':
      return false;
    case 'core':
      return peer.socket === own.socket && peer.core === own.core;
    case 'socket':
      return peer.socket === own.socket;
    case 'node':
      return peer.node === own.node;
    default:
      return true;
  }
}

/** Whether all threads of a pCPU's core find room, beside those of the cores that are there (`cpu_runqueue_siblings_match`). */
function hasRoomForCore(s: Credit2State, queue: number, pcpu: number, most: number): boolean {
  const { words, coreThreads } = s;
  const cores = pcpuMask.emptyMask(words);
  for (const other of pcpuMask.pcpusOf(rowOf(s.active, queue * words, words))) {
    pcpuMask.unite(cores, cores, rowOf(coreThreads, other * words, words));
  }
  return pcpuMask.count(cores) + pcpuMask.count(rowOf(coreThreads, pcpu * words, words)) <= most;
}

/** A new run queue, with the lowest number that is free. */
function makeQueue(s: Credit2State, pcpu: number): number {
  let queue = 0;
  while (queue < s.queueCount && s.queues[queue] === queue) queue++;
  s.queues.copyWithin(queue + 1, queue, s.queueCount);
  s.queues[queue] = queue;
  s.queueCount++;
  const row = queue * s.words;
  for (const mask of [s.idle, s.smtIdle, s.active, s.tickled, s.preemptable]) mask.fill(0, row, row + s.words);
  s.cpus[queue] = 0;
  s.maxWeight[queue] = 1;
  s.pickBias[queue] = pcpu;
  s.load[queue] = 0;
  s.averageLoad[queue] = 0;
  s.balancedLoad[queue] = 0;
  s.loadTick[queue] = 0;
  s.nextQueued[queue] = queue;
  s.previousQueued[queue] = queue;
  s.nextAssigned[queue] = queue;
  s.previousAssigned[queue] = queue;
  s.nextEntered[s.pcpuCount + queue] = s.pcpuCount + queue;
  s.previousEntered[s.pcpuCount + queue] = s.pcpuCount + queue;
  return queue;
}
