import { LabError } from '../lab-error.ts';

/**
 * How a machine's instructions are run: `tcg` translates them with a thread for each CPU, `kvm` runs them, `icount` translates them on one thread and lets
 * the machine's clock count instructions. The last is slow, but its time stands still while this machine does something else: what is measured in it does
 * not depend on how busy this machine is.
 */
export type Accelerator = 'tcg' | 'kvm' | 'icount';

/** The hardware of a lab host: pCPUs and memory are spread evenly over the NUMA nodes, a socket a node. */
export type MachineShape = {
  readonly cpus: number;
  readonly nodes: number;
  readonly memoryMiB: number;
};

/** What was asked for; the rest is DEFAULT_SHAPE's. */
export type WantedShape = { readonly [Key in keyof MachineShape]?: MachineShape[Key] | undefined };

/** What `xenolith lab up` gives when nothing is said. */
export const DEFAULT_SHAPE: MachineShape = { cpus: 8, nodes: 2, memoryMiB: 4096 };

const CPUS_MAX = 64;
const NODES_MAX = 8;
/** dom0 and Xen itself, and a little for a guest. */
const MEMORY_MIB_MIN = 1536;
const MEMORY_MIB_MAX = 1024 * 1024;

function whole(name: string, value: number, min: number, max: number, unit = ''): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new LabError(
      'BAD_OPTION',
      `${name} must be a whole number from ${min} to ${max}${unit}, not ${value}${unit}`,
    );
  }
}

/** The shape, with what was not said filled in. Throws LabError BAD_OPTION when no such machine can be made. */
export function machineShape(wanted: WantedShape = {}): MachineShape {
  const shape = {
    cpus: wanted.cpus ?? DEFAULT_SHAPE.cpus,
    nodes: wanted.nodes ?? DEFAULT_SHAPE.nodes,
    memoryMiB: wanted.memoryMiB ?? DEFAULT_SHAPE.memoryMiB,
  };
  whole('nodes', shape.nodes, 1, NODES_MAX);
  whole('cpus', shape.cpus, shape.nodes, CPUS_MAX);
  whole('memory', shape.memoryMiB, MEMORY_MIB_MIN, MEMORY_MIB_MAX, ' MiB');
  if (shape.cpus % shape.nodes !== 0)
    throw new LabError('BAD_OPTION', `${shape.cpus} cpus cannot be spread evenly over ${shape.nodes} nodes`);
  if (shape.memoryMiB % shape.nodes !== 0) {
    throw new LabError(
      'BAD_OPTION',
      `${shape.memoryMiB} MiB of memory cannot be spread evenly over ${shape.nodes} nodes`,
    );
  }
  return shape;
}

/** Reads a memory size as people write it: `4G`, `4096M`, `4096MiB`, `4GiB`; a bare number is MiB. Gives undefined for anything else. */
export function parseMemoryMiB(text: string): number | undefined {
  const match = /^(\d{1,7})\s*(M|MB|MiB|G|GB|GiB)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const value = Number(match[1]);
  return /^g/i.test(match[2] ?? 'M') ? value * 1024 : value;
}
