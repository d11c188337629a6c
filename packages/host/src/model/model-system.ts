import type { Clock } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import { HostError, type HostSystem } from '@xenolith/xapi';
import { shellPrograms } from '../xl/shell-programs.ts';
import { LocalTransport } from '../xl/local-transport.ts';
import type { ModelHost } from './model-host.ts';

/** How long a modelled machine is away when it reboots, by its clock. */
export const modelBootMs = 30_000;

/**
 * {@link HostSystem} of a modelled machine. It has no operating system, so its executables are those of a directory of
 * this machine; without one it has none.
 */
export function modelSystem(
  host: ModelHost,
  clock: Clock,
  checkReachable: () => void,
  programDirectory?: string,
): HostSystem {
  const programs = (): Pick<HostSystem, 'run' | 'has' | 'list'> | undefined => {
    if (programDirectory === undefined) return undefined;
    const shell = new LocalTransport(clock);
    return shellPrograms(programDirectory, (command) => shell.run(command));
  };
  const known = programs();
  let cleared = false;
  const reached = async <T>(work: () => T | Promise<T>): Promise<T> => {
    await Promise.resolve();
    checkReachable();
    return await work();
  };
  /** What was running ends now; whether it comes back, and when, is for the caller. */
  const fall = (): void => {
    cleared = false;
    host.powerOff();
  };
  return {
    run: (program) => reached(() => known?.run(program)),
    has: (directory, name) => reached(async () => (await known?.has(directory, name)) ?? false),
    list: (directory) => reached(async () => (await known?.list(directory)) ?? []),
    dmesg: (clear) =>
      reached(() => {
        const facts = host.facts();
        const text = cleared
          ? ''
          : `(XEN) Xen version ${facts.xenVersion} (modelled)\n(XEN) Command line: ${facts.xenCommandLine}\n`;
        cleared ||= clear;
        return text;
      }),
    debugKeys: (keys) =>
      reached(() => {
        if (!/^[A-Za-z0-9]{1,64}$/.test(keys)) throw new HostError('bad-config', 'debug keys are letters and digits');
      }),
    // Modelled machines keep UTC.
    localTime: () => reached(() => formatDateTime(clock.now()).replace(/Z$/, '')),
    reboot: () =>
      reached(() => {
        fall();
        clock.after(modelBootMs, () => host.powerOn());
      }),
    powerOff: () => reached(fall),
    async powerOn() {
      await Promise.resolve();
      clock.after(modelBootMs, () => host.powerOn());
    },
  };
}
