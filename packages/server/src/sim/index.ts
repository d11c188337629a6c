/** @xenolith/server/sim: simulated pools for the tests of XenAPI clients. */
export { createPool, usualSimPassword, type CreatePoolOptions, type SimulatedPool } from './create-pool.ts';
export { BadRequest } from './bad-request.ts';
export { type LoggedCall } from './call-log.ts';
export { type Fault, type FaultRule } from './faults.ts';
export { inventoryClasses, inventoryFormat, InventoryError, parseInventory, type Inventory } from './inventory.ts';
export { runSim } from './program.ts';
export { scrambleInventory } from './scramble.ts';
export { type Scenario, type ScenarioKind, type ScenarioRequest } from './scenarios.ts';
export { type ClockMode } from './sim-clock.ts';
export { CallRefused, SimPool } from './sim-pool.ts';
