import { findProgram } from './program.ts';
import { LabError } from './lab-error.ts';

/** A program the lab runs, and the Debian (and Ubuntu) package that holds it. */
export type NeededTool = { readonly program: string; readonly debianPackage: string };

const QEMU: NeededTool = { program: 'qemu-system-x86_64', debianPackage: 'qemu-system-x86' };
const QEMU_IMG: NeededTool = { program: 'qemu-img', debianPackage: 'qemu-utils' };

/** What a running lab needs. */
export const RUN_TOOLS: readonly NeededTool[] = [
  QEMU,
  QEMU_IMG,
  { program: 'ssh', debianPackage: 'openssh-client' },
  { program: 'ssh-keygen', debianPackage: 'openssh-client' },
  { program: 'flock', debianPackage: 'util-linux' },
];

/** What building the dom0 image needs on top; all of it is part of every Debian but for xz. */
export const BUILD_TOOLS: readonly NeededTool[] = [
  { program: 'apt-get', debianPackage: 'apt' },
  { program: 'dpkg-deb', debianPackage: 'dpkg' },
  { program: 'tar', debianPackage: 'tar' },
  { program: 'xz', debianPackage: 'xz-utils' },
  { program: 'mke2fs', debianPackage: 'e2fsprogs' },
  { program: 'debugfs', debianPackage: 'e2fsprogs' },
];

/** Those of `tools` that are not installed. */
export async function missingTools(tools: readonly NeededTool[]): Promise<readonly NeededTool[]> {
  const found = await Promise.all(tools.map((tool) => findProgram(tool.program)));
  return tools.filter((_, index) => found[index] === undefined);
}

/** One line that says what is missing and which command installs it. */
export function missingToolsText(missing: readonly NeededTool[]): string {
  const programs = missing.map((tool) => tool.program).join(', ');
  const packages = [...new Set(missing.map((tool) => tool.debianPackage))].join(' ');
  return `not installed: ${programs}. Install with: apt-get install --no-install-recommends ${packages}`;
}

/** Throws LabError TOOL_MISSING that names the Debian packages when any of `tools` is not installed. */
export async function requireTools(tools: readonly NeededTool[]): Promise<void> {
  const missing = await missingTools(tools);
  if (missing.length > 0) throw new LabError('TOOL_MISSING', missingToolsText(missing));
}
