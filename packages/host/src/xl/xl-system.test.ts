import { expect, test } from 'vitest';
import type { Command } from './transport.ts';
import { xlSystem } from './xl-system.ts';

/** What a control domain was told to run. */
function told(
  exitCode = 0,
  stderr = '',
): { readonly commands: Command[]; readonly system: ReturnType<typeof xlSystem> } {
  const commands: Command[] = [];
  const system = xlSystem((command) => {
    commands.push(command);
    return Promise.resolve({ exitCode, stdout: 'out', stderr });
  });
  return { commands, system };
}

test.each([
  [false, 'xl dmesg'],
  [true, 'xl dmesg -c'],
])('dmesg, clear %s', async (clear, command) => {
  const { commands, system } = told();
  expect(await system.dmesg(clear)).toBe('out');
  expect(commands.map(({ text }) => text.split('; ').at(-1))).toEqual([command]);
});

test('debug keys are nothing but letters and digits', async () => {
  const { commands, system } = told();
  await system.debugKeys('rH0');
  for (const keys of ['', 'a b', '$(reboot)', ';', 'x'.repeat(65)]) {
    await expect(system.debugKeys(keys)).rejects.toThrow('letters and digits');
  }
  expect(commands.map(({ text }) => text.split('; ').at(-1))).toEqual(['xl debug-keys rH0']);
});

test('the time is what date says, and nothing else', async () => {
  const system = (stdout: string): ReturnType<typeof xlSystem> =>
    xlSystem(() => Promise.resolve({ exitCode: 0, stdout, stderr: '' }));
  expect(await system('20260131T12:34:56\n').localTime()).toBe('20260131T12:34:56');
  await expect(system('Sat Jan 31').localTime()).rejects.toThrow('date gave something else: Sat Jan 31');
});

test('a reboot and a power-off are left to init, once the answer is on its way', async () => {
  const { commands, system } = told();
  await system.reboot();
  await system.powerOff();
  const later = commands.map(({ text }) => /\(trap "" HUP; sleep 1; exec (\w+)\) <\/dev\/null .* &$/.exec(text)?.[1]);
  expect(later).toEqual(['reboot', 'poweroff']);
  await expect(told(1, 'there is no reboot').system.reboot()).rejects.toThrow('there is no reboot');
});

test('a plugin is run by its path, each word quoted', async () => {
  const { commands, system } = told();
  await system.run({ directory: 'plugins', name: 'p', args: ["it's", '$HOME'], timeLimitMs: 1500 });
  expect(commands[0]?.text).toMatch(/exec timeout -k 5 2 \/etc\/xapi\.d\/plugins\/p 'it'\\''s' '\$HOME'$/);
  expect(await system.run({ directory: 'plugins', name: '../x', args: [], timeLimitMs: 1 })).toBeUndefined();
  expect(commands).toHaveLength(1);
});
