export * from './domain/domain.ts';
export * from './domain/domid-allocator.ts';
export { guestTimesMs, type ControlRequest } from './guest/modelled-guest.ts';
export * from './hypervisor.ts';
export * from './memory/heap.ts';
export { ConsoleRing, consoleBacklogBytes } from './ring/console-ring.ts';
export * from './topology/topology.ts';
