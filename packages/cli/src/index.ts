/** @xenolith/cli: the programs `xe` and `xenolith` (packages/cli/bin). */
export { runXe } from './xe/program.ts';
