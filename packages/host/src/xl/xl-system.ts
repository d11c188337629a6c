import { HostError, type HostSystem } from '@xenolith/xapi';
import { commandFailure, scriptHead } from './host-script.ts';
import { programRoot, shellPrograms } from './shell-programs.ts';
import type { Command, CommandResult } from './transport.ts';

const quickLimitMs = 60_000;

/**
 * {@link HostSystem} by a control domain's own tools. A reboot is left to its init, a moment later, so that the answer
 * comes through before the network goes.
 */
export function xlSystem(run: (command: Command) => Promise<CommandResult>): HostSystem {
  const quick = async (called: string, text: string): Promise<string> => {
    const result = await run({ text: scriptHead + text, timeLimitMs: quickLimitMs, lane: 'work' });
    if (result.exitCode !== 0) throw commandFailure(called, result);
    return result.stdout;
  };
  const later = (command: string): string =>
    `command -v ${command} >/dev/null || { echo 'there is no ${command}' >&2; exit 1; }; ` +
    `(trap "" HUP; sleep 1; exec ${command}) </dev/null >/dev/null 2>&1 &`;
  return {
    ...shellPrograms(programRoot, run),
    dmesg: (clear) => quick('xl dmesg', clear ? 'xl dmesg -c' : 'xl dmesg'),
    async debugKeys(keys) {
      if (!/^[A-Za-z0-9]{1,64}$/.test(keys)) throw new HostError('bad-config', 'debug keys are letters and digits');
      await quick(`xl debug-keys ${keys}`, `xl debug-keys ${keys}`);
    },
    async localTime() {
      const text = (await quick('date', 'date +%Y%m%dT%H:%M:%S')).trim();
      if (!/^\d{8}T\d\d:\d\d:\d\d$/.test(text)) {
        throw new HostError('command-failed', `date gave something else: ${text.slice(0, 100)}`);
      }
      return text;
    },
    async reboot() {
      await quick('reboot', later('reboot'));
    },
    async powerOff() {
      await quick('poweroff', later('poweroff'));
    },
  };
}
