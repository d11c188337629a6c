import { LabError } from '../lab-error.ts';

/** What Xen of a lab host is told on its command line, beside what the lab itself needs. */
export type XenOptions = {
  /** `dom0_mem=`, in Xen's own grammar: `2G`, `2G,max:2G`, `min:1G,max:50%`. */
  readonly dom0Mem: string;
};

/** What was asked for; the rest is DEFAULT_XEN_OPTIONS'. */
export type WantedXenOptions = { readonly [Key in keyof XenOptions]?: XenOptions[Key] | undefined };

/** As much as dom0 needs and no more, so that what guests can have is plain. */
export const DEFAULT_XEN_OPTIONS: XenOptions = { dom0Mem: '1024M,max:1024M' };

const PAGES_PER_MIB = 256;

/**
 * The options, with what was not said filled in. Throws LabError BAD_OPTION for what Xen could not read, or a machine of this memory could not give;
 * whether dom0 boots with it is another question.
 */
export async function xenOptions(wanted: WantedXenOptions = {}, memoryMiB: number): Promise<XenOptions> {
  const { dom0Mem } = wanted;
  if (dom0Mem === undefined) return DEFAULT_XEN_OPTIONS;
  const { dom0MemFaults, parseDom0Mem } = await import('@xenolith/hypervisor');
  const spec = parseDom0Mem(dom0Mem, '4.17');
  if (!spec.ok) throw new LabError('BAD_OPTION', spec.error.message);
  const [fault] = dom0MemFaults(spec.value, memoryMiB * PAGES_PER_MIB);
  if (fault !== undefined) throw new LabError('BAD_OPTION', `dom0_mem=${dom0Mem}: ${fault}`);
  return { dom0Mem };
}
