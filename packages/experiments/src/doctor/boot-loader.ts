/** How a host's boot loader is told of an option of Xen. */
import { grubMainFile, planXenOption, type GrubPlan, type GrubRefusal } from '@xenolith/wire';
import type { Dom0Evidence } from './evidence.ts';

/** What is to be written for grub, why it is not, or that the boot loader is another. */
export type BootLoaderAdvice =
  /** @param isAssumed Xen's log no longer says what loaded it, and grub is here with all that --apply needs of it */
  | { readonly kind: 'grub'; readonly plan: GrubPlan; readonly isAssumed: boolean }
  | { readonly kind: 'refused'; readonly refusal: GrubRefusal }
  /** @param reason why it is not grub as Debian and Ubuntu have it */
  | { readonly kind: 'other'; readonly reason: string };

/** @param dom0Mem the value, as `2G,max:2G` */
export function bootLoaderAdvice({ bootloader, grub }: Dom0Evidence, dom0Mem: string): BootLoaderAdvice {
  if (bootloader !== undefined && !/^GRUB\b/i.test(bootloader)) {
    return { kind: 'other', reason: `${bootloader} has loaded Xen, not grub` };
  }
  const isAssumed = bootloader === undefined;
  const unlike = (reason: string): BootLoaderAdvice => ({
    kind: 'other',
    reason: isAssumed ? `it is not known which boot loader started Xen, and ${reason}` : reason,
  });
  const isConfigured = grub?.files.some(({ path }) => path === grubMainFile) ?? false;
  if (grub === undefined || (isAssumed && !isConfigured)) return unlike(`there is no ${grubMainFile}`);
  if (!grub.canUpdate) return unlike('there is no update-grub, or no /boot/grub/grub.cfg');
  const plan = planXenOption(grub.files, { name: 'dom0_mem', value: dom0Mem });
  return plan.ok ? { kind: 'grub', plan: plan.value, isAssumed } : { kind: 'refused', refusal: plan.error };
}
