/** @xenolith/cli: the programs `xe` and `xenolith` (packages/cli/bin). */
export { commands } from './xe/commands.ts';
export type { Command } from './xe/command.ts';
